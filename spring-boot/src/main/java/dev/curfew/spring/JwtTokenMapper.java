package dev.curfew.spring;

import dev.curfew.Token;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;

/**
 * Reads the id, the subject, the times, the session and the tenant of a token that Spring Security has verified. The default one reads
 * the claims that the properties {@code curfew.jwt.*} name; a bean of the application takes its place.
 *
 * <p>A mapper reads the token's own text, and not Spring's {@code Jwt}: that one fills a missing {@code iat} with the
 * second before {@code exp}, and a token that seems to be so new escapes a "log out everywhere" (R4.3).
 */
@FunctionalInterface
public interface JwtTokenMapper {

    /**
     * Reads a JWT.
     *
     * @param compact the JWT in compact form
     * @throws dev.curfew.InvalidTokenException if it has not what Curfew needs: the request is answered by 401
     */
    MappedToken map(String compact);

    /**
     * Reads a token that is not a JWT. One without {@code jti} is known by its SHA-256 (R15.1). One without {@code exp} is
     * taken to live for ever. One without {@code sub} is refused. One with {@code sid} is of that session (R13.1).
     *
     * @param token the token
     * @param attributes what the introspection of the token answered, as Spring's
     *     {@code OAuth2TokenIntrospectionClaimNames} names it; {@code sub} is the name of the authentication, by default
     */
    default MappedToken mapOpaque(String token, Map<String, Object> attributes) {
        String jti = Objects.toString(attributes.get("jti"), Token.idOf(token));
        String subject = Objects.toString(attributes.get("sub"), "");
        Instant issuedAt = attributes.get("iat") instanceof Instant time ? time : null;
        Instant expiresAt =
                attributes.get("exp") instanceof Instant time ? time : Instant.parse("9999-12-31T23:59:59Z");
        String session = Objects.toString(attributes.get("sid"), null);
        return new MappedToken(new Token(jti, subject, issuedAt, expiresAt, session), "");
    }
}
