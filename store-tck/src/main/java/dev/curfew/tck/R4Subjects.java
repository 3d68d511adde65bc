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
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntFunction;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Section R4 of CONTRACT.md: subjects. */
abstract class R4Subjects extends R3Revoke {

    @Test
    final void R4_1_revokesEveryLiveTokenOfTheSubjectAndNoOther() {
        inEachEra(() -> {
            try (TokenResource small =
                    builder(domain, store).expungeBatchSize(10).build()) {
                for (int i = 0; i < 57; i++) {
                    small.storeToken(token("t" + i, "s", HOUR.plusMillis(i)), "p" + i % 3, Map.of("n", i));
                }
                small.storeToken(token("other", "s2", HOUR));
                small.storeToken(token("revoked", "s", HOUR));
                small.revokeJti("revoked");
                small.storeToken(token("expired", "s", Duration.ofMinutes(1)));
                clock.advance(Duration.ofSeconds(90));
                assertThat(small.revokeAllStoredForSubject("s"))
                        .as("revokeAllStoredForSubject")
                        .isEqualTo(57);
                for (int i = 0; i < 57; i++) {
                    TokenRecord record = inspected("t" + i);
                    assertThat(record.revokedAt()).as("revokedAt").isEqualTo(clock.instant());
                    assertThat(record.updatedAt()).as("updatedAt").isEqualTo(clock.instant());
                    assertThat(record.createdAt()).as("createdAt").isEqualTo(start);
                }
                assertThat(inspected("t5").extraData()).as("extraData").isEqualTo(Map.of("n", 5));
                assertThat(small.isRevoked("other")).as("isRevoked").isFalse();
                for (String subject : List.of("s", "nobody")) {
                    assertThat(small.revokeAllStoredForSubject(subject))
                            .as("revokeAllStoredForSubject, %s, when no live token is left", subject)
                            .isZero();
                }
            }
        });
    }

    @Test
    final void R4_1_revokesWhatWasStoredBeforeAlsoUnderConcurrentStores() {
        Set<String> stored = ConcurrentHashMap.newKeySet();
        var go = new AtomicBoolean(true);
        var next = new AtomicInteger();
        IntFunction<Runnable> storing = node -> () -> {
            while (go.get()) {
                // No more than 200 tokens ahead of the revocation, which may be slow and would never catch up.
                Race.awaitThat(() -> stored.size() < 200 || !go.get());
                String jti = "t" + next.incrementAndGet();
                node(node).storeToken(token(jti, "s", HOUR.plusMillis(jti.hashCode() % 1000)));
                stored.add(jti);
            }
        };
        Runnable revoking = () -> {
            try {
                for (int i = 1; i <= someRounds(); i++) {
                    Race.awaitThat(() -> stored.size() >= 50);
                    List<String> before = List.copyOf(stored);
                    node(i).revokeAllStoredForSubject("s");
                    assertThat(before)
                            .as("stored before revokeAllStoredForSubject number %d", i)
                            .allMatch(jti -> tokens.isRevoked(jti));
                    before.forEach(stored::remove);
                }
            } finally {
                go.set(false);
            }
        };
        Race.together(List.of(storing.apply(0), storing.apply(1), revoking));
    }

    private int someRounds() {
        return Math.max(2, Math.min(10, races() / 25));
    }

