package dev.curfew.jdbc;

import java.sql.Connection;
import java.sql.SQLException;
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

    private final ScheduledThreadPoolExecutor timer =
            new ScheduledThreadPoolExecutor(1, work -> daemon(work, "curfew-jdbc-deadlines"));
    private final Set<Call> calls = ConcurrentHashMap.newKeySet();
    private volatile long ticks;
    private volatile @Nullable Future<?> ticking;
    private int idle;
    private boolean closed;

    Deadlines() {
        timer.setKeepAliveTime(1, TimeUnit.SECONDS);
        timer.allowCoreThreadTimeOut(true);
    }

    private static Thread daemon(Runnable work, String name) {
        var thread = new Thread(work, name);
        thread.setDaemon(true);
        return thread;
    }

    /** A call that begins now. A tick is never early and often late: so it has a twentieth fewer of them. */
    Call begin(Duration deadline) {
        var call = new Call(ticks + 1 + deadline.toMillis() * 19 / (20 * TICK_MILLIS));
        calls.add(call);
        if (ticking == null) {
            start();
        }
        return call;
    }

    private synchronized void start() {
        if (ticking == null && !timer.isShutdown()) {
            // With a delay and not at a rate: ticks that were missed must not come all at once.
            ticking = timer.scheduleWithFixedDelay(this::tick, TICK_MILLIS, TICK_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private synchronized void tick() {
        long now = ticks + 1;
        ticks = now;
        calls.forEach(call -> call.expireAt(now));
        idle = calls.isEmpty() ? idle + 1 : 0;
        Future<?> running = ticking;
        if (running != null && idle > (closed ? 0 : IDLE_TICKS)) {
            running.cancel(false);
            ticking = null;
            idle = 0;
            if (closed) {
                timer.shutdown();
            } else if (!calls.isEmpty()) {
                start(); // one came in between
            }
        }
    }

    /** What is still being asked keeps its deadline. */
    @Override
    public synchronized void close() {
        closed = true;
        if (ticking == null) {
            timer.shutdown();
        }
    }

    final class Call implements AutoCloseable {
        private final long end;
        private @Nullable Connection connection;
        private boolean over;

        private Call(long end) {
            this.end = end;
        }

        /** From now on the call waits for this connection; false if it is over already. */
        synchronized boolean waitsFor(Connection awaited) {
            connection = over ? null : awaited;
            return !over;
        }

        /** The call waits no longer: from now on the connection is safe. */
        synchronized void waitsNoLonger() throws SQLException {
            Connection awaited = connection;
            connection = null;
            if (over && awaited != null) {
                awaited.abort(Runnable::run); // before it goes back to its pool
                awaited.getAutoCommit(); // throws, so that the pool learns of it
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
                        // On a thread of its own: to close a TLS socket may itself have to wait.
                        connection.abort(cut -> daemon(cut, "curfew-jdbc-cut").start());
                    }
                } catch (SQLException | RuntimeException | AbstractMethodError e) {
                    // It is cut already, or cannot be cut: the other calls still have their deadlines.
                }
            }
        }

        @Override
        public void close() {
            calls.remove(this);
        }
    }
}
