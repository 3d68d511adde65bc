package dev.curfew.tck;

import static java.util.concurrent.TimeUnit.MINUTES;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.Expunger;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.SelfExpiringTokenStore;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.SubjectMismatchException;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStore;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * What every store must keep of CONTRACT.md. Extend {@link ExpungingStoreContract} or
 * {@link SelfExpiringStoreContract}, not this class.
 *
 * <p>No test sleeps, and none asks a clock: time is an argument, and begins in the year 2100, so that a server that
 * expires records by its own clock leaves them alone. Every test works in a domain of its own.
 *
 * <p>How much the larger tests do is set by the methods below or, for a run, by the system properties that they read.
 */
@Timeout(value = 10, unit = MINUTES)
public abstract class TokenStoreContract {
    static final Instant START = Instant.parse("2100-01-01T00:00:00Z");
    static final Duration SKEW = Duration.ofSeconds(60);
    static final Duration HOUR = Duration.ofHours(1);
    static final Duration LONGEST = Duration.ofDays(30);
    private static final AtomicInteger DOMAINS = new AtomicInteger();
    // A server may still have the records of another run.
    private static final String RUN =
            "kit-" + Integer.toHexString(RandomGenerator.getDefault().nextInt()) + "-";
    private static final List<Integer> BEFORE_AT_AFTER = List.of(-1, 0, 1);

    /** Time, for the store and the resource; starts at {@code 2100-01-01T00:00:00Z}. */
    protected final ManualClock clock = new ManualClock(START);

    TokenStore store;
    String domain;
    StoreScope scope;
    TokenResource tokens;
    private Expunger idle;

    /** For the kit's two kinds of stores. */
    TokenStoreContract() {}

    /** A store of the kind under test, for one test; the kit closes it. Other domains may hold records. */
    protected abstract TokenStore newStore();

    /** How long a call may take; a minute by default, since test machines are busy and the kit tests no deadlines. */
    protected Duration deadline() {
        return Duration.ofMinutes(1);
    }

    /** How many tokens are raced for, one winner each: {@code curfew.tck.races}, 100,000 by default. */
    protected int races() {
        return Integer.getInteger("curfew.tck.races", 100_000);
    }

    /** How many records the test of bounded memory stores: {@code curfew.tck.records}, 1,000,000 by default. */
    protected int manyRecords() {
        return Integer.getInteger("curfew.tck.records", 1_000_000);
    }

    /** How many random steps the model-based test takes: {@code curfew.tck.steps}, 20,000 by default. */
    protected int modelSteps() {
        return Integer.getInteger("curfew.tck.steps", 20_000);
    }

    /** What the random steps start from: {@code curfew.tck.seed}, else another one each run. A failure prints it. */
    protected long seed() {
        return Long.getLong("curfew.tck.seed", RandomGenerator.getDefault().nextLong());
    }

    @BeforeEach
    final void openStore() {
        clock.set(START);
        domain = RUN + DOMAINS.incrementAndGet();
        store = newStore();
        scope = new StoreScope(domain, "", SKEW, deadline());
        store.prepare(scope);
        idle = Expunger.manual();
        tokens = resource(domain, store);
    }

    @AfterEach
    final void closeStore() {
        idle.close();
        tokens.close();
        store.close();
    }

    final TokenResource resource(String ofDomain, TokenStore onStore) {
        return builder(ofDomain, onStore).maxTokenLifetime(LONGEST).build();
    }

    final TokenResource.Builder builder(String ofDomain, TokenStore onStore) {
        return TokenResource.builder()
                .store(onStore)
                .domain(ofDomain)
                .clock(clock)
                .clockSkew(SKEW)
                .callDeadline(deadline())
                .failurePolicy(FailurePolicy.THROW)
                // A test expunges when it wants to.
                .expunger(idle);
    }

    final Token token(String jti, String subject, Duration lifetime) {
        return Token.of(jti, subject, clock.instant(), clock.instant().plus(lifetime));
    }

    final TokenRecord inspected(String jti) {
        return tokens.inspect(jti).orElseThrow(() -> new AssertionError("The record is gone"));
    }

    /** Expunges until there is no more to do. */
    final void expunge() {
        tokens.expungeExpired();
    }

    private TokenResource requiringPresence() {
        return builder(domain, store)
                .maxTokenLifetime(LONGEST)
                .requirePresence()
                .build();
    }

    // R1 Time

    @Test
    final void R1_1_getTokenKnowsTheMillisecondOfExpiry() {
        tokens.storeToken(token("t", "s", HOUR));
        for (int offset : BEFORE_AT_AFTER) {
            clock.set(START.plus(HOUR).plusMillis(offset));
            assertThat(tokens.getToken("t").isPresent()).as("at %d ms", offset).isEqualTo(offset < 0);
        }
    }

    @Test
    final void R1_1_checkKnowsTheMillisecondOfExpiry() {
        Token token = token("t", "s", HOUR);
        tokens.storeToken(token);
        for (int offset : BEFORE_AT_AFTER) {
            clock.set(START.plus(HOUR).plusMillis(offset));
            assertThat(tokens.check(token))
                    .as("at %d ms", offset)
                    .isEqualTo(offset < 0 ? TokenStatus.ACTIVE : TokenStatus.EXPIRED);
        }
    }

    @Test
    final void R1_1_consumeKnowsTheMillisecondOfExpiry() {
        for (int offset : BEFORE_AT_AFTER) {
            clock.set(START);
            String jti = "t" + offset;
            tokens.storeToken(token(jti, "s", HOUR), "link");
            clock.set(START.plus(HOUR).plusMillis(offset));
            assertThat(tokens.consume(jti, "link") instanceof Consumed)
                    .as("at %d ms", offset)
                    .isEqualTo(offset < 0);
        }
    }

    @Test
    final void R1_1_listTokensKnowsTheMillisecondOfExpiry() {
        tokens.storeToken(token("t", "s", HOUR));
        for (int offset : BEFORE_AT_AFTER) {
            clock.set(START.plus(HOUR).plusMillis(offset));
            assertThat(tokens.listTokens("s")).as("at %d ms", offset).hasSize(offset < 0 ? 1 : 0);
        }
    }

    @Test
    final void R1_1_revokeAllStoredKnowsTheMillisecondOfExpiry() {
        for (int offset : BEFORE_AT_AFTER) {
            clock.set(START);
            String subject = "s" + offset;
            tokens.storeToken(token("t" + offset, subject, HOUR));
            clock.set(START.plus(HOUR).plusMillis(offset));
            assertThat(tokens.revokeAllStoredForSubject(subject))
                    .as("at %d ms", offset)
                    .isEqualTo(offset < 0 ? 1 : 0);
        }
    }