    /** A session that slides: its token is stored again, with the same expiry or another one, while all are revoked. */
    @Test
    final void R4_1_revokesWhatIsBeingStoredAgain() {
        int many = 200;
        for (int round = 0; round < someRounds(); round++) {
            String subject = "s" + round;
            List<String> jtis =
                    IntStream.range(0, many).mapToObj(i -> subject + "-" + i).toList();
            jtis.forEach(jti -> tokens.storeToken(token(jti, subject, HOUR)));
            var go = new AtomicBoolean(true);
            var again = new AtomicInteger();
            IntFunction<Runnable> storing = node -> () -> {
                RandomGenerator random = new SplittableRandom(again.get());
                while (go.get()) {
                    Duration lifetime = HOUR.plusMinutes(random.nextInt(3) - 1);
                    node(node).storeToken(token(jtis.get(random.nextInt(many)), subject, lifetime));
                    again.incrementAndGet();
                }
            };
            var revoked = new AtomicLong();
            Runnable revoking = () -> {
                try {
                    Race.awaitThat(() -> again.get() >= 20);
                    revoked.set(tokens.revokeAllStoredForSubject(subject));
                } finally {
                    go.set(false);
                }
            };
            Race.together(List.of(storing.apply(0), storing.apply(1), revoking));
            // The call itself counts them. Whether they stay revoked is a question of R2.2.
            assertThat(revoked.get())
                    .as("how many revokeAllStoredForSubject revoked in round %d, while they were stored again", round)
                    .isGreaterThanOrEqualTo(many);
        }
    }

    /** One of the racers revokes the token, and that one alone counts it. */
    @Test
    final void R4_1_whatAnotherHasRevokedIsNotCounted() {
        Race.run(
                "revokeAllStoredForSubject, consume and revokeToken",
                Math.min(races(), 2000),
                round -> tokens.storeToken(token("t" + round, "s" + round, HOUR), "link"),
                (round, racer) -> switch (racer) {
                    case 0, 3 -> node(racer).revokeAllStoredForSubject("s" + round);
                    case 1 -> node(racer).consume("t" + round, "link");
                    default -> node(racer).revokeToken(token("t" + round, "s" + round, HOUR));
                },
                (round, answers) -> assertThat(answers.stream()
                                .filter(a -> a.equals(1L) || a instanceof Consumed || a == RevokeOutcome.REVOKED)
                                .toList())
                        .as("who revoked the token of round %d, by the answers %s", round, answers)
                        .hasSize(1));
    }

    /** When revokeAllStoredForSubject returns, a revocation that was under way meanwhile is done, too. */
    @Test
    final void R4_1_whatAnotherIsRevokingIsRevokedWhenAllAre() {
        Race.run(
                "revokeToken, consume and revokeAllStoredForSubject",
                Math.min(races(), 5000),
                round -> tokens.storeToken(token("t" + round, "s" + round, HOUR)),
                (round, racer) -> {
                    Token token = token("t" + round, "s" + round, HOUR);
                    if (racer % 2 == 0) {
                        return racer == 0 ? tokens.revokeToken(token) : tokens.consume(token.jti(), "user");
                    }
                    tokens.revokeAllStoredForSubject("s" + round);
                    return tokens.check(token);
                },
                (round, answers) -> {
                    for (int racer : List.of(1, 3)) {
                        assertThat(answers.get(racer))
                                .as("check after all were revoked, round %d", round)
                                .isEqualTo(TokenStatus.REVOKED);
                    }
                });
    }

    /** Very many records are revoked in batches, and no batch holds more than the batch size. */
    @Test
    final void R4_1_veryManyAreRevokedInBoundedMemory() {
        int many = manyRecords();
        var counting = new CountingStore(store);
        try (TokenResource counted = resource(domain, counting)) {
            Race.share(8, many, i -> counted.storeToken(token("t" + i, "s", HOUR.plusMillis(i % 1000))));
            assertThat(counted.revokeAllStoredForSubject("s"))
                    .as("revokeAllStoredForSubject")
                    .isEqualTo(many);
            assertThat(counting.batches()).as("batches").isEqualTo(many / 1000 + 1);
            assertThat(counting.largest()).as("largest").isLessThanOrEqualTo(1000);
            assertThat(counted.listTokens("s", 10)).as("listTokens").isEmpty();
            assertThat(counted.isRevoked("t" + (many - 1))).as("isRevoked").isTrue();
        }
    }

