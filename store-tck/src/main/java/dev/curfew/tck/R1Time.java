package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.RevokeOutcome;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Section R1 of CONTRACT.md: time. */
abstract class R1Time extends TokenStoreContract {

    @Test
    final void R1_1_getTokenKnowsTheMillisecondOfExpiry() {
        inEachEra(() -> {
            tokens.storeToken(token("t", "s", HOUR));
            assertAround(HOUR, "getToken", at -> tokens.getToken("t").isPresent(), true, false);
        });
    }

    @Test
    final void R1_1_checkKnowsTheMillisecondOfExpiry() {
        inEachEra(() -> {
            Token token = token("t", "s", HOUR);
            tokens.storeToken(token);
            assertAround(HOUR, "check", at -> tokens.check(token), TokenStatus.ACTIVE, TokenStatus.EXPIRED);
        });
    }

    @Test
    final void R1_1_consumeKnowsTheMillisecondOfExpiry() {
        inEachEra(() -> {
            BEFORE_AT_AFTER.forEach(at -> tokens.storeToken(token("t" + at, "s", HOUR), "link"));
            assertAround(HOUR, "consume", at -> tokens.consume("t" + at, "link") instanceof Consumed, true, false);
        });
    }

    @Test
    final void R1_1_listTokensKnowsTheMillisecondOfExpiry() {
        inEachEra(() -> {
            tokens.storeToken(token("t", "s", HOUR));
            assertAround(
                    HOUR,
                    "the number of listTokens",
                    at -> tokens.listTokens("s").size(),
                    1,
                    0);
        });
    }

    @Test
    final void R1_1_revokeAllStoredKnowsTheMillisecondOfExpiry() {
        inEachEra(() -> {
            BEFORE_AT_AFTER.forEach(at -> tokens.storeToken(token("t" + at, "s" + at, HOUR)));
            assertAround(HOUR, "revokeAllStoredForSubject", at -> tokens.revokeAllStoredForSubject("s" + at), 1L, 0L);
        });
    }

    @Test
    final void R1_2_theTimesOfARecordAreThoseOfTheCalls() {
        inEachEra(() -> {
            tokens.storeToken(token("t", "s", HOUR), "link");
            assertThat(inspected("t").createdAt()).as("createdAt").isEqualTo(start);
            assertThat(inspected("t").updatedAt()).as("updatedAt").isEqualTo(start);
            clock.advance(Duration.ofMillis(1));
            tokens.revokeJti("t");
            assertThat(inspected("t").revokedAt()).as("revokedAt").isEqualTo(clock.instant());
            tokens.revokeToken(token("u", "s", HOUR));
            assertThat(inspected("u").revokedAt()).as("revokedAt").isEqualTo(clock.instant());
        });
    }

    @Test
    final void R1_3_timesAreKeptToTheMillisecond() {
        clock.set(start.plusNanos(7_999_999));
        tokens.storeToken(Token.of("t", "s", start.plusNanos(1_999_999), start.plusNanos(900_000_000_001L)));
        TokenRecord record = inspected("t");
        assertThat(record.issuedAt()).as("issuedAt").isEqualTo(start.plusMillis(1));
        assertThat(record.expiresAt()).as("expiresAt").isEqualTo(start.plusMillis(900_001));
        assertThat(record.createdAt()).as("createdAt").isEqualTo(start.plusMillis(7));
        for (Instant issuedAt : List.of(Instant.EPOCH.minusMillis(1), Instant.EPOCH.plusMillis(1))) {
            tokens.storeToken(Token.of("about 1970", "s", issuedAt, start.plus(HOUR)));
            assertThat(inspected("about 1970").issuedAt()).as("issuedAt").isEqualTo(issuedAt);
        }
        Instant last = Instant.parse("9999-12-31T23:59:59.999Z");
        tokens.storeToken(Token.withoutIssuedAt("last", "s", last));
        assertThat(inspected("last").expiresAt()).as("expiresAt").isEqualTo(last);
        assertThat(inspected("last").issuedAt()).as("issuedAt").isNull();
    }

    @Test
    final void R1_3_aRevocationsEndIsKeptToTheMillisecond() {
        tokens.storeToken(token("stored", "s", HOUR));
        for (String jti : List.of("stored", "unknown")) {
            for (Duration lifetime : List.of(HOUR.plusMillis(1), HOUR.plusMillis(1999))) {
                tokens.revokeToken(token(jti, "s", lifetime));
                assertExpiry(jti, start.plus(lifetime));
            }
        }
        tokens.revokeJti("by jti", start.plus(HOUR).plusMillis(1999));
        assertExpiry("by jti", start.plus(HOUR).plusMillis(1999));
    }

