package dev.curfew.jdbc;

import dev.curfew.RevocationFeed;
import dev.curfew.StoreScope;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The revocations in PostgreSQL as a feed. A row that is revoked has the id of the transaction that did it. A position is
 * the history of the data and a snapshot: all later revocations are by transactions that the snapshot did not see.
 */
final class JdbcFeed implements RevocationFeed {
    /** The LIMIT of the statement. Most polls have fewer rows, and are one round trip. */
    private static final int FEW = 1000;

    private static final String SEPARATOR = "|";

    private final JdbcTokenStore store;

    JdbcFeed(JdbcTokenStore store) {
        this.store = store;
    }

    @Override
    public @Nullable String follow(StoreScope scope, @Nullable String after, Sink sink, Instant now) {
        if (after == null) {
            Instant due = now.minus(scope.skew());
            return store.stream(scope, FEW, "load", rows -> new Page(rows, sink), due, now).position;
        }
        int end = after.indexOf(SEPARATOR);
        String snapshot = after.substring(end + 1);
        boolean isAllDone = snapshot.endsWith(":"); // no transaction was in progress
        String statement = isAllDone ? "follow" : "followUnfinished";
        Object[] parameters = isAllDone ? new Object[] {snapshot, snapshot} : new Object[] {snapshot};
        Page page = store.ask(scope, statement, rows -> new Page(rows, sink), parameters);
        if (page.rows > FEW) {
            page = store.stream(scope, FEW, statement + "All", rows -> new Page(rows, sink), parameters);
        }
        boolean isSameHistory = page.position.startsWith(after.substring(0, end + 1));
        // Ids are given again after a crash that lost some of them, also where the history looks the same.
        return isSameHistory && xmax(page.position) >= xmax(after) ? page.position : null;
    }

    /** The upper bound of the snapshot: {@code history|xmin:xmax:ids}. */
    private static long xmax(String position) {
        return Long.parseLong(
                position.substring(position.indexOf(SEPARATOR) + 1).split(":", -1)[1]);
    }

    @Override
    public boolean isInTransaction() {
        return store.isInTransaction();
    }

    /** The answer of a statement, told to the sink row by row. */
    private static final class Page {
        final String position;
        final int rows;

        Page(ResultSet row, Sink sink) throws SQLException {
            String found = null;
            int count = 0;
            do {
                count++;
                String tenant = row.getString(3);
                String name = row.getString(4);
                Instant until = Instant.ofEpochMilli(row.getLong(5));
                switch (row.getString(2)) {
                    case "revoked" -> sink.revoked(tenant, name, until);
                    case "ended" -> sink.sessionRevoked(tenant, name, until);
                    case "watermark" -> sink.watermark(tenant, name, Instant.ofEpochMilli(row.getLong(6)), until);
                    case "position" -> found = tenant + SEPARATOR + name;
                    default -> throw new IllegalStateException("A row of the feed is of no known kind");
                }
            } while (row.next());
            position = Objects.requireNonNull(found);
            rows = count;
        }
    }
}
