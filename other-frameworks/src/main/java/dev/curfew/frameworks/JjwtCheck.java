package dev.curfew.frameworks;

import dev.curfew.InvalidTokenException;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import io.jsonwebtoken.JwtException;
import io.jsonwebtoken.JwtParser;

record JjwtCheck(JwtParser verifier, TokenResource tokens) {
    int status(String jwt) {
        try {
            verifier.parseSignedClaims(jwt); // the signature, exp and whatever else you have set
            return switch (tokens.check(Token.peek(jwt))) {
                case ACTIVE -> 200;
                case REVOKED, EXPIRED, UNKNOWN -> 401;
                case UNAVAILABLE -> 503;
            };
        } catch (JwtException | IllegalArgumentException | InvalidTokenException e) {
            return 401;
        }
    }
}
