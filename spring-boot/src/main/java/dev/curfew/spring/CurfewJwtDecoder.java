package dev.curfew.spring;

import dev.curfew.InvalidTokenException;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtException;

/**
 * A decoder that also refuses revoked JWTs, for JWTs that do not come with an HTTP request: in a message, in a WebSocket
 * frame. Of HTTP requests the bearer tokens are checked already: as the decoder of a resource server this one would ask the
 * store twice.
 *
 * @param decoder verifies the JWTs
 * @param tokens knows which are revoked
 * @param mapper reads the JWTs
 */
public record CurfewJwtDecoder(JwtDecoder decoder, TokenResource tokens, JwtTokenMapper mapper) implements JwtDecoder {

    /**
     * Verifies a JWT, then asks whether it is revoked.
     *
     * @throws BadJwtException if it is not valid, or revoked
     * @throws JwtException if it could not be checked
     */
    @Override
    public Jwt decode(String token) {
        Jwt jwt = decoder.decode(token);
        try {
            MappedToken mapped = mapper.map(token);
            return switch (mapped.of(tokens).check(mapped.token())) {
                case ACTIVE -> jwt;
                case UNAVAILABLE -> throw new JwtException("The token store does not answer");
                case REVOKED, EXPIRED, UNKNOWN -> throw new BadJwtException("The token is not accepted any more");
            };
        } catch (InvalidTokenException | IllegalArgumentException e) {
            throw new BadJwtException(String.valueOf(e.getMessage()), e);
        } catch (TokenStoreException e) {
            throw new JwtException("The token store does not answer", e);
        }
    }
}
