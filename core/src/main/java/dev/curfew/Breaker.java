package dev.curfew;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Keeps checks from a store that has failed several of them in a row (R8.9): one at a time still asks it, so that not
 * every thread of the application waits for a server that is silent.
 */
final class Breaker {
    /** No turn: another check is asking. */
    static final long NONE = Long.MIN_VALUE;

    private static final int FAILURES = 5;

    private final long deadlineMillis;
    private final AtomicInteger failuresInARow = new AtomicInteger();
    // When the check that is asking began, or NONE.
    private final AtomicLong turn = new AtomicLong(NONE);

    Breaker(Duration deadline) {
        this.deadlineMillis = deadline.toMillis();
    }

    /** For so long after a success no failure counts. */
    long deadlineMillis() {
        return deadlineMillis;
    }

    /** Whether a check needs a turn; for one that does not it costs a volatile read. */
    boolean isTripped() {
        return failuresInARow.get() >= FAILURES;
    }

    /** A check has failed. */
    void failed() {
        if (!isTripped()) {
            failuresInARow.incrementAndGet();
        }
    }

    /** A verb has succeeded. */
    void reset() {
        if (failuresInARow.get() != 0) {
            failuresInARow.set(0);
        }
    }

    /**
     * Takes the turn to ask, to be given back by {@link #end}; {@link #NONE} where another check has it. A turn that is not
     * back within the deadline, in a driver that is stuck, is not waited for.
     *
     * @param now in milliseconds
     */
    long takeTurn(long now) {
        long since = turn.get();
        boolean free = since == NONE || Math.abs(now - since) > deadlineMillis;
        return free && turn.compareAndSet(since, now) ? now : NONE;
    }

    void end(long taken) {
        turn.compareAndSet(taken, NONE);
    }
}
