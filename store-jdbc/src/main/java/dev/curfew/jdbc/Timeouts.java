package dev.curfew.jdbc;

import dev.curfew.Deadline;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Cuts the connection of a call that is past its deadline, whatever the call waits for: a reply, a lock, room to write.
 * One thread for all calls of a store, and none when all deadlines have passed. Nothing is set on the connection, so
 * nothing has to be set back.
 */
final class Timeouts implements AutoCloseable {
    private static final long RETRY_NANOS = 10_000_000;

    private final ScheduledThreadPoolExecutor timer;
    // The timeout of the call that ended last is cancelled when the next call ends. A timer that had nothing else to
    // wait
    // for would be woken up by the next call, which takes longer than all the rest.
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
     * Performs work on a connection, which is cut where the work is not done by the deadline.
     *
     * @throws SQLException of the work, or that the connection has been closed
     * @throws IllegalStateException if the store is closed
     */
    <T> @Nullable T perform(Connection connection, Deadline deadline, SqlFunction<Connection, T> work)
            throws SQLException {
        var cut = new Cut(connection);
        try {
            cut.schedule(deadline.remainingNanos());
            return work.apply(connection);
        } finally {
            cut.spare();
        }
    }

    private void cancelAfterNext(@Nullable Future<?> timeout) {
        Future<?> ended = last.getAndSet(timeout);
        if (ended != null) {
            ended.cancel(false);
        }
    }

    /** What is still being asked keeps its deadline. */
    @Override
    public void close() {
        timer.shutdown();
        cancelAfterNext(null);
    }

    private final class Cut implements Runnable {
        private final Connection connection;
        private @Nullable Future<?> timeout;
        private boolean isDone;
        private boolean isSpared;

        Cut(Connection connection) {
            this.connection = connection;
        }

        synchronized void schedule(long nanos) {
            timeout = timer.schedule(this, nanos, TimeUnit.NANOSECONDS);
        }

        @Override
        public synchronized void run() {
            if (isSpared) {
                return;
            }
            try {
                // On a thread of its own: to close a TLS socket may itself have to wait.
                connection.abort(work -> daemon(work).start());
                isDone = true;
            } catch (Throwable e) { // such as no memory for a thread
                schedule(RETRY_NANOS);
            }
        }

        /** From now on the connection is safe. One that was cut is closed, and throws, so that its pool learns of it. */
        synchronized void spare() throws SQLException {
            isSpared = true;
            cancelAfterNext(timeout);
            if (timer.isShutdown()) {
                cancelAfterNext(null); // there is no next call
            }
            if (isDone) {
                connection.abort(Runnable::run);
                connection.getAutoCommit();
            }
        }
    }
}
