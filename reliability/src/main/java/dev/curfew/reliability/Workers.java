package dev.curfew.reliability;

import static org.awaitility.Awaitility.await;

import dev.curfew.reliability.Operation.Answer;
import dev.curfew.reliability.Operation.Kind;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;

/** Threads that store, revoke, use and check tokens while a server fails. They judge nothing. */
final class Workers {
    private static final int RECENT = 256;
    private static final int ATTEMPTS = 3;
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    /** How long a thread rests after a failure: a store that knows that its server is away refuses at once. */
    private static final Duration REST = Duration.ofMillis(10);

    private static final Duration TICK = Duration.ofMillis(20);

    private final Nodes nodes;
    private final History history;
    private final long first;
    private final AtomicLong next;
    private final AtomicLongArray recent = new AtomicLongArray(RECENT);
    private final AtomicLong successes = new AtomicLong();
    private final AtomicLong failures = new AtomicLong();
    private final Thread running;
    private final Thread pulse = new Thread(this::beat, "pulse");
    private volatile boolean isOver;

    /** Begins, with tokens from this number on. */
    Workers(Nodes nodes, History history, long first, Random seeds) {
        this.nodes = nodes;
        this.history = history;
        this.first = first;
        this.next = new AtomicLong(first);
        long seed = seeds.nextLong();
        this.running = new Thread(
                () -> Nodes.together(thread -> {
                    Random random = new Random(seed + thread);
                    while (!isOver) {
                        act(thread, random);
                    }
                }),
                "workers");
        running.start();
        pulse.start();
    }

    private void act(int thread, Random random) {
        long token = next.getAndIncrement();
        attempt(() -> nodes.store(history, thread, token));
        recent.set((int) (token % RECENT), token);
        if (random.nextBoolean()) {
            attempt(() -> nodes.check(history, thread + 1, token));
        }
        if (random.nextInt(10) > 0) {
            revoke(thread, token, random);
        }
        attempt(() -> nodes.check(history, thread + 1, token));
        // One that another thread may be at, or has left a moment ago.
        long other = recent.get(random.nextInt(RECENT));
        if (other > 0) {
            switch (random.nextInt(4)) {
                case 0 -> revoke(thread, other, random);
                case 1 -> attempt(() -> nodes.store(history, thread, other));
                default -> attempt(() -> nodes.check(history, thread, other));
            }
        }
    }

    private void revoke(int thread, long token, Random random) {
        int way = random.nextInt(6);
        for (int attempts = 0; attempts < ATTEMPTS && !isOver; attempts++) {
            // Who got no answer asks again.
            if (attempt(() -> nodes.revoke(history, thread, token, way))) {
                return;
            }
        }
    }

    private interface Attempt {
        Answer run();
    }

    private boolean attempt(Attempt attempt) {
        Answer answer = attempt.run();
        boolean hasFailed = answer == Answer.FAILED || answer == Answer.UNKNOWN;
        (hasFailed ? failures : successes).incrementAndGet();
        if (hasFailed) {
            LockSupport.parkNanos(REST.toNanos());
        }
        return !hasFailed;
    }

    /** Notices when this JVM does not run, which no call is to blame for. */
    private void beat() {
        while (!isOver) {
            long start = System.nanoTime();
            LockSupport.parkNanos(TICK.toNanos());
            if (System.nanoTime() - start > TICK.multipliedBy(5).toNanos()) {
                history.fault(Kind.PAUSE, start);
            }
        }
    }

    /** How many calls have succeeded so far. */
    long successes() {
        return successes.get();
    }

    void awaitSuccesses(long more) {
        awaitMore(successes, more);
    }

    void awaitFailures(long more) {
        awaitMore(failures, more);
    }

    private static void awaitMore(AtomicLong count, long more) {
        long before = count.get();
        await().atMost(PATIENCE).pollInterval(Duration.ofMillis(10)).until(() -> count.get() >= before + more);
    }

    /** Ends, asks about every token once more, and answers the first number that was not used. */
    long stop() {
        isOver = true;
        try {
            running.join();
            pulse.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        long end = next.get();
        Nodes.together(thread -> {
            for (long token = first + thread; token < end; token += Nodes.THREADS) {
                long asked = token;
                if (!attempt(() -> nodes.check(history, thread, asked))) {
                    await().atMost(PATIENCE).until(() -> attempt(() -> nodes.check(history, thread, asked)));
                }
            }
        });
        return end;
    }
}
