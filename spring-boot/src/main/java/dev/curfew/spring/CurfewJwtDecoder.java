package dev.curfew.spring;

import dev.curfew.InvalidTokenException;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtException;

/**
 * A decoder that also refuses revoked JWTs, for JWTs that do not come with an HTTP request: in a message, in a WebSocket
 * frame. Of HTTP requests the bearer tokens are checked already: as the decoder of a resource server this one would ask the
 * store twice.
 */
public final class CurfewJwtDecoder implements JwtDecoder {
    private final JwtDecoder decoder;
    private final TokenResource tokens;
    private final JwtTokenMapper mapper;

    /** Checks what another decoder has verified. */
    public CurfewJwtDecoder(JwtDecoder decoder, TokenResource tokens, JwtTokenMapper mapper) {
        this.decoder = decoder;
        this.tokens = tokens;
        this.mapper = mapper;
    }

    /**
     * Verifies a JWT, then asks whether it is revoked.
     *
     * @throws BadJwtException if it is not valid, or revoked
     * @throws JwtException if it could not be checked
     */
    @Override
    public Jwt decode(String token) {
        Jwt jwt = decoder.decode(token);
        TokenStatus status;
        try {
            MappedToken mapped = mapper.map(token);
            status = tokens.forTenant(mapped.tenant()).check(mapped.token());
        } catch (InvalidTokenException | IllegalArgumentException e) {
            throw new BadJwtException(String.valueOf(e.getMessage()), e);
        }
        if (status == TokenStatus.UNAVAILABLE) {
            throw new JwtException("The token could not be checked: the token store is not available");
        } else if (status != TokenStatus.ACTIVE) {
            throw new BadJwtException("The token is not accepted: " + status);
        }
        return jwt;
    }
}
