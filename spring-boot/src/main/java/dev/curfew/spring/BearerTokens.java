package dev.curfew.spring;

import dev.curfew.InvalidTokenException;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.spring.CurfewProperties.Ends;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.security.core.Authentication;
import org.springframework.security.oauth2.core.AbstractOAuth2Token;
import org.springframework.security.oauth2.core.OAuth2AuthenticationException;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.server.resource.BearerTokenError;
import org.springframework.security.oauth2.server.resource.BearerTokenErrorCodes;
import org.springframework.security.oauth2.server.resource.authentication.AbstractOAuth2TokenAuthenticationToken;

/** Checks and revokes the bearer token of a request that Spring Security has authenticated. */
record BearerTokens(TokenResource tokens, JwtTokenMapper mapper, CurfewProperties properties) {
    /** The request goes on to the application. */
    static final int ACCEPTED = 0;

    private static final int LOGGED_OUT = 204;

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
        Map<String, Object> attributes = new HashMap<>();
        attributes.put("sub", authentication.getName());
        if (authentication instanceof AbstractOAuth2TokenAuthenticationToken<?> token) {
            text = token.getToken().getTokenValue();
            if (!(token.getToken() instanceof Jwt)) {
                attributes.putAll(token.getTokenAttributes());
            }
        } else if (authentication.getCredentials() instanceof AbstractOAuth2Token token) {
            text = token.getTokenValue();
        }
        try {
            return text == null ? null : mapped(mapper, text, attributes);
        } catch (InvalidTokenException | IllegalArgumentException e) {
            throw refused(e.getMessage());
        }
    }

    static boolean hasToken(Authentication authentication) {
        return authentication instanceof AbstractOAuth2TokenAuthenticationToken<?>
                || authentication.getCredentials() instanceof AbstractOAuth2Token;
    }

    static MappedToken mapped(JwtTokenMapper mapper, String token, Map<String, Object> attributes) {
        boolean isJwt = token.chars().filter(each -> each == '.').count() == 2;
        return isJwt ? mapper.map(token) : mapper.mapOpaque(token, attributes);
    }

    /** What a request ends, or {@code null} where it is no log-out. */
    @Nullable
    Ends ends(String method, String path) {
        return method.equals("POST") ? properties.logout().ends(path) : null;
    }

    /**
     * The status with which to answer a request, or {@link #ACCEPTED}.
     *
     * @throws OAuth2AuthenticationException if the token is not accepted: the application's entry point answers
     */
    int answer(MappedToken mapped, String method, String path) {
        TokenResource tenant = mapped.of(tokens);
        Ends ends = ends(method, path);
        try {
            // A revoked token is in the hands of a thief, perhaps: it must not throw out the others.
            if (ends == null || ends == Ends.OTHER_SESSIONS) {
                int status = status(tenant.check(mapped.token()));
                if (ends == null || status != ACCEPTED) {
                    return status;
                }
            }
            logOut(tenant, mapped.token(), ends);
            return LOGGED_OUT;
        } catch (TokenStoreException e) {
            return properties.security().unavailableStatus();
        }
    }

    /** The same where the local replica has the answer; empty where the store must be asked. */
    Optional<Integer> answerLocally(MappedToken mapped, String method, String path) {
        return ends(method, path) == null
                ? mapped.of(tokens).checkLocally(mapped.token()).map(this::status)
                : Optional.empty();
    }

    private int status(TokenStatus status) {
        return switch (status) {
            case ACTIVE -> ACCEPTED;
            case UNAVAILABLE -> properties.security().unavailableStatus();
            case REVOKED, EXPIRED, UNKNOWN -> throw refused(null);
        };
    }

    private static void logOut(TokenResource tenant, Token token, Ends ends) {
        String session = token.session();
        if (ends == Ends.EVERYWHERE) {
            tenant.revokeSubject(token.subject());
        } else if (ends == Ends.TOKEN || session == null) {
            tenant.revokeToken(token);
        } else if (ends == Ends.SESSION) {
            tenant.revokeSession(session);
        } else {
            tenant.revokeAllStoredForSubjectExcept(token.subject(), session);
        }
    }

    /** Answers a request that does not go on. */
    void write(int status, IntConsumer statusCode, BiConsumer<String, String> header) {
        statusCode.accept(status);
        if (status != LOGGED_OUT) {
            header.accept(
                    HttpHeaders.RETRY_AFTER,
                    "" + properties.security().retryAfter().toSeconds());
        }
    }

    /** RFC 6750 section 3.1, which also says what characters a description may have. */
    private static OAuth2AuthenticationException refused(@Nullable String why) {
        String description = why == null ? null : why.replaceAll("[^ !#-\\[\\]-~]", "'");
        return new OAuth2AuthenticationException(
                new BearerTokenError(BearerTokenErrorCodes.INVALID_TOKEN, HttpStatus.UNAUTHORIZED, description, null));
    }
}
