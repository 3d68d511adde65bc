package dev.curfew.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.jwk.source.ImmutableSecret;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** A JWT that was issued to confirm something is signed like a session, and must not be taken for one. */
class PurposeTest {
    private static final JOSEObjectType SESSION = new JOSEObjectType("session+jwt");
    private static final JOSEObjectType CONFIRMATION = new JOSEObjectType("confirm-email+jwt");

    private final byte[] key = new byte[32];
    private final Instant now = Instant.parse("2030-01-01T00:00:00Z");
    private final Token confirmation = Token.of("jti", "ada", now, now.plusSeconds(600));

    private TokenResource.Builder builder() {
        return TokenResource.builder().url("memory:").clock(() -> now).maxTokenLifetime(Duration.ofDays(1));
    }

    /** As the README and the page on threats say. */
    @Test
    void withoutRequirePresenceACheckDoesNotLookAtThePurpose() {
        try (TokenResource tokens = builder().build()) {
            tokens.storeConfirmationChanges(confirmation, "confirm-email", Map.of("email", "ada@new.example"));
            assertThat(tokens.check(confirmation)).isEqualTo(TokenStatus.ACTIVE);
        }
    }

    @Test
    void withRequirePresenceItDoes() {
        try (TokenResource tokens = builder().requirePresence().build()) {
            tokens.storeConfirmationChanges(confirmation, "confirm-email", Map.of("email", "ada@new.example"));
            assertThat(tokens.check(confirmation)).isEqualTo(TokenStatus.UNKNOWN);
        }
    }

    /** RFC 8725, section 3.11: the remedy, in the library that verifies the signature. */
    @Test
    void aVerifierOfSessionsRefusesAnotherType() throws Exception {
        var sessions = new DefaultJWTProcessor<SecurityContext>();
        sessions.setJWSKeySelector(new JWSVerificationKeySelector<>(JWSAlgorithm.HS256, new ImmutableSecret<>(key)));
        sessions.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(SESSION));

        assertThat(sessions.process(signed(SESSION), null).getSubject()).isEqualTo("ada");
        assertThatThrownBy(() -> sessions.process(signed(CONFIRMATION), null)).isInstanceOf(BadJOSEException.class);
    }

    private String signed(JOSEObjectType type) throws Exception {
        var claims = new JWTClaimsSet.Builder()
                .subject("ada")
                .expirationTime(Date.from(Instant.now().plusSeconds(600)))
                .build();
        var jwt = new SignedJWT(
                new JWSHeader.Builder(JWSAlgorithm.HS256).type(type).build(), claims);
        jwt.sign(new MACSigner(key));
        return jwt.serialize();
    }
}