    @Test
    final void R1_4_aRevocationIsKeptUntilItsRetentionEnd() {
        inEachEra(() -> {
            tokens.storeToken(token("stored", "s", HOUR));
            tokens.revokeJti("stored");
            tokens.revokeToken(token("unknown", "s", HOUR));
            for (Duration after : List.of(Duration.ZERO, Duration.ofMillis(1), SKEW.minusMillis(1))) {
                clock.set(start.plus(HOUR).plus(after));
                expunge();
                for (String jti : List.of("stored", "unknown")) {
                    assertThat(tokens.inspect(jti).map(TokenRecord::isRevoked))
                            .as("inspect of %s, %s after its expiry", jti, after)
                            .contains(true);
                }
            }
        });
    }

    @Test
    final void R1_5_whatAReadAnswersDependsOnTheTimesAlone() {
        inEachEra(() -> {
            tokens.storeToken(token("t", "s", HOUR));
            clock.set(start.plus(HOUR).plusSeconds(30));
            assertThat(tokens.getToken("t")).as("getToken").isEmpty();
            assertThat(tokens.listTokens("s")).as("listTokens").isEmpty();
            // Now a node asks whose clock runs behind.
            clock.set(start.plus(HOUR).minusMillis(1));
            assertThat(tokens.getToken("t")).as("getToken").isPresent();
            assertThat(tokens.listTokens("s")).as("listTokens").hasSize(1);
        });
    }

    @Test
    final void R1_6_aClockThatWasAheadAndIsPutRightLosesNothing() {
        Duration ahead = Duration.ofHours(3);
        Token before = token("before", "s", HOUR);
        Token used = token("used", "s", HOUR);
        Token during = token("during", "s", ahead.plus(HOUR));
        Token after = token("after", "s", HOUR);
        Token unknown = token("unknown", "s", HOUR);
        Token ofAll = token("of all", "all", HOUR.multipliedBy(5));
        List<Token> single = List.of(before, used, during, after, unknown);
        tokens.storeToken(used, "link");
        tokens.storeToken(after, "link");
        tokens.consume("used", "link");
        tokens.revokeToken(before);
        clock.advance(ahead);
        tokens.isRevoked("unknown");
        tokens.revokeToken(during);
        tokens.revokeSubject("all");
        clock.set(start);
        assertThat(tokens.consume("used", "link"))
                .as("consume of a token that was used before")
                .isEqualTo(Refused.ALREADY_USED);
        assertThat(tokens.revokeToken(after))
                .as("revokeToken of a stored token")
                .isEqualTo(RevokeOutcome.REVOKED);
        assertThat(tokens.revokeToken(unknown))
                .as("revokeToken of an unknown token")
                .isEqualTo(RevokeOutcome.REVOKED);
        assertAllRevoked(single, ofAll);
        for (Token token : single) {
            assertStatus(token, TokenStatus.REVOKED);
            assertThat(tokens.revokeToken(token))
                    .as("revokeToken of %s", token.jti())
                    .isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        }
        // All of them stay revoked by the clock that is right now.
        clock.set(start.plus(HOUR).minusMillis(1));
        expunge();
        assertAllRevoked(single, ofAll);
    }

    private void assertAllRevoked(List<Token> single, Token ofAll) {
        for (Token token : single) {
            assertThat(tokens.isRevoked(token.jti()))
                    .as("isRevoked of %s", token.jti())
                    .isTrue();
        }
        assertThat(tokens.check(ofAll))
                .as("check of a token whose subject was revoked meanwhile")
                .isEqualTo(TokenStatus.REVOKED);
    }

    @Test
    final void R1_7_theLargestSkewOfAnyNodeCounts() {
        inEachEra(() -> {
            Duration largest = Duration.ofMinutes(5);
            List<TokenResource> smaller = new ArrayList<>();
            if (noRaisedSkewBecause() == null) {
                smaller.add(skewed(Duration.ZERO, store));
            }
            try (TokenResource verifier = skewed(largest, another)) {
                smaller.add(skewed(Duration.ZERO, store));
                Token token = token("t", "s", HOUR);
                verifier.revokeToken(token);
                clock.set(start.plus(HOUR).plus(largest).minusMillis(1));
                for (TokenResource node : smaller) {
                    node.expungeExpired();
                    assertThat(verifier.check(token)).as("check").isEqualTo(TokenStatus.REVOKED);
                    assertThat(node.revokeToken(token)).as("revokeToken").isEqualTo(RevokeOutcome.ALREADY_REVOKED);
                }
            } finally {
                smaller.forEach(TokenResource::close);
            }
        });
    }
}