    @Test
    final void R4_2_aWatermarkRevokesWhatWasIssuedAtOrBeforeIt() {
        Token stored = token("stored", "s", HOUR);
        tokens.storeToken(stored);
        Token unstored = token("unstored", "s", HOUR);
        Token others = token("others", "s2", HOUR);
        clock.advance(Duration.ofSeconds(10));
        assertThat(tokens.revokeSubject("s")).as("revokeSubject").isEqualTo(clock.instant());
        clock.advance(Duration.ofSeconds(10));
        Token later = token("later", "s", HOUR);
        for (Token token : List.of(stored, unstored)) {
            assertStatus(token, TokenStatus.REVOKED);
            assertThat(tokens.isRevoked(token)).as("isRevoked").isTrue();
        }
        assertStatus(others, TokenStatus.ACTIVE);
        assertStatus(later, TokenStatus.ACTIVE);
        assertThat(tokens.isRevoked(later)).as("isRevoked").isFalse();
    }

    @Test
    final void R4_2_theLatestWatermarkWinsAndIsKeptForTheLongestLifetime() {
        inEachEra(() -> {
            Instant first = start.plusSeconds(100);
            Instant end = start.plus(LONGEST).plus(SKEW);
            store.revokeSubject(scope, "s", first, end, start);
            // A node whose clock runs behind: neither the watermark nor its end goes back.
            store.revokeSubject(scope, "s", start, start.plus(HOUR), start);
            assertThat(watermark("s")).as("the watermark").isEqualTo(first);
            assertKept("s", first, end);
            store.revokeSubject(scope, "s", end, end.plus(LONGEST), clock.instant());
            assertThat(watermark("s")).as("the watermark").isEqualTo(end);
        });
    }

    @Test
    final void R4_2_theLatestEndWinsByItself() {
        inEachEra(() -> {
            Instant first = start.plusSeconds(100);
            store.revokeSubject(scope, "s", first, start.plus(HOUR), start);
            // A node whose clock runs behind, and that keeps watermarks for longer, and to the millisecond.
            Instant end = start.plus(HOUR.multipliedBy(2)).plusMillis(789);
            another.revokeSubject(scope, "s", start, end, start);
            assertKept("s", first, end);
            // A subject that had no watermark before.
            Instant endOfNew = start.plus(HOUR.multipliedBy(3)).plusMillis(999);
            store.revokeSubject(scope, "new", first, endOfNew, clock.instant());
            assertKept("new", first, endOfNew);
        });
    }

    private void assertKept(String subject, Instant watermark, Instant end) {
        clock.set(end.minusMillis(1));
        expunge();
        assertThat(watermark(subject))
                .as("the watermark a millisecond before the latest of its ends")
                .isEqualTo(watermark);
    }

    @Test
    final void R4_3_aTokenWithoutATimeOfIssueIsRevokedByAnyWatermark() {
        Token token = Token.withoutIssuedAt("t", "s", start.plus(LONGEST));
        assertStatus(token, TokenStatus.ACTIVE);
        tokens.revokeSubject("s");
        clock.advance(HOUR);
        assertStatus(token, TokenStatus.REVOKED);
        assertStatus(Token.withoutIssuedAt("other", "s2", start.plus(LONGEST)), TokenStatus.ACTIVE);
    }

