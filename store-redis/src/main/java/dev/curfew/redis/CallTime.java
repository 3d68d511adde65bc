package dev.curfew.redis;

import dev.curfew.Deadline;
import io.lettuce.core.RedisCommandTimeoutException;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** The time of one call, which all that the call asks shares. */
final class CallTime {
    private static final long PAUSE_MILLIS = 10;

    private final long all;
    private final Deadline deadline;
    private boolean hasClientTimedOut;

    CallTime(Duration duration) {
        this.all = duration.toNanos();
        this.deadline = Deadline.after(duration);
    }

    /** Waits for an answer, for as long as there is time. */
    <T extends @Nullable Object> T await(CompletableFuture<T> answer)
            throws ExecutionException, InterruptedException, TimeoutException {
        hasClientTimedOut = false;
        try {
            return answer.get(Math.max(0, left()), TimeUnit.NANOSECONDS);
        } catch (ExecutionException e) {
            hasClientTimedOut = e.getCause() instanceof RedisCommandTimeoutException;
            throw e;
        } catch (CancellationException e) {
            // By the driver, whose connection was closed.
            throw new ExecutionException(e);
        }
    }

    /** Waits a moment for something that nobody announces, unless more than half of the time is gone. */
    boolean pause() throws InterruptedException {
        if (left() < all / 2) {
            return false;
        }
        Thread.sleep(PAUSE_MILLIS);
        return true;
    }

    /** How many milliseconds a server may take that shall still answer in time: three quarters of what is left. */
    long forTheServer() {
        return Math.max(1, left() / 4 * 3 / 1_000_000);
    }

    /** How many nanoseconds are left. */
    long left() {
        return deadline.remainingNanos();
    }

    /** Whether a server that was asked when so much was left has been silent for long: the client's own timeout says so too. */
    boolean isMostlyGoneSince(long leftBefore) {
        return hasClientTimedOut || leftBefore - left() >= all / 2;
    }
}
