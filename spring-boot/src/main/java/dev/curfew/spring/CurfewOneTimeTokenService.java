package dev.curfew.spring;

import dev.curfew.Consumption;
import dev.curfew.StoreOutcome;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import java.time.Instant;
import java.time.InstantSource;
import org.jspecify.annotations.Nullable;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.authentication.ott.DefaultOneTimeToken;
import org.springframework.security.authentication.ott.GenerateOneTimeTokenRequest;
import org.springframework.security.authentication.ott.OneTimeToken;
import org.springframework.security.authentication.ott.OneTimeTokenAuthenticationToken;
import org.springframework.security.authentication.ott.OneTimeTokenService;

/**
 * The one-time tokens of Spring Security, kept by Curfew: of any number of clicks exactly one logs in (R5.1). The store has
 * the SHA-256 of a token, and never the token (R15.1).
 *
 * @param tokens keeps the one-time tokens
 */
public record CurfewOneTimeTokenService(TokenResource tokens) implements OneTimeTokenService {
    /** What the tokens are stored for. */
    public static final String PURPOSE = "one-time-token";

    @Override
    public OneTimeToken generate(GenerateOneTimeTokenRequest request) {
        Instant now = InstantSource.system().instant();
        String secret = Token.newSecret();
        Token token = Token.ofSecret(secret, request.getUsername(), now, now.plus(request.getExpiresIn()));
        if (tokens.storeToken(token, PURPOSE) != StoreOutcome.STORED) {
            throw new IllegalArgumentException("A one-time token must expire later than now");
        }
        return new DefaultOneTimeToken(secret, request.getUsername(), token.expiresAt());
    }

    /** The token, to one caller; {@code null} where it is used, expired or unknown. */
    @Override
    public @Nullable OneTimeToken consume(OneTimeTokenAuthenticationToken request) {
        String secret = request.getTokenValue();
        try {
            if (tokens.consume(Token.idOf(secret), PURPOSE) instanceof Consumption.Consumed used) {
                String user = String.valueOf(used.record().subject());
                return new DefaultOneTimeToken(secret, user, used.record().expiresAt());
            }
        } catch (TokenStoreException e) {
            throw new AuthenticationServiceException("The one-time token could not be checked", e);
        } catch (IllegalArgumentException e) {
            // Empty, or longer than any token.
        }
        return null;
    }
}
