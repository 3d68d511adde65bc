package dev.curfew.redis;

import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** What is left of the time of one call: it runs down while the call waits, and needs no clock for that. */
final class Deadline {
    private static final long PAUSE_NANOS = 10_000_000;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition done = lock.newCondition();
    private final long all;
    private long left;

    Deadline(Duration duration) {
        this.all = duration.toNanos();
        this.left = all;
    }

    /** Waits for an answer, for as long as there is time. */
    <T> T await(CompletableFuture<T> answer) throws ExecutionException, InterruptedException, TimeoutException {
        if (!answer.isDone()) {
            CompletableFuture<T> unused = answer.whenComplete((result, thrown) -> signal());
            lock.lockInterruptibly();
            try {
                while (!answer.isDone()) {
                    if (left <= 0) {
                        throw new TimeoutException();
                    }
                    left = done.awaitNanos(left);
                }
            } finally {
                lock.unlock();
            }
        }
        try {
            return answer.get();
        } catch (CancellationException e) {
            // By the driver, whose connection was closed.
            throw new ExecutionException(e);
        }
    }

    /** Waits a moment for something that nobody tells of, unless more than half of the time is gone. */
    boolean pause() throws InterruptedException {
        if (left < all / 2) {
            return false;
        }
        lock.lockInterruptibly();
        try {
            long until = left - PAUSE_NANOS;
            while (left > until) {
                left = until + done.awaitNanos(left - until);
            }
        } finally {
            lock.unlock();
        }
        return true;
    }

    /** Milliseconds, less a quarter: how long a server may take that shall still answer in time. */
    long forTheServer() {
        return Math.max(1, left / 4 * 3 / 1_000_000);
    }

    /** Nanoseconds. */
    long left() {
        return left;
    }

    /** Whether most of the time has gone by since so much was left: long enough to call a server silent. */
    boolean isMostlyGoneSince(long leftBefore) {
        return leftBefore - left >= all / 2;
    }

    private void signal() {
        lock.lock();
        try {
            done.signalAll();
        } finally {
            lock.unlock();
        }
    }
}
