package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.Consumption.Refused;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.SubjectMismatchException;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Section R2 of CONTRACT.md: store and get. */
abstract class R2StoreAndGet extends R1Time {

    @Test
    final void R2_1_storingAgainReplacesAllButTheTimeOfCreation() {
        inEachEra(() -> {
            assertThat(tokens.storeToken(token("t", "s", HOUR), "a", Map.of("k", 1)))
                    .as("storeToken")
                    .isEqualTo(StoreOutcome.STORED);
            clock.advance(Duration.ofMinutes(1));
            Token later = token("t", "s", HOUR);
            assertThat(tokens.storeToken(later, "b")).as("storeToken").isEqualTo(StoreOutcome.STORED);
            Records.assertEqual(
                    "that was stored again",
                    inspected("t"),
                    new TokenRecord(
                            "t",
                            "s",
                            "b",
                            later.issuedAt(),
                            later.expiresAt(),
                            null,
                            start,
                            clock.instant(),
                            null,
                            null,
                            null));
            // An earlier expiry replaces a later one, too: only the expiry of a revocation must not be shortened.
            tokens.storeToken(token("t", "s", Duration.ofMinutes(1)), "b");
            assertExpiry("t", clock.instant().plusSeconds(60));
            // An expired record is no obstacle.
            clock.advance(Duration.ofSeconds(90));
            assertThat(tokens.storeToken(token("t", "s", HOUR), "c"))
                    .as("storeToken")
                    .isEqualTo(StoreOutcome.STORED);
            assertThat(tokens.getToken("t", "c")).as("getToken").isPresent();
        });
    }

    @Test
    final void R2_1_theTimeOfCreationStaysHoweverOftenItIsStored() {
        for (int i = 0; i < 4; i++) {
            assertThat(tokens.storeToken(token("t", "s", HOUR)))
                    .as("storeToken")
                    .isEqualTo(StoreOutcome.STORED);
            assertThat(inspected("t").createdAt())
                    .as("createdAt, stored %d times", i + 1)
                    .isEqualTo(start);
            assertThat(inspected("t").updatedAt())
                    .as("updatedAt, stored %d times", i + 1)
                    .isEqualTo(clock.instant());
            clock.advance(Duration.ofMinutes(1));
        }
    }

    @Test
    final void R2_1_theTimeOfCreationStaysAlsoOfAnExpiredRecord() {
        tokens.storeToken(token("t", "s", Duration.ofMinutes(1)), "link");
        clock.advance(Duration.ofSeconds(90));
        tokens.storeToken(token("t", "s", HOUR), "link");
        assertThat(inspected("t").createdAt()).as("createdAt").isEqualTo(start);
    }

    @Test
    final void R2_1_concurrentStoresOfOneKeyLeaveOneOfThemWhole() {
        Race.run(
                "storeToken against storeToken",
                Math.min(races(), 1000),
                round -> {},
                (round, racer) -> node(racer)
                        .storeToken(
                                token("t" + round, "s", HOUR.plusMinutes(racer)), "p" + racer, Map.of("racer", racer)),
                (round, answers) -> {
                    assertThat(answers).as("answers").containsOnly(StoreOutcome.STORED);
                    TokenRecord record = inspected("t" + round);
                    Integer racer = record.extraData() == null
                            ? null
                            : (Integer) record.extraData().get("racer");
                    assertThat(record.purpose()).as("purpose").isEqualTo("p" + racer);
                    assertThat(record.expiresAt())
                            .as("expiresAt")
                            .isEqualTo(start.plus(HOUR.plusMinutes(racer == null ? -1 : racer)));
                });
    }

    @Test
    final void R2_2_storingNeverUndoesARevocation() {
        inEachEra(() -> {
            tokens.storeToken(token("revoked", "s", HOUR), "link");
            tokens.revokeJti("revoked");
            tokens.storeToken(token("used", "s", HOUR), "link");
            tokens.consume("used", "link");
            tokens.revokeToken(token("unknown", "s", HOUR));
            tokens.revokeJti("by jti alone");
            clock.advance(Duration.ofMinutes(1));
            for (String jti : List.of("revoked", "used", "unknown", "by jti alone")) {
                TokenRecord before = inspected(jti);
                assertThat(tokens.storeToken(token(jti, "s", HOUR.multipliedBy(2)), "other", Map.of("k", 1)))
                        .as("storeToken, %s", jti)
                        .isEqualTo(StoreOutcome.REVOKED);
                Records.assertEqual("that storeToken left alone, " + jti, inspected(jti), before);
            }
        });
    }