    @Test
    final void R4_4_inTheWatermarksOwnSecondTheRecordsTimeOfIssueDecides() {
        Instant expiry = start.plus(HOUR);
        clock.set(start.plusMillis(400));
        tokens.storeToken(Token.of("stored before", "s", start, expiry));
        clock.set(start.plusMillis(500));
        tokens.revokeSubject("s");
        clock.set(start.plusMillis(501));
        // A time of issue that is a whole second tells nothing of that second: storing the token now brings nothing
        // back.
        tokens.storeToken(Token.of("stored after", "s", start, expiry));
        tokens.storeToken(Token.of("issued before", "s", start.plusMillis(500), expiry));
        tokens.storeToken(Token.of("issued after", "s", start.plusMillis(501), expiry));
        tokens.storeToken(Token.of("issued later", "s", start.plusMillis(1500), expiry));
        tokens.storeToken(Token.of("of another", "s2", start.plusMillis(501), expiry));
        for (String revoked :
                List.of("stored before", "stored after", "issued before", "issued later", "of another", "unstored")) {
            assertStatus(Token.of(revoked, "s", start, expiry), TokenStatus.REVOKED);
        }
        assertStatus(Token.of("issued after", "s", start, expiry), TokenStatus.ACTIVE);
        // A token that tells its time of issue to the millisecond needs no record.
        for (int offset : BEFORE_AT_AFTER) {
            Token fine = Token.of("fine, at " + offset + " ms", "s", start.plusMillis(500 + offset), expiry);
            assertStatus(fine, offset <= 0 ? TokenStatus.REVOKED : TokenStatus.ACTIVE);
        }
        clock.set(start.plusSeconds(10));
        tokens.storeToken(Token.of("unstored", "s", start, expiry));
        assertStatus(Token.of("unstored", "s", start, expiry), TokenStatus.REVOKED);
        assertStatus(Token.of("next second", "s", start.plusSeconds(1), expiry), TokenStatus.ACTIVE);
    }

    @Test
    final void R4_5_whoIsLoggedOutEverywhereHasNoLinkLeft() {
        inEachEra(() -> {
            Token old = token("old", "s", HOUR);
            tokens.storeToken(old, "link", Map.of("k", 1));
            tokens.storeToken(Token.withoutIssuedAt("undated", "s", start.plus(HOUR)), "link");
            tokens.storeToken(token("of another", "s2", HOUR), "link");
            clock.advance(Duration.ofSeconds(2));
            others.revokeSubject("s");
            clock.advance(Duration.ofSeconds(2));
            tokens.storeToken(token("new", "s", HOUR), "link", Map.of("k", 2));
            for (String jti : List.of("old", "undated")) {
                assertThat(tokens.getToken(jti)).as("getToken, %s", jti).isEmpty();
                assertThat(tokens.getToken(jti, "link")).as("getToken, %s", jti).isEmpty();
            }
            assertThat(tokens.getConfirmationChanges(old, "link"))
                    .as("getConfirmationChanges")
                    .isEmpty();
            assertThat(tokens.listTokens("s").stream().map(TokenRecord::jti))
                    .as("listTokens")
                    .containsExactly("new");
            assertThat(tokens.inspect("old")).as("inspect").isPresent();
            for (String jti : List.of("old", "undated")) {
                assertThat(tokens.consume(jti, "link")).as("consume, %s", jti).isEqualTo(Refused.ALREADY_USED);
            }
            assertThat(tokens.consume(old, "link")).as("consume").isEqualTo(Refused.ALREADY_USED);
            assertThat(tokens.consumeConfirmationChanges(old, "link"))
                    .as("consumeConfirmationChanges")
                    .isEqualTo(Refused.ALREADY_USED);
            assertThat(tokens.getToken("new", "link")).as("getToken, new").isPresent();
            for (String jti : List.of("new", "of another")) {
                assertThat(tokens.consume(jti, "link")).as("consume, %s", jti).isInstanceOf(Consumed.class);
            }
        });
    }

    @Test
    final void R4_5_aPageIsFullWithoutWhatTheWatermarkCovers() {
        for (int i = 0; i < 30; i++) {
            tokens.storeToken(token("old" + i, "s", HOUR.plusMillis(i)));
        }
        clock.advance(Duration.ofSeconds(2));
        tokens.revokeSubject("s");
        clock.advance(Duration.ofSeconds(2));
        List<String> live = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            // By their expiry, some lie among the old ones, and some after them.
            live.add("new" + i);
            tokens.storeToken(token("new" + i, "s", HOUR.minusSeconds(4).plusMillis(5L * i)));
        }
        assertThat(listedByPages("s", live.size(), 5).stream().map(TokenRecord::jti))
                .as("listTokens")
                .containsExactlyElementsOf(live);
    }
}
