package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.Deadline;
import dev.curfew.ExpungePace;
import dev.curfew.ExpungeReport;
import dev.curfew.Expunger;
import dev.curfew.Token;
import dev.curfew.TokenAction;
import dev.curfew.TokenResource;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class ExpungerTest {
    private static final Instant NOW = Instant.parse("2100-01-01T00:00:00Z");
    private static final Duration INTERVAL = Duration.ofHours(12);

    private final ManualClock clock = new ManualClock(NOW);
    private final FaultyStore faulty = new FaultyStore();

    private TokenResource.Builder builder(Expunger expunger) {
        return TokenResource.builder()
                .store(faulty.store)
                .maxTokenLifetime(Duration.ofDays(1))
                .expunger(expunger)
                .clock(clock);
    }

    @Test
    void R7_4_theFirstRunComesWithinATenthOfTheInterval() {
        for (int i = 0; i < 20; i++) {
            try (Expunger expunger = Expunger.manual();
                    TokenResource tokens = builder(expunger).build()) {
                clock.advance(INTERVAL.dividedBy(10).plusMillis(1));
                assertThat(expunger.runDue()).hasSize(1);
                assertThat(tokens.lastExpunge()).isPresent();
            }
        }
    }

    @Test
    void R7_4_laterRunsComeAtTheIntervalGiveOrTakeATenth() {
        try (Expunger expunger = Expunger.manual();
                TokenResource tokens = builder(expunger).build()) {
            clock.advance(INTERVAL);
            assertThat(expunger.runDue()).hasSize(1);
            for (int i = 0; i < 20; i++) {
                Instant last = clock.instant();
                clock.set(last.plus(INTERVAL.multipliedBy(9).dividedBy(10)).minusMillis(1));
                assertThat(expunger.runDue()).isEmpty();
                clock.set(last.plus(INTERVAL.multipliedBy(11).dividedBy(10)));
                assertThat(expunger.runDue()).hasSize(1);
            }
            assertThat(tokens.lastExpunge().orElseThrow().startedAt()).isEqualTo(clock.instant());
        }
    }

    /** At the least: how much longer a machine makes it does not matter. */
    @Test
    void R7_2_afterAFullBatchItRestsForFourTimesAsLongAsThatTook() {
        try (TokenResource tokens = withDue(6, 1)) {
            faulty.answer = result -> {
                if (result instanceof Integer) {
                    work(Duration.ofMillis(10));
                }
                return result;
            };
            long start = System.nanoTime();
            assertThat(tokens.expungeExpired().removed()).isEqualTo(6);
            // What a check takes is not the store's work: a machine that is busy may make that nearly all.
            assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThanOrEqualTo(Duration.ofMillis(6 * 20));
        }
    }

    @Test
    void R7_2_betweenBatchesItAsksHowLongACheckTakes() {
        try (TokenResource tokens = withDue(3, 1)) {
            assertThat(tokens.expungeExpired().batches()).isEqualTo(4);
            assertThat(faulty.calls)
                    .as("after the look at the clock skew of all nodes, which begins each run")
                    .containsExactly(
                            "state", "expunge", "isRevoked", "expunge", "isRevoked", "expunge", "isRevoked", "expunge");
        }
    }

    @Test
    void R7_2_atFullSpeedItTakesTheLargestBatchesAndAsksNothing() {
        try (TokenResource tokens = withDue(1001, 1000)) {
            ExpungeReport report = tokens.expungeExpired(ExpungePace.FULL_SPEED);
            assertThat(report.removed()).isEqualTo(1001);
            assertThat(report.batches()).isEqualTo(2);
            assertThat(faulty.calls).containsExactly("state", "expunge", "expunge");
        }
    }

    @Test
    void R7_2_gentlyItBeginsWithASmallBatch() {
        try (TokenResource tokens = withDue(150, 1000)) {
            List<Integer> removed = new ArrayList<>();
            faulty.answer = result -> {
                if (result instanceof Integer batch) {
                    removed.add(batch);
                }
                return result;
            };
            assertThat(tokens.expungeExpired().removed()).isEqualTo(150);
            assertThat(removed).containsExactly(100, 50);
        }
    }

    /** A batch of two seconds is followed by a rest of eight. */
    @Test
    void R7_5_closeEndsARest() throws Exception {
        TokenResource tokens = withDue(3, 1);
        var removed = new CountDownLatch(1);
        faulty.answer = result -> {
            work(Duration.ofSeconds(2));
            removed.countDown();
            return result;
        };
        Future<ExpungeReport> run = CompletableFuture.supplyAsync(tokens::expungeExpired);
        assertThat(removed.await(1, TimeUnit.MINUTES)).isTrue();
        tokens.close();
        assertThat(run.get(7, TimeUnit.SECONDS).removed()).isEqualTo(1);
    }

    /** Keeps the thread busy, as a store that works would. */
    private static void work(Duration length) {
        for (Deadline end = Deadline.after(length); !end.isOver(); ) {
            Thread.onSpinWait();
        }
    }

    /** A resource with so many records that are due, on the faulty store, whose calls are counted from now on. */
    private TokenResource withDue(int records, int batchSize) {
        TokenResource tokens =
                builder(Expunger.manual()).expungeBatchSize(batchSize).build();
        for (int i = 0; i < records; i++) {
            tokens.storeToken(
                    Token.withoutIssuedAt("t" + i, "s", clock.instant().plusSeconds(1)));
        }
        clock.advance(Duration.ofHours(1));
        faulty.calls.clear();
        return tokens;
    }

    @Test
    void R7_4_theIntervalCanBeChangedWhileRunning() {
        try (Expunger expunger = Expunger.manual();
                TokenResource tokens = builder(expunger).build()) {
            clock.advance(INTERVAL);
            expunger.runDue();
            tokens.setExpungeInterval(Duration.ofMinutes(10));
            clock.advance(Duration.ofMinutes(11));
            assertThat(expunger.runDue()).hasSize(1);
            tokens.setExpungeInterval(Duration.ofDays(100));
            clock.advance(Duration.ofDays(89));
            assertThat(expunger.runDue()).isEmpty();
            assertThatThrownBy(() -> tokens.setExpungeInterval(Duration.ZERO))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> tokens.forTenant("t").setExpungeInterval(INTERVAL))
                    .isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void R7_4_aRunThatFailsIsLoggedCountedAndTriedAgainWithBackOff() {
        try (var logs = new Logs();
                Expunger expunger = Expunger.manual();
                TokenResource tokens = builder(expunger).build()) {
            faulty.failure = new RuntimeException("Key (jti)=(secret) is locked");
            clock.advance(INTERVAL);
            assertThat(expunger.runDue()).isEmpty();
            long wait = 30_000;
            for (int failures = 1; failures < 20; failures++) {
                assertThat(tokens.storeFailures()).isEqualTo(failures);
                assertThat(logs.warnings()).hasSize(failures);
                Instant last = clock.instant();
                clock.set(last.plusMillis(wait * 9 / 10 - 1));
                expunger.runDue();
                assertThat(tokens.storeFailures()).as("not yet").isEqualTo(failures);
                clock.set(last.plusMillis(wait * 11 / 10));
                expunger.runDue();
                wait = Math.min(wait * 2, INTERVAL.toMillis());
            }
            assertThat(logs.warnings())
                    .noneMatch(line -> line.contains("secret"))
                    .allMatch(line -> line.contains("'tokens'"));
            faulty.failure = null;
            clock.advance(INTERVAL.multipliedBy(2));
            assertThat(expunger.runDue()).hasSize(1);
            // And from then on at the interval again.
            clock.advance(INTERVAL.dividedBy(2));
            assertThat(expunger.runDue()).isEmpty();
        }
    }

    @Test
    void R7_4_notEvenAnErrorEndsTheSchedule() {
        var broken = new AtomicInteger();
        try (Expunger expunger = Expunger.manual();
                TokenResource tokens = builder(expunger)
                        .intercept(TokenAction.EXPUNGE_EXPIRED, (call, next) -> {
                            if (broken.incrementAndGet() < 3) {
                                throw new LinkageError();
                            }
                            return next.proceed(call.argument());
                        })
                        .build()) {
            for (int i = 0; i < 2; i++) {
                clock.advance(INTERVAL.multipliedBy(2));
                assertThat(expunger.runDue()).isEmpty();
            }
            clock.advance(INTERVAL.multipliedBy(2));
            assertThat(expunger.runDue()).hasSize(1);
            assertThat(tokens.lastExpunge()).isPresent();
        }
    }

    /** By itself, on the real clock, on a thread of its own that does not keep the process alive. */
    @Test
    void R7_4_theRunComesByItself() throws InterruptedException {
        var runs = new CountDownLatch(3);
        var thread = new AtomicReference<Thread>();
        TokenResource tokens = TokenResource.builder()
                .store(faulty.store)
                .maxTokenLifetime(Duration.ofDays(1))
                .expungeInterval(Duration.ofMillis(5))
                .intercept(TokenAction.EXPUNGE_EXPIRED, (call, next) -> {
                    thread.set(Thread.currentThread());
                    runs.countDown();
                    return next.proceed(call.argument());
                })
                .build();
        assertThat(runs.await(30, TimeUnit.SECONDS)).isTrue();
        assertThat(thread.get().isDaemon()).isTrue();
        tokens.close();
        thread.get().join();
    }

    @Test
    void R7_4_anInterruptThatADriverLeftBehindDoesNotEndTheSchedule() throws InterruptedException {
        var runs = new CountDownLatch(5);
        TokenResource tokens = TokenResource.builder()
                .store(faulty.store)
                .maxTokenLifetime(Duration.ofDays(1))
                .expungeInterval(Duration.ofMillis(1))
                .intercept(TokenAction.EXPUNGE_EXPIRED, (call, next) -> {
                    runs.countDown();
                    Thread.currentThread().interrupt();
                    return next.proceed(call.argument());
                })
                .build();
        assertThat(runs.await(30, TimeUnit.SECONDS)).isTrue();
        tokens.close();
    }

    @Test
    void R7_4_aClockThatWasAheadDoesNotHoldTheScheduleUp() {
        try (Expunger expunger = Expunger.manual();
                TokenResource tokens = builder(expunger).build()) {
            clock.set(NOW.plus(Duration.ofDays(365)));
            assertThat(expunger.runDue()).hasSize(1);
            clock.set(NOW);
            assertThat(expunger.runDue()).isEmpty();
            clock.advance(INTERVAL.multipliedBy(11).dividedBy(10));
            assertThat(expunger.runDue()).hasSize(1);
            assertThat(tokens.lastExpunge().orElseThrow().startedAt()).isEqualTo(clock.instant());
        }
    }

    @Test
    void R7_5_closeEndsARunInFlightWithinABatch() throws InterruptedException {
        // A table that never runs out of garbage.
        var batches = new CountDownLatch(5);
        var thread = new AtomicReference<Thread>();
        faulty.answer = answer -> {
            if (answer instanceof Integer) {
                thread.set(Thread.currentThread());
                batches.countDown();
                return 1000;
            }
            return answer;
        };
        TokenResource tokens = TokenResource.builder()
                .store(faulty.store)
                .maxTokenLifetime(Duration.ofDays(1))
                .expungeInterval(Duration.ofMillis(1))
                .build();
        assertThat(batches.await(30, TimeUnit.SECONDS)).isTrue();
        tokens.close();
        thread.get().join();
        int done = faulty.calls.size();
        assertThat(thread.get().isAlive()).isFalse();
        assertThat(faulty.calls).hasSize(done);
    }

    /** What is closed after the expunger, such as a pool, may wait for its own threads. */
    @Test
    void R7_5_aRunThatClosesItsOwnResourceIsNotInterrupted() throws InterruptedException {
        var closed = new CountDownLatch(1);
        var resource = new AtomicReference<TokenResource>();
        var interrupted = new AtomicReference<Boolean>();
        var built = new CountDownLatch(1);
        resource.set(TokenResource.builder()
                .store(faulty.store)
                .maxTokenLifetime(Duration.ofDays(1))
                .expungeInterval(Duration.ofMillis(1))
                .intercept(TokenAction.EXPUNGE_EXPIRED, (call, next) -> {
                    awaitUninterruptibly(built);
                    resource.get().close();
                    interrupted.set(Thread.currentThread().isInterrupted());
                    closed.countDown();
                    throw new IllegalStateException("closed");
                })
                .build());
        built.countDown();
        assertThat(closed.await(30, TimeUnit.SECONDS)).isTrue();
        assertThat(interrupted.get()).isFalse();
    }

    @Test
    void R7_4_anIntervalThatCannotBeCountedIsALongOne() {
        try (Expunger expunger = Expunger.manual();
                TokenResource tokens = builder(expunger)
                        .expungeInterval(java.time.temporal.ChronoUnit.FOREVER.getDuration())
                        .build()) {
            assertThat(expunger.runDue()).isEmpty();
            tokens.setExpungeInterval(java.time.temporal.ChronoUnit.FOREVER.getDuration());
            assertThat(expunger.runDue()).isEmpty();
            tokens.setExpungeInterval(Duration.ofMinutes(1));
            clock.advance(Duration.ofMinutes(2));
            assertThat(expunger.runDue()).hasSize(1);
        }
    }

    @Test
    void R7_5_closeReturnsAlsoWhenTheStoreHangs() throws InterruptedException {
        var hanging = new CountDownLatch(1);
        var release = new CountDownLatch(1);
        var thread = new AtomicReference<Thread>();
        faulty.answer = answer -> {
            if (answer instanceof Integer) {
                thread.set(Thread.currentThread());
                hanging.countDown();
                awaitUninterruptibly(release);
            }
            return answer;
        };
        TokenResource tokens = TokenResource.builder()
                .store(faulty.store)
                .maxTokenLifetime(Duration.ofDays(1))
                .callDeadline(Duration.ofMillis(10))
                .expungeInterval(Duration.ofMillis(1))
                .build();
        assertThat(hanging.await(30, TimeUnit.SECONDS)).isTrue();
        // Returns although the store breaks its deadline; the test's own time limit says whether it does.
        tokens.close();
        release.countDown();
        thread.get().join();
    }

    private static void awaitUninterruptibly(CountDownLatch latch) {
        while (true) {
            try {
                latch.await();
                return;
            } catch (InterruptedException e) {
                // A driver that does not listen.
            }
        }
    }

    @Test
    void R7_5_closingACommonExpungerLeavesTheResourcesOpen() {
        Expunger expunger = Expunger.manual();
        try (TokenResource tokens = builder(expunger).build()) {
            expunger.close();
            expunger.close();
            clock.advance(INTERVAL);
            assertThat(expunger.runDue()).isEmpty();
            assertThat(tokens.expungeExpired().removed()).isZero();
            assertThatThrownBy(() -> builder(expunger).build())
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("closed");
        }
    }

    @Test
    void R7_6_oneExpungerServesManyResourcesEachAtItsInterval() {
        try (Expunger expunger = Expunger.manual()) {
            TokenResource often = builder(expunger)
                    .domain("often")
                    .expungeInterval(Duration.ofHours(1))
                    .build();
            TokenResource seldom = builder(expunger)
                    .domain("seldom")
                    .expungeInterval(Duration.ofHours(100))
                    .build();
            for (TokenResource tokens : new TokenResource[] {often, seldom}) {
                tokens.storeToken(Token.withoutIssuedAt("t", "s", NOW.plusSeconds(60)));
            }
            clock.advance(Duration.ofHours(10));
            assertThat(expunger.runDue())
                    .extracting(report -> report.domain() + " " + report.removed())
                    .containsExactlyInAnyOrder("often 1", "seldom 1");
            clock.advance(Duration.ofHours(2));
            assertThat(expunger.runDue()).extracting(report -> report.domain()).containsExactly("often");
            often.close();
            clock.advance(Duration.ofHours(200));
            assertThat(expunger.runDue()).extracting(report -> report.domain()).containsExactly("seldom");
            seldom.close();
        }
    }
}