    @Test
    final void R1_2_theTimesOfARecordAreThoseOfTheCalls() {
        tokens.storeToken(token("t", "s", HOUR), "link");
        assertThat(inspected("t").createdAt()).isEqualTo(START);
        assertThat(inspected("t").updatedAt()).isEqualTo(START);
        clock.advance(Duration.ofMillis(1));
        tokens.revokeJti("t");
        assertThat(inspected("t").revokedAt()).isEqualTo(clock.instant());
        tokens.revokeToken(token("u", "s", HOUR));
        assertThat(inspected("u").revokedAt()).isEqualTo(clock.instant());
    }

    @Test
    final void R1_3_timesAreKeptToTheMillisecond() {
        clock.set(START.plusNanos(7_999_999));
        tokens.storeToken(Token.of("t", "s", START.plusNanos(1_999_999), START.plusNanos(900_000_000_001L)));
        TokenRecord record = inspected("t");
        assertThat(record.issuedAt()).isEqualTo(START.plusMillis(1));
        assertThat(record.expiresAt()).isEqualTo(START.plusMillis(900_001));
        assertThat(record.createdAt()).isEqualTo(START.plusMillis(7));
        Instant last = Instant.parse("9999-12-31T23:59:59.999Z");
        tokens.storeToken(Token.of("last", "s", last));
        assertThat(inspected("last").expiresAt()).isEqualTo(last);
        assertThat(inspected("last").issuedAt()).isNull();
    }

    @Test
    final void R1_4_aRevocationIsKeptUntilItsRetentionEnd() {
        tokens.storeToken(token("stored", "s", HOUR));
        tokens.revokeJti("stored");
        tokens.revokeToken(token("unknown", "s", HOUR));
        for (Duration after : List.of(Duration.ZERO, Duration.ofMillis(1), SKEW.minusMillis(1))) {
            clock.set(START.plus(HOUR).plus(after));
            expunge();
            for (String jti : List.of("stored", "unknown")) {
                assertThat(tokens.inspect(jti).map(TokenRecord::isRevoked))
                        .as("%s, %s after its expiry", jti, after)
                        .contains(true);
            }
        }
    }

    @Test
    final void R1_5_whatAReadAnswersDependsOnTheTimesAlone() {
        tokens.storeToken(token("t", "s", HOUR));
        clock.set(START.plus(HOUR).plusSeconds(30));
        assertThat(tokens.getToken("t")).isEmpty();
        assertThat(tokens.listTokens("s")).isEmpty();
        // A node whose clock runs behind asks next.
        clock.set(START.plus(HOUR).minusMillis(1));
        assertThat(tokens.getToken("t")).isPresent();
        assertThat(tokens.listTokens("s")).hasSize(1);
    }

    @Test
    final void R1_6_aClockThatWasAheadAndIsPutRightLosesNothing() {
        Duration ahead = Duration.ofHours(3);
        Token before = token("before", "s", HOUR);
        Token used = token("used", "s", HOUR);
        Token during = token("during", "s", ahead.plus(HOUR));
        Token after = token("after", "s", HOUR);
        Token others = token("of all", "all", HOUR.multipliedBy(5));
        tokens.storeToken(used, "link");
        tokens.storeToken(after, "link");
        tokens.consume("used", "link");
        tokens.revokeToken(before);
        clock.advance(ahead);
        tokens.isRevoked("unknown");
        tokens.revokeToken(during);
        tokens.revokeSubject("all");
        clock.set(START);
        assertThat(tokens.consume("used", "link")).isEqualTo(Refused.ALREADY_USED);
        assertThat(tokens.revokeToken(after)).isEqualTo(RevokeOutcome.REVOKED);
        Token unknown = token("unknown", "s", HOUR);
        assertThat(tokens.revokeToken(unknown)).isEqualTo(RevokeOutcome.REVOKED);
        for (Token token : List.of(before, used, during, after, unknown)) {
            assertThat(tokens.check(token)).as("check of %s", token.jti()).isEqualTo(TokenStatus.REVOKED);
            assertThat(tokens.isRevoked(token.jti()))
                    .as("isRevoked of %s", token.jti())
                    .isTrue();
            assertThat(tokens.revokeToken(token))
                    .as("revokeToken of %s", token.jti())
                    .isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        }
        assertThat(tokens.check(others)).isEqualTo(TokenStatus.REVOKED);
        // And so it stays, by the clock that is right now.
        clock.set(START.plus(HOUR).minusMillis(1));
        expunge();
        for (Token token : List.of(before, used, during, after, unknown)) {
            assertThat(tokens.isRevoked(token.jti()))
                    .as("isRevoked of %s later", token.jti())
                    .isTrue();
        }
        assertThat(tokens.check(others)).isEqualTo(TokenStatus.REVOKED);
    }

    @Test
    final void R7_8_theServersTimeIsTheTimeOfItsClock() {
        Instant server = store.serverTime(scope);
        if (server != null) {
            // By the clock of this machine, with which that of a server for tests agrees to some minutes.
            assertThat(server)
                    .as("the time of the server")
                    .isBetween(Instant.now().minusSeconds(600), Instant.now().plusSeconds(600));
        }
    }

    // R2 Store and get

    @Test
    final void R2_1_storingAgainReplacesAllButTheTimeOfCreation() {
        assertThat(tokens.storeToken(token("t", "s", HOUR), "a", Map.of("k", 1)))
                .isEqualTo(StoreOutcome.STORED);
        clock.advance(Duration.ofMinutes(1));
        Token later = token("t", "s", HOUR);
        assertThat(tokens.storeToken(later, "b")).isEqualTo(StoreOutcome.STORED);
        assertThat(inspected("t"))
                .isEqualTo(new TokenRecord(
                        "t", "s", "b", later.issuedAt(), later.expiresAt(), null, START, clock.instant(), null));
        // Also an earlier expiry is taken over: only a revocation's is not to be shortened.
        tokens.storeToken(token("t", "s", Duration.ofMinutes(1)), "b");
        assertThat(inspected("t").expiresAt()).isEqualTo(clock.instant().plusSeconds(60));
        // And an expired record is no obstacle.
        clock.advance(Duration.ofSeconds(90));
        assertThat(tokens.storeToken(token("t", "s", HOUR), "c")).isEqualTo(StoreOutcome.STORED);
        assertThat(tokens.getToken("t", "c")).isPresent();
    }

    @Test
    final void R2_1_concurrentStoresOfOneKeyLeaveOneOfThemWhole() {
        Race.run(
                Math.min(races(), 1000),
                round -> {},
                (round, racer) -> tokens.storeToken(
                        token("t" + round, "s", HOUR.plusMinutes(racer)), "p" + racer, Map.of("racer", racer)),
                (round, answers) -> {
                    assertThat(answers).containsOnly(StoreOutcome.STORED);
                    TokenRecord record = inspected("t" + round);
                    Integer racer = record.extraData() == null
                            ? null
                            : (Integer) record.extraData().get("racer");
                    assertThat(record.purpose()).isEqualTo("p" + racer);
                    assertThat(record.expiresAt()).isEqualTo(START.plus(HOUR.plusMinutes(racer == null ? -1 : racer)));
                });
    }

