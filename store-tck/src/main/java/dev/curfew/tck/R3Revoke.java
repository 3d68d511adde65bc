package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.Consumption.Consumed;
import dev.curfew.ExtraData;
import dev.curfew.RevokeOutcome;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import java.time.Duration;
import java.time.Instant;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Section R3 of CONTRACT.md: revoke. */
abstract class R3Revoke extends R2StoreAndGet {

    @Test
    final void R3_1_aSecondRevocationIsToldSo() {
        tokens.storeToken(token("stored", "s", HOUR));
        for (String jti : List.of("stored", "unknown")) {
            assertThat(tokens.revokeToken(token(jti, "s", HOUR)))
                    .as("revokeToken, %s", jti)
                    .isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.revokeToken(token(jti, "s", HOUR)))
                    .as("revokeToken, %s", jti)
                    .isEqualTo(RevokeOutcome.ALREADY_REVOKED);
            assertThat(tokens.revokeJti(jti)).as("revokeJti, %s", jti).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        }
    }

    @Test
    final void R3_1_ofConcurrentRevocationsOfAStoredTokenExactlyOneWins() {
        Race.run(
                "revokeJti and revokeToken of a stored token",
                Math.min(races(), 10_000),
                round -> tokens.storeToken(token("t" + round, "s", HOUR)),
                // Some of the racers extend the retention. To extend is not to revoke.
                (round, racer) -> racer == 0
                        ? tokens.revokeJti("t" + round)
                        : node(racer).revokeToken(token("t" + round, "s", HOUR.plusMinutes(racer))),
                (round, answers) -> assertOneRevoked(answers));
    }

    /** Of all answers, one is REVOKED, and the others are ALREADY_REVOKED. */
    static void assertOneRevoked(List<Object> answers) {
        assertThat(answers).as("answers").isSubsetOf(RevokeOutcome.REVOKED, RevokeOutcome.ALREADY_REVOKED);
        assertThat(Collections.frequency(answers, RevokeOutcome.REVOKED))
                .as("how many got REVOKED")
                .isEqualTo(1);
    }

    /** Threads revoke in every way there is, and others look. A revocation that was acknowledged is seen from then on. */
    @Test
    final void R3_2_aRevocationIsNeverUndone() {
        // Many short histories: in a long one all tokens are revoked soon, and none is left to be revoked.
        int histories = Math.max(Math.min(races() / 10, 30), Math.min(races() / 500, 80));
        for (int history = 0; history < histories; history++) {
            assertNothingIsUndone("h" + history + "-", 64, 500);
        }
    }

    private void assertNothingIsUndone(String history, int keys, int operations) {
        List<Token> all = IntStream.range(0, keys)
                .mapToObj(i -> token(history + i, history + i % 4, HOUR))
                .toList();
        all.stream().filter(t -> t.jti().hashCode() % 3 != 0).forEach(t -> tokens.storeToken(t, "link"));
        var acknowledged = new AtomicReferenceArray<Boolean>(keys);
        var lost = new ConcurrentLinkedQueue<String>();
        Race.share(Race.RACERS, operations, i -> {
            TokenResource node = node(i);
            RandomGenerator random = new SplittableRandom(31L * history.hashCode() + i);
            int key = random.nextInt(keys);
            Token token = all.get(key);
            switch (random.nextInt(16)) {
                case 0 -> {
                    node.revokeToken(token);
                    acknowledged.set(key, true);
                }
                case 1 -> {
                    node.revokeJti(token.jti());
                    acknowledged.set(key, true);
                }
                case 2 -> {
                    if (node.consume(token.jti(), "link") instanceof Consumed) {
                        acknowledged.set(key, true);
                    }
                }
                case 3 -> node.revokeAllStoredForSubject(token.subject());
                case 4 -> node.expungeExpired();
                case 5 -> node.revokeSubject("nobody");
                default -> {
                    boolean before = Boolean.TRUE.equals(acknowledged.get(key));
                    boolean revoked = node.isRevoked(token.jti());
                    if (before && !revoked) {
                        lost.add(token.jti());
                    }
                }
            }
        });
        assertThat(lost)
                .as("revoked, and later not revoked, in history %s of revocations, consumptions and expunges", history)
                .isEmpty();
        for (int key = 0; key < keys; key++) {
            if (Boolean.TRUE.equals(acknowledged.get(key))) {
                assertThat(tokens.check(all.get(key)))
                        .as("check, after history %s", history)
                        .isEqualTo(TokenStatus.REVOKED);
            }
        }
    }

    @Test
    final void R3_2_anotherStoreObjectSeesTheSameRecordsAtOnce() {
        Token token = token("t", "s", HOUR);
        Token unknown = token("unknown", "s", HOUR);
        for (TokenResource node : List.of(tokens, others)) {
            assertThat(node.isRevoked("t"))
                    .as("isRevoked of a token that nobody knows")
                    .isFalse();
            assertThat(node.check(unknown))
                    .as("check of a token that nobody knows")
                    .isEqualTo(TokenStatus.ACTIVE);
        }
        tokens.storeToken(token, "link");
        Records.assertEqual(
                "that another store object stored", others.getToken("t").orElseThrow(), inspected("t"));
        others.revokeToken(token);
        others.revokeToken(unknown);
        for (TokenResource node : List.of(tokens, others)) {
            assertThat(node.isRevoked(Set.of("t", "unknown")))
                    .as("isRevoked of the tokens that the other store object revoked")
                    .containsExactlyInAnyOrder("t", "unknown");
            assertThat(node.isRevoked("t")).as("isRevoked").isTrue();
            assertThat(node.isRevoked("unknown")).as("isRevoked").isTrue();
            assertThat(node.check(token)).as("check").isEqualTo(TokenStatus.REVOKED);
            assertThat(node.getToken("t")).as("getToken").isEmpty();
            assertThat(node.listTokens("s")).as("listTokens").isEmpty();
        }
        Token fresh = token("fresh", "s", HOUR);
        assertStatus(fresh, TokenStatus.ACTIVE);
        others.revokeSubject("s");
        assertThat(tokens.check(fresh))
                .as("check, after the other store object revoked the subject")
                .isEqualTo(TokenStatus.REVOKED);
    }

    @Test
    final void R3_3_aLaterRevocationExtendsARetentionAndNeverShortensIt() {
        inEachEra(() -> {
            tokens.storeToken(token("stored", "s", HOUR));
            for (String jti : List.of("stored", "unknown")) {
                clock.set(start);
                tokens.revokeToken(token(jti, "s", HOUR));
                clock.advance(Duration.ofSeconds(1));
                tokens.revokeToken(token(jti, "s", Duration.ofMinutes(5)));
                assertExpiry(jti, start.plus(HOUR));
                tokens.revokeToken(token(jti, "s", HOUR.multipliedBy(2)));
                assertExpiry(jti, start.plus(HOUR.multipliedBy(2)).plusSeconds(1));
            }
        });
    }

    @Test
    final void R3_3_ofConcurrentRevocationsTheLatestExpiryStands() {
        Race.run(
                "revokeToken with one expiry for each racer",
                Math.min(races(), 2000),
                round -> {},
                (round, racer) -> node(racer).revokeToken(token("t" + round, "s", HOUR.plusMinutes(racer))),
                (round, answers) -> assertExpiry("t" + round, start.plus(HOUR.plusMinutes(answers.size() - 1))));
    }

    @Test
    final void R3_4_aLaterRevocationLeavesTheTimeOfTheFirst() {
        inEachEra(() -> {
            tokens.storeToken(token("stored", "s", HOUR));
            tokens.storeToken(token("used", "s", HOUR), "link");
            tokens.consume("used", "link");
            for (String jti : List.of("stored", "used", "unknown")) {
                clock.set(start);
                Token token = token(jti, "s", HOUR);
                tokens.revokeToken(token);
                clock.advance(Duration.ofSeconds(1));
                tokens.revokeToken(token);
                assertThat(inspected(jti).revokedAt()).as("revokedAt, %s", jti).isEqualTo(start);
                assertThat(inspected(jti).updatedAt())
                        .as("updatedAt, %s, where nothing was changed", jti)
                        .isEqualTo(start);
                tokens.revokeToken(token(jti, "s", HOUR));
                assertThat(inspected(jti).revokedAt()).as("revokedAt, %s", jti).isEqualTo(start);
                assertThat(inspected(jti).updatedAt())
                        .as("updatedAt, %s, where the retention was extended", jti)
                        .isEqualTo(clock.instant());
            }
        });
    }

    @Test
    final void R3_4_revokingKeepsAStoredRecordAndInsertsAnUnknownOne() {
        Token token = token("stored", "s", HOUR);
        tokens.storeToken(token, "link", Map.of("k", 1));
        clock.advance(Duration.ofSeconds(5));
        Instant now = clock.instant();
        tokens.revokeToken(token);
        TokenRecord stored = inspected("stored");
        Records.assertEqual(
                "that was revoked",
                stored,
                new TokenRecord(
                        "stored",
                        "s",
                        "link",
                        token.issuedAt(),
                        token.expiresAt(),
                        ExtraData.of(Map.of("k", 1)),
                        start,
                        now,
                        stored.revokedAt(),
                        null,
                        null));
        assertThat(stored.isRevoked()).as("isRevoked of the record").isTrue();
        Token unknown = token("unknown", "s", HOUR);
        tokens.revokeToken(unknown);
        TokenRecord inserted = inspected("unknown");
        Records.assertEqual(
                "of an unknown token that was revoked",
                inserted,
                new TokenRecord(
                        "unknown",
                        "s",
                        "revocation",
                        unknown.issuedAt(),
                        unknown.expiresAt(),
                        null,
                        now,
                        now,
                        inserted.revokedAt(),
                        null,
                        null));
        assertThat(inserted.isRevoked()).as("isRevoked of the record").isTrue();
    }

    @Test
    final void R3_5_aRevocationByJtiAloneReachesTheLongestLifetime() {
        tokens.storeToken(token("stored", "s", HOUR));
        // Another party may have planted a revocation that ends soon.
        tokens.revokeToken(token("planted", "nobody", Duration.ofMinutes(5)));
        for (String jti : List.of("stored", "planted", "unknown")) {
            tokens.revokeJti(jti);
        }
        for (String jti : List.of("stored", "planted", "unknown")) {
            assertExpiry(jti, start.plus(LONGEST));
        }
        assertThat(inspected("unknown").subject()).as("subject").isNull();
        tokens.storeToken(token("lives longer", "s", LONGEST.plus(HOUR)));
        tokens.revokeJti("lives longer");
        assertExpiry("lives longer", start.plus(LONGEST).plus(HOUR));
    }

    @Test
    final void R3_5_withoutALongestLifetimeAStoredExpiryStands() {
        try (TokenResource unlimited = settings(domain).store(store).build()) {
            unlimited.storeToken(token("stored", "s", HOUR));
            unlimited.revokeToken(token("revoked", "s", HOUR));
            for (String jti : List.of("stored", "revoked")) {
                unlimited.revokeJti(jti);
                assertExpiry(jti, start.plus(HOUR));
            }
            unlimited.revokeJti("for ever");
            Instant lastDay = Instant.parse("9999-12-31T00:00:00Z");
            assertExpiry("for ever", lastDay);
            clock.set(lastDay.minusMillis(1));
            assertThat(tokens.inspect("for ever")).as("inspect").isPresent();
        }
    }

    @Test
    final void R3_6_isRevokedDoesNotLookAtExpiry() {
        inEachEra(() -> {
            Token token = token("t", "s", HOUR);
            tokens.storeToken(token);
            assertThat(tokens.isRevoked("t")).as("isRevoked").isFalse();
            assertThat(tokens.isRevoked("unknown")).as("isRevoked").isFalse();
            tokens.revokeToken(token);
            for (Duration after : List.of(Duration.ZERO, HOUR, HOUR.plus(SKEW).minusMillis(1))) {
                clock.set(start.plus(after));
                assertThat(tokens.isRevoked("t"))
                        .as("isRevoked, %s later", after)
                        .isTrue();
                assertThat(tokens.isRevoked(token))
                        .as("isRevoked, %s later", after)
                        .isTrue();
            }
        });
    }

    @Test
    final void R3_7_revokingPastTheRetentionEndStoresNothing() {
        inEachEra(() -> {
            Instant expiresAt = start.plus(HOUR);
            assertAround(
                    HOUR.plus(SKEW),
                    "revokeToken",
                    at -> tokens.revokeToken(Token.of("t" + at, "s", start, expiresAt)),
                    RevokeOutcome.REVOKED,
                    RevokeOutcome.EXPIRED);
            for (int at : List.of(0, 1)) {
                assertThat(tokens.inspect("t" + at))
                        .as("inspect of a token that was revoked at %d ms", at)
                        .isEmpty();
            }
        });
    }

    @Test
    final void R3_8_checkAnswersActiveRevokedExpiredOrUnknown() {
        inEachEra(() -> {
            try (TokenResource strict = builder(domain, store).requirePresence().build()) {
                Token stored = token("stored", "s", HOUR);
                Token unknown = token("unknown", "s", HOUR);
                tokens.storeToken(stored, "session");
                assertStatus(stored, TokenStatus.ACTIVE);
                assertStatus(unknown, TokenStatus.ACTIVE);
                assertThat(strict.check(stored, "session")).as("check").isEqualTo(TokenStatus.ACTIVE);
                assertThat(strict.check(stored, "link")).as("check").isEqualTo(TokenStatus.UNKNOWN);
                assertThat(strict.check(token("stored", "somebody else", HOUR), "session"))
                        .as("check")
                        .isEqualTo(TokenStatus.UNKNOWN);
                assertThat(strict.check(unknown, "session")).as("check").isEqualTo(TokenStatus.UNKNOWN);
                tokens.storeToken(token("short", "s", Duration.ofMinutes(1)), "session");
                tokens.revokeToken(unknown);
                clock.advance(Duration.ofMinutes(2));
                assertStatus(unknown, TokenStatus.REVOKED);
                // The token says that it is live. Its record has expired.
                assertThat(strict.check(token("short", "s", HOUR), "session"))
                        .as("check")
                        .isEqualTo(TokenStatus.UNKNOWN);
                clock.set(start.plus(HOUR));
                assertStatus(stored, TokenStatus.EXPIRED);
                // A verifier with leeway still accepts an expired token, so REVOKED goes before EXPIRED.
                assertStatus(unknown, TokenStatus.REVOKED);
            }
        });
    }

    @Test
    final void R3_9_bulkIsRevokedAnswersAsManySingleOnes() {
        Set<String> asked = new HashSet<>();
        Set<String> revoked = new HashSet<>();
        for (int i = 0; i < 300; i++) {
            String jti = "t" + i;
            asked.add(jti);
            if (i % 3 == 0) {
                tokens.storeToken(token(jti, "s", HOUR));
            }
            if (i % 5 == 0) {
                tokens.revokeToken(token(jti, "s", HOUR));
                revoked.add(jti);
            }
        }
        tokens.revokeJti("not asked for");
        // The expiry does not matter.
        for (Duration after : List.of(Duration.ZERO, HOUR)) {
            clock.set(start.plus(after));
            assertThat(tokens.isRevoked(asked)).as("isRevoked, %s later", after).isEqualTo(revoked);
        }
        assertThat(tokens.isRevoked(Set.of())).as("isRevoked").isEmpty();
        assertThat(tokens.isRevoked(Set.of("t1"))).as("isRevoked").isEmpty();
    }

    @Test
    final void R3_9_bulkIsRevokedLooksAtEveryOneOfVeryMany() {
        List<String> asked =
                IntStream.rangeClosed(0, 10_000).mapToObj(i -> "t" + i).toList();
        // At and beside every round number where a store may have stopped.
        Set<String> revoked = IntStream.of(0, 99, 100, 499, 500, 501, 999, 1000, 1001, 4999, 5000, 9_999, 10_000)
                .mapToObj(asked::get)
                .collect(Collectors.toSet());
        revoked.forEach(jti -> tokens.revokeToken(token(jti, "s", HOUR)));
        tokens.storeToken(token("t7", "s", HOUR));
        assertThat(tokens.isRevoked(asked))
                .as("isRevoked of %d jtis", asked.size())
                .isEqualTo(revoked);
    }

    @Test
    final void R3_9_bulkIsRevokedTakesEachJtiAsAWhole() {
        for (String part : List.of("a", "b", "q")) {
            tokens.revokeToken(token(part, "s", HOUR));
        }
        Set<String> asked = Set.of(
                "a,b", "z,q,y", "a b", "a;b", "a|b", "a:b", "a\nb", "'q'", "\"a\"", "{a,b}", "[a]", "(a)", "a%", "_",
                "*");
        assertThat(store.revoked(scope, asked, clock.instant()))
                .as("revoked, of jtis whose parts alone are revoked")
                .isEmpty();
    }

    @Test
    final void R3_10_aRevocationInAnothersNameStillRevokes() {
        tokens.storeToken(token("t", "s", HOUR));
        assertThat(tokens.revokeToken(token("t", "somebody else", HOUR)))
                .as("revokeToken")
                .isEqualTo(RevokeOutcome.REVOKED);
        assertThat(tokens.isRevoked("t")).as("isRevoked").isTrue();
        assertThat(inspected("t").subject()).as("subject").isEqualTo("s");
    }

    @Test
    final void R3_11_onlyWhatIsStoredForASubjectIsRevokedForIt() {
        inEachEra(() -> {
            tokens.storeToken(token("mine", "s", HOUR), "session");
            tokens.storeToken(token("another's", "s2", HOUR), "session");
            tokens.storeToken(token("expired", "s", Duration.ofMinutes(1)));
            tokens.revokeJti("nobody's");
            clock.advance(Duration.ofSeconds(90));
            for (String jti : List.of("another's", "unknown", "expired", "nobody's")) {
                assertThat(tokens.revokeStoredForSubject("s", jti))
                        .as("revokeStoredForSubject, %s", jti)
                        .isEqualTo(RevokeOutcome.UNKNOWN);
            }
            assertThat(tokens.isRevoked(Set.of("mine", "another's", "unknown", "expired")))
                    .as("isRevoked")
                    .isEmpty();
            assertThat(tokens.revokeStoredForSubject("s", "mine"))
                    .as("revokeStoredForSubject")
                    .isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.revokeStoredForSubject("s", "mine"))
                    .as("revokeStoredForSubject")
                    .isEqualTo(RevokeOutcome.ALREADY_REVOKED);
            // The record may expire before the token does.
            assertExpiry("mine", start.plusSeconds(90).plus(LONGEST));
        });
    }
}
