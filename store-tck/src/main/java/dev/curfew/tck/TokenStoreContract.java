package dev.curfew.tck;

import static java.util.concurrent.TimeUnit.MINUTES;
import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.Expunger;
import dev.curfew.FailurePolicy;
import dev.curfew.RevocationFeed;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStore;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntFunction;
import java.util.random.RandomGenerator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.function.ThrowingConsumer;

/**
 * The compatibility kit: it makes a store for each test, and sets the sizes of the tests. Do not extend this class.
 * Extend {@link ExpungingStoreContract} or {@link SelfExpiringStoreContract}, which have the tests.
 *
 * <p>No test sleeps, and none asks a clock: time is an argument. It begins in the year 2100, so that a server that
 * expires records by its own clock leaves them alone. The rules of time are also run in the year 1999. Every test works
 * in a domain of its own, with two store objects on the same records. One line is printed for each group of rules.
 *
 * <p>The sizes of the larger tests are set by the methods below. These methods read system properties, which set the
 * sizes for one run.
 */
// The tests of each section of CONTRACT.md are a class: R1Time, R2StoreAndGet and so on. Each of them extends the class
// of the section before: Java allows one superclass, and the author of a store is to extend one class alone.
@Timeout(value = 10, unit = MINUTES)
@SuppressWarnings("exports") // JUnit alone uses KitProgress
@ExtendWith(KitProgress.class)
@TestMethodOrder(KitProgress.class)
public abstract class TokenStoreContract {
    static final Instant FUTURE = Instant.parse("2100-01-01T00:00:00Z");
    private static final Instant PAST = Instant.parse("1999-01-01T00:00:00Z");
    static final Duration SKEW = Duration.ofSeconds(60);
    static final Duration HOUR = Duration.ofHours(1);
    static final Duration LONGEST = Duration.ofDays(30);
    /** How much longer a watermark is kept than any token lives. */
    static final Duration LONGEST_SKEW = Duration.ofDays(1);

    private static final AtomicInteger DOMAINS = new AtomicInteger();
    // A server may still have the records of another run.
    private static final String RUN =
            "kit-" + Integer.toHexString(RandomGenerator.getDefault().nextInt()) + "-";
    static final List<Integer> BEFORE_AT_AFTER = List.of(-1, 0, 1);

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
     * The URL by which the store's {@link dev.curfew.TokenStoreProvider} opens the store; {@code null}, the default, where
     * the store has no URL. With a URL the kit opens a store by it, closes the store, and looks for threads and
     * connections that stay (R8.6). The kit also looks whether an unknown parameter is refused (R11.5). The store is used
     * with domains of the kit.
     */
    protected @Nullable String url() {
        return null;
    }

    /**
     * How many connections the server has at this moment: those of stores that were opened by their URL, or those of all
     * stores. -1, the default, where the server cannot be asked.
     */
    protected int connections() {
        return -1;
    }

    /**
     * Keeps the server from answering any request about a domain, and returns an action that lets the server answer again.
     * {@code null}, the default, where there is no server, or where it cannot be blocked. With this method the kit tries
     * deadlines (R8.3), and looks for a jti or a subject in the exceptions (R9.2). A lock on all records blocks a server,
     * and so does SIGSTOP.
     */
    protected @Nullable Runnable blockServer(String ofDomain) {
        return null;
    }

    /**
     * Why this store must not be given times in the past; {@code null}, the default, where it can be given them. The kit
     * runs the rules of time in the year 2100 and in the year 1999, to find a store that asks its own clock, or its
     * server's clock. There is one good reason to leave the past out: a server that removes records at an absolute time,
     * by itself, would remove records of the past at once. The kit prints the reason.
     */
    protected @Nullable String noPastBecause() {
        return null;
    }

    /**
     * Why jtis beyond U+FFFF are left out of the tests of order; {@code null}, the default, where they are not. There is
     * one good reason: a stand-in for a server sorts text as Java does, and the server itself sorts bytes. The kit prints
     * the reason.
     */
    protected @Nullable String noOrderBeyondFfffBecause() {
        return null;
    }

    /**
     * Why a node with a larger skew cannot open after a node with a smaller skew; {@code null}, the default, where it can.
     * There is one good reason: a stand-in for a server cannot change its setup. The kit prints the reason.
     */
    protected @Nullable String noRaisedSkewBecause() {
        return null;
    }

