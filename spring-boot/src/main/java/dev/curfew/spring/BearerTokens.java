package dev.curfew.spring;

import dev.curfew.InvalidTokenException;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.security.core.Authentication;
import org.springframework.security.oauth2.core.AbstractOAuth2Token;
import org.springframework.security.oauth2.core.OAuth2AuthenticationException;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.server.resource.BearerTokenError;
import org.springframework.security.oauth2.server.resource.BearerTokenErrorCodes;
import org.springframework.security.oauth2.server.resource.authentication.AbstractOAuth2TokenAuthenticationToken;

/** Checks and revokes the bearer token of a request that Spring Security has authenticated. */
final class BearerTokens {
    private final TokenResource tokens;
    private final JwtTokenMapper mapper;

    BearerTokens(TokenResource tokens, JwtTokenMapper mapper) {
        this.tokens = tokens;
        this.mapper = mapper;
    }

    /** What to do with a request. */
    enum Verdict {
        ACCEPTED,
        UNAVAILABLE,
        LOGGED_OUT
    }

    /**
     * The token of a request, or {@code null} where it was not authenticated by one.
     *
     * @param bearer the token in the request, or {@code null}; asked where the authentication does not have it, since the
     *     application converts it to one of its own
     * @throws OAuth2AuthenticationException if the token has not what Curfew needs
     */
    @Nullable
    MappedToken read(Authentication authentication, @Nullable String bearer) {
        String text = bearer;
        Map<String, Object> attributes = Map.of();
        if (authentication instanceof AbstractOAuth2TokenAuthenticationToken<?> token) {
            text = token.getToken().getTokenValue();
            attributes = token.getToken() instanceof Jwt ? attributes : token.getTokenAttributes();
        } else if (authentication.getCredentials() instanceof AbstractOAuth2Token token) {
            text = token.getTokenValue();
        }
        if (text == null) {
            return null;
        }
        try {
            return isJwt(text) ? mapper.map(text) : mapper.mapOpaque(text, named(attributes, authentication.getName()));
        } catch (InvalidTokenException | IllegalArgumentException e) {
            throw refused();
        }
    }

    static boolean isJwt(String token) {
        return token.chars().filter(each -> each == '.').count() == 2;
    }

    private static Map<String, Object> named(Map<String, Object> attributes, String name) {
        var named = new HashMap<>(attributes);
        named.putIfAbsent("sub", name);
        return named;
    }

    /** @throws OAuth2AuthenticationException if the token is not accepted: the application's entry point answers */
    Verdict check(MappedToken token) {
        try {
            return switch (tenant(token).check(token.token())) {
                case ACTIVE -> Verdict.ACCEPTED;
                case UNAVAILABLE -> Verdict.UNAVAILABLE;
                case REVOKED, EXPIRED, UNKNOWN -> throw refused();
            };
        } catch (TokenStoreException e) {
            return Verdict.UNAVAILABLE; // by FailurePolicy.THROW
        }
    }

    Verdict logOut(MappedToken token, boolean everywhere) {
        try {
            if (everywhere) {
                tenant(token).revokeSubject(token.token().subject());
            } else {
                tenant(token).revokeToken(token.token());
            }
            return Verdict.LOGGED_OUT;
        } catch (TokenStoreException e) {
            return Verdict.UNAVAILABLE;
        }
    }

    private TokenResource tenant(MappedToken token) {
        return token.tenant().isEmpty() ? tokens : tokens.forTenant(token.tenant());
    }

    /** RFC 6750 section 3.1. Nothing more is told: a client cannot do anything else than get a new token. */
    private static OAuth2AuthenticationException refused() {
        return new OAuth2AuthenticationException(
                new BearerTokenError(BearerTokenErrorCodes.INVALID_TOKEN, HttpStatus.UNAUTHORIZED, null, null));
    }
}
