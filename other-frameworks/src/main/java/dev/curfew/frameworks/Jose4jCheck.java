package dev.curfew.frameworks;

import dev.curfew.InvalidTokenException;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import org.jose4j.jwt.consumer.InvalidJwtException;
import org.jose4j.jwt.consumer.JwtConsumer;

record Jose4jCheck(JwtConsumer verifier, TokenResource tokens) {
    int status(String jwt) {
        try {
            verifier.processToClaims(jwt); // the signature, exp and whatever else you have set
            return switch (tokens.check(Token.peek(jwt))) {
                case ACTIVE -> 200;
                case REVOKED, EXPIRED, UNKNOWN -> 401;
                case UNAVAILABLE -> 503;
            };
        } catch (InvalidJwtException | InvalidTokenException e) {
            return 401;
        }
    }
}
