package dev.curfew.spring;

import dev.curfew.InvalidTokenException;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
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
 * one, and could not revoke it: so it is revoked at that moment. Where the refresh token is replaced too, the old one's
 * digest is kept. When that token comes again, somebody has a copy, and the authorization is ended (RFC 9700 section
 * 4.14.2).
 */
record CurfewAuthorizationService(OAuth2AuthorizationService service, TokenResource tokens, JwtTokenMapper mapper)
        implements OAuth2AuthorizationService {
    /** A tenant of their own, so that no list of a subject's tokens has them. */
    private static final String REPLACED_REFRESH_TOKENS = "replaced-refresh-tokens";

    private static final String REFRESH = "refresh";
    private static final int LONGEST_REFRESH_TOKEN = 4_096;

    /** Curfew goes first: where it fails, the authorization is as it was, and the client tries again. */
    @Override
    public void save(OAuth2Authorization authorization) {
        OAuth2Authorization before = service.findById(authorization.getId());
        OAuth2Authorization.Token<?> access = authorization.getAccessToken();
        OAuth2Authorization.Token<?> refresh = authorization.getRefreshToken();
        if (before != null) {
            revoke(authorization, replaced(before.getAccessToken(), access));
        }
        OAuth2Authorization.Token<?> oldRefresh = before == null ? null : replaced(before.getRefreshToken(), refresh);
        if (oldRefresh != null) {
            keep(authorization, oldRefresh);
        }
        if (access != null && access.isInvalidated()) {
            revoke(authorization, access);
        }
        service.save(authorization);
        // Who ends a session ends it before reading the authorization: one of the two sees the new access token.
        if (oldRefresh != null && refresh != null && status(authorization, refresh, true) == TokenStatus.REVOKED) {
            save(ended(authorization));
        }
    }

    /** By their text: the times of a token lose their nanoseconds in a database. */
    private static OAuth2Authorization.@Nullable Token<?> replaced(
            OAuth2Authorization.@Nullable Token<?> before, OAuth2Authorization.@Nullable Token<?> after) {
        return before == null || after == null || text(before).equals(text(after)) ? null : before;
    }

    private static String text(OAuth2Authorization.Token<?> token) {
        return token.getToken().getTokenValue();
    }

    private void keep(OAuth2Authorization authorization, OAuth2Authorization.Token<?> refresh) {
        MappedToken mapped = mapped(authorization, refresh);
        if (mapped != null) {
            String jti = Token.idOf(text(refresh));
            Token token = mapped.token();
            tokens.forTenant(REPLACED_REFRESH_TOKENS)
                    .storeToken(
                            new Token(jti, token.subject(), null, token.expiresAt(), authorization.getId()), REFRESH);
        }
    }

    /** Spring's builder ends the access token with the refresh token. */
    private static OAuth2Authorization ended(OAuth2Authorization authorization) {
        OAuth2Authorization.Token<?> refresh = authorization.getRefreshToken();
        return refresh == null
                ? authorization
                : OAuth2Authorization.from(authorization)
                        .invalidate(refresh.getToken())
                        .build();
    }

    private void endIfReused(String refreshToken) {
        try {
            tokens.forTenant(REPLACED_REFRESH_TOKENS)
                    .getToken(Token.idOf(refreshToken), REFRESH)
                    .map(TokenRecord::session)
                    .ifPresent(this::end);
        } catch (TokenStoreException e) {
            throw unavailable();
        }
    }

    private void end(String id) {
        OAuth2Authorization authorization = service.findById(id);
        OAuth2Authorization.Token<?> refresh = authorization == null ? null : authorization.getRefreshToken();
        MappedToken mapped = authorization == null || refresh == null ? null : mapped(authorization, refresh);
        String session = mapped == null ? null : mapped.token().session();
        if (mapped != null && session != null) {
            mapped.of(tokens).revokeSession(session);
        }
        // Read again: a refresh may have been saved before the session was ended.
        OAuth2Authorization latest = service.findById(id);
        if (latest != null) {
            save(ended(latest));
        }
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
            if (OAuth2TokenType.REFRESH_TOKEN.equals(tokenType) && token.length() <= LONGEST_REFRESH_TOKEN) {
                endIfReused(token);
            }
            return null;
        }
        OAuth2Authorization.Builder known = OAuth2Authorization.from(found);
        // The refresh token after a "log out everywhere": else it would bring tokens that are issued after that.
        for (OAuth2Authorization.Token<?> each : Arrays.asList(found.getAccessToken(), found.getRefreshToken())) {
            if (each != null && isRevoked(found, each, OAuth2TokenType.REFRESH_TOKEN.equals(tokenType))) {
                known.invalidate(each.getToken());
            }
        }
        return known.build();
    }

    private boolean isRevoked(
            OAuth2Authorization authorization, OAuth2Authorization.Token<?> token, boolean isInStore) {
        TokenStatus status = token.isInvalidated() ? TokenStatus.ACTIVE : status(authorization, token, isInStore);
        if (status == TokenStatus.UNAVAILABLE) {
            throw unavailable();
        }
        return status == TokenStatus.REVOKED;
    }

    /**
     * @param isInStore whether a local replica is not enough: at a refresh an old answer would bring a new access token, which
     *     is accepted until it expires
     */
    private TokenStatus status(
            OAuth2Authorization authorization, OAuth2Authorization.Token<?> token, boolean isInStore) {
        MappedToken mapped = mapped(authorization, token);
        if (mapped == null) {
            return TokenStatus.ACTIVE;
        }
        TokenResource tenant = mapped.of(tokens);
        return isInStore ? tenant.checkInStore(mapped.token()) : tenant.check(mapped.token());
    }

    private static OAuth2AuthenticationException unavailable() {
        return new OAuth2AuthenticationException(OAuth2ErrorCodes.TEMPORARILY_UNAVAILABLE);
    }

    private void revoke(OAuth2Authorization authorization, OAuth2Authorization.@Nullable Token<?> token) {
        MappedToken mapped = token == null ? null : mapped(authorization, token);
        if (mapped != null) {
            mapped.of(tokens).revokeToken(mapped.token());
        }
    }

    /** As a resource server reads the token, or {@code null} for a token that each resource server refuses anyway. */
    private @Nullable MappedToken mapped(OAuth2Authorization authorization, OAuth2Authorization.Token<?> token) {
        try {
            if (token.getClaims() != null) {
                return BearerTokens.mapped(mapper, text(token), token.getClaims());
            }
            // A refresh token has no claims. Its user, session and tenant are those of the access token.
            OAuth2Authorization.Token<?> access = authorization.getAccessToken();
            Map<String, Object> claims = access == null ? null : access.getClaims();
            MappedToken named = claims == null ? null : mapped(authorization, access);
            String session = named == null ? null : named.token().session();
            Map<String, Object> attributes = new HashMap<>();
            attributes.put("iss", claims == null ? null : claims.get("iss"));
            attributes.put(
                    "sub",
                    named == null
                            ? authorization.getPrincipalName()
                            : named.token().subject());
            attributes.put("sid", session == null ? authorization.getId() : session);
            attributes.put("iat", token.getToken().getIssuedAt());
            attributes.put("exp", token.getToken().getExpiresAt());
            MappedToken mapped = BearerTokens.mapped(mapper, text(token), attributes);
            return named == null ? mapped : new MappedToken(mapped.token(), named.tenant());
        } catch (InvalidTokenException | IllegalArgumentException e) {
            return null;
        }
    }
}
