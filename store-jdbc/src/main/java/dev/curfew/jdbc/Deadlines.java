package dev.curfew.jdbc;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLTimeoutException;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Cuts the connection of a call that is past its deadline, whatever it waits for: a reply, a lock, room to write. One
 * thread for all calls of a store, which counts the time and asks no clock; none while there are no calls. Nothing is set
 * on the connection, so nothing has to be set back.
 */
final class Deadlines implements AutoCloseable {
    private static final int TICK_MILLIS = 10;
    private static final int IDLE_TICKS = 100;

    private final ScheduledThreadPoolExecutor timer = new ScheduledThreadPoolExecutor(1, work -> {
        var thread = new Thread(work, "curfew-jdbc-deadlines");
        thread.setDaemon(true);
        return thread;
    });
    private final Set<Call> calls = ConcurrentHashMap.newKeySet();
    private volatile long ticks;
    private volatile @Nullable Future<?> ticking;
    private int idle;

    /** A call that begins now. */
    Call begin(Duration deadline) {
        var call = new Call(ticks + deadline.toMillis() / TICK_MILLIS);
        calls.add(call);
        if (ticking == null) {
            start();
        }
        return call;
    }

    private synchronized void start() {
        if (ticking == null && !timer.isShutdown()) {
            ticking = timer.scheduleAtFixedRate(this::tick, TICK_MILLIS, TICK_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private synchronized void tick() {
        long now = ticks + 1;
        ticks = now;
        calls.forEach(call -> call.expireAt(now));
        idle = calls.isEmpty() ? idle + 1 : 0;
        Future<?> running = ticking;
        if (idle > IDLE_TICKS && running != null) {
            running.cancel(false);
            ticking = null;
            idle = 0;
            if (!calls.isEmpty()) {
                start(); // one came in between
            }
        }
    }

    @Override
    public void close() {
        timer.shutdownNow();
    }

    final class Call implements AutoCloseable {
        private final long end;
        private @Nullable Connection connection;
        private boolean over;

        private Call(long end) {
            this.end = end;
        }

        /** From now on the call waits for this connection. */
        synchronized void waitsFor(Connection awaited) throws SQLException {
            connection = awaited;
            if (over) {
                throw new SQLTimeoutException("The deadline passed before a connection was there");
            }
        }

        /** The call waits no longer: from now on the connection is safe. */
        synchronized void waitsNoLonger() throws SQLException {
            Connection awaited = connection;
            connection = null;
            if (over && awaited != null) {
                awaited.getAutoCommit(); // throws, so that its pool learns that it was cut
            }
        }

        synchronized boolean isOver() {
            return over;
        }

        private synchronized void expireAt(long now) {
            if (now >= end && !over) {
                over = true;
                try {
                    if (connection != null) {
                        connection.abort(Runnable::run);
                    }
                } catch (SQLException e) {
                    // It is cut already.
                }
            }
        }

        @Override
        public void close() {
            calls.remove(this);
        }
    }
}
