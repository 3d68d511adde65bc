package dev.curfew.tck;

import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.MINUTES;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.CurfewException;
import dev.curfew.Expunger;
import dev.curfew.ExtraData;
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
import dev.curfew.TokenStoreException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * What every store must keep of CONTRACT.md. Extend {@link ExpungingStoreContract} or
 * {@link SelfExpiringStoreContract}, not this class.
 *
 * <p>No test sleeps, and none asks a clock: time is an argument, and begins in the year 2100, so that a server that
 * expires records by its own clock leaves them alone; the rules of time are also run in the year 1999. Every test works
 * in a domain of its own, with two store objects on the same records. One line is printed for each group of rules.
 *
 * <p>How much the larger tests do is set by the methods below or, for a run, by the system properties that they read.
 */
@Timeout(value = 10, unit = MINUTES)
@SuppressWarnings("exports") // JUnit alone uses KitProgress
@ExtendWith(KitProgress.class)
@TestMethodOrder(KitProgress.class)
public abstract class TokenStoreContract {
    private static final Instant FUTURE = Instant.parse("2100-01-01T00:00:00Z");
    private static final Instant PAST = Instant.parse("1999-01-01T00:00:00Z");
    static final Duration SKEW = Duration.ofSeconds(60);
    static final Duration HOUR = Duration.ofHours(1);
    static final Duration LONGEST = Duration.ofDays(30);
    /** So much longer a watermark is kept than any token lives. */
    static final Duration LONGEST_SKEW = Duration.ofDays(1);

    private static final AtomicInteger DOMAINS = new AtomicInteger();
    // A server may still have the records of another run.
    private static final String RUN =
            "kit-" + Integer.toHexString(RandomGenerator.getDefault().nextInt()) + "-";
    private static final List<Integer> BEFORE_AT_AFTER = List.of(-1, 0, 1);

    /** Time, for the store and the resource; starts at {@code 2100-01-01T00:00:00Z}. */
    protected final ManualClock clock = new ManualClock(FUTURE);

    TokenStore store;
    /** Another object on the same records, or {@link #store} itself. */
    TokenStore another;

    String domain;
    StoreScope scope;
    TokenResource tokens;
    /** The same domain, on {@link #another}. */
    TokenResource others;
    /** When the test's time began. */
    Instant start = FUTURE;

    private Expunger idle;

    /** For the kit's two kinds of stores. */
    TokenStoreContract() {}

    /** A store of the kind under test, for one test; the kit closes it. Other domains may hold records. */
    protected abstract TokenStore newStore();

    /**
     * A second store object on the records of the one that {@link #newStore} has just made, as a second node would have:
     * with a client or a connection pool of its own. The kit closes it. A store in the memory of one process, which no
     * second node can reach, answers the same object again.
     */
    protected abstract TokenStore anotherStore();

    /**
     * The URL by which the store's {@link dev.curfew.TokenStoreProvider} opens it, or {@code null}, the default, where
     * it has none. With a URL the kit also tries a store that was opened by it, and what is left when it is closed
     * (R8.6), and whether a parameter that nobody knows is refused (R11.5). It uses the kit's domains.
     */
    protected @Nullable String url() {
        return null;
    }

    /**
     * How many connections the server has at this moment, of stores that were opened by their URL or of all stores; -1,
     * the default, where it cannot be asked.
     */
    protected int connections() {
        return -1;
    }

    /**
     * Keeps the server from answering what is asked of a domain, and returns an action that lets it answer again;
     * {@code null}, the default, where there is no server or it cannot be blocked. With it the kit tries deadlines (R8.3),
     * and looks for a jti or a subject in the exceptions (R9.2). A lock on all records does it, as does a server process
     * that is stopped (SIGSTOP).
     */
    protected @Nullable Runnable blockServer(String ofDomain) {
        return null;
    }

    /**
     * Why this store must not be given times in the past, or {@code null}, the default, where it can. The kit runs the
     * rules of time in the year 2100 and in the year 1999, to meet a store that asks a clock of its own, or its server's.
     * The only good reason to leave the past out is a server that removes records by absolute time, by itself, and would
     * remove those at once. The kit prints it.
     */
    protected @Nullable String noPastBecause() {
        return null;
    }

    /**
     * Why jtis beyond U+FFFF are left out of the tests of order, or {@code null}, the default, where they are not. The only
     * good reason is a stand-in for a server, which sorts text as Java does, where the server sorts bytes. The kit prints
     * it.
     */
    protected @Nullable String noOrderBeyondFfffBecause() {
        return null;
    }

    /**
     * Why a node with a larger skew cannot open after one with a smaller skew, or {@code null}, the default, where it can.
     * The only good reason is a stand-in for a server, which cannot change what it was set up with. The kit prints it.
     */
    protected @Nullable String noRaisedSkewBecause() {
        return null;
    }

    /** In words. */
    final List<String> leftOut() {
        List<String> leftOut = new ArrayList<>();
        if (noPastBecause() != null) {
            leftOut.add("the year 1999 was left out, because " + noPastBecause());
        }
        if (noOrderBeyondFfffBecause() != null) {
            leftOut.add("the order of jtis beyond U+FFFF was left out, because " + noOrderBeyondFfffBecause());
        }
        if (noRaisedSkewBecause() != null) {
            leftOut.add("a skew that is raised later was left out, because " + noRaisedSkewBecause());
        }
        return leftOut;
    }

