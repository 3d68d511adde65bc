package dev.curfew.redis;

import dev.curfew.Deadline;
import dev.curfew.redis.Failures.NotSentException;
import io.lettuce.core.RedisException;
import io.lettuce.core.api.StatefulConnection;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A connection of the driver, which all threads share and which the driver reconnects. The connection is made on a
 * thread of its own, when a call first needs it. After {@link #leave} the next call makes a new connection.
 */
class Connection {
    private static final int FIRST_ATTEMPT_SECONDS = 2;
    private static final int LONGEST_ATTEMPT_SECONDS = 16;
    private static final Duration PAUSE = Duration.ofMillis(200);

    private final Supplier<? extends StatefulConnection<String, String>> connector;
    private volatile @Nullable Attempt current;
    private volatile boolean closed;

    /** The number of answers that came: a connection on which others get answers is not silent. */
    final LongAdder answered = new LongAdder();

    /** @param connector makes a connection, and blocks until it is made */
    Connection(Supplier<? extends StatefulConnection<String, String>> connector) {
        this.connector = connector;
    }

    /**
     * An attempt to connect. If the attempt fails, the next one may begin after a pause. If the attempt takes too long,
     * the next one may begin at once, and may take twice as long.
     */
    private static final class Attempt extends CompletableFuture<StatefulConnection<String, String>> {
        final int seconds;
        volatile Deadline end;

        Attempt(int seconds) {
            this.seconds = seconds;
            this.end = Deadline.after(Duration.ofSeconds(seconds));
        }

        void fail(Throwable failure) {
            end = Deadline.after(PAUSE);
            completeExceptionally(failure);
        }

        boolean isMade() {
            return isDone() && !isCompletedExceptionally();
        }
    }

    /** Waits for the connection. The driver may have lost it, and be about to reconnect it. */
    StatefulConnection<String, String> open(Call call) throws ExecutionException, InterruptedException {
        while (true) {
            Attempt attempt = current;
            if (attempt == null || !attempt.isMade()) {
                attempt = attempt();
            }
            try {
                long patience = Math.max(0, attempt.end.remainingNanos());
                return attempt.get(Math.min(call.left(), patience), TimeUnit.NANOSECONDS);
            } catch (TimeoutException | ExecutionException e) {
                if (call.left() == 0 || !Failures.isSilence(e)) {
                    throw e instanceof ExecutionException failure
                            ? failure
                            : new ExecutionException(new NotSentException("UNCONNECTED"));
                }
                Thread.sleep(10); // until the next attempt may begin
            }
        }
    }

    /** The latest attempt, or a new one if the latest one is over. */
    private synchronized Attempt attempt() {
        Attempt before = current;
        if (before != null && (before.isMade() || !before.end.isOver())) {
            return before;
        }
        var attempt = new Attempt(
                before == null || before.isDone()
                        ? FIRST_ATTEMPT_SECONDS
                        : Math.min(LONGEST_ATTEMPT_SECONDS, 2 * before.seconds));
        current = attempt;
        try {
            var thread = new Thread(() -> connect(attempt), "curfew-redis-connect");
            thread.setDaemon(true);
            thread.start();
        } catch (OutOfMemoryError e) {
            attempt.fail(e); // the system has no thread left
        }
        return attempt;
    }

    private void connect(Attempt attempt) {
        try {
            StatefulConnection<String, String> connection;
            try {
                connection = connector.get();
            } catch (RedisException e) {
                if (Failures.isExplained(e)) {
                    throw e;
                }
                // The driver may have seen the end of the connection before the server's reason for it.
                connection = connector.get();
            }
            synchronized (this) {
                if (!closed && current == attempt) {
                    attempt.complete(connection);
                    return;
                }
            }
            var unused = connection.closeAsync();
        } catch (Throwable e) {
            attempt.fail(e);
        }
    }

    /** Closes a connection, so that the next call makes a new one, unless another thread has done so already. */
    synchronized void leave(Object connection) {
        StatefulConnection<String, String> made = made();
        if (made == connection && made != null) {
            current = null;
            var unused = made.closeAsync();
        }
    }

    private @Nullable StatefulConnection<String, String> made() {
        Attempt attempt = current;
        return attempt != null && attempt.isMade() ? attempt.join() : null;
    }

    synchronized CompletableFuture<Void> close() {
        closed = true;
        StatefulConnection<String, String> connection = made();
        return connection == null ? CompletableFuture.completedFuture(null) : connection.closeAsync();
    }
}
