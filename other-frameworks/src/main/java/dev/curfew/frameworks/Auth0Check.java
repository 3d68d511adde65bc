package dev.curfew.frameworks;

import com.auth0.jwt.exceptions.JWTVerificationException;
import com.auth0.jwt.interfaces.JWTVerifier;
import dev.curfew.InvalidTokenException;
import dev.curfew.Token;
import dev.curfew.TokenResource;

record Auth0Check(JWTVerifier verifier, TokenResource tokens) {
    int status(String jwt) {
        try {
            verifier.verify(jwt); // the signature, exp and whatever else you have set
            return switch (tokens.check(Token.peek(jwt))) {
                case ACTIVE -> 200;
                case REVOKED, EXPIRED, UNKNOWN -> 401;
                case UNAVAILABLE -> 503;
            };
        } catch (JWTVerificationException | InvalidTokenException e) {
            return 401;
        }
    }
}
