package dev.curfew.frameworks;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.proc.JWTProcessor;
import dev.curfew.InvalidTokenException;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import java.text.ParseException;

record NimbusCheck(JWTProcessor<SecurityContext> verifier, TokenResource tokens) {
    int status(String jwt) {
        try {
            verifier.process(jwt, null); // the signature, exp and whatever else you have set
            return switch (tokens.check(Token.peek(jwt))) {
                case ACTIVE -> 200;
                case REVOKED, EXPIRED, UNKNOWN -> 401;
                case UNAVAILABLE -> 503;
            };
        } catch (ParseException | BadJOSEException | JOSEException | InvalidTokenException e) {
            return 401;
        }
    }
}
