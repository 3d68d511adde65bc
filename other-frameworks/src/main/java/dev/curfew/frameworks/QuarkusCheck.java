package dev.curfew.frameworks;

import dev.curfew.InvalidTokenException;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import io.quarkus.security.AuthenticationFailedException;
import io.quarkus.security.identity.AuthenticationRequestContext;
import io.quarkus.security.identity.SecurityIdentity;
import io.quarkus.security.identity.SecurityIdentityAugmentor;
import io.smallrye.mutiny.Uni;
import io.vertx.ext.web.handler.HttpException;
import jakarta.inject.Singleton;
import org.eclipse.microprofile.jwt.JsonWebToken;

@Singleton
record QuarkusCheck(TokenResource tokens) implements SecurityIdentityAugmentor {
    @Override
    public Uni<SecurityIdentity> augment(SecurityIdentity identity, AuthenticationRequestContext context) {
        return identity.getPrincipal() instanceof JsonWebToken jwt
                ? context.runBlocking(() -> checked(identity, jwt.getRawToken())) // off the event loop
                : Uni.createFrom().item(identity); // nobody, or somebody without a JWT
    }

    private SecurityIdentity checked(SecurityIdentity identity, String jwt) {
        try {
            return switch (tokens.check(Token.peek(jwt))) {
                case ACTIVE -> identity;
                case REVOKED, EXPIRED, UNKNOWN -> throw new AuthenticationFailedException(); // 401
                case UNAVAILABLE -> throw new HttpException(503);
            };
        } catch (InvalidTokenException e) { // such as a missing jti
            throw new AuthenticationFailedException(e);
        }
    }
}