    final List<String> jtisByBytes() {
        return Samples.BY_BYTES.stream()
                .filter(jti ->
                        noOrderBeyondFfffBecause() == null || jti.chars().noneMatch(c -> c >= 0xd800 && c < 0xe000))
                .toList();
    }

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
        idle = Expunger.manual();
        store = newStore();
        another = anotherStore();
        beginAt(FUTURE);
    }

    @AfterEach
    final void closeStore() {
        idle.close();
        // What could not be opened has failed the test already.
        Stream.of(tokens, others).filter(Objects::nonNull).forEach(TokenResource::close);
        Stream.of(another, store).filter(Objects::nonNull).forEach(TokenStore::close);
    }

    /** Goes on in another domain, where nothing is stored. */
    private void beginAt(Instant time) {
        if (tokens != null) {
            tokens.close();
            others.close();
        }
        start = time;
        clock.set(time);
        domain = RUN + DOMAINS.incrementAndGet();
        scope = new StoreScope(domain, "", SKEW, deadline());
        tokens = resource(domain, store);
        others = resource(domain, another);
    }

    /** The resource of a racer's node: every other one is on the other store object. */
    final TokenResource node(int racer) {
        return racer % 2 == 0 ? tokens : others;
    }

    /**
     * Runs a test in the year 1999, and then in the year 2100. What holds in one of them alone shows a clock in the store
     * (R1.2).
     */
    final void inEachEra(Runnable test) {
        Throwable inThePast = null;
        if (noPastBecause() == null) {
            start = PAST;
            clock.set(PAST);
            inThePast = failure(test);
            beginAt(FUTURE);
        }
        Throwable inTheFuture = failure(test);
        if (inThePast != null && inTheFuture == null) {
            throw new RuleViolation(
                    "R1.2",
                    "This holds in the year 2100, and does not in the year 1999: somebody asks a clock instead of taking"
                            + " the time from now. In 1999: " + inThePast.getMessage(),
                    inThePast);
        } else if (inTheFuture instanceof AssertionError error) {
            throw error;
        } else if (inTheFuture instanceof RuntimeException exception) {
            throw exception;
        }
    }

    private static @Nullable Throwable failure(Runnable test) {
        try {
            test.run();
            return null;
        } catch (AssertionError | RuntimeException e) {
            return e;
        }
    }

    final TokenResource resource(String ofDomain, TokenStore onStore) {
        return builder(ofDomain, onStore).maxTokenLifetime(LONGEST).build();
    }

    final TokenResource.Builder builder(String ofDomain, TokenStore onStore) {
        return settings(ofDomain).store(onStore);
    }

    private TokenResource.Builder settings(String ofDomain) {
        return TokenResource.builder()
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
        inEachEra(() -> {
            tokens.storeToken(token("t", "s", HOUR));
            for (int offset : BEFORE_AT_AFTER) {
                clock.set(start.plus(HOUR).plusMillis(offset));
                assertThat(tokens.getToken("t").isPresent())
                        .as("getToken at %d ms", offset)
                        .isEqualTo(offset < 0);
            }
        });
    }

    @Test
    final void R1_1_checkKnowsTheMillisecondOfExpiry() {
        inEachEra(() -> {
            Token token = token("t", "s", HOUR);
            tokens.storeToken(token);
            for (int offset : BEFORE_AT_AFTER) {
                clock.set(start.plus(HOUR).plusMillis(offset));
                assertThat(tokens.check(token))
                        .as("check at %d ms", offset)
                        .isEqualTo(offset < 0 ? TokenStatus.ACTIVE : TokenStatus.EXPIRED);
            }
        });
    }

    @Test
    final void R1_1_consumeKnowsTheMillisecondOfExpiry() {
        inEachEra(() -> {
            for (int offset : BEFORE_AT_AFTER) {
                clock.set(start);
                String jti = "t" + offset;
                tokens.storeToken(token(jti, "s", HOUR), "link");
                clock.set(start.plus(HOUR).plusMillis(offset));
                assertThat(tokens.consume(jti, "link") instanceof Consumed)
                        .as("consume at %d ms", offset)
                        .isEqualTo(offset < 0);
            }
        });
    }

    @Test
    final void R1_1_listTokensKnowsTheMillisecondOfExpiry() {
        inEachEra(() -> {
            tokens.storeToken(token("t", "s", HOUR));
            for (int offset : BEFORE_AT_AFTER) {
                clock.set(start.plus(HOUR).plusMillis(offset));
                assertThat(tokens.listTokens("s"))
                        .as("listTokens at %d ms", offset)
                        .hasSize(offset < 0 ? 1 : 0);
            }
        });
    }

    @Test
    final void R1_1_revokeAllStoredKnowsTheMillisecondOfExpiry() {
        inEachEra(() -> {
            for (int offset : BEFORE_AT_AFTER) {
                clock.set(start);
                String subject = "s" + offset;
                tokens.storeToken(token("t" + offset, subject, HOUR));
                clock.set(start.plus(HOUR).plusMillis(offset));
                assertThat(tokens.revokeAllStoredForSubject(subject))
                        .as("revokeAllStoredForSubject at %d ms", offset)
                        .isEqualTo(offset < 0 ? 1 : 0);
            }
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
                assertThat(inspected(jti).expiresAt())
                        .as("expiresAt of a revocation, %s", jti)
                        .isEqualTo(start.plus(lifetime));
            }
        }
        tokens.revokeJti("by jti", start.plus(HOUR).plusMillis(1999));
        assertThat(inspected("by jti").expiresAt())
                .as("expiresAt of a revocation by jti")
                .isEqualTo(start.plus(HOUR).plusMillis(1999));
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
            // A node whose clock runs behind asks next.
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
        Token ofAll = token("of all", "all", HOUR.multipliedBy(5));
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
                .as("consume of what was used before")
                .isEqualTo(Refused.ALREADY_USED);
        assertThat(tokens.revokeToken(after))
                .as("revokeToken of a stored token")
                .isEqualTo(RevokeOutcome.REVOKED);
        Token unknown = token("unknown", "s", HOUR);
        assertThat(tokens.revokeToken(unknown))
                .as("revokeToken of an unknown token")
                .isEqualTo(RevokeOutcome.REVOKED);
        for (Token token : List.of(before, used, during, after, unknown)) {
            assertThat(tokens.check(token)).as("check of %s", token.jti()).isEqualTo(TokenStatus.REVOKED);
            assertThat(tokens.isRevoked(token.jti()))
                    .as("isRevoked of %s", token.jti())
                    .isTrue();
            assertThat(tokens.revokeToken(token))
                    .as("revokeToken of %s", token.jti())
                    .isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        }
        assertThat(tokens.check(ofAll))
                .as("check of a token whose subject was revoked meanwhile")
                .isEqualTo(TokenStatus.REVOKED);
        // And so it stays, by the clock that is right now.
        clock.set(start.plus(HOUR).minusMillis(1));
        expunge();
        for (Token token : List.of(before, used, during, after, unknown)) {
            assertThat(tokens.isRevoked(token.jti()))
                    .as("isRevoked of %s later", token.jti())
                    .isTrue();
        }
        assertThat(tokens.check(ofAll))
                .as("check of a token whose subject was revoked meanwhile")
                .isEqualTo(TokenStatus.REVOKED);
    }

    @Test
    final void R7_8_theServersTimeIsTheTimeOfItsClock() {
        Instant server = store.serverTime(scope);
        if (server != null) {
            // The only clock that a test asks: that of a server for tests agrees with it to some minutes.
            Instant here = InstantSource.system().instant();
            assertThat(server).as("the time of the server").isBetween(here.minusSeconds(600), here.plusSeconds(600));
        }
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

    final TokenResource skewed(Duration skew, TokenStore onStore) {
        return builder(domain + "-skew", onStore)
                .clockSkew(skew)
                .maxTokenLifetime(LONGEST)
                .build();
    }

    // R2 Store and get

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
                            "t", "s", "b", later.issuedAt(), later.expiresAt(), null, start, clock.instant(), null));
            // Also an earlier expiry is taken over: only a revocation's is not to be shortened.
            tokens.storeToken(token("t", "s", Duration.ofMinutes(1)), "b");
            assertThat(inspected("t").expiresAt())
                    .as("expiresAt")
                    .isEqualTo(clock.instant().plusSeconds(60));
            // And an expired record is no obstacle.
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
    final void R2_1_theTimeOfCreationStaysAlsoOfAnExpiredRecord() {
        tokens.storeToken(token("t", "s", Duration.ofMinutes(1)), "link");
        clock.advance(Duration.ofSeconds(90));
        tokens.storeToken(token("t", "s", HOUR), "link");
        assertThat(inspected("t").createdAt()).as("createdAt").isEqualTo(start);
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
            Records.assertEqual(
                    "that getToken(jti) answers", tokens.getToken("t").orElseThrow(), record);
            Records.assertEqual(
                    "that getToken(jti, purpose) answers",
                    tokens.getToken("t", "link").orElseThrow(),
                    record);
            Records.assertEqual(
                    "that getToken(token) answers", tokens.getToken(token).orElseThrow(), record);
            Records.assertEqual(
                    "that getToken(token, purpose) answers",
                    tokens.getToken(token, "link").orElseThrow(),
                    record);
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
                assertThat(page).as("a page of listTokens").hasSizeLessThanOrEqualTo(7);
                all.addAll(page);
                page = tokens.listTokens("s", 7, page.get(page.size() - 1));
            }
            assertThat(all.stream().map(TokenRecord::jti).toList())
                    .as("the jti of all pages")
                    .hasSize(50)
                    .hasSameElementsAs(expected);
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
        assertThat(all).as("all pages of listTokens").hasSize(30).doesNotHaveDuplicates();
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
    final void R2_7_aPageIsFullWhileThereIsMore() {
        inEachEra(() -> {
            // What is not to be listed lies between: it must not take the place of what is.
            for (int i = 0; i < 60; i++) {
                tokens.storeToken(token("t" + i, i % 5 == 0 ? "s2" : "s", HOUR.plusSeconds(i / 4)));
                if (i % 5 == 1 || i / 10 == 2) {
                    tokens.revokeJti("t" + i);
                }
            }
            tokens.storeToken(token("expired", "s", Duration.ofMillis(1)));
            clock.advance(Duration.ofSeconds(1));
            assertFullPages(
                    "listTokens",
                    60 - 12 - 12 - 6,
                    7,
                    after -> after == null ? tokens.listTokens("s", 7) : tokens.listTokens("s", 7, after));
        });
    }

    @Test
    final void R2_7_thoseThatExpireAtOnceAreOrderedByTheBytesOfTheirJti() {
        List<String> ordered = jtisByBytes();
        for (String jti : shuffled(ordered)) {
            tokens.storeToken(token(jti, "s", HOUR));
        }
        assertThat(tokens.listTokens("s").stream().map(TokenRecord::jti))
                .as("the order of listTokens, where all expire at once")
                .containsExactlyElementsOf(ordered);
        assertThat(assertFullPages(
                                "listTokens",
                                ordered.size(),
                                2,
                                after -> after == null ? tokens.listTokens("s", 2) : tokens.listTokens("s", 2, after))
                        .stream()
                        .map(TokenRecord::jti))
                .as("the order of listTokens by pages, where all expire at once")
                .containsExactlyElementsOf(ordered);
    }

    /** Reads all pages of so many records, each of which must be full while there is more, and answers the records. */
    static List<TokenRecord> assertFullPages(
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
        Collections.shuffle(shuffled, new java.util.Random(7));
        return shuffled;
    }

    // R3 Revoke

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
                // Some of them extend the retention: that is not revoking.
                (round, racer) -> racer == 0
                        ? tokens.revokeJti("t" + round)
                        : node(racer).revokeToken(token("t" + round, "s", HOUR.plusMinutes(racer))),
                (round, answers) -> assertOneRevoked(answers));
    }

    private static void assertOneRevoked(List<Object> answers) {
        assertThat(answers).as("answers").isSubsetOf(RevokeOutcome.REVOKED, RevokeOutcome.ALREADY_REVOKED);
        assertThat(Collections.frequency(answers, RevokeOutcome.REVOKED))
                .as("how many got REVOKED")
                .isEqualTo(1);
    }

    /** Revokes in every way there is while others look: whoever saw a revocation acknowledged must see it ever after. */
    @Test
    final void R3_2_aRevocationIsNeverUndone() {
        // Many short histories: in a long one all are revoked soon, and there is nothing left to lose.
        int histories = Math.max(Math.min(races() / 10, 30), Math.min(races() / 500, 80));
        for (int history = 0; history < histories; history++) {
            assertNothingIsUndone("h" + history + "-", 64, 500);
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
                    .as("isRevoked of what the other store object revoked")
                    .containsExactlyInAnyOrder("t", "unknown");
            assertThat(node.isRevoked("t")).as("isRevoked").isTrue();
            assertThat(node.isRevoked("unknown")).as("isRevoked").isTrue();
            assertThat(node.check(token)).as("check").isEqualTo(TokenStatus.REVOKED);
            assertThat(node.getToken("t")).as("getToken").isEmpty();
            assertThat(node.listTokens("s")).as("listTokens").isEmpty();
        }
        Token fresh = token("fresh", "s", HOUR);
        assertThat(tokens.check(fresh)).as("check").isEqualTo(TokenStatus.ACTIVE);
        others.revokeSubject("s");
        assertThat(tokens.check(fresh))
                .as("check, after the other store object revoked the subject")
                .isEqualTo(TokenStatus.REVOKED);
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
            RandomGenerator random = new java.util.SplittableRandom(31L * history.hashCode() + i);
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
    final void R3_3_aLaterRevocationExtendsARetentionAndNeverShortensIt() {
        inEachEra(() -> {
            tokens.storeToken(token("stored", "s", HOUR));
            for (String jti : List.of("stored", "unknown")) {
                clock.set(start);
                tokens.revokeToken(token(jti, "s", HOUR));
                clock.advance(Duration.ofSeconds(1));
                tokens.revokeToken(token(jti, "s", Duration.ofMinutes(5)));
                assertThat(inspected(jti).expiresAt()).as("expiresAt, %s", jti).isEqualTo(start.plus(HOUR));
                tokens.revokeToken(token(jti, "s", HOUR.multipliedBy(2)));
                assertThat(inspected(jti).expiresAt())
                        .as("expiresAt, %s", jti)
                        .isEqualTo(start.plus(HOUR.multipliedBy(2)).plusSeconds(1));
            }
        });
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
    final void R3_3_ofConcurrentRevocationsTheLatestExpiryStands() {
        Race.run(
                "revokeToken with one expiry for each racer",
                Math.min(races(), 2000),
                round -> {},
                (round, racer) -> node(racer).revokeToken(token("t" + round, "s", HOUR.plusMinutes(racer))),
                (round, answers) -> assertThat(inspected("t" + round).expiresAt())
                        .as("expiresAt")
                        .isEqualTo(start.plus(HOUR.plusMinutes(answers.size() - 1))));
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
                        stored.revokedAt()));
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
                        inserted.revokedAt()));
        assertThat(inserted.isRevoked()).as("isRevoked of the record").isTrue();
    }

    @Test
    final void R3_5_aRevocationByJtiAloneReachesTheLongestLifetime() {
        tokens.storeToken(token("stored", "s", HOUR));
        // Somebody else may have planted a revocation that ends soon.
        tokens.revokeToken(token("planted", "nobody", Duration.ofMinutes(5)));
        for (String jti : List.of("stored", "planted", "unknown")) {
            tokens.revokeJti(jti);
        }
        for (String jti : List.of("stored", "planted", "unknown")) {
            assertThat(inspected(jti).expiresAt()).as("expiresAt, %s", jti).isEqualTo(start.plus(LONGEST));
        }
        assertThat(inspected("unknown").subject()).as("subject").isNull();
        tokens.storeToken(token("lives longer", "s", LONGEST.plus(HOUR)));
        tokens.revokeJti("lives longer");
        assertThat(inspected("lives longer").expiresAt())
                .as("expiresAt, lives longer")
                .isEqualTo(start.plus(LONGEST).plus(HOUR));
    }

    @Test
    final void R3_5_withoutALongestLifetimeAStoredExpiryStands() {
        try (TokenResource unlimited = builder(domain, store).build()) {
            unlimited.storeToken(token("stored", "s", HOUR));
            unlimited.revokeToken(token("revoked", "s", HOUR));
            for (String jti : List.of("stored", "revoked")) {
                unlimited.revokeJti(jti);
                assertThat(inspected(jti).expiresAt()).as("expiresAt, %s", jti).isEqualTo(start.plus(HOUR));
            }
            unlimited.revokeJti("for ever");
            Instant lastDay = Instant.parse("9999-12-31T00:00:00Z");
            assertThat(inspected("for ever").expiresAt()).as("expiresAt").isEqualTo(lastDay);
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
            for (int offset : BEFORE_AT_AFTER) {
                clock.set(start);
                Token token = token("t" + offset, "s", HOUR);
                clock.set(start.plus(HOUR).plus(SKEW).plusMillis(offset));
                assertThat(tokens.revokeToken(token))
                        .as("revokeToken at %d ms", offset)
                        .isEqualTo(offset < 0 ? RevokeOutcome.REVOKED : RevokeOutcome.EXPIRED);
                if (offset >= 0) {
                    assertThat(tokens.inspect(token.jti()))
                            .as("inspect at %d ms", offset)
                            .isEmpty();
                }
            }
        });
    }

    @Test
    final void R3_8_checkAnswersActiveRevokedExpiredOrUnknown() {
        inEachEra(() -> {
            try (TokenResource strict = requiringPresence()) {
                Token stored = token("stored", "s", HOUR);
                Token unknown = token("unknown", "s", HOUR);
                tokens.storeToken(stored, "session");
                assertThat(tokens.check(stored)).as("check").isEqualTo(TokenStatus.ACTIVE);
                assertThat(tokens.check(unknown)).as("check").isEqualTo(TokenStatus.ACTIVE);
                assertThat(strict.check(stored, "session")).as("check").isEqualTo(TokenStatus.ACTIVE);
                assertThat(strict.check(stored, "link")).as("check").isEqualTo(TokenStatus.UNKNOWN);
                assertThat(strict.check(token("stored", "somebody else", HOUR), "session"))
                        .as("check")
                        .isEqualTo(TokenStatus.UNKNOWN);
                assertThat(strict.check(unknown, "session")).as("check").isEqualTo(TokenStatus.UNKNOWN);
                tokens.storeToken(token("short", "s", Duration.ofMinutes(1)), "session");
                tokens.revokeToken(unknown);
                clock.advance(Duration.ofMinutes(2));
                assertThat(tokens.check(unknown)).as("check").isEqualTo(TokenStatus.REVOKED);
                // The token says that it lives, the record that it does not.
                assertThat(strict.check(token("short", "s", HOUR), "session"))
                        .as("check")
                        .isEqualTo(TokenStatus.UNKNOWN);
                clock.set(start.plus(HOUR));
                assertThat(tokens.check(stored)).as("check").isEqualTo(TokenStatus.EXPIRED);
                // A verifier with leeway still takes an expired token: that it is revoked matters more.
                assertThat(tokens.check(unknown)).as("check").isEqualTo(TokenStatus.REVOKED);
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
        assertThat(tokens.isRevoked(asked)).as("isRevoked").isEqualTo(revoked);
        assertThat(tokens.isRevoked(Set.of())).as("isRevoked").isEmpty();
        assertThat(tokens.isRevoked(Set.of("t1"))).as("isRevoked").isEmpty();
        // Expiry does not matter here either.
        clock.set(start.plus(HOUR));
        assertThat(tokens.isRevoked(asked)).as("isRevoked").isEqualTo(revoked);
    }

    @Test
    final void R3_9_bulkIsRevokedLooksAtEveryOneOfVeryMany() {
        List<String> asked =
                IntStream.rangeClosed(0, 10_000).mapToObj(i -> "t" + i).toList();
        // Beside every round number where somebody may have stopped.
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
            assertThat(inspected("mine").expiresAt())
                    .as("expiresAt")
                    .isEqualTo(start.plusSeconds(90).plus(LONGEST));
        });
    }

    // R4 Subjects

    @Test
    final void R4_1_revokesEveryLiveTokenOfTheSubjectAndNoOther() {
        inEachEra(() -> {
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
                assertThat(small.revokeAllStoredForSubject("s"))
                        .as("revokeAllStoredForSubject")
                        .isEqualTo(57);
                for (int i = 0; i < 57; i++) {
                    assertThat(inspected("t" + i).revokedAt()).as("revokedAt").isEqualTo(clock.instant());
                    assertThat(inspected("t" + i).updatedAt()).as("updatedAt").isEqualTo(clock.instant());
                    assertThat(inspected("t" + i).createdAt()).as("createdAt").isEqualTo(start);
                }
                assertThat(inspected("t5").extraData()).as("extraData").isEqualTo(Map.of("n", 5));
                assertThat(small.isRevoked("other")).as("isRevoked").isFalse();
                assertThat(small.revokeAllStoredForSubject("s"))
                        .as("revokeAllStoredForSubject")
                        .isZero();
                assertThat(small.revokeAllStoredForSubject("nobody"))
                        .as("revokeAllStoredForSubject")
                        .isZero();
            }
        });
    }

    @Test
    final void R4_1_revokesWhatWasStoredBeforeAlsoUnderConcurrentStores() {
        Set<String> stored = java.util.concurrent.ConcurrentHashMap.newKeySet();
        var go = new AtomicBoolean(true);
        var next = new AtomicInteger();
        IntFunction<Runnable> storing = node -> () -> {
            while (go.get()) {
                // No further ahead than that: a slow revocation would never catch up.
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
                RandomGenerator random = new java.util.SplittableRandom(again.get());
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
            // Counted by the call itself: whether they stay revoked is R2.2's affair.
            assertThat(revoked.get())
                    .as("how many revokeAllStoredForSubject revoked in round %d, while they were stored again", round)
                    .isGreaterThanOrEqualTo(many);
        }
    }

    /** Each token is revoked by one of them, and counted by that one alone. */
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

    /** A revocation that is under way when all are revoked is done when that returns, whoever does it. */
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
                    assertThat(answers.get(1))
                            .as("check after all were revoked, round %d", round)
                            .isEqualTo(TokenStatus.REVOKED);
                    assertThat(answers.get(3))
                            .as("check after all were revoked, round %d", round)
                            .isEqualTo(TokenStatus.REVOKED);
                });
    }

    /** Also for very many records, in batches that never hold more than the batch size. */
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
            assertThat(tokens.check(token)).as("check").isEqualTo(TokenStatus.REVOKED);
            assertThat(tokens.isRevoked(token)).as("isRevoked").isTrue();
        }
        assertThat(tokens.check(others)).as("check").isEqualTo(TokenStatus.ACTIVE);
        assertThat(tokens.check(later)).as("check").isEqualTo(TokenStatus.ACTIVE);
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
            assertThat(store.state(scope, "none", "s", start).watermark())
                    .as("the watermark")
                    .isEqualTo(first);
            clock.set(end.minusMillis(1));
            expunge();
            assertThat(store.state(scope, "none", "s", clock.instant()).watermark())
                    .as("the watermark")
                    .isEqualTo(first);
            store.revokeSubject(scope, "s", end, end.plus(LONGEST), clock.instant());
            assertThat(store.state(scope, "none", "s", clock.instant()).watermark())
                    .as("the watermark")
                    .isEqualTo(end);
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
            assertKept(first, end);
            // And a watermark of which there was nothing before.
            Instant endOfNew = start.plus(HOUR.multipliedBy(3)).plusMillis(999);
            store.revokeSubject(scope, "new", first, endOfNew, clock.instant());
            clock.set(endOfNew.minusMillis(1));
            expunge();
            assertThat(store.state(scope, "none", "new", clock.instant()).watermark())
                    .as("a watermark a millisecond before its end")
                    .isEqualTo(first);
        });
    }

    private void assertKept(Instant watermark, Instant end) {
        clock.set(end.minusMillis(1));
        expunge();
        assertThat(store.state(scope, "none", "s", clock.instant()).watermark())
                .as("the watermark a millisecond before the latest of its ends")
                .isEqualTo(watermark);
    }

    @Test
    final void R4_3_aTokenWithoutATimeOfIssueIsRevokedByAnyWatermark() {
        Token token = Token.withoutIssuedAt("t", "s", start.plus(LONGEST));
        assertThat(tokens.check(token)).as("check").isEqualTo(TokenStatus.ACTIVE);
        tokens.revokeSubject("s");
        clock.advance(HOUR);
        assertThat(tokens.check(token)).as("check").isEqualTo(TokenStatus.REVOKED);
        assertThat(tokens.check(Token.withoutIssuedAt("other", "s2", start.plus(LONGEST))))
                .as("check")
                .isEqualTo(TokenStatus.ACTIVE);
    }

    @Test
    final void R4_4_inTheWatermarksOwnSecondTheRecordsTimeOfIssueDecides() {
        Instant expiry = start.plus(HOUR);
        clock.set(start.plusMillis(400));
        tokens.storeToken(Token.of("stored before", "s", start, expiry));
        clock.set(start.plusMillis(500));
        tokens.revokeSubject("s");
        clock.set(start.plusMillis(501));
        // To the second, nobody knows: storing it now brings nothing back.
        tokens.storeToken(Token.of("stored after", "s", start, expiry));
        tokens.storeToken(Token.of("issued before", "s", start.plusMillis(500), expiry));
        tokens.storeToken(Token.of("issued after", "s", start.plusMillis(501), expiry));
        tokens.storeToken(Token.of("issued later", "s", start.plusMillis(1500), expiry));
        tokens.storeToken(Token.of("of another", "s2", start.plusMillis(501), expiry));
        for (String revoked :
                List.of("stored before", "stored after", "issued before", "issued later", "of another", "unstored")) {
            assertThat(tokens.check(Token.of(revoked, "s", start, expiry)))
                    .as("check of a token of that second, %s", revoked)
                    .isEqualTo(TokenStatus.REVOKED);
        }
        assertThat(tokens.check(Token.of("issued after", "s", start, expiry)))
                .as("check")
                .isEqualTo(TokenStatus.ACTIVE);
        // A token that tells its time of issue to the millisecond needs no record.
        for (int offset : BEFORE_AT_AFTER) {
            assertThat(tokens.check(Token.of("fine", "s", start.plusMillis(500 + offset), expiry)))
                    .as("check at %d ms", offset)
                    .isEqualTo(offset <= 0 ? TokenStatus.REVOKED : TokenStatus.ACTIVE);
        }
        clock.set(start.plusSeconds(10));
        tokens.storeToken(Token.of("unstored", "s", start, expiry));
        assertThat(tokens.check(Token.of("unstored", "s", start, expiry)))
                .as("check")
                .isEqualTo(TokenStatus.REVOKED);
        assertThat(tokens.check(Token.of("next second", "s", start.plusSeconds(1), expiry)))
                .as("check")
                .isEqualTo(TokenStatus.ACTIVE);
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

    /** However many records the watermark covers. */
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
            // Among and after the old ones.
            live.add("new" + i);
            tokens.storeToken(token("new" + i, "s", HOUR.minusSeconds(4).plusMillis(5L * i)));
        }
        List<String> listed = new ArrayList<>();
        List<TokenRecord> page = tokens.listTokens("s", 5);
        while (!page.isEmpty()) {
            assertThat(page).as("a page").hasSize(Math.min(5, live.size() - listed.size()));
            page.forEach(record -> listed.add(record.jti()));
            page = tokens.listTokens("s", 5, page.get(page.size() - 1));
        }
        assertThat(listed).as("listTokens").containsExactlyElementsOf(live);
    }

    // R5 Single use

    @Test
    final void R5_1_ofConcurrentConsumersExactlyOneGetsTheRecord() {
        var winners = new AtomicInteger();
        Race.run(
                "consume",
                races(),
                round -> tokens.storeToken(token("t" + round, "s" + round % 100, HOUR), "link"),
                (round, racer) -> node(racer).consume("t" + round, "link"),
                (round, answers) -> {
                    List<Object> consumed =
                            answers.stream().filter(Consumed.class::isInstance).toList();
                    assertThat(consumed).as("winners").hasSize(1);
                    assertThat(Collections.frequency(answers, Refused.ALREADY_USED))
                            .as("how many got ALREADY_USED")
                            .isEqualTo(answers.size() - 1);
                    winners.incrementAndGet();
                });
        assertThat(winners).as("rounds with one winner").hasValue(races());
    }

    @Test
    final void R5_1_consumingIsRevoking() {
        inEachEra(() -> {
            tokens.storeToken(token("t", "s", HOUR), "link", Map.of("k", 1));
            TokenRecord stored = inspected("t");
            clock.advance(Duration.ofSeconds(1));
            assertThat(tokens.consume("t", "link"))
                    .as("consume")
                    .isInstanceOfSatisfying(
                            Consumed.class,
                            used -> Records.assertEqual(
                                    "that consume answers",
                                    used.record(),
                                    stored.revoked(clock.instant(), stored.expiresAt())));
            assertThat(tokens.isRevoked("t")).as("isRevoked").isTrue();
            assertThat(tokens.consume("t", "link")).as("consume").isEqualTo(Refused.ALREADY_USED);
            assertThat(tokens.listTokens("s")).as("listTokens").isEmpty();
            // Also after its expiry it was used, and not just too late.
            clock.set(start.plus(HOUR));
            assertThat(tokens.consume("t", "link")).as("consume").isEqualTo(Refused.ALREADY_USED);
        });
    }

    @Test
    final void R5_1_consumingAndRevokingAtOnceHasOneWinner() {
        Race.run(
                "consume against revokeToken",
                Math.min(races(), 5000),
                round -> tokens.storeToken(token("t" + round, "s", HOUR), "link"),
                (round, racer) -> racer % 2 == 0
                        // Each of the two on each of the store objects.
                        ? node(racer / 2).consume("t" + round, "link")
                        : node(racer / 2).revokeToken(token("t" + round, "s", HOUR)),
                (round, answers) -> assertThat(answers.stream()
                                .filter(a -> a instanceof Consumed || a == RevokeOutcome.REVOKED)
                                .toList())
                        .as("winners")
                        .hasSize(1));
    }

    @Test
    final void R5_1_theRecordIsTheOneThatWasUsed() {
        Race.run(
                "consume against storeToken",
                Math.min(races(), 2000),
                round -> tokens.storeToken(token("t" + round, "s", HOUR), "link", Map.of("n", -1)),
                (round, racer) -> racer == 0
                        ? node(round).consume("t" + round, "link")
                        : node(racer).storeToken(token("t" + round, "s", HOUR), "link", Map.of("n", racer)),
                (round, answers) -> {
                    assertThat(answers.get(0)).as("consume in round %d", round).isInstanceOf(Consumed.class);
                    assertThat(((Consumed) answers.get(0)).record().extraData())
                            .as("the extra data that consume answered in round %d", round)
                            .isEqualTo(inspected("t" + round).extraData());
                });
    }

    @Test
    final void R5_2_anotherPurposeConsumesNothingAndLearnsNothing() {
        tokens.storeToken(token("t", "s", HOUR), "link");
        assertThat(tokens.consume("t", "reset")).as("consume").isEqualTo(Refused.UNKNOWN);
        assertThat(tokens.isRevoked("t")).as("isRevoked").isFalse();
        assertThat(tokens.consume("t", "link")).as("consume").isInstanceOf(Consumed.class);
        assertThat(tokens.consume("t", "reset")).as("consume").isEqualTo(Refused.UNKNOWN);
        tokens.storeToken(token("short", "s", Duration.ofMinutes(1)), "link");
        clock.advance(Duration.ofSeconds(90));
        assertThat(tokens.consume("short", "reset")).as("consume").isEqualTo(Refused.UNKNOWN);
        TokenResource tenant = tokens.forTenant("other");
        assertThat(tenant.consume("t", "link")).as("consume").isEqualTo(Refused.UNKNOWN);
    }

    @Test
    final void R5_2_anotherSubjectConsumesNothingAndLearnsNothing() {
        Token token = token("t", "s", HOUR);
        Token forged = token("t", "somebody else", HOUR);
        tokens.storeConfirmationChanges(token, "confirm", Map.of("k", 1));
        assertThat(tokens.consume(forged, "confirm")).as("consume").isEqualTo(Refused.UNKNOWN);
        assertThat(tokens.consumeConfirmationChanges(forged, "confirm"))
                .as("consumeConfirmationChanges")
                .isEqualTo(Refused.UNKNOWN);
        assertThat(tokens.isRevoked("t")).as("isRevoked").isFalse();
        assertThat(tokens.consume(token, "confirm")).as("consume").isInstanceOf(Consumed.class);
        assertThat(tokens.consume(forged, "confirm")).as("consume").isEqualTo(Refused.UNKNOWN);
        assertThat(tokens.consume(token, "confirm")).as("consume").isEqualTo(Refused.ALREADY_USED);
    }

    @Test
    final void R5_3_expiredAndUnknownAreToldApart() {
        inEachEra(() -> {
            tokens.storeToken(token("t", "s", Duration.ofMinutes(1)), "link");
            clock.advance(Duration.ofSeconds(90));
            assertThat(tokens.consume("t", "link")).as("consume").isEqualTo(Refused.EXPIRED);
            assertThat(tokens.isRevoked("t")).as("isRevoked").isFalse();
            assertThat(tokens.consume("unknown", "link")).as("consume").isEqualTo(Refused.UNKNOWN);
            assertThat(tokens.inspect("unknown")).as("inspect").isEmpty();
        });
    }

    @Test
    final void R5_4_ofConcurrentRevocationsOfAnUnknownTokenExactlyOneWins() {
        Race.run(
                "revokeToken of an unknown token",
                Math.min(races(), 10_000),
                round -> {},
                (round, racer) -> node(racer).revokeToken(token("t" + round, "s", HOUR)),
                (round, answers) -> assertOneRevoked(answers));
    }

    // R6 Confirmation changes

    @Test
    final void R6_1_confirmationChangesAreKeptAndGivenOutOnce() {
        inEachEra(() -> {
            Token token = token("t", "s", HOUR);
            Map<String, Object> changes = Map.of("email", "new@example.com", "list", List.of(1, 2));
            assertThat(tokens.storeConfirmationChanges(token, "confirm", changes))
                    .as("storeConfirmationChanges")
                    .isEqualTo(StoreOutcome.STORED);
            assertThat(tokens.getConfirmationChanges(token, "confirm").orElseThrow())
                    .as("getConfirmationChanges")
                    .isEqualTo(changes);
            assertThat(tokens.getConfirmationChanges(token, "other"))
                    .as("getConfirmationChanges")
                    .isEmpty();
            assertThat(tokens.consumeConfirmationChanges(token, "confirm"))
                    .isInstanceOfSatisfying(
                            Consumed.class,
                            consumed -> assertThat(consumed.record().extraData())
                                    .as("extraData of the record that consumeConfirmationChanges answers")
                                    .isEqualTo(changes));
            assertThat(tokens.consumeConfirmationChanges(token, "confirm"))
                    .as("consumeConfirmationChanges")
                    .isEqualTo(Refused.ALREADY_USED);
            assertThat(tokens.getConfirmationChanges(token, "confirm"))
                    .as("getConfirmationChanges")
                    .isEmpty();
            Token late = token("late", "s", Duration.ofMinutes(1));
            tokens.storeConfirmationChanges(late, "confirm", changes);
            clock.advance(Duration.ofSeconds(90));
            assertThat(tokens.getConfirmationChanges(late, "confirm"))
                    .as("getConfirmationChanges")
                    .isEmpty();
            assertThat(tokens.consumeConfirmationChanges(late, "confirm"))
                    .as("consumeConfirmationChanges")
                    .isEqualTo(Refused.EXPIRED);
        });
    }

    // R7 Expunge: what holds for every store; more in the two kinds of contracts

    @Test
    final void R7_2_expungingLeavesWhatIsNotPastItsRetention() {
        inEachEra(() -> {
            tokens.storeToken(token("live", "s", HOUR), "link", Map.of("k", 1));
            tokens.revokeToken(token("revoked", "s", HOUR));
            tokens.storeToken(token("within the skew", "s", Duration.ofMinutes(1)));
            clock.advance(Duration.ofMinutes(1).plus(SKEW).minusMillis(1));
            expunge();
            assertThat(tokens.inspect("live")).as("inspect").isPresent();
            assertThat(tokens.inspect("revoked")).as("inspect").isPresent();
            assertThat(tokens.inspect("within the skew")).as("inspect").isPresent();
            assertThat(tokens.listTokens("s")).as("listTokens").hasSize(1);
        });
    }

    @Test
    final void R7_7_aStoreSaysByItsTypeWhetherItsServerExpiresRecords() {
        assertThat(store instanceof SelfExpiringTokenStore)
                .as("the store is a SelfExpiringTokenStore, and is tested by SelfExpiringStoreContract")
                .isEqualTo(this instanceof SelfExpiringStoreContract);
    }

    // R8 Failure

    /** Where its author can block the server. */
    @TestFactory
    final Stream<DynamicTest> R8_3_everyCallOfABlockedServerEndsByItsDeadline() {
        tokens.storeToken(token("secret-jti", "secret-subject", HOUR), "p", Map.of("secret-key", "secret-value"));
        @Nullable Runnable unblock = blockServer(domain);
        return unblock == null
                ? Stream.of()
                : Stream.of(DynamicTest.dynamicTest(
                        "R8_3_everyCallOfABlockedServerEndsByItsDeadline", () -> assertCallsEnd(unblock)));
    }

    private void assertCallsEnd(Runnable unblock) throws InterruptedException, ExecutionException {
        StoreScope brief = new StoreScope(domain, "", SKEW, Duration.ofMillis(200));
        ExecutorService thread = Executors.newSingleThreadExecutor();
        try {
            for (Map.Entry<String, Runnable> verb : verbs(brief).entrySet()) {
                // A busy machine has 5 s more.
                Throwable failure = thread.submit(() -> catchThrowable(verb.getValue()::run))
                        .get(5_200, MILLISECONDS);
                assertFailsAsItShould(verb.getKey(), failure);
            }
        } catch (TimeoutException e) {
            throw new AssertionError("A call has not ended 5 s after its deadline of 200 ms; the server is blocked", e);
        } finally {
            unblock.run();
            thread.shutdown();
        }
        Race.awaitThat(
                "a store whose server answers again answers, too",
                () -> catchThrowable(() -> store.find(scope, "secret-jti", clock.instant())) == null);
    }

    /** Some verbs have nothing to do in some stores, and then answer. */
    private static void assertFailsAsItShould(String verb, @Nullable Throwable failure) {
        if (failure != null && !(failure instanceof TokenStoreException)) {
            throw new RuleViolation("R8.2", verb + " of a blocked server throws " + failure.getClass(), failure);
        }
        for (Throwable t = failure; t != null; t = t.getCause()) {
            if (t.toString().contains("secret-")) {
                throw new RuleViolation(
                        "R9.2", "the exception of " + verb + " shows a jti, a subject or extra data: " + t.getClass());
            }
        }
    }

    @Test
    final void R8_6_aStoreMayBeClosedTwiceAndThenSaysSo() {
        store.close();
        store.close();
        verbs(scope)
                .forEach((verb, call) -> assertThatThrownBy(call::run, "%s of a store that is closed", verb)
                        .isInstanceOf(IllegalStateException.class)
                        .hasMessageContaining("closed"));
    }

    /** One call of every verb. */
    private Map<String, Runnable> verbs(StoreScope in) {
        Instant now = clock.instant();
        String jti = "secret-jti";
        String subject = "secret-subject";
        TokenRecord record = new TokenRecord(
                jti,
                subject,
                "p",
                null,
                now.plus(HOUR),
                ExtraData.of(Map.of("secret-key", "secret-value")),
                now,
                now,
                null);
        Map<String, Runnable> verbs = new LinkedHashMap<>();
        verbs.put("store", () -> store.store(in, record, now));
        verbs.put("find", () -> store.find(in, jti, now));
        verbs.put("isRevoked", () -> store.isRevoked(in, jti, now));
        verbs.put("revoked", () -> store.revoked(in, Set.of(jti), now));
        verbs.put("state", () -> store.state(in, jti, subject, now));
        verbs.put("revoke", () -> store.revoke(in, record.revoked(now, now), now, now));
        verbs.put("consume", () -> store.consume(in, jti, subject, "p", now));
        verbs.put("revokeSubject", () -> store.revokeSubject(in, subject, now, now.plus(HOUR), now));
        verbs.put("revokeStored", () -> store.revokeStored(in, subject, 1, now));
        verbs.put("list", () -> store.list(in, subject, null, 1, now));
        verbs.put("readExpired", () -> store.readExpired(in, null, 1, now));
        verbs.put("expunge", () -> store.expunge(in, 1, now));
        return verbs;
    }

    /** Where the store has a URL. */
    @TestFactory
    final Stream<DynamicTest> R8_6_aStoreThatWasOpenedByItsUrlLeavesNothingBehind() {
        @Nullable String url = url();
        return url == null
                ? Stream.of()
                : Stream.of(DynamicTest.dynamicTest(
                        "R8_6_aStoreThatWasOpenedByItsUrlLeavesNothingBehind", () -> assertNothingIsLeftOf(url)));
    }

    private void assertNothingIsLeftOf(String url) throws InterruptedException {
        Set<Thread> threads = Thread.getAllStackTraces().keySet();
        int before = connections();
        int open;
        Token token = token("by URL", "s", HOUR);
        try (TokenResource opened =
                settings(domain).url(url).maxTokenLifetime(LONGEST).build()) {
            assertThat(opened.storeToken(token, "link", Map.of("k", 1)))
                    .as("storeToken of a store that was opened by its URL")
                    .isEqualTo(StoreOutcome.STORED);
            assertThat(opened.check(token)).as("check").isEqualTo(TokenStatus.ACTIVE);
            assertThat(opened.revokeToken(token)).as("revokeToken").isEqualTo(RevokeOutcome.REVOKED);
            assertThat(opened.check(token)).as("check").isEqualTo(TokenStatus.REVOKED);
            open = connections();
        }
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (!threads.contains(thread)) {
                thread.join(deadline().toMillis());
                assertThat(thread.isAlive())
                        .as(
                                "thread '%s' is there after the store that was opened by its URL was closed",
                                thread.getName())
                        .isFalse();
            }
        }
        if (before >= 0) {
            Race.awaitThat(
                    "the connections of the store that was opened by its URL are closed",
                    () -> connections() <= before && connections() < open);
        }
    }

    /** Where the store has a URL. */
    @TestFactory
    final Stream<DynamicTest> R11_5_aParameterOfTheUrlThatNobodyKnowsIsRefused() {
        @Nullable String url = url();
        if (url == null) {
            return Stream.of();
        }
        String unknown = url + (url.contains("?") ? "&" : "?") + "noSuchParameter=true";
        return Stream.of(DynamicTest.dynamicTest("R11_5_aParameterOfTheUrlThatNobodyKnowsIsRefused", () -> {
            TokenResource.Builder settings = settings(domain).url(unknown);
            assertThatThrownBy(() -> settings.build().close(), "opening a URL with the parameter noSuchParameter=true")
                    .isInstanceOfAny(CurfewException.class, IllegalArgumentException.class);
        }));
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
        for (Throwable t = refused; t != null; t = t.getCause()) {
            assertThat(t.toString()).as("the exception of storeToken").doesNotContain("secret-");
        }
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

    // R10 Isolation

    @Test
    final void R10_1_domainsAndTenantsNeverSeeEachOthersRecords() {
        String base = domain;
        List<List<String>> neighbours = new ArrayList<>();
        // Each is a pair of (domain, tenant) that a careless joining of names would confuse.
        for (String separator :
                List.of(":", "/", ".", "|", "_", "-", " ", "{", "}", "\\", "'", "\"", "`", ",", "\u2028")) {
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

    /** The same jti and subject in two tenants and two domains: what changes the one leaves the others as they are. */
    @Test
    final void R10_1_whatIsDoneToATokenIsNotDoneToItsNamesakes() {
        Map<String, BiConsumer<TokenResource, Token>> changes = new LinkedHashMap<>();
        changes.put("storeToken", (r, t) -> r.storeToken(token(t.jti(), t.subject(), HOUR.multipliedBy(2)), "other"));
        changes.put("revokeToken", TokenResource::revokeToken);
        changes.put("revokeJti", (r, t) -> r.revokeJti(t.jti()));
        changes.put("consume", (r, t) -> r.consume(t.jti(), "link"));
        changes.put(
                "revokeAllStoredForSubject",
                (r, t) -> assertThat(r.revokeAllStoredForSubject(t.subject()))
                        .as("revokeAllStoredForSubject")
                        .isEqualTo(1));
        try (TokenResource otherDomain = resource(domain + "-other", store)) {
            store.prepare(new StoreScope(domain + "-other", "", SKEW, deadline()));
            List<TokenResource> namesakes =
                    List.of(tokens.forTenant("a"), tokens.forTenant("b"), otherDomain.forTenant("a"));
            changes.forEach((name, change) -> {
                Token token = token("jti of " + name, "subject of " + name, HOUR);
                namesakes.forEach(r -> r.storeToken(token, "link", Map.of("k", 1)));
                TokenRecord before = namesakes.get(1).inspect(token.jti()).orElseThrow();
                clock.advance(Duration.ofSeconds(1));
                change.accept(namesakes.get(0), token);
                for (TokenResource other : namesakes.subList(1, 3)) {
                    assertThat(other.inspect(token.jti()).filter(before::equals).isPresent())
                            .as("a namesake is as it was after %s", name)
                            .isTrue();
                }
            });
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
            assertThat(b.inspect(jti)).as("inspect, %s", as).isEmpty();
            assertThat(b.listTokens(subject)).as("listTokens, %s", as).isEmpty();
            assertThat(b.consume(jti, "link")).as("consume, %s", as).isEqualTo(Refused.UNKNOWN);
            assertThat(b.revokeAllStoredForSubject(subject))
                    .as("revokeAllStoredForSubject, %s", as)
                    .isZero();
            b.revokeSubject(subject);
            assertThat(a.check(token)).as("check, %s", as).isEqualTo(TokenStatus.ACTIVE);
            assertThat(b.revokeToken(token)).as("revokeToken, %s", as).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(a.isRevoked(jti)).as("isRevoked, %s", as).isFalse();
            assertThat(a.isRevoked(Set.of(jti))).as("isRevoked, %s", as).isEmpty();
            assertThat(a.getToken(jti)).as("getToken, %s", as).isPresent();
            a.storeToken(token("e" + n, subject, Duration.ofMillis(1)));
            Instant before = clock.instant();
            clock.advance(Duration.ofMillis(1).plus(SKEW));
            assertThat(b.readExpired(1000).stream().map(TokenRecord::jti))
                    .as("readExpired, %s", as)
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