    @Test
    final void R2_2_norInTheLastMillisecondOfItsRetention() {
        inEachEra(() -> {
            tokens.revokeToken(token("unknown", "s", HOUR));
            tokens.storeToken(token("used", "s", HOUR), "link");
            tokens.consume("used", "link");
            for (Duration after : List.of(HOUR, HOUR.plus(SKEW).minusMillis(1))) {
                clock.set(start.plus(after));
                for (String jti : List.of("unknown", "used")) {
                    TokenRecord before = inspected(jti);
                    assertThat(tokens.storeToken(token(jti, "s", HOUR)))
                            .as("storeToken over a revocation, %s after its beginning, %s", after, jti)
                            .isEqualTo(StoreOutcome.REVOKED);
                    assertThat(tokens.consume(jti, before.purpose()))
                            .as("consume, %s after the beginning of the revocation, %s", after, jti)
                            .isEqualTo(Refused.ALREADY_USED);
                    Records.assertEqual("that nothing may clear yet, " + jti, inspected(jti), before);
                }
            }
        });
    }

    @Test
    final void R2_2_aStoreRacingARevocationDoesNotUndoIt() {
        Race.run(
                "revokeToken against storeToken",
                Math.min(races(), 5000),
                round -> {},
                (round, racer) -> {
                    Token token = token("t" + round, "s", HOUR);
                    return racer == 0 ? tokens.revokeToken(token) : node(racer).storeToken(token, "p" + racer);
                },
                (round, answers) -> {
                    assertThat(answers.get(0)).as("the answer of revokeToken").isEqualTo(RevokeOutcome.REVOKED);
                    assertThat(answers.subList(1, answers.size()))
                            .as("the answers of storeToken")
                            .isSubsetOf(StoreOutcome.STORED, StoreOutcome.REVOKED);
                    assertThat(tokens.isRevoked("t" + round)).as("isRevoked").isTrue();
                });
    }

    @Test
    final void R2_3_anotherSubjectIsRefusedAndNothingChanges() {
        tokens.storeToken(token("live", "s", HOUR), "link", Map.of("k", 1));
        tokens.storeToken(token("revoked", "s", HOUR), "link");
        tokens.revokeJti("revoked");
        for (String jti : List.of("live", "revoked")) {
            TokenRecord before = inspected(jti);
            clock.advance(Duration.ofSeconds(1));
            assertThatThrownBy(
                            () -> tokens.storeToken(token(jti, "somebody else", HOUR), "other"),
                            "storeToken for another subject, %s",
                            jti)
                    .isInstanceOf(SubjectMismatchException.class);
            Records.assertEqual("that storeToken left alone, " + jti, inspected(jti), before);
        }
        assertThat(tokens.listTokens("somebody else")).as("listTokens").isEmpty();
    }

    @Test
    final void R2_3_alsoAnExpiredRecordIsItsSubjects() {
        tokens.storeToken(token("t", "s", Duration.ofMinutes(1)), "link");
        clock.advance(Duration.ofSeconds(90));
        assertThatThrownBy(
                        () -> tokens.storeToken(token("t", "somebody else", HOUR)),
                        "storeToken of a jti whose record has expired and is kept, for another subject")
                .isInstanceOf(SubjectMismatchException.class);
    }

