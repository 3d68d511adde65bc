package dev.curfew.examples;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.jwk.source.ImmutableSecret;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import com.nimbusds.jwt.proc.ExpiredJWTException;
import dev.curfew.InvalidTokenException;
import dev.curfew.Token;
import java.security.SecureRandom;
import java.text.ParseException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Date;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Issues and verifies the application's JWTs, with Nimbus: the part that an application has already, and that Curfew
 * leaves to it. The key is made at random, so what one run has signed no other accepts.
 */
final class Jwts {
    /** How long after its {@code exp} a JWT is still accepted here, and so the {@code clockSkew} of the resource. */
    static final Duration LEEWAY = Duration.ofSeconds(60);

    private final byte[] key = new byte[32];
    private final InstantSource clock;
    private final DefaultJWTProcessor<SecurityContext> verifier = new DefaultJWTProcessor<>();

    Jwts(InstantSource clock) {
        this.clock = clock;
        new SecureRandom().nextBytes(key);
        var claims = new DefaultJWTClaimsVerifier<SecurityContext>(null, Set.of("jti", "sub", "iat", "exp")) {
            @Override
            protected Date currentTime() {
                return Date.from(clock.instant());
            }
        };
        claims.setMaxClockSkew((int) LEEWAY.toSeconds());
        verifier.setJWTClaimsSetVerifier(claims);
        verifier.setJWSKeySelector(new JWSVerificationKeySelector<>(JWSAlgorithm.HS256, new ImmutableSecret<>(key)));
    }

    /** A signed JWT that belongs to no session; its times are whole seconds, as is usual. */
    String issue(String subject, Duration lifetime) {
        return issue(subject, lifetime, null);
    }

    /** A signed JWT; the session is its claim {@code sid}. */
    String issue(String subject, Duration lifetime, @Nullable String session) {
        Instant now = clock.instant();
        var claims = new JWTClaimsSet.Builder()
                .jwtID(UUID.randomUUID().toString())
                .subject(subject)
                .issueTime(Date.from(now))
                .expirationTime(Date.from(now.plus(lifetime)));
        if (session != null) {
            claims.claim("sid", session);
        }
        var jwt = new SignedJWT(new JWSHeader(JWSAlgorithm.HS256), claims.build());
        try {
            jwt.sign(new MACSigner(key));
        } catch (JOSEException e) {
            throw new IllegalStateException("This JVM cannot sign with HS256", e);
        }
        return jwt.serialize();
    }

    /**
     * What Curfew needs to know of a JWT, read only after its signature and its expiry were verified.
     *
     * @throws Refused if it is not one of ours, or no longer good
     */
    Token verified(String jwt) {
        try {
            verifier.process(jwt, null);
            return Token.peek(jwt);
        } catch (ExpiredJWTException e) {
            throw new Refused("the JWT has expired", e);
        } catch (BadJOSEException | JOSEException e) {
            throw new Refused("the JWT is not signed by us", e);
        } catch (ParseException | InvalidTokenException e) {
            throw new Refused("this is no JWT that can be read", e);
        }
    }

    /** A JWT that must not be accepted; the message is fit for whoever sent it. */
    static final class Refused extends RuntimeException {
        private static final long serialVersionUID = 1;

        Refused(String reason, Exception cause) {
            super(reason, cause);
        }

        String reason() {
            return String.valueOf(getMessage());
        }
    }
}
