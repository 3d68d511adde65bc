package dev.curfew.spring;

import dev.curfew.InvalidTokenException;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.security.oauth2.core.OAuth2AuthenticationException;
import org.springframework.security.oauth2.core.OAuth2ErrorCodes;
import org.springframework.security.oauth2.server.authorization.OAuth2Authorization;
import org.springframework.security.oauth2.server.authorization.OAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.OAuth2TokenType;

/**
 * Tells Curfew what is revoked at the authorization server, so that resource servers refuse it, and answers the
 * authorization server by what Curfew knows.
 *
 * <p>A refresh puts a new access token in the place of the old one. The authorization server then no longer knows the old
 * one, and could not revoke it: so it is revoked at that moment.
 */
record CurfewAuthorizationService(OAuth2AuthorizationService service, TokenResource tokens, JwtTokenMapper mapper)
        implements OAuth2AuthorizationService {

    /** Curfew goes first: where it fails, the authorization is as it was, and the client tries again. */
    @Override
    public void save(OAuth2Authorization authorization) {
        OAuth2Authorization before = service.findById(authorization.getId());
        OAuth2Authorization.Token<?> old = before == null ? null : before.getAccessToken();
        OAuth2Authorization.Token<?> access = authorization.getAccessToken();
        if (old != null && access != null && !text(old).equals(text(access))) {
            revoke(authorization, old);
        }
        if (access != null && access.isInvalidated()) {
            revoke(authorization, access);
        }
        service.save(authorization);
    }

    /** Not the token itself, whose times lose their nanoseconds in a database. */
    private static String text(OAuth2Authorization.Token<?> token) {
        return token.getToken().getTokenValue();
    }

    @Override
    public void remove(OAuth2Authorization authorization) {
        revoke(authorization, authorization.getAccessToken());
        service.remove(authorization);
    }

    @Override
    public @Nullable OAuth2Authorization findById(String id) {
        return service.findById(id);
    }

    @Override
    public @Nullable OAuth2Authorization findByToken(String token, @Nullable OAuth2TokenType tokenType) {
        OAuth2Authorization found = service.findByToken(token, tokenType);
        if (found == null) {
            return null;
        }
        OAuth2Authorization.Builder known = OAuth2Authorization.from(found);
        // The refresh token after a "log out everywhere": else it would bring tokens that are issued after that.
        for (OAuth2Authorization.Token<?> each : Arrays.asList(found.getAccessToken(), found.getRefreshToken())) {
            if (each != null && isRevoked(found, each)) {
                known.invalidate(each.getToken());
            }
        }
        return known.build();
    }

    private boolean isRevoked(OAuth2Authorization authorization, OAuth2Authorization.Token<?> token) {
        MappedToken mapped = token.isInvalidated() ? null : mapped(authorization, token);
        TokenStatus status =
                mapped == null ? TokenStatus.ACTIVE : mapped.of(tokens).check(mapped.token());
        if (status == TokenStatus.UNAVAILABLE) {
            throw new OAuth2AuthenticationException(OAuth2ErrorCodes.TEMPORARILY_UNAVAILABLE);
        }
        return status == TokenStatus.REVOKED;
    }

    private void revoke(OAuth2Authorization authorization, OAuth2Authorization.@Nullable Token<?> token) {
        MappedToken mapped = token == null ? null : mapped(authorization, token);
        if (mapped != null) {
            mapped.of(tokens).revokeToken(mapped.token());
        }
    }

    /** As a resource server reads the token, or {@code null} for a token that each resource server refuses anyway. */
    private @Nullable MappedToken mapped(OAuth2Authorization authorization, OAuth2Authorization.Token<?> token) {
        OAuth2Authorization.Token<?> access = authorization.getAccessToken();
        // Those of the access token tell the issuer also of a refresh token, which has no claims.
        Map<String, Object> attributes = new HashMap<>();
        if (access != null && access.getClaims() != null) {
            attributes.putAll(access.getClaims());
        }
        if (token.getClaims() == null) {
            attributes.keySet().retainAll(Set.of("iss"));
            attributes.put("sub", authorization.getPrincipalName());
            attributes.put("iat", token.getToken().getIssuedAt());
            attributes.put("exp", token.getToken().getExpiresAt());
        }
        try {
            return BearerTokens.mapped(mapper, text(token), attributes);
        } catch (InvalidTokenException | IllegalArgumentException e) {
            return null;
        }
    }
}
