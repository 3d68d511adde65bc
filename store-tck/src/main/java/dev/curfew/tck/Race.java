package dev.curfew.tck;

import dev.curfew.Deadline;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;

/**
 * Threads that do something at the same moment, round after round; no sleep. A round begins when all have arrived. On a
 * busy machine that costs milliseconds a round, so a race waits {@link #PATIENCE} in all; its remaining rounds are run
 * without a meeting, and overlap by chance.
 */
final class Race {
    /** More racers than most machines have cores, so that some are caught half-way. */
    static final int RACERS = 4;

    private static final int ROUNDS_AT_A_TIME = 500;

    /** For how many nanoseconds the racers wait for each other, beyond the time that their actions take. */
    private static final long PATIENCE = TimeUnit.SECONDS.toNanos(10) * RACERS;

    /** What one racer does in one round. */
    interface Action {
        Object run(int round, int racer) throws Exception;
    }

    /** Judges the answers of a round, which are in the order of the racers. An exception is an answer, too. */
    interface Verdict {
        void on(int round, List<Object> answers);
    }

    private Race() {}

    /**
     * Runs rounds of a race, and judges each.
     *
     * @param what the verbs that race, for the message of a round that fails
     */
    static void run(String what, int rounds, IntConsumer prepare, Action action, Verdict verdict) {
        ExecutorService racers = Executors.newFixedThreadPool(RACERS);
        var patience = new AtomicLong(PATIENCE);
        try {
            for (int first = 0; first < rounds; first += ROUNDS_AT_A_TIME) {
                int count = Math.min(ROUNDS_AT_A_TIME, rounds - first);
                for (int i = 0; i < count; i++) {
                    prepare.accept(first + i);
                }
                heat(racers, first, count, patience, action, named(what, rounds, verdict));
            }
        } finally {
            racers.shutdownNow();
        }
    }

    /** Names, where a round fails, the race, the round and the answers of the racers. */
    private static Verdict named(String what, int rounds, Verdict verdict) {
        return (round, answers) -> {
            try {
                verdict.on(round, answers);
            } catch (AssertionError e) {
                throw new AssertionError(
                        "Race of " + what + ", round " + round + " of " + rounds + " (-Dcurfew.tck.races=" + rounds
                                + " repeats it; it may take several runs to meet), answers " + answers + ": "
                                + e.getMessage(),
                        e);
            }
        };
    }

    private static void heat(
            ExecutorService racers, int first, int count, AtomicLong patience, Action action, Verdict verdict) {
        var arrivals = new AtomicInteger();
        List<Future<List<Object>>> lanes = new ArrayList<>();
        for (int racer = 0; racer < RACERS; racer++) {
            int lane = racer;
            lanes.add(racers.submit(() -> {
                var watch = Deadline.after(Duration.ofDays(1));
                List<Object> answers = new ArrayList<>(count);
                for (int i = 0; i < count; i++) {
                    long before = watch.remainingNanos();
                    meet(arrivals, (i + 1) * RACERS, patience.get() > 0);
                    long met = watch.remainingNanos();
                    answers.add(answer(action, first + i, lane));
                    patience.addAndGet(met - watch.remainingNanos() - (before - met));
                }
                return answers;
            }));
        }
        List<List<Object>> answers = lanes.stream().map(Race::result).toList();
        for (int i = 0; i < count; i++) {
            int round = i;
            verdict.on(
                    first + round, answers.stream().map(lane -> lane.get(round)).toList());
        }
    }

    /** Waits, without parking, until all have arrived: parked threads are woken one after the other, and do not race. */
    @SuppressWarnings("ThreadPriorityCheck") // the yield only saves time where there are fewer cores than racers
    private static void meet(AtomicInteger arrivals, int all, boolean isPatient) {
        arrivals.incrementAndGet();
        for (int spins = 0; isPatient && arrivals.get() < all; spins++) {
            if (spins < 200) {
                Thread.onSpinWait();
            } else {
                Thread.yield();
            }
            if (Thread.currentThread().isInterrupted()) {
                throw new IllegalStateException("The race was interrupted");
            }
        }
    }

    /** Waits for a condition that another thread brings about. */
    @SuppressWarnings("ThreadPriorityCheck")
    static void awaitThat(BooleanSupplier condition) {
        while (!condition.getAsBoolean()) {
            if (Thread.currentThread().isInterrupted()) {
                throw new IllegalStateException("Interrupted while waiting");
            }
            Thread.yield();
        }
    }

    /**
     * Waits for a condition that a server brings about.
     *
     * @param what the condition, for the message
     */
    static void awaitThat(String what, BooleanSupplier condition) {
        for (int looks = 0; !condition.getAsBoolean(); looks++) {
            if (looks == 500) {
                throw new AssertionError("This did not come true within 10 seconds: " + what);
            }
            LockSupport.parkNanos(20_000_000);
        }
    }

    private static Object answer(Action action, int round, int racer) {
        try {
            return action.run(round, racer);
        } catch (Throwable e) {
            return e; // also an error: the others wait for this racer at the next round
        }
    }

    /** Runs one task on each of several threads until all are done, and throws what the first of them threw. */
    static void together(List<Runnable> tasks) {
        ExecutorService threads = Executors.newFixedThreadPool(tasks.size());
        try {
            tasks.stream().map(threads::submit).toList().forEach(Race::result);
        } finally {
            threads.shutdownNow();
        }
    }

    /** Runs {@code body} on several threads, {@code times} in all, with the number of each. */
    static void share(int threads, int times, IntConsumer body) {
        var next = new AtomicLong();
        Runnable worker = () -> {
            for (long i = next.getAndIncrement(); i < times; i = next.getAndIncrement()) {
                body.accept((int) i);
            }
        };
        together(Collections.nCopies(threads, worker));
    }

    private static <T> T result(Future<T> future) {
        try {
            return future.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("The race was interrupted", e);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof AssertionError error) {
                throw error;
            }
            throw new AssertionError("A thread of the race failed", e.getCause());
        }
    }
}
