package dev.curfew.jdbc;

import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadFactory;
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

    private final ScheduledThreadPoolExecutor timer;
    private final Set<Call> calls = ConcurrentHashMap.newKeySet();
    private volatile long ticks;
    private volatile @Nullable Future<?> ticking;
    private int idle;
    private boolean closed;

    Deadlines() {
        this(work -> daemon(work, "curfew-jdbc-deadlines"));
    }

    Deadlines(ThreadFactory threads) {
        timer = new ScheduledThreadPoolExecutor(1, threads);
        timer.setKeepAliveTime(1, TimeUnit.SECONDS);
        timer.allowCoreThreadTimeOut(true);
    }

    private static Thread daemon(Runnable work, String name) {
        var thread = new Thread(work, name);
        thread.setDaemon(true);
        return thread;
    }

    /**
     * A call that begins now. A tick is never early and often late: so it has a twentieth fewer of them.
     *
     * @param again whether the call may be asked again on another connection: then the first one is cut at half the time
     */
    Call begin(Duration deadline, boolean again) {
        long length = deadline.toMillis() * 19 / (20 * TICK_MILLIS);
        long now = ticks + 1;
        var call = new Call(now + length, now + length / 2, again);
        calls.add(call);
        try {
            if (ticking == null) {
                start();
            }
        } catch (Throwable e) {
            call.close();
            throw e;
        }
        return call;
    }

    private synchronized void start() {
        if (ticking == null && !timer.isShutdown()) {
            try {
                // With a delay and not at a rate: ticks that were missed must not come all at once.
                ticking = timer.scheduleWithFixedDelay(this::tick, TICK_MILLIS, TICK_MILLIS, TimeUnit.MILLISECONDS);
            } catch (Throwable e) {
                timer.getQueue().clear(); // no thread could be started; two of these would tick at twice the speed
                throw e;
            }
        }
    }

    /** Nothing may come out of it: it would be the last tick, and no call would have a deadline any more. */
    private void tick() {
        try {
            expire();
        } catch (Throwable e) {
            // Such as no memory left: the next tick does what this one did not.
        }
    }

    private synchronized void expire() {
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
        private final long half;
        private boolean again;
        private @Nullable Connection connection;
        private boolean cut;
        private boolean halfOver;
        private boolean over;

        private Call(long end, long half, boolean again) {
            this.end = end;
            this.half = half;
            this.again = again;
        }

        /** From now on the call waits for this connection; false if it is over already. */
        synchronized boolean waitsFor(Connection awaited) {
            connection = over ? null : awaited;
            again &= !halfOver; // else this connection has all the time that is left
            cut = false;
            return !over;
        }

        /** The call waits no longer: from now on the connection is safe. */
        synchronized void waitsNoLonger() throws SQLException {
            Connection awaited = connection;
            connection = null;
            if ((over || cut) && awaited != null) {
                awaited.abort(Runnable::run); // before it goes back to its pool
                awaited.getAutoCommit(); // throws, so that the pool learns of it
            }
        }

        synchronized boolean isOver() {
            return over;
        }

        synchronized boolean isHalfOver() {
            return halfOver;
        }

        /** Whether the time of the connection that it waited for has run out. */
        synchronized boolean isCut() {
            return over || cut;
        }

        /** Whether it may be asked again on another connection; not twice. */
        synchronized boolean mayBeAskedAgain() {
            boolean may = again && !over;
            again = false;
            return may;
        }

        private synchronized void expireAt(long now) {
            halfOver |= now >= half;
            over |= now >= end;
            if (connection != null && !cut && (over || (halfOver && again))) {
                try {
                    // On a thread of its own: to close a TLS socket may itself have to wait.
                    connection.abort(cut -> daemon(cut, "curfew-jdbc-cut").start());
                    cut = true;
                } catch (Throwable e) {
                    // It is cut already, or cannot be cut, or there is no thread for it: the other calls still have
                    // their
                    // deadlines, and this one is tried again at the next tick.
                }
            }
        }

        @Override
        public void close() {
            calls.remove(this);
        }
    }
}
