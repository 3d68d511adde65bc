package dev.curfew.jdbc;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Cuts the connection of a call that is past its deadline. The call may wait for a reply, for a lock or for room to write.
 * There is one thread for all calls of a store, and none when all deadlines have passed. Nothing is set on the
 * connection, so nothing has to be set back.
 */
final class Timeouts implements AutoCloseable {
    private static final long RETRY_NANOS = 10_000_000;

    private final ScheduledThreadPoolExecutor timer;
    // The timeout of the call that ended last is cancelled when the next call ends. A timer with nothing to wait for
    // would be woken up by the next call, which takes longer than all the rest.
    private final AtomicReference<@Nullable Future<?>> last = new AtomicReference<>();

    Timeouts(ThreadFactory threads) {
        timer = new ScheduledThreadPoolExecutor(1, threads, (task, closed) -> requireOpen());
        timer.setRemoveOnCancelPolicy(true);
        timer.setKeepAliveTime(1, TimeUnit.SECONDS);
        timer.allowCoreThreadTimeOut(true);
    }

    static Thread daemon(Runnable work) {
        var thread = new Thread(work, "curfew-jdbc-timeout");
        thread.setDaemon(true);
        return thread;
    }

    void requireOpen() {
        if (timer.isShutdown()) {
            throw new IllegalStateException("The JDBC store is closed; open a new one");
        }
    }

    /**
     * Performs work on a connection. The connection is cut if the work is not done within so many nanoseconds.
     *
     * @throws SQLException if the work fails, or the connection was cut
     * @throws IllegalStateException if the store is closed
     */
    <T> @Nullable T perform(Connection connection, long nanos, SqlFunction<Connection, T> work) throws SQLException {
        var isOver = new AtomicBoolean();
        Future<?> timeout = null;
        try {
            Runnable end = () -> {
                if (isOver.compareAndSet(false, true)) {
                    cut(connection);
                }
            };
            timeout = timer.schedule(end, nanos, TimeUnit.NANOSECONDS);
            return work.apply(connection);
        } finally {
            cancelAfterNext(timeout);
            if (timer.isShutdown()) {
                cancelAfterNext(null); // there is no next call
            }
            if (!isOver.compareAndSet(false, true)) {
                connection.abort(Runnable::run); // done before the connection goes back to its pool
                connection.getAutoCommit(); // throws, so that the pool learns of it
            }
        }
    }

    private void cut(Connection connection) {
        try {
            if (!connection.isClosed()) {
                // On a thread of its own: to close a TLS socket may itself have to wait.
                connection.abort(work -> daemon(work).start());
            }
        } catch (Throwable e) { // such as no memory for a thread
            var unused = timer.schedule(() -> cut(connection), RETRY_NANOS, TimeUnit.NANOSECONDS);
        }
    }

    private void cancelAfterNext(@Nullable Future<?> timeout) {
        Future<?> ended = last.getAndSet(timeout);
        if (ended != null) {
            ended.cancel(false);
        }
    }

    /** A call that is under way keeps its deadline. */
    @Override
    public void close() {
        timer.shutdown();
        cancelAfterNext(null);
    }
}