    @Test
    final void R2_2_storingNeverUndoesARevocation() {
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
                    .as(jti)
                    .isEqualTo(StoreOutcome.REVOKED);
            assertThat(inspected(jti)).as(jti).isEqualTo(before);
        }
    }

    @Test
    final void R2_2_aStoreRacingARevocationDoesNotUndoIt() {
        Race.run(
                Math.min(races(), 5000),
                round -> {},
                (round, racer) -> {
                    Token token = token("t" + round, "s", HOUR);
                    return racer == 0 ? tokens.revokeToken(token) : tokens.storeToken(token, "p" + racer);
                },
                (round, answers) -> {
                    assertThat(answers.get(0)).isEqualTo(RevokeOutcome.REVOKED);
                    assertThat(answers.subList(1, answers.size()))
                            .isSubsetOf(StoreOutcome.STORED, StoreOutcome.REVOKED);
                    assertThat(tokens.isRevoked("t" + round))
                            .as("round %d", round)
                            .isTrue();
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
            assertThatThrownBy(() -> tokens.storeToken(token(jti, "somebody else", HOUR), "other"))
                    .as(jti)
                    .isInstanceOf(SubjectMismatchException.class);
            assertThat(inspected(jti)).as(jti).isEqualTo(before);
        }
        assertThat(tokens.listTokens("somebody else")).isEmpty();
    }

    @Test
    final void R2_4_anExpiredTokenIsNotStored() {
        Token token = token("t", "s", HOUR);
        clock.advance(HOUR);
        assertThat(tokens.storeToken(token)).isEqualTo(StoreOutcome.EXPIRED);
        assertThat(tokens.inspect("t")).isEmpty();
    }

    @Test
    final void R2_5_getTokenAnswersLiveUnrevokedRecordsOnly() {
        Token token = token("t", "s", HOUR);
        tokens.storeToken(token, "link", Map.of("k", 1));
        TokenRecord record = inspected("t");
        assertThat(tokens.getToken("t")).contains(record);
        assertThat(tokens.getToken("t", "link")).contains(record);
        assertThat(tokens.getToken(token)).contains(record);
        assertThat(tokens.getToken(token, "link")).contains(record);
        assertThat(tokens.getToken("t", "other")).isEmpty();
        assertThat(tokens.getToken(token("t", "somebody else", HOUR))).isEmpty();
        assertThat(tokens.getToken("unknown")).isEmpty();
        tokens.revokeJti("t");
        assertThat(tokens.getToken("t")).isEmpty();
        assertThat(tokens.getToken(token, "link")).isEmpty();
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
            assertThat(inspected(jti).extraData()).isEqualTo(value);
        }
        tokens.storeToken(token("without", "s", HOUR), "link");
        assertThat(inspected("without").extraData()).isNull();
    }

    @Test
    final void R2_6_namesComeBackEqual() {
        int n = 0;
        for (String text : Samples.TEXTS) {
            String name = text + n++;
            String purpose = text.length() > 10 ? "p" : name;
            tokens.storeToken(token(name, name, HOUR), purpose);
            TokenRecord record = inspected(name);
            assertThat(record.jti()).isEqualTo(name);
            assertThat(record.subject()).isEqualTo(name);
            assertThat(record.purpose()).isEqualTo(purpose);
        }
    }

    @Test
    final void R2_7_inspectAnswersWhateverTheState() {
        tokens.storeToken(token("live", "s", HOUR));
        tokens.storeToken(token("revoked", "s", HOUR));
        tokens.revokeJti("revoked");
        tokens.storeToken(token("expired", "s", Duration.ofMinutes(1)));
        clock.advance(Duration.ofMinutes(1));
        assertThat(inspected("live").isRevoked()).isFalse();
        assertThat(inspected("revoked").isRevoked()).isTrue();
        assertThat(inspected("expired").isLive(clock.instant())).isFalse();
        assertThat(tokens.inspect("unknown")).isEmpty();
    }

    @Test
    final void R2_7_listTokensPagesThroughASubjectsLiveTokensBySoonestExpiry() {
        List<Integer> minutes =
                new ArrayList<>(IntStream.rangeClosed(1, 40).boxed().toList());
        Collections.shuffle(minutes, new java.util.Random(7));
        // Ten at the same time: the boundary between two pages must not lose or repeat one of them.
        minutes.addAll(Collections.nCopies(10, 20));
        Set<String> expected = new HashSet<>();
        for (int i = 0; i < minutes.size(); i++) {
            tokens.storeToken(token("t" + i, "s", Duration.ofMinutes(minutes.get(i))), "p", Map.of("n", i));
            expected.add("t" + i);
        }
        tokens.storeToken(token("other", "s2", HOUR));
        tokens.storeToken(token("revoked", "s", HOUR));
        tokens.revokeJti("revoked");
        List<TokenRecord> all = new ArrayList<>();
        List<TokenRecord> page = tokens.listTokens("s", 7);
        while (!page.isEmpty()) {
            assertThat(page).hasSizeLessThanOrEqualTo(7);
            all.addAll(page);
            page = tokens.listTokens("s", 7, page.get(page.size() - 1));
        }
        assertThat(all.stream().map(TokenRecord::jti).toList()).hasSize(50).hasSameElementsAs(expected);
        assertThat(all.stream().map(TokenRecord::expiresAt).toList()).isSorted();
        assertThat(all.get(0)).isEqualTo(inspected(all.get(0).jti()));
    }

    @Test
    final void R2_7_listTokensKnowsAnExpiryThatWasMoved() {
        for (int i = 0; i < 30; i++) {
            tokens.storeToken(token("t" + i, "s", HOUR.plusMinutes(i)));
        }
        // The last becomes the first, the first the last, and some change places.
        tokens.storeToken(token("t29", "s", Duration.ofMinutes(1)));
        tokens.storeToken(token("t0", "s", HOUR.multipliedBy(3)));
        tokens.storeToken(token("t20", "s", HOUR.plusSeconds(90)));
        tokens.storeToken(token("t5", "s", HOUR.plusSeconds(1230)));
        List<TokenRecord> all = new ArrayList<>();
        for (List<TokenRecord> page = tokens.listTokens("s", 4); !page.isEmpty(); ) {
            all.addAll(page);
            page = tokens.listTokens("s", 4, page.get(page.size() - 1));
        }
        assertThat(all).hasSize(30).doesNotHaveDuplicates();
        assertThat(all.stream().map(TokenRecord::expiresAt).toList()).isSorted();
        assertThat(all.get(0).jti()).isEqualTo("t29");
        assertThat(all.get(29).jti()).isEqualTo("t0");
        assertThat(tokens.revokeAllStoredForSubject("s")).isEqualTo(30);
    }

    // R3 Revoke

    @Test
    final void R3_1_aSecondRevocationIsToldSo() {
        tokens.storeToken(token("stored", "s", HOUR));
        for (String jti : List.of("stored", "unknown")) {
            assertThat(tokens.revokeToken(token(jti, "s", HOUR))).as(jti).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.revokeToken(token(jti, "s", HOUR))).as(jti).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
            assertThat(tokens.revokeJti(jti)).as(jti).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        }
    }

    @Test
    final void R3_1_ofConcurrentRevocationsOfAStoredTokenExactlyOneWins() {
        Race.run(
                Math.min(races(), 10_000),
                round -> tokens.storeToken(token("t" + round, "s", HOUR)),
                // Some of them extend the retention: that is not revoking.
                (round, racer) -> racer == 0
                        ? tokens.revokeJti("t" + round)
                        : tokens.revokeToken(token("t" + round, "s", HOUR.plusMinutes(racer))),
                (round, answers) -> assertOneRevoked(answers));
    }

    private static void assertOneRevoked(List<Object> answers) {
        assertThat(answers).isSubsetOf(RevokeOutcome.REVOKED, RevokeOutcome.ALREADY_REVOKED);
        assertThat(Collections.frequency(answers, RevokeOutcome.REVOKED)).isEqualTo(1);
    }

    /** Revokes in every way there is while others look: whoever saw a revocation acknowledged must see it ever after. */
    @Test
    final void R3_2_aRevocationIsNeverUndone() {
        // Many short histories: in a long one all are revoked soon, and there is nothing left to lose.
        for (int history = 0; history < Math.max(30, Math.min(races() / 500, 80)); history++) {
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
            RandomGenerator random = new java.util.SplittableRandom(31L * history.hashCode() + i);
            int key = random.nextInt(keys);
            Token token = all.get(key);
            switch (random.nextInt(16)) {
                case 0 -> {
                    tokens.revokeToken(token);
                    acknowledged.set(key, true);
                }
                case 1 -> {
                    tokens.revokeJti(token.jti());
                    acknowledged.set(key, true);
                }
                case 2 -> {
                    if (tokens.consume(token.jti(), "link") instanceof Consumed) {
                        acknowledged.set(key, true);
                    }
                }
                case 3 -> tokens.revokeAllStoredForSubject(token.subject());
                case 4 -> expunge();
                case 5 -> tokens.revokeSubject("nobody");
                default -> {
                    boolean before = Boolean.TRUE.equals(acknowledged.get(key));
                    boolean revoked = tokens.isRevoked(token.jti());
                    if (before && !revoked) {
                        lost.add(token.jti());
                    }
                }
            }
        });
        assertThat(lost).as("revoked, and later not revoked").isEmpty();
        for (int key = 0; key < keys; key++) {
            if (Boolean.TRUE.equals(acknowledged.get(key))) {
                assertThat(tokens.check(all.get(key))).isEqualTo(TokenStatus.REVOKED);
            }
        }
    }

    @Test
    final void R3_3_aLaterRevocationExtendsARetentionAndNeverShortensIt() {
        tokens.storeToken(token("stored", "s", HOUR));
        for (String jti : List.of("stored", "unknown")) {
            tokens.revokeToken(token(jti, "s", HOUR));
            Instant revokedAt = inspected(jti).revokedAt();
            tokens.revokeToken(token(jti, "s", Duration.ofMinutes(5)));
            assertThat(inspected(jti).expiresAt()).as(jti).isEqualTo(START.plus(HOUR));
            tokens.revokeToken(token(jti, "s", HOUR.multipliedBy(2)));
            assertThat(inspected(jti).expiresAt()).as(jti).isEqualTo(START.plus(HOUR.multipliedBy(2)));
            assertThat(inspected(jti).revokedAt()).as(jti).isEqualTo(revokedAt);
        }
    }

    @Test
    final void R3_3_ofConcurrentRevocationsTheLatestExpiryStands() {
        Race.run(
                Math.min(races(), 2000),
                round -> {},
                (round, racer) -> tokens.revokeToken(token("t" + round, "s", HOUR.plusMinutes(racer))),
                (round, answers) -> assertThat(inspected("t" + round).expiresAt())
                        .isEqualTo(START.plus(HOUR.plusMinutes(answers.size() - 1))));
    }

    @Test
    final void R3_4_revokingKeepsAStoredRecordAndInsertsAnUnknownOne() {
        Token token = token("stored", "s", HOUR);
        tokens.storeToken(token, "link", Map.of("k", 1));
        clock.advance(Duration.ofSeconds(5));
        Instant now = clock.instant();
        tokens.revokeToken(token);
        TokenRecord stored = inspected("stored");
        assertThat(stored)
                .isEqualTo(new TokenRecord(
                        "stored",
                        "s",
                        "link",
                        token.issuedAt(),
                        token.expiresAt(),
                        Map.of("k", 1),
                        START,
                        now,
                        stored.revokedAt()));
        assertThat(stored.isRevoked()).isTrue();
        Token unknown = token("unknown", "s", HOUR);
        tokens.revokeToken(unknown);
        TokenRecord inserted = inspected("unknown");
        assertThat(inserted)
                .isEqualTo(new TokenRecord(
                        "unknown",
                        "s",
                        "revocation",
                        unknown.issuedAt(),
                        unknown.expiresAt(),
                        null,
                        now,
                        now,
                        inserted.revokedAt()));
        assertThat(inserted.isRevoked()).isTrue();
    }

    @Test
    final void R3_5_revokingByJtiAloneKeepsTheStoredExpiryOrLastsForTheLongestLifetime() {
        tokens.storeToken(token("stored", "s", HOUR));
        assertThat(tokens.revokeJti("stored")).isEqualTo(RevokeOutcome.REVOKED);
        assertThat(inspected("stored").expiresAt()).isEqualTo(START.plus(HOUR));
        assertThat(tokens.revokeJti("unknown")).isEqualTo(RevokeOutcome.REVOKED);
        assertThat(inspected("unknown").expiresAt()).isEqualTo(START.plus(LONGEST));
        assertThat(inspected("unknown").subject()).isNull();
        // A second time by jti alone does not lengthen what is there.
        clock.advance(HOUR);
        tokens.revokeJti("unknown");
        assertThat(inspected("unknown").expiresAt()).isEqualTo(START.plus(LONGEST));
        try (TokenResource unlimited = builder(domain, store).build()) {
            unlimited.revokeJti("for ever");
            Instant lastDay = Instant.parse("9999-12-31T00:00:00Z");
            assertThat(inspected("for ever").expiresAt()).isEqualTo(lastDay);
            clock.set(lastDay.minusMillis(1));
            assertThat(tokens.inspect("for ever")).isPresent();
        }
    }

    @Test
    final void R3_6_isRevokedDoesNotLookAtExpiry() {
        Token token = token("t", "s", HOUR);
        tokens.storeToken(token);
        assertThat(tokens.isRevoked("t")).isFalse();
        assertThat(tokens.isRevoked("unknown")).isFalse();
        tokens.revokeToken(token);
        for (Duration after : List.of(Duration.ZERO, HOUR, HOUR.plus(SKEW).minusMillis(1))) {
            clock.set(START.plus(after));
            assertThat(tokens.isRevoked("t")).as("%s later", after).isTrue();
            assertThat(tokens.isRevoked(token)).as("%s later", after).isTrue();
        }
    }

    @Test
    final void R3_7_revokingPastTheRetentionEndStoresNothing() {
        for (int offset : BEFORE_AT_AFTER) {
            clock.set(START);
            Token token = token("t" + offset, "s", HOUR);
            clock.set(START.plus(HOUR).plus(SKEW).plusMillis(offset));
            assertThat(tokens.revokeToken(token))
                    .as("at %d ms", offset)
                    .isEqualTo(offset < 0 ? RevokeOutcome.REVOKED : RevokeOutcome.EXPIRED);
            if (offset >= 0) {
                assertThat(tokens.inspect(token.jti())).as("at %d ms", offset).isEmpty();
            }
        }
    }

    @Test
    final void R3_8_checkAnswersActiveRevokedExpiredOrUnknown() {
        try (TokenResource strict = requiringPresence()) {
            Token stored = token("stored", "s", HOUR);
            Token unknown = token("unknown", "s", HOUR);
            tokens.storeToken(stored, "session");
            assertThat(tokens.check(stored)).isEqualTo(TokenStatus.ACTIVE);
            assertThat(tokens.check(unknown)).isEqualTo(TokenStatus.ACTIVE);
            assertThat(strict.check(stored, "session")).isEqualTo(TokenStatus.ACTIVE);
            assertThat(strict.check(stored, "link")).isEqualTo(TokenStatus.UNKNOWN);
            assertThat(strict.check(token("stored", "somebody else", HOUR), "session"))
                    .isEqualTo(TokenStatus.UNKNOWN);
            assertThat(strict.check(unknown, "session")).isEqualTo(TokenStatus.UNKNOWN);
            tokens.storeToken(token("short", "s", Duration.ofMinutes(1)), "session");
            tokens.revokeToken(unknown);
            clock.advance(Duration.ofMinutes(2));
            assertThat(tokens.check(unknown)).isEqualTo(TokenStatus.REVOKED);
            // The token says that it lives, the record that it does not.
            assertThat(strict.check(token("short", "s", HOUR), "session")).isEqualTo(TokenStatus.UNKNOWN);
            clock.set(START.plus(HOUR));
            assertThat(tokens.check(stored)).isEqualTo(TokenStatus.EXPIRED);
            // A verifier with leeway still takes an expired token: that it is revoked matters more.
            assertThat(tokens.check(unknown)).isEqualTo(TokenStatus.REVOKED);
        }
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
        assertThat(tokens.isRevoked(asked)).isEqualTo(revoked);
        assertThat(tokens.isRevoked(Set.of())).isEmpty();
        assertThat(tokens.isRevoked(Set.of("t1"))).isEmpty();
        // Expiry does not matter here either.
        clock.set(START.plus(HOUR));
        assertThat(tokens.isRevoked(asked)).isEqualTo(revoked);
    }

    @Test
    final void R3_10_aRevocationInAnothersNameStillRevokes() {
        tokens.storeToken(token("t", "s", HOUR));
        assertThat(tokens.revokeToken(token("t", "somebody else", HOUR))).isEqualTo(RevokeOutcome.REVOKED);
        assertThat(tokens.isRevoked("t")).isTrue();
        assertThat(inspected("t").subject()).isEqualTo("s");
    }

    // R4 Subjects

    @Test
    final void R4_1_revokesEveryLiveTokenOfTheSubjectAndNoOther() {
        try (TokenResource small = builder(domain, store)
                .maxTokenLifetime(LONGEST)
                .expungeBatchSize(10)
                .build()) {
            for (int i = 0; i < 57; i++) {
                small.storeToken(token("t" + i, "s", HOUR.plusMillis(i)), "p" + i % 3, Map.of("n", i));
            }
            small.storeToken(token("other", "s2", HOUR));
            small.storeToken(token("revoked", "s", HOUR));
            small.revokeJti("revoked");
            small.storeToken(token("expired", "s", Duration.ofMinutes(1)));
            clock.advance(Duration.ofSeconds(90));
            assertThat(small.revokeAllStoredForSubject("s")).isEqualTo(57);
            for (int i = 0; i < 57; i++) {
                assertThat(inspected("t" + i).revokedAt()).isEqualTo(clock.instant());
            }
            assertThat(inspected("t5").extraData()).isEqualTo(Map.of("n", 5));
            assertThat(small.isRevoked("other")).isFalse();
            assertThat(small.revokeAllStoredForSubject("s")).isZero();
            assertThat(small.revokeAllStoredForSubject("nobody")).isZero();
        }
    }

    @Test
    final void R4_1_revokesWhatWasStoredBeforeAlsoUnderConcurrentStores() {
        Set<String> stored = java.util.concurrent.ConcurrentHashMap.newKeySet();
        var go = new AtomicBoolean(true);
        var next = new AtomicInteger();
        Runnable storing = () -> {
            while (go.get()) {
                // No further ahead than that: a slow revocation would never catch up.
                Race.awaitThat(() -> stored.size() < 200 || !go.get());
                String jti = "t" + next.incrementAndGet();
                tokens.storeToken(token(jti, "s", HOUR.plusMillis(jti.hashCode() % 1000)));
                stored.add(jti);
            }
        };
        Runnable revoking = () -> {
            try {
                for (int i = 1; i <= 10; i++) {
                    Race.awaitThat(() -> stored.size() >= 50);
                    List<String> before = List.copyOf(stored);
                    tokens.revokeAllStoredForSubject("s");
                    assertThat(before).allMatch(jti -> tokens.isRevoked(jti));
                    before.forEach(stored::remove);
                }
            } finally {
                go.set(false);
            }
        };
        Race.together(List.of(storing, storing, revoking));
    }

    /** A session that slides: its token is stored again, with the same expiry or another one, while all are revoked. */
    @Test
    final void R4_1_revokesWhatIsBeingStoredAgain() {
        int many = 200;
        for (int round = 0; round < 10; round++) {
            String subject = "s" + round;
            List<String> jtis =
                    IntStream.range(0, many).mapToObj(i -> subject + "-" + i).toList();
            jtis.forEach(jti -> tokens.storeToken(token(jti, subject, HOUR)));
            var go = new AtomicBoolean(true);
            var again = new AtomicInteger();
            Runnable storing = () -> {
                RandomGenerator random = new java.util.SplittableRandom(again.get());
                while (go.get()) {
                    Duration lifetime = HOUR.plusMinutes(random.nextInt(3) - 1);
                    tokens.storeToken(token(jtis.get(random.nextInt(many)), subject, lifetime));
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
            Race.together(List.of(storing, storing, revoking));
            // Counted by the call itself: whether they stay revoked is R2.2's affair.
            assertThat(revoked.get()).isGreaterThanOrEqualTo(many);
        }
    }

    /** A revocation that is under way when all are revoked is done when that returns, whoever does it. */
    @Test
    final void R4_1_whatAnotherIsRevokingIsRevokedWhenAllAre() {
        Race.run(
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
                    assertThat(answers.get(1)).as("round %d", round).isEqualTo(TokenStatus.REVOKED);
                    assertThat(answers.get(3)).as("round %d", round).isEqualTo(TokenStatus.REVOKED);
                });
    }

    /** Also for very many records, in batches that never hold more than the batch size. */
    @Test
    final void R4_1_veryManyAreRevokedInBoundedMemory() {
        int many = manyRecords();
        var counting = new CountingStore(store);
        try (TokenResource counted = resource(domain, counting)) {
            Race.share(8, many, i -> counted.storeToken(token("t" + i, "s", HOUR.plusMillis(i % 1000))));
            assertThat(counted.revokeAllStoredForSubject("s")).isEqualTo(many);
            assertThat(counting.batches()).isEqualTo(many / 1000 + 1);
            assertThat(counting.largest()).isLessThanOrEqualTo(1000);
            assertThat(counted.listTokens("s", 10)).isEmpty();
            assertThat(counted.isRevoked("t" + (many - 1))).isTrue();
        }
    }

    @Test
    final void R4_2_aWatermarkRevokesWhatWasIssuedAtOrBeforeIt() {
        Token stored = token("stored", "s", HOUR);
        tokens.storeToken(stored);
        Token unstored = token("unstored", "s", HOUR);
        Token others = token("others", "s2", HOUR);
        clock.advance(Duration.ofSeconds(10));
        assertThat(tokens.revokeSubject("s")).isEqualTo(clock.instant());
        clock.advance(Duration.ofSeconds(10));
        Token later = token("later", "s", HOUR);
        for (Token token : List.of(stored, unstored)) {
            assertThat(tokens.check(token)).isEqualTo(TokenStatus.REVOKED);
            assertThat(tokens.isRevoked(token)).isTrue();
        }
        assertThat(tokens.check(others)).isEqualTo(TokenStatus.ACTIVE);
        assertThat(tokens.check(later)).isEqualTo(TokenStatus.ACTIVE);
        assertThat(tokens.isRevoked(later)).isFalse();
    }

    @Test
    final void R4_2_theLatestWatermarkWinsAndIsKeptForTheLongestLifetime() {
        Instant first = START.plusSeconds(100);
        Instant end = START.plus(LONGEST).plus(SKEW);
        store.revokeSubject(scope, "s", first, end, START);
        // A node whose clock runs behind: neither the watermark nor its end goes back.
        store.revokeSubject(scope, "s", START, START.plus(HOUR), START);
        assertThat(store.state(scope, "none", "s", START).watermark()).isEqualTo(first);
        clock.set(end.minusMillis(1));
        expunge();
        assertThat(store.state(scope, "none", "s", clock.instant()).watermark()).isEqualTo(first);
        store.revokeSubject(scope, "s", end, end.plus(LONGEST), clock.instant());
        assertThat(store.state(scope, "none", "s", clock.instant()).watermark()).isEqualTo(end);
    }

    @Test
    final void R4_3_aTokenWithoutATimeOfIssueIsRevokedByAnyWatermark() {
        Token token = Token.of("t", "s", START.plus(LONGEST));
        assertThat(tokens.check(token)).isEqualTo(TokenStatus.ACTIVE);
        tokens.revokeSubject("s");
        clock.advance(HOUR);
        assertThat(tokens.check(token)).isEqualTo(TokenStatus.REVOKED);
        assertThat(tokens.check(Token.of("other", "s2", START.plus(LONGEST)))).isEqualTo(TokenStatus.ACTIVE);
    }

    @Test
    final void R4_4_inTheWatermarksOwnSecondTheRecordsTimeOfCreationDecides() {
        Instant expiry = START.plus(HOUR);
        clock.set(START.plusMillis(499));
        tokens.storeToken(Token.of("before", "s", START, expiry));
        clock.set(START.plusMillis(500));
        tokens.storeToken(Token.of("at", "s", START, expiry));
        tokens.revokeSubject("s");
        clock.set(START.plusMillis(501));
        tokens.storeToken(Token.of("after", "s", START, expiry));
        assertThat(tokens.check(Token.of("before", "s", START, expiry))).isEqualTo(TokenStatus.REVOKED);
        assertThat(tokens.check(Token.of("at", "s", START, expiry))).isEqualTo(TokenStatus.REVOKED);
        assertThat(tokens.check(Token.of("after", "s", START, expiry))).isEqualTo(TokenStatus.ACTIVE);
        assertThat(tokens.check(Token.of("unstored", "s", START, expiry))).isEqualTo(TokenStatus.REVOKED);
        // A time of issue that is finer than a second leaves no doubt where it is not after the watermark.
        Token fine = Token.of("fine", "s", START.plusMillis(300), expiry);
        tokens.storeToken(fine);
        assertThat(tokens.check(fine)).isEqualTo(TokenStatus.REVOKED);
        // Storing an old token late does not bring it back.
        clock.set(START.plusSeconds(10));
        tokens.storeToken(Token.of("unstored", "s", START, expiry));
        assertThat(tokens.check(Token.of("unstored", "s", START, expiry))).isEqualTo(TokenStatus.REVOKED);
    }

    // R5 Single use

    @Test
    final void R5_1_ofConcurrentConsumersExactlyOneGetsTheRecord() {
        var winners = new AtomicInteger();
        Race.run(
                races(),
                round -> tokens.storeToken(token("t" + round, "s" + round % 100, HOUR), "link"),
                (round, racer) -> tokens.consume("t" + round, "link"),
                (round, answers) -> {
                    List<Object> consumed =
                            answers.stream().filter(Consumed.class::isInstance).toList();
                    assertThat(consumed).as("winners of round %d", round).hasSize(1);
                    assertThat(Collections.frequency(answers, Refused.ALREADY_USED))
                            .isEqualTo(answers.size() - 1);
                    winners.incrementAndGet();
                });
        assertThat(winners).hasValue(races());
    }

    @Test
    final void R5_1_consumingIsRevoking() {
        tokens.storeToken(token("t", "s", HOUR), "link", Map.of("k", 1));
        TokenRecord stored = inspected("t");
        clock.advance(Duration.ofSeconds(1));
        assertThat(tokens.consume("t", "link"))
                .isEqualTo(new Consumed(stored.revoked(clock.instant(), stored.expiresAt())));
        assertThat(tokens.isRevoked("t")).isTrue();
        assertThat(tokens.consume("t", "link")).isEqualTo(Refused.ALREADY_USED);
        assertThat(tokens.listTokens("s")).isEmpty();
        // Also after its expiry it was used, and not just too late.
        clock.set(START.plus(HOUR));
        assertThat(tokens.consume("t", "link")).isEqualTo(Refused.ALREADY_USED);
    }

    @Test
    final void R5_1_consumingAndRevokingAtOnceHasOneWinner() {
        Race.run(
                Math.min(races(), 5000),
                round -> tokens.storeToken(token("t" + round, "s", HOUR), "link"),
                (round, racer) -> racer % 2 == 0
                        ? tokens.consume("t" + round, "link")
                        : tokens.revokeToken(token("t" + round, "s", HOUR)),
                (round, answers) -> assertThat(answers.stream()
                                .filter(a -> a instanceof Consumed || a == RevokeOutcome.REVOKED)
                                .toList())
                        .as("winners of round %d among %s", round, answers)
                        .hasSize(1));
    }

    @Test
    final void R5_2_anotherPurposeConsumesNothingAndLearnsNothing() {
        tokens.storeToken(token("t", "s", HOUR), "link");
        assertThat(tokens.consume("t", "reset")).isEqualTo(Refused.UNKNOWN);
        assertThat(tokens.isRevoked("t")).isFalse();
        assertThat(tokens.consume("t", "link")).isInstanceOf(Consumed.class);
        assertThat(tokens.consume("t", "reset")).isEqualTo(Refused.UNKNOWN);
        tokens.storeToken(token("short", "s", Duration.ofMinutes(1)), "link");
        clock.advance(Duration.ofSeconds(90));
        assertThat(tokens.consume("short", "reset")).isEqualTo(Refused.UNKNOWN);
        TokenResource tenant = tokens.forTenant("other");
        assertThat(tenant.consume("t", "link")).isEqualTo(Refused.UNKNOWN);
    }

    @Test
    final void R5_2_anotherSubjectConsumesNothingAndLearnsNothing() {
        Token token = token("t", "s", HOUR);
        Token forged = token("t", "somebody else", HOUR);
        tokens.storeConfirmationChanges(token, "confirm", Map.of("k", 1));
        assertThat(tokens.consume(forged, "confirm")).isEqualTo(Refused.UNKNOWN);
        assertThat(tokens.consumeConfirmationChanges(forged, "confirm")).isEmpty();
        assertThat(tokens.isRevoked("t")).isFalse();
        assertThat(tokens.consume(token, "confirm")).isInstanceOf(Consumed.class);
        assertThat(tokens.consume(forged, "confirm")).isEqualTo(Refused.UNKNOWN);
        assertThat(tokens.consume(token, "confirm")).isEqualTo(Refused.ALREADY_USED);
    }

    @Test
    final void R5_3_expiredAndUnknownAreToldApart() {
        tokens.storeToken(token("t", "s", Duration.ofMinutes(1)), "link");
        clock.advance(Duration.ofSeconds(90));
        assertThat(tokens.consume("t", "link")).isEqualTo(Refused.EXPIRED);
        assertThat(tokens.isRevoked("t")).isFalse();
        assertThat(tokens.consume("unknown", "link")).isEqualTo(Refused.UNKNOWN);
        assertThat(tokens.inspect("unknown")).isEmpty();
    }

    @Test
    final void R5_4_ofConcurrentRevocationsOfAnUnknownTokenExactlyOneWins() {
        Race.run(
                Math.min(races(), 10_000),
                round -> {},
                (round, racer) -> tokens.revokeToken(token("t" + round, "s", HOUR)),
                (round, answers) -> assertOneRevoked(answers));
    }

    // R6 Confirmation changes

    @Test
    final void R6_1_confirmationChangesAreKeptAndGivenOutOnce() {
        Token token = token("t", "s", HOUR);
        Map<String, Object> changes = Map.of("email", "new@example.com", "list", List.of(1, 2));
        assertThat(tokens.storeConfirmationChanges(token, "confirm", changes)).isEqualTo(StoreOutcome.STORED);
        assertThat(tokens.getConfirmationChanges(token, "confirm")).contains(new LinkedHashMap<>(changes));
        assertThat(tokens.getConfirmationChanges(token, "other")).isEmpty();
        assertThat(tokens.consumeConfirmationChanges(token, "confirm")).contains(new LinkedHashMap<>(changes));
        assertThat(tokens.consumeConfirmationChanges(token, "confirm")).isEmpty();
        assertThat(tokens.getConfirmationChanges(token, "confirm")).isEmpty();
        Token late = token("late", "s", Duration.ofMinutes(1));
        tokens.storeConfirmationChanges(late, "confirm", changes);
        clock.advance(Duration.ofSeconds(90));
        assertThat(tokens.getConfirmationChanges(late, "confirm")).isEmpty();
        assertThat(tokens.consumeConfirmationChanges(late, "confirm")).isEmpty();
    }

    // R7 Expunge: what holds for every store; more in the two kinds of contracts

    @Test
    final void R7_2_expungingLeavesWhatIsNotPastItsRetention() {
        tokens.storeToken(token("live", "s", HOUR), "link", Map.of("k", 1));
        tokens.revokeToken(token("revoked", "s", HOUR));
        tokens.storeToken(token("within the skew", "s", Duration.ofMinutes(1)));
        clock.advance(Duration.ofMinutes(1).plus(SKEW).minusMillis(1));
        expunge();
        assertThat(tokens.inspect("live")).isPresent();
        assertThat(tokens.inspect("revoked")).isPresent();
        assertThat(tokens.inspect("within the skew")).isPresent();
        assertThat(tokens.listTokens("s")).hasSize(1);
    }

    @Test
    final void R7_7_aStoreSaysByItsTypeWhetherItsServerExpiresRecords() {
        assertThat(store instanceof SelfExpiringTokenStore)
                .as("the store is a SelfExpiringTokenStore, and is tested by SelfExpiringStoreContract")
                .isEqualTo(this instanceof SelfExpiringStoreContract);
    }

    // R8 Failure

    @Test
    final void R8_6_aStoreMayBeClosedTwiceAndThenSaysSo() {
        store.close();
        store.close();
        Instant now = clock.instant();
        TokenRecord record = new TokenRecord("t", "s", "p", null, now.plus(HOUR), null, now, now, null);
        List<Runnable> verbs = List.of(
                () -> store.store(scope, record, now),
                () -> store.find(scope, "t", now),
                () -> store.isRevoked(scope, "t", now),
                () -> store.revoked(scope, Set.of("t"), now),
                () -> store.state(scope, "t", "s", now),
                () -> store.revoke(scope, record.revoked(now, now), now, now),
                () -> store.consume(scope, "t", null, "p", now),
                () -> store.revokeSubject(scope, "s", now, now.plus(HOUR), now),
                () -> store.revokeStored(scope, "s", 1, now),
                () -> store.list(scope, "s", null, 1, now),
                () -> store.readExpired(scope, null, 1, now),
                () -> store.expunge(scope, 1, now));
        for (int verb = 0; verb < verbs.size(); verb++) {
            assertThatThrownBy(verbs.get(verb)::run)
                    .as("verb %d", verb)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("closed");
        }
    }

    // R9 Input

    @Test
    final void R9_1_fieldsOfGreatestLengthAreKept() {
        // Four bytes a character, to meet a store that counts otherwise.
        String jti = "🔑".repeat(128);
        String subject = "🔑".repeat(256);
        String purpose = "🔑".repeat(16);
        int left = 64 - domain.length();
        String longDomain = domain + "🔑".repeat(left / 4) + "x".repeat(left % 4);
        Map<String, Object> extraData = Map.of("k", "x".repeat(65_536 - "{'k':''}".length()));
        Token token = token(jti, subject, HOUR);
        try (TokenResource root = resource(longDomain, store)) {
            TokenResource tenant = root.forTenant("🔑".repeat(32));
            assertThat(tenant.storeToken(token, purpose, extraData)).isEqualTo(StoreOutcome.STORED);
            assertThat(tenant.getToken(jti, purpose).orElseThrow().extraData()).isEqualTo(extraData);
            assertThat(tenant.listTokens(subject)).hasSize(1);
            tenant.revokeSubject(subject);
            assertThat(tenant.check(token)).isEqualTo(TokenStatus.REVOKED);
            assertThat(tenant.consume(jti, purpose)).isInstanceOf(Consumed.class);
        }
    }

    @Test
    final void R9_2_nothingShowsAJtiOrASubject() {
        tokens.storeToken(token("secret-jti", "secret-subject", HOUR), "link", Map.of("secret-key", "secret-value"));
        assertThat(inspected("secret-jti").toString()).doesNotContain("secret");
        assertThat(tokens.consume("secret-jti", "link").toString()).doesNotContain("secret");
        Throwable refused = catchThrowable(() -> tokens.storeToken(token("secret-jti", "secret-other", HOUR)));
        for (Throwable t = refused; t != null; t = t.getCause()) {
            assertThat(t.toString()).doesNotContain("secret-");
        }
        assertThat(store.toString()).doesNotContain("secret");
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
            assertThat(tokens.revokeAllStoredForSubject("subject " + b)).isZero();
            tokens.storeToken(token("for " + a, "x", HOUR), "p" + a);
            assertThat(tokens.consume("for " + a, "p" + b)).as("purpose").isEqualTo(Refused.UNKNOWN);
            // The next pair may hold the same texts.
            domain = RUN + DOMAINS.incrementAndGet();
            tokens = resource(domain, store);
            scope = new StoreScope(domain, "", SKEW, deadline());
        }
    }

    // R10 Isolation

    @Test
    final void R10_1_domainsAndTenantsNeverSeeEachOthersRecords() {
        String base = domain;
        List<List<String>> neighbours = new ArrayList<>();
        // Each is a pair of (domain, tenant) that a careless joining of names would confuse.
        for (String separator :
                List.of(":", "/", ".", "|", "_", "-", " ", "{", "}", "\\", "'", "\"", "`", ",", "\u001f")) {
            neighbours.add(List.of(base, "b" + separator + "c", base + separator + "b", "c"));
            neighbours.add(List.of(base, separator, base, separator + separator));
        }
        neighbours.add(List.of(base, "", base, "t"));
        neighbours.add(List.of(base, "t", base, "T"));
        neighbours.add(List.of(base, "*", base, "abc"));
        neighbours.add(List.of(base, "%", base, "abc"));
        neighbours.add(List.of(base, "_", base, "a"));
        neighbours.add(List.of(base, "?", base, "a"));
        neighbours.add(List.of(base, "[a]", base, "a"));
        neighbours.add(List.of(base, "null", base, ""));
        neighbours.add(List.of(base + "a", "", base + "A", ""));
        // Apart in the last byte only, where a database may have cut a name off.
        String longest = base + "x".repeat(63 - base.length());
        neighbours.add(List.of(longest + "a", "", longest + "b", ""));
        neighbours.add(List.of(base, "x".repeat(127) + "a", base, "x".repeat(127) + "b"));
        int n = 0;
        for (List<String> pair : neighbours) {
            // Two tenants of one domain stay as they are; the jti and subject are new for every pair.
            assertApart(pair.get(0), pair.get(1), pair.get(2), pair.get(3), n++);
            assertApart(pair.get(2), pair.get(3), pair.get(0), pair.get(1), n++);
        }
    }

    private void assertApart(String domainA, String tenantA, String domainB, String tenantB, int n) {
        try (TokenResource rootA = resource(domainA, store);
                TokenResource rootB = resource(domainB, store)) {
            TokenResource a = rootA.forTenant(tenantA);
            TokenResource b = rootB.forTenant(tenantB);
            String as = "(%s, %s) seen from (%s, %s)".formatted(domainA, tenantA, domainB, tenantB);
            String jti = "j" + n;
            String subject = "s" + n;
            Token token = token(jti, subject, HOUR);
            a.storeToken(token, "link");
            assertThat(b.inspect(jti)).as(as).isEmpty();
            assertThat(b.listTokens(subject)).as(as).isEmpty();
            assertThat(b.consume(jti, "link")).as(as).isEqualTo(Refused.UNKNOWN);
            assertThat(b.revokeAllStoredForSubject(subject)).as(as).isZero();
            b.revokeSubject(subject);
            assertThat(a.check(token)).as(as).isEqualTo(TokenStatus.ACTIVE);
            assertThat(b.revokeToken(token)).as(as).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(a.isRevoked(jti)).as(as).isFalse();
            assertThat(a.isRevoked(Set.of(jti))).as(as).isEmpty();
            assertThat(a.getToken(jti)).as(as).isPresent();
            a.storeToken(token("e" + n, subject, Duration.ofMillis(1)));
            Instant before = clock.instant();
            clock.advance(Duration.ofMillis(1).plus(SKEW));
            assertThat(b.readExpired(1000).stream().map(TokenRecord::jti))
                    .as(as)
                    .doesNotContain("e" + n);
            clock.set(before);
        }
    }

    // All rules at once

    /** Random histories answer as the model does; a divergence names the rule that it breaks, and the seed. */
    @Test
    final void everyRule_randomHistoriesAnswerAsTheModelDoes() {
        long seed = seed();
        int left = modelSteps();
        for (int history = 0; left > 0; history++) {
            int steps = Math.min(left, 500);
            left -= steps;
            String ofHistory = domain + "-" + history;
            store.prepare(new StoreScope(ofHistory, "", SKEW, deadline()));
            new ModelRun(this, ofHistory, seed + history).run(steps);
        }
    }
}