    @Test
    final void R2_3_ofTwoSubjectsOneGetsTheRecord() {
        Race.run(
                "storeToken for two subjects",
                Math.min(races(), 2000),
                round -> {},
                (round, racer) -> node(racer).storeToken(token("t" + round, "s" + racer / 2, HOUR)),
                (round, answers) -> {
                    int winner = answers.get(0) == StoreOutcome.STORED ? 0 : 1;
                    for (int racer = 0; racer < answers.size(); racer++) {
                        Object answer = answers.get(racer);
                        boolean right = racer / 2 == winner
                                ? answer == StoreOutcome.STORED
                                : answer instanceof SubjectMismatchException;
                        assertThat(right)
                                .as("storeToken by racer %d in round %d, among %s", racer, round, answers)
                                .isTrue();
                    }
                    assertThat(("s" + winner).equals(inspected("t" + round).subject()))
                            .as("the record of round %d is the winner's", round)
                            .isTrue();
                });
    }

    @Test
    final void R2_4_anExpiredTokenIsNotStored() {
        inEachEra(() -> {
            Token token = token("t", "s", HOUR);
            clock.advance(HOUR);
            assertThat(tokens.storeToken(token)).as("storeToken").isEqualTo(StoreOutcome.EXPIRED);
            assertThat(tokens.inspect("t")).as("inspect").isEmpty();
        });
    }

    @Test
    final void R2_5_getTokenAnswersLiveUnrevokedRecordsOnly() {
        inEachEra(() -> {
            Token token = token("t", "s", HOUR);
            tokens.storeToken(token, "link", Map.of("k", 1));
            TokenRecord record = inspected("t");
            Map<String, Optional<TokenRecord>> answers = Map.of(
                    "getToken(jti)", tokens.getToken("t"),
                    "getToken(jti, purpose)", tokens.getToken("t", "link"),
                    "getToken(token)", tokens.getToken(token),
                    "getToken(token, purpose)", tokens.getToken(token, "link"));
            answers.forEach(
                    (verb, answer) -> Records.assertEqual("that " + verb + " answers", answer.orElseThrow(), record));
            assertThat(tokens.getToken("t", "other")).as("getToken").isEmpty();
            assertThat(tokens.getToken(token("t", "somebody else", HOUR)))
                    .as("getToken")
                    .isEmpty();
            assertThat(tokens.getToken("unknown")).as("getToken").isEmpty();
            tokens.revokeJti("t");
            assertThat(tokens.getToken("t")).as("getToken").isEmpty();
            assertThat(tokens.getToken(token, "link")).as("getToken").isEmpty();
        });
    }

    @Test
    final void R2_6_whatWasStoredComesBackEqual() {
        List<Map<String, @Nullable Object>> values = new ArrayList<>();
        values.add(Map.of());
        values.add(Samples.object("null", null, "empty", "", "blank", "  ", "yes", true, "no", false));
        values.add(
                Samples.object("long", Long.MAX_VALUE, "least", Long.MIN_VALUE, "int", Integer.MAX_VALUE, "zero", 0));
        values.add(Samples.object("beyond double", 9_007_199_254_740_993L, "beyond int", 2_147_483_648L));
        values.add(Samples.object("whole", 1.0, "big", 1.0E10, "tenth", 0.1, "max", Double.MAX_VALUE));
        values.add(Samples.object("least", Double.MIN_VALUE, "small", -1.5E-10, "third", 1.0 / 3));
        values.add(Samples.object(
                "nested",
                Samples.object(
                        "list", Arrays.asList(1, "two", null, 3.5, List.of(), Map.of()), "deep", Samples.nested(97))));
        values.add(Samples.object("long text", "x".repeat(60_000)));
        for (String text : Samples.TEXTS) {
            values.add(Samples.object(text, text));
        }
        int n = 0;
        for (Map<String, @Nullable Object> value : values) {
            String jti = "t" + n++;
            tokens.storeToken(token(jti, "s", HOUR), "link", value);
            assertThat(inspected(jti).extraData()).as("extraData").isEqualTo(value);
        }
        tokens.storeToken(token("without", "s", HOUR), "link");
        assertThat(inspected("without").extraData()).as("extraData").isNull();
    }

    @Test
    final void R2_6_namesComeBackEqual() {
        int n = 0;
        for (String text : Samples.TEXTS) {
            String name = text + n++;
            String purpose = text.length() > 10 ? "p" : name;
            tokens.storeToken(token(name, name, HOUR), purpose);
            TokenRecord record = inspected(name);
            assertThat(record.jti()).as("jti").isEqualTo(name);
            assertThat(record.subject()).as("subject").isEqualTo(name);
            assertThat(record.purpose()).as("purpose").isEqualTo(purpose);
        }
    }

