package dev.curfew.jdbc;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.Deadline;
import dev.curfew.StoreScope;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * The connections on which a store performs its statements: connections of its pool, or the connection of the caller's
 * transaction. A call ends by its deadline. Before the deadline, work that may be repeated is repeated.
 */
final class Connections implements AutoCloseable {
    private static final long BACK_OFF_NANOS = 500_000;

    private final DataSource pool;
    private final @Nullable HikariDataSource owned;
    private final Timeouts timeouts = new Timeouts(Timeouts::daemon);
    // The number of times that the store's own pool was emptied.
    private final AtomicInteger emptied = new AtomicInteger();

    @SuppressWarnings("ThreadLocalUsage") // not static: each store has its own, and stores are few and live long
    private final ThreadLocal<@Nullable Connection> transaction = new ThreadLocal<>();

    /**
     * @param halfNanos half of the deadline: in nanoseconds; the first attempt of a read is cut, and repeated, when
     * only so much is left
     */
    private record Call(String domain, Deadline end, long halfNanos) {}

    /** @param owned the pool if the store opened it, else null */
    Connections(DataSource pool, @Nullable HikariDataSource owned) {
        this.pool = pool;
        this.owned = owned;
    }

    /** Runs the actions. Until they end, every call of the store by this thread uses this connection. */
    <T extends @Nullable Object> T inTransaction(Connection connection, Supplier<T> actions) {
        Connection outer = transaction.get();
        transaction.set(connection);
        try {
            return actions.get();
        } finally {
            transaction.set(outer);
        }
    }

    boolean isInTransaction() {
        return transaction.get() != null;
    }

    /**
     * Performs the work and returns its answer. Work answers {@code null} if another transaction was in its way. It is
     * then performed again, until the deadline.
     *
     * @param reads whether the work only reads. Such work is performed once more if its connection fails
     */
    <T> T perform(StoreScope scope, boolean reads, SqlFunction<Connection, T> work) {
        Connection outer = transaction.get();
        boolean again = reads && outer == null;
        var call = new Call(
                scope.domain(),
                Deadline.after(scope.deadline()),
                scope.deadline().toNanos() / 2);
        while (true) {
            timeouts.requireOpen();
            int before = emptied.get();
            try {
                T answer = outer == null ? onPool(call, again, work) : on(outer, call, false, work);
                if (answer != null) {
                    return answer;
                }
            } catch (SQLException e) {
                boolean gone = Failures.isOfConnection(e);
                if (gone && outer == null) {
                    emptyOwnPool(before);
                }
                if (call.end.isOver()) {
                    throw Failures.of(call.domain, Failures.LATE, e, true);
                } else if (gone ? !again : outer != null || !Failures.mayRepeat(e)) {
                    throw Failures.of(call.domain, e, true);
                }
                again &= !gone;
            }
            // Another transaction was in the way. Wait a moment for it to end, then try again.
            LockSupport.parkNanos(BACK_OFF_NANOS);
        }
    }

    private <T> @Nullable T onPool(Call call, boolean again, SqlFunction<Connection, T> work) throws SQLException {
        try (Connection connection = connection(call)) {
            // This setReadOnly changes nothing. It is called because it throws while a transaction is open: such a
            // transaction is somebody else's, and setAutoCommit(true) would commit it. Neither call costs a round trip.
            connection.setReadOnly(connection.isReadOnly());
            boolean autoCommit = connection.getAutoCommit();
            connection.setAutoCommit(true);
            try {
                return on(connection, call, again, work);
            } finally {
                if (!connection.isClosed()) {
                    connection.setAutoCommit(autoCommit);
                }
            }
        }
    }

    /**
     * Takes a connection from the pool. If the pool gives up within half of the deadline, asks once more: it may have
     * tried dead connections. This is safe: nothing has been sent, and a second wait of that length fits into the other
     * half.
     */
    private Connection connection(Call call) {
        for (boolean first = true; ; first = false) {
            int before = emptied.get();
            try {
                return pool.getConnection();
            } catch (SQLException e) {
                if (!first || call.end.remainingNanos() <= call.halfNanos) {
                    throw Failures.of(call.domain, e, false);
                }
                if (owned != null && owned.getHikariPoolMXBean().getActiveConnections() < owned.getMaximumPoolSize()) {
                    emptyOwnPool(before); // not all connections are in use, so the pool was not only busy
                }
            }
        }
    }

    private <T> @Nullable T on(Connection connection, Call call, boolean again, SqlFunction<Connection, T> work)
            throws SQLException {
        long nanos = call.end.remainingNanos();
        if (nanos <= 0) {
            throw Failures.of(call.domain, new SQLException("the pool took too long", Failures.TOO_LATE), false);
        }
        return timeouts.perform(connection, again && nanos > call.halfNanos ? nanos - call.halfNanos : nanos, work);
    }

    /**
     * Closes all connections of the store's own pool. If one is dead, a firewall has most likely dropped the others
     * too. If one leads to a standby, others probably do too. A connection in use is closed when it is given back.
     *
     * @param before the value of {@link #emptied} before the pool was asked: if it has changed since, another call has
     *     emptied the pool, and its new connections are kept
     */
    private void emptyOwnPool(int before) {
        if (owned != null && emptied.compareAndSet(before, before + 1)) {
            owned.getHikariPoolMXBean().softEvictConnections();
        }
    }

    @Override
    public void close() {
        timeouts.close();
        if (owned != null) {
            owned.close();
        }
    }
}
