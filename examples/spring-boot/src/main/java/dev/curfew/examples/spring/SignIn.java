package dev.curfew.examples.spring;

import dev.curfew.Token;
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

/** Gives out tokens: for a password, and for a magic link. */
@RestController
class SignIn {
    private static final Duration LIFETIME = Duration.ofHours(1);

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
                return issued(body.get("user"), device);
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
        return issued(used.getUsername(), device);
    }

    /** Storing the token is needed for the list of devices alone. */
    private Map<String, String> issued(String user, String device) {
        Instant now = Instant.now();
        String jti = UUID.randomUUID().toString();
        tokens.storeToken(
                Token.of(jti, user, now, now.plus(LIFETIME)), Token.DEFAULT_PURPOSE, Map.of("device", device));
        var claims = JwtClaimsSet.builder()
                .id(jti)
                .subject(user)
                .issuedAt(now)
                .expiresAt(now.plus(LIFETIME))
                .build();
        return Map.of(
                "token", encoder.encode(JwtEncoderParameters.from(claims)).getTokenValue());
    }
}