    /** The store's feed, or {@code null} if the store refuses one. */
    final @Nullable RevocationFeed feed() {
        try {
            return store.feed();
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    /** What the tests leave out for this store, and why, in words. */
    final List<String> leftOut() {
        List<String> leftOut = new ArrayList<>();
        try {
            if (store != null) {
                store.feed();
            }
        } catch (IllegalArgumentException e) {
            leftOut.add("the feed of revocations was left out, because the store refuses it: " + e.getMessage());
        }
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

    /** The jtis that the tests of order store, in the order of their bytes in UTF-8. */
    final List<String> jtisByBytes() {
        return Samples.BY_BYTES.stream()
                .filter(jti ->
                        noOrderBeyondFfffBecause() == null || jti.chars().noneMatch(c -> c >= 0xd800 && c < 0xe000))
                .toList();
    }

    /** How long a call may take. A minute by default, since test machines are busy. */
    protected Duration deadline() {
        return Duration.ofMinutes(1);
    }

    /** How many tokens are raced for, each with one winner: {@code curfew.tck.races}, 100,000 by default. */
    protected int races() {
        return Integer.getInteger("curfew.tck.races", 100_000);
    }

    /** How many records the test of bounded memory stores: {@code curfew.tck.records}, 1,000,000 by default. */
    protected int manyRecords() {
        return Integer.getInteger("curfew.tck.records", 1_000_000);
    }

    /** How many random steps of the store are compared with the model: {@code curfew.tck.steps}, 20,000 by default. */
    protected int modelSteps() {
        return Integer.getInteger("curfew.tck.steps", 20_000);
    }

    /** The seed of the random steps: {@code curfew.tck.seed}, else another seed in each run. A failure prints the seed. */
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
        // A store or a resource that could not be opened has failed the test already.
        Stream.of(tokens, others).filter(Objects::nonNull).forEach(TokenResource::close);
        Stream.of(another, store).filter(Objects::nonNull).forEach(TokenStore::close);
    }

    /** Goes on in another domain, where nothing is stored. */
    final void beginAt(Instant time) {
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

    /** The resource of a racer: those of an even number share one store object, all others the other one. */
    final TokenResource node(int racer) {
        return racer % 2 == 0 ? tokens : others;
    }

    /** The store object of a racer, as in {@link #node}. */
    final TokenStore storeOf(int racer) {
        return racer % 2 == 0 ? store : another;
    }

    /**
     * Runs a test in the year 1999, and then in the year 2100. A test that holds in one of the two years alone shows a clock
     * in the store (R1.2).
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
                    "This holds in the year 2100, and does not in the year 1999: the store asks a clock instead of taking"
                            + " the time from the argument now. In 1999: " + inThePast.getMessage(),
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

    /**
     * Asserts what a verb answers a millisecond before a moment, at the moment, and a millisecond after it.
     *
     * @param afterStart the moment, as seen from the start
     * @param ask asks for the answer, and is given the offset in milliseconds: -1, 0, 1
     * @param from the answer at the moment and later
     */
    final void assertAround(Duration afterStart, String verb, IntFunction<Object> ask, Object before, Object from) {
        for (int offset : BEFORE_AT_AFTER) {
            clock.set(start.plus(afterStart).plusMillis(offset));
            assertThat(ask.apply(offset)).as("%s at %d ms", verb, offset).isEqualTo(offset < 0 ? before : from);
        }
    }

    final TokenResource resource(String ofDomain, TokenStore onStore) {
        return builder(ofDomain, onStore).build();
    }

    final TokenResource.Builder builder(String ofDomain, TokenStore onStore) {
        return settings(ofDomain).store(onStore).maxTokenLifetime(LONGEST);
    }

    /** Without a store, and without a longest lifetime. */
    final TokenResource.Builder settings(String ofDomain) {
        return TokenResource.builder()
                .domain(ofDomain)
                .clock(clock)
                .clockSkew(SKEW)
                .callDeadline(deadline())
                .failurePolicy(FailurePolicy.THROW)
                // A test expunges when it wants to.
                .expunger(idle);
    }

    /** A resource of a domain beside the test's own, whose nodes differ in their skew. */
    final TokenResource skewed(Duration skew, TokenStore onStore) {
        return builder(domain + "-skew", onStore).clockSkew(skew).build();
    }

    final Token token(String jti, String subject, Duration lifetime) {
        return Token.of(jti, subject, clock.instant(), clock.instant().plus(lifetime));
    }

    final TokenRecord inspected(String jti) {
        return tokens.inspect(jti).orElseThrow(() -> new AssertionError("The record is gone"));
    }

    final @Nullable Instant watermark(String subject) {
        return watermark(scope, subject);
    }

    final @Nullable Instant watermark(StoreScope in, String subject) {
        return store.state(in, "none", subject, null, clock.instant()).watermark();
    }

    final void assertStatus(Token token, TokenStatus status) {
        assertThat(tokens.check(token)).as("check of %s", token.jti()).isEqualTo(status);
    }

    final void assertExpiry(String jti, Instant expiresAt) {
        assertThat(inspected(jti).expiresAt()).as("expiresAt, %s", jti).isEqualTo(expiresAt);
    }

    /** Expunges until there is no more to do. */
    final void expunge() {
        tokens.expungeExpired();
    }

    /** One test of this name where the store has what the test needs, else none. */
    static <T> Stream<DynamicTest> where(@Nullable T needed, String name, ThrowingConsumer<T> test) {
        return Stream.ofNullable(needed).map(it -> DynamicTest.dynamicTest(name, () -> test.accept(it)));
    }
}