    @Test
    final void R2_6_everyTimeOfIssueComesBackEqual() {
        int n = 0;
        for (Instant issuedAt : List.of(
                Instant.EPOCH,
                Instant.EPOCH.minusSeconds(1),
                Instant.parse("1969-07-20T20:17:40Z"),
                Instant.parse("1582-10-04T12:00:00Z"),
                Instant.parse("0001-01-01T00:00:00Z"),
                Instant.parse("0000-01-01T00:00:00Z"),
                Instant.parse("2038-01-19T03:14:08Z"),
                Instant.parse("9999-12-31T23:59:59Z"))) {
            String jti = "t" + n++;
            tokens.storeToken(Token.of(jti, "s", issuedAt, start.plus(HOUR)));
            assertThat(inspected(jti).issuedAt()).as("issuedAt").isEqualTo(issuedAt);
            tokens.revokeToken(Token.of("revoked " + jti, "s", issuedAt, start.plus(HOUR)));
            assertThat(inspected("revoked " + jti).issuedAt())
                    .as("issuedAt of a revocation")
                    .isEqualTo(issuedAt);
        }
    }

    @Test
    final void R2_7_inspectAnswersWhateverTheState() {
        inEachEra(() -> {
            tokens.storeToken(token("live", "s", HOUR));
            tokens.storeToken(token("revoked", "s", HOUR));
            tokens.revokeJti("revoked");
            tokens.storeToken(token("expired", "s", Duration.ofMinutes(1)));
            clock.advance(Duration.ofMinutes(1));
            assertThat(inspected("live").isRevoked()).as("isRevoked").isFalse();
            assertThat(inspected("revoked").isRevoked()).as("isRevoked").isTrue();
            assertThat(inspected("expired").isLive(clock.instant()))
                    .as("isLive, past its expiry")
                    .isFalse();
            assertThat(tokens.inspect("unknown")).as("inspect").isEmpty();
        });
    }

    @Test
    final void R2_7_listTokensPagesThroughASubjectsLiveTokensBySoonestExpiry() {
        inEachEra(() -> {
            List<Integer> minutes =
                    new ArrayList<>(IntStream.rangeClosed(1, 40).boxed().toList());
            Collections.shuffle(minutes, new Random(7));
            // Ten expire at the same time: the boundary between two pages must not lose or repeat one of them.
            minutes.addAll(Collections.nCopies(10, 20));
            Set<String> expected = new HashSet<>();
            for (int i = 0; i < minutes.size(); i++) {
                tokens.storeToken(token("t" + i, "s", Duration.ofMinutes(minutes.get(i))), "p", Map.of("n", i));
                expected.add("t" + i);
            }
            tokens.storeToken(token("other", "s2", HOUR));
            tokens.storeToken(token("revoked", "s", HOUR));
            tokens.revokeJti("revoked");
            List<TokenRecord> all = listedByPages("s", 50, 7);
            assertThat(all.stream().map(TokenRecord::jti).toList())
                    .as("the jti of all pages")
                    .containsExactlyInAnyOrderElementsOf(expected);
            assertThat(all.stream().map(TokenRecord::expiresAt).toList())
                    .as("the expiresAt of all pages")
                    .isSorted();
            Records.assertEqual(
                    "that listTokens answers", all.get(0), inspected(all.get(0).jti()));
        });
    }

