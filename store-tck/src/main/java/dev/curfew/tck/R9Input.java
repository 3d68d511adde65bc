package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.StoreOutcome;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Section R9 of CONTRACT.md: input. */
abstract class R9Input extends R8Failure {

    @Test
    final void R9_1_fieldsOfGreatestLengthAreKept() {
        // Each character has four bytes, to find a store that counts in another unit.
        String jti = "🔑".repeat(128);
        String subject = "🔑".repeat(256);
        String purpose = "🔑".repeat(16);
        int left = 64 - domain.length();
        String longDomain = domain + "🔑".repeat(left / 4) + "x".repeat(left % 4);
        Map<String, Object> extraData = Map.of("k", "x".repeat(65_536 - "{'k':''}".length()));
        Token token = token(jti, subject, HOUR);
        try (TokenResource root = resource(longDomain, store)) {
            TokenResource tenant = root.forTenant("🔑".repeat(32));
            assertThat(tenant.storeToken(token, purpose, extraData))
                    .as("storeToken")
                    .isEqualTo(StoreOutcome.STORED);
            assertThat(tenant.getToken(jti, purpose).orElseThrow().extraData())
                    .as("getToken")
                    .isEqualTo(extraData);
            assertThat(tenant.listTokens(subject)).as("listTokens").hasSize(1);
            assertThat(tenant.consume(jti, purpose)).as("consume").isInstanceOf(Consumed.class);
            tenant.revokeSubject(subject);
            assertThat(tenant.check(token(jti.substring(2), subject, HOUR)))
                    .as("check")
                    .isEqualTo(TokenStatus.REVOKED);
        }
    }

    @Test
    final void R9_2_nothingShowsAJtiOrASubject() {
        tokens.storeToken(token("secret-jti", "secret-subject", HOUR), "link", Map.of("secret-key", "secret-value"));
        assertThat(inspected("secret-jti").toString()).as("toString").doesNotContain("secret");
        assertThat(tokens.consume("secret-jti", "link").toString())
                .as("consume")
                .doesNotContain("secret");
        Throwable refused = catchThrowable(() -> tokens.storeToken(token("secret-jti", "secret-other", HOUR)));
        assertThat(causes(refused).map(Throwable::toString))
                .as("the exception of storeToken, and its causes")
                .noneMatch(text -> text.contains("secret-"));
        assertThat(store.toString()).as("toString").doesNotContain("secret");
    }

    @Test
    final void R9_3_keysCompareByteByByte() {
        for (List<String> pair : Samples.LOOK_ALIKES) {
            String a = pair.get(0);
            String b = pair.get(1);
            tokens.revokeToken(token(a, "s", HOUR));
            assertThat(tokens.isRevoked(b)).as("jti '%s' for '%s'", b, a).isFalse();
            assertThat(tokens.isRevoked(Set.of(a, b)))
                    .as("jti '%s' for '%s'", b, a)
                    .containsExactly(a);
            tokens.storeToken(token("of " + a, "subject " + a, HOUR), "p");
            assertThat(tokens.listTokens("subject " + b))
                    .as("subject '%s' for '%s'", b, a)
                    .isEmpty();
            tokens.revokeSubject("subject " + a);
            assertThat(tokens.check(token("none", "subject " + b, HOUR)))
                    .as("subject '%s' for '%s'", b, a)
                    .isEqualTo(TokenStatus.ACTIVE);
            assertThat(tokens.revokeAllStoredForSubject("subject " + b))
                    .as("revokeAllStoredForSubject")
                    .isZero();
            tokens.storeToken(token("for " + a, "x", HOUR), "p" + a);
            assertThat(tokens.consume("for " + a, "p" + b)).as("purpose").isEqualTo(Refused.UNKNOWN);
            // The next pair may hold the same texts.
            beginAt(FUTURE);
        }
    }
}
