package dev.curfew.examples.spring;

import dev.curfew.Rotation;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.UUID;
import org.springframework.http.HttpStatus;
import org.springframework.security.authentication.ott.GenerateOneTimeTokenRequest;
import org.springframework.security.authentication.ott.OneTimeToken;
import org.springframework.security.authentication.ott.OneTimeTokenAuthenticationToken;
import org.springframework.security.authentication.ott.OneTimeTokenService;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.core.userdetails.UsernameNotFoundException;
import org.springframework.security.crypto.factory.PasswordEncoderFactories;
import org.springframework.security.crypto.password.PasswordEncoder;
import org.springframework.security.oauth2.jwt.JwtClaimsSet;
import org.springframework.security.oauth2.jwt.JwtEncoder;
import org.springframework.security.oauth2.jwt.JwtEncoderParameters;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

/** Gives out tokens: for a password, for a magic link, and for a refresh token. */
@RestController
class SignIn {
    static final String REFRESH = "refresh";

    private static final Duration LIFETIME = Duration.ofMinutes(10);
    private static final Duration REFRESH_LIFETIME = Duration.ofDays(14);

    private final UserDetailsService users;
    private final PasswordEncoder passwords = PasswordEncoderFactories.createDelegatingPasswordEncoder();
    private final JwtEncoder encoder;
    private final TokenResource tokens;
    private final OneTimeTokenService links;

    SignIn(UserDetailsService users, JwtEncoder encoder, TokenResource tokens, OneTimeTokenService links) {
        this.users = users;
        this.encoder = encoder;
        this.tokens = tokens;
        this.links = links;
    }

    @PostMapping("/sign-in")
    Map<String, String> withPassword(
            @RequestBody Map<String, String> body, @RequestHeader("User-Agent") String device) {
        try {
            if (passwords.matches(
                    body.get("password"),
                    users.loadUserByUsername(body.get("user")).getPassword())) {
                return signedIn(body.get("user"), device);
            }
        } catch (UsernameNotFoundException e) {
            // The answer is the same.
        }
        throw new ResponseStatusException(HttpStatus.UNAUTHORIZED);
    }

    /** A real application sends the secret by e-mail, and answers nothing. */
    @PostMapping("/link")
    Map<String, String> link(@RequestBody Map<String, String> body) {
        return Map.of(
                "secret",
                links.generate(new GenerateOneTimeTokenRequest(body.get("user"), Duration.ofMinutes(10)))
                        .getTokenValue());
    }

    @PostMapping("/link/use")
    Map<String, String> withLink(@RequestBody Map<String, String> body, @RequestHeader("User-Agent") String device) {
        OneTimeToken used = links.consume(new OneTimeTokenAuthenticationToken(body.get("secret")));
        if (used == null) {
            throw new ResponseStatusException(HttpStatus.UNAUTHORIZED);
        }
        return signedIn(used.getUsername(), device);
    }

    /** A refresh token works once. When it comes again, somebody has a copy: rotate ends its session. */
    @PostMapping("/refresh")
    Map<String, String> refresh(@RequestBody Map<String, String> body) {
        TokenRecord presented = tokens.inspect(Token.idOf(body.get("refresh")))
                .filter(record -> record.purpose().equals(REFRESH))
                .orElseThrow(() -> new ResponseStatusException(HttpStatus.UNAUTHORIZED));
        Token old = presented.token();
        String secret = Token.newSecret();
        Token successor = refreshToken(secret, old.subject(), old.session());
        if (tokens.rotate(old, REFRESH, successor, presented.extraData()) instanceof Rotation.Rotated) {
            return Map.of("token", access(old.subject(), old.session()), "refresh", secret);
        }
        throw new ResponseStatusException(HttpStatus.UNAUTHORIZED);
    }

    /** All tokens of one sign-in share a session. The record of its refresh token is the device. */
    private Map<String, String> signedIn(String user, String device) {
        String session = UUID.randomUUID().toString();
        String secret = Token.newSecret();
        tokens.storeToken(refreshToken(secret, user, session), REFRESH, Map.of("device", device));
        return Map.of("token", access(user, session), "refresh", secret);
    }

    private static Token refreshToken(String secret, String user, String session) {
        Instant now = Instant.now();
        return Token.ofSecret(secret, user, now, now.plus(REFRESH_LIFETIME)).withSession(session);
    }

    /** It is stored so that "log out my other devices" reaches it, and with its time to the millisecond. */
    private String access(String user, String session) {
        Instant now = Instant.now();
        String jti = UUID.randomUUID().toString();
        tokens.storeToken(Token.of(jti, user, now, now.plus(LIFETIME)).withSession(session));
        var claims = JwtClaimsSet.builder()
                .id(jti)
                .subject(user)
                .claim("sid", session)
                .issuedAt(now)
                .expiresAt(now.plus(LIFETIME))
                .build();
        return encoder.encode(JwtEncoderParameters.from(claims)).getTokenValue();
    }
}