    @Test
    final void R2_7_listTokensKnowsAnExpiryThatWasMoved() {
        for (int i = 0; i < 30; i++) {
            tokens.storeToken(token("t" + i, "s", HOUR.plusMinutes(i)));
        }
        // The last token becomes the first, the first becomes the last, and others change places.
        tokens.storeToken(token("t29", "s", Duration.ofMinutes(1)));
        tokens.storeToken(token("t0", "s", HOUR.multipliedBy(3)));
        tokens.storeToken(token("t20", "s", HOUR.plusSeconds(90)));
        tokens.storeToken(token("t5", "s", HOUR.plusSeconds(1230)));
        List<TokenRecord> all = listedByPages("s", 30, 4);
        assertThat(all).as("all pages of listTokens").doesNotHaveDuplicates();
        assertThat(all.stream().map(TokenRecord::expiresAt).toList())
                .as("the expiresAt of all pages")
                .isSorted();
        assertThat(all.get(0).jti()).as("the first of listTokens").isEqualTo("t29");
        assertThat(all.get(29).jti()).as("the last of listTokens").isEqualTo("t0");
        assertThat(tokens.revokeAllStoredForSubject("s"))
                .as("revokeAllStoredForSubject")
                .isEqualTo(30);
    }

    @Test
    final void R2_7_aLiveTokenIsListedWhateverElseIsTriedWithItMeanwhile() {
        int times = 10;
        Race.run(
                "listTokens against storeToken and consume for another purpose",
                Math.min(races(), 500),
                round -> tokens.storeToken(token("t" + round, "s" + round, HOUR), "link"),
                (round, racer) -> {
                    int least = 1;
                    for (int i = 0; i < times; i++) {
                        if (racer == 0) {
                            least = Math.min(
                                    least, tokens.listTokens("s" + round).size());
                        } else {
                            node(racer).consume("t" + round, "another");
                            node(racer).storeToken(token("t" + round, "s" + round, HOUR), "link");
                        }
                    }
                    return least;
                },
                (round, answers) -> assertThat(answers.get(0))
                        .as("the length of the list in round %d", round)
                        .isEqualTo(1));
    }

    @Test
    final void R2_7_aPageIsFullWhileThereIsMore() {
        inEachEra(() -> {
            // Between them are records that are not to be listed: they must not take up places of a page.
            for (int i = 0; i < 60; i++) {
                tokens.storeToken(token("t" + i, i % 5 == 0 ? "s2" : "s", HOUR.plusSeconds(i / 4)));
                if (i % 5 == 1 || i / 10 == 2) {
                    tokens.revokeJti("t" + i);
                }
            }
            tokens.storeToken(token("expired", "s", Duration.ofMillis(1)));
            clock.advance(Duration.ofSeconds(1));
            listedByPages("s", 60 - 12 - 12 - 6, 7);
        });
    }

    @Test
    final void R2_7_thoseThatExpireAtOnceAreOrderedByTheBytesOfTheirJti() {
        List<String> ordered = jtisByBytes();
        for (String jti : shuffled(ordered)) {
            tokens.storeToken(token(jti, "s", HOUR));
        }
        for (List<TokenRecord> all : List.of(tokens.listTokens("s"), listedByPages("s", ordered.size(), 2))) {
            assertThat(all.stream().map(TokenRecord::jti))
                    .as("the order of listTokens, as one page and by pages of 2, where all expire at once")
                    .containsExactlyElementsOf(ordered);
        }
    }

    /** All tokens of a subject that has so many, read by pages. */
    final List<TokenRecord> listedByPages(String subject, int many, int limit) {
        return fullPages(
                "listTokens",
                many,
                limit,
                after -> after == null ? tokens.listTokens(subject, limit) : tokens.listTokens(subject, limit, after));
    }

    /** Reads so many records by pages. Each page must be full while there is more. */
    static List<TokenRecord> fullPages(
            String verb, int many, int limit, Function<@Nullable TokenRecord, List<TokenRecord>> read) {
        List<TokenRecord> all = new ArrayList<>();
        List<TokenRecord> page;
        do {
            page = read.apply(all.isEmpty() ? null : all.get(all.size() - 1));
            assertThat(page)
                    .as("a page of %s, of at most %d, after %d of %d", verb, limit, all.size(), many)
                    .hasSize(Math.min(limit, many - all.size()));
            all.addAll(page);
        } while (!page.isEmpty());
        return all;
    }

    static List<String> shuffled(List<String> ordered) {
        List<String> shuffled = new ArrayList<>(ordered);
        Collections.shuffle(shuffled, new Random(7));
        return shuffled;
    }
}
