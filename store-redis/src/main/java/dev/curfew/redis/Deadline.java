package dev.curfew.redis;

import io.lettuce.core.RedisCommandTimeoutException;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/** What is left of the time of one call: it runs down while the call waits, and needs no clock for that. */
final class Deadline {
    private static final long PAUSE_NANOS = 10_000_000;

    private final long all;
    private final boolean forOne;
    private long left;
    private @Nullable Bell bell;

    Deadline(Duration duration) {
        this(duration, false);
    }

    private Deadline(Duration duration, boolean forOne) {
        this.all = duration.toNanos();
        this.left = all;
        this.forOne = forOne;
    }

    /** That of a call which asks one server once, and waits for nothing after that. */
    static Deadline forOne(Duration duration) {
        return new Deadline(duration, true);
    }

    boolean isForOne() {
        return forOne;
    }

    /** What whoever waits listens to, and what tells how long that took. */
    private static final class Bell {
        final ReentrantLock lock = new ReentrantLock();
        final Condition done = lock.newCondition();

        void ring() {
            lock.lock();
            try {
                done.signalAll();
            } finally {
                lock.unlock();
            }
        }

        /** Waits until it rings, or for so long, and answers how much of that is left. */
        long listen(long nanos, BooleanSupplier over) throws InterruptedException {
            lock.lockInterruptibly();
            try {
                long left = nanos;
                while (left > 0 && !over.getAsBoolean()) {
                    left = done.awaitNanos(left);
                }
                return left;
            } finally {
                lock.unlock();
            }
        }
    }

    private Bell bell() {
        if (bell == null) {
            bell = new Bell();
        }
        return bell;
    }

    /** Waits for an answer, for as long as there is time. */
    <T> T await(CompletableFuture<T> answer) throws ExecutionException, InterruptedException, TimeoutException {
        if (!answer.isDone()) {
            Bell rung = bell();
            CompletableFuture<T> unused = answer.whenComplete((result, thrown) -> rung.ring());
            left = rung.listen(left, answer::isDone);
            if (!answer.isDone()) {
                throw new TimeoutException();
            }
        }
        try {
            return answer.get();
        } catch (CancellationException e) {
            // By the driver, whose connection was closed.
            throw new ExecutionException(e);
        }
    }

    /**
     * Waits until there is an answer, or a failure. Only for a deadline {@link #forOne}: how long it took is not known after
     * that, which costs less.
     */
    void awaitLast(CompletableFuture<?> answer) throws InterruptedException, TimeoutException {
        try {
            Object unused = answer.get(Math.max(0, left), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            left = 0;
            throw e;
        } catch (ExecutionException e) {
            // Which the answer itself tells, too. The client's own timeout is silence, like ours.
            left = e.getCause() instanceof RedisCommandTimeoutException ? 0 : left;
        } catch (CancellationException e) {
            // The same.
        }
    }

    /** Waits a moment for something that nobody tells of, unless more than half of the time is gone. */
    boolean pause() throws InterruptedException {
        if (left < all / 2) {
            return false;
        }
        left -= PAUSE_NANOS - bell().listen(PAUSE_NANOS, () -> false);
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
}
