package dev.curfew.jdbc;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.ExtraData;
import dev.curfew.RecordField;
import dev.curfew.RevocationFeed;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.StoredState;
import dev.curfew.SubjectMismatchException;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.Watermarked;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Records in PostgreSQL, 13 or later: for revocations that must outlive everything.
 *
 * <p>The layout, for the domain {@code tokens}; {@code META-INF/curfew/postgresql.sql} in this jar has it in full:
 *
 * <pre>
 * curfew_tokens             tenant, jti, subject, purpose, issued_at, expires_at, extra_data (jsonb),
 *                           created_at, updated_at, revoked_at, session, successor, change (xid8, the transaction
 *                           that has revoked the token); primary key (tenant, jti)
 *   …_expiry_idx            (expires_at)
 *   …_subject_idx           (tenant, subject, expires_at, jti) where revoked_at is null
 *   …_change_idx            (change) where revoked_at is not null
 * curfew_tokens_watermarks  tenant, subject, session, watermark, kept_until, change; primary key (tenant, subject,
 *                           session)
 *   …_ended_idx             (kept_until)
 *   …_latest_idx            (change)
 * </pre>
 *
 * <p>A row of the watermarks is a subject's watermark, with the session '', or a revoked session, with the subject ''.
 *
 * <p>Every verb is one statement, in a transaction of its own, in one round trip. A verb that changes a record
 *
 * <ol>
 *   <li>inserts a row, where there may be none;
 *   <li>locks the row if there was one, and waits while another call has the lock;
 *   <li>updates the row, if its newest version allows that;
 *   <li>answers what was in the row when it was locked.
 * </ol>
 *
 * <p>This needs READ COMMITTED, and works at any level above. A statement that the server refuses there (SQLState 40001),
 * or that a deadlock ends (40P01), is repeated until the deadline. Nothing is kept in the session, so a pooler may give
 * every transaction another connection. Every answer names its statement, in case a pooler mixes statements up. Every
 * answer also says whether a standby gave it, in case a pool connects to another server. An answer of a standby is an
 * error, since a standby may not know of a revocation.
 *
 * <p>A statement that only reads is sent once more, on another connection, if the first connection breaks, leads to a
 * standby, or has not answered within half of the deadline. A statement that writes is sent once.
 */
public final class JdbcTokenStore implements TokenStore {
    private static final Logger LOG = LoggerFactory.getLogger(JdbcTokenStore.class);
    static final Instant BEGINNING = Instant.parse("0000-01-01T00:00:00Z");
    // For createSchema, which is not an action. It may have to wait for calls that read the table.
    private static final Duration SCHEMA_DEADLINE = Duration.ofMinutes(1);

    // Somebody else may have written a finer expiry or watermark. It is rounded up, so that it is never early (R1.3).
    private static final int ROUND_UP = 999_999;

    private final Connections connections;
    private final boolean createsSchema;
    private final @Nullable String schema;
    private final @Nullable String table;
    private final Map<RecordField, String> columns;
    // The only domain of a store whose table was named.
    private final AtomicReference<@Nullable String> claimant = new AtomicReference<>();
    private final Map<String, Statements> domains = new ConcurrentHashMap<>();
    private final RevocationFeed feed = new JdbcFeed(this);

    private JdbcTokenStore(Builder names, Connections connections, boolean createsSchema) {
        this.connections = connections;
        this.createsSchema = createsSchema;
        this.schema = names.schema;
        this.table = names.table;
        this.columns = RecordField.names(names.columns);
    }

    /**
     * A store on the application's own pool, which stays open when the store is closed, with the tables as
     * {@link #createSchema} makes them. The pool must lend connections on which no transaction has begun. For the
     * connection of a running transaction there is {@link #inTransaction}.
     */
    public static JdbcTokenStore create(DataSource dataSource) {
        return builder(dataSource).build();
    }

    /** A store on the application's own pool, with tables under other names. */
    public static Builder builder(DataSource dataSource) {
        return new Builder(dataSource);
    }

    private static <T> T present(String name, @Nullable T argument) {
        if (argument == null) {
            throw new IllegalArgumentException(name + " must not be null");
        }
        return argument;
    }

    /** The names under which the store finds its tables; made by {@link JdbcTokenStore#builder}. */
    public static final class Builder {
        private final DataSource dataSource;
        private final Map<RecordField, String> columns = new EnumMap<>(RecordField.class);
        private @Nullable String schema;
        private @Nullable String table;

        private Builder(DataSource dataSource) {
            this.dataSource = present("dataSource", dataSource);
        }

        /** The tables' schema; by default the first one of the connection's {@code search_path} that has them. */
        public Builder schema(String name) {
            this.schema = present("name", name);
            return this;
        }

        /**
         * The table's name, at most 51 bytes, case-sensitive; watermarks and revoked sessions are in a table of this name
         * and {@code _watermarks}. Such a store serves one domain. By default the name is {@code curfew_} and the domain.
         */
        public Builder table(String name) {
            this.table = Statements.checked(present("name", name));
            return this;
        }

        /** The name of a column, case-sensitive; by default {@link RecordField#defaultName}. */
        public Builder column(RecordField field, String name) {
            columns.put(present("field", field), present("name", name));
            return this;
        }

        /**
         * The store.
         *
         * @throws IllegalArgumentException if two columns have the same name, or one has a name that it cannot have
         */
        public JdbcTokenStore build() {
            return build(null, false);
        }

        /**
         * @param owned the data source, where it is the store's own pool, to be closed by it
         * @param createsSchema whether the store makes the tables that are missing
         */
        JdbcTokenStore build(@Nullable HikariDataSource owned, boolean createsSchema) {
            columns.forEach(Statements::checkColumn);
            return new JdbcTokenStore(this, new Connections(dataSource, owned), createsSchema);
        }
    }

    // The schema

    /** The DDL of a domain's tables, to be run by hand or by a migration tool. It does no harm when run again. */
    public String schema(String domain) {
        return statements(domain).schema();
    }

    /**
     * Creates what is missing of a domain's tables; any number of nodes may do so at once.
     *
     * @throws TokenStoreException if the user may not, or the server fails
     */
    public void createSchema(String domain) {
        var scope = new StoreScope(domain, "", Duration.ZERO, SCHEMA_DEADLINE);
        if (!ask(scope, "differences", Differences::new).lackAny()) {
            return; // without the locks that IF NOT EXISTS takes
        }
        // These statements are one transaction. The lock lasts as long as that.
        String ddl = "SELECT pg_advisory_xact_lock(" + ("curfew " + domain).hashCode() + ");\n" + schema(domain);
        connections.perform(scope, false, connection -> {
            try (Statement statement = connection.createStatement()) {
                return statement.execute(ddl);
            }
        });
    }

    /**
     * Compares the domain's tables with what the statements need.
     *
     * @throws TokenStoreException if they are missing or different; the message says how
     */
    @Override
    public void prepare(StoreScope scope) {
        Differences found = ask(scope, "differences", Differences::new);
        if (createsSchema && found.lackTable()) {
            createSchema(scope.domain());
            LOG.info("Created the tables of domain '{}'", scope.domain());
            found = ask(scope, "differences", Differences::new);
        }
        if (found.refused() != null) {
            throw new TokenStoreException("PostgreSQL is not ready for domain '" + scope.domain() + "': "
                    + found.refused() + ". Run JdbcTokenStore.createSchema, or the DDL of JdbcTokenStore.schema,"
                    + " or name the table and columns that you have. For tables of an earlier version,"
                    + " docs/postgresql.md has the ALTER TABLE");
        }
        if (found.risky() != null) {
            LOG.warn("Domain '{}': {}", scope.domain(), found.risky());
        }
    }

    /**
     * How the tables differ from what the statements need.
     *
     * @param refused differences that the store does not work with, or {@code null}
     * @param risky differences that the store works with, and that the operator should know of, or {@code null}
     * @param lackTable whether a table is missing
     * @param lackAny whether a table or an index is missing
     */
    private record Differences(
            @Nullable String refused, @Nullable String risky, boolean lackTable, boolean lackAny) {
        Differences(ResultSet row) throws SQLException {
            this(row.getString(2), row.getString(3), row.getBoolean(4), row.getBoolean(5));
        }
    }

    private Statements statements(String domain) {
        return domains.computeIfAbsent(domain, name -> {
            if (table != null && !claimant.compareAndSet(null, name) && !name.equals(claimant.get())) {
                throw Failures.exception(
                        Outcome.UNCHANGED,
                        "Table " + table + " serves domain '" + claimant.get() + "', and not also '" + name
                                + "': build a JdbcTokenStore with another table for that",
                        null);
            }
            return new Statements(schema, table == null ? Statements.table(name) : table, columns);
        });
    }

    // The verbs

    @Override
    public Instant serverTime(StoreScope scope) {
        return ask(scope, "serverTime", row -> instant(row, 2, 0));
    }

    @Override
    public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        TokenRecord r = record;
        String json = r.extraData() == null ? null : r.extraData().json();
        Object[] parameters = {
            scope.tenant(), r.jti(), r.subject(), r.purpose(), r.issuedAt(), r.expiresAt(), json, r.session(), now
        };
        String outcome = ask(scope, "store", row -> row.getString(2), parameters);
        if (outcome.equals("MISMATCH")) {
            throw new SubjectMismatchException();
        }
        return StoreOutcome.valueOf(outcome);
    }

    @Override
    public StoredState find(StoreScope scope, String jti, Instant now) {
        return ask(scope, "find", JdbcTokenStore::state, scope.tenant(), jti);
    }

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        return ask(scope, "isRevoked", row -> row.getBoolean(2), scope.tenant(), jti);
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        return among(scope, "revoked", jtis);
    }

    private Set<String> among(StoreScope scope, String statement, Collection<String> names) {
        String[] asked = names.toArray(String[]::new);
        return new HashSet<>(ask(scope, statement, rows -> all(rows, row -> row.getString(2)), scope.tenant(), asked));
    }

    @Override
    public StoredState state(StoreScope scope, String jti, String subject, @Nullable String session, Instant now) {
        return session == null
                ? ask(scope, "state", JdbcTokenStore::state, scope.tenant(), jti, subject)
                : ask(scope, "stateOfSession", JdbcTokenStore::stateOfSession, scope.tenant(), jti, subject, session);
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        TokenRecord r = revocation;
        Object[] parameters = {
            scope.tenant(), r.jti(), r.subject(), r.purpose(), r.issuedAt(), r.expiresAt(), r.session(), keepUntil, now
        };
        return RevokeOutcome.valueOf(ask(scope, "revoke", row -> row.getString(2), parameters));
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope,
            String jti,
            @Nullable String subject,
            String purpose,
            @Nullable String successor,
            Instant now) {
        Object[] parameters = {scope.tenant(), jti, purpose, subject, successor, now};
        return ask(scope, "consume", row -> consumption(row, now), parameters);
    }

    /** Answers null where somebody else was faster, which the snapshot does not show yet. */
    private static @Nullable Watermarked<Consumption> consumption(ResultSet row, Instant now) throws SQLException {
        StoredState found = state(row);
        TokenRecord record = found.record();
        Consumption answer;
        if (record == null) {
            answer = Refused.UNKNOWN;
        } else if (row.getBoolean(14)) {
            answer = new Consumed(record);
        } else if (record.isRevoked()) {
            answer = Refused.ALREADY_USED;
        } else if (record.isLive(now)) {
            return null;
        } else {
            answer = Refused.EXPIRED;
        }
        return new Watermarked<>(answer, found.watermark());
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        ask(scope, "revokeSubject", row -> true, scope.tenant(), subject, watermark, keepUntil);
    }

    @Override
    public RevokeOutcome revokeSession(StoreScope scope, String session, Instant keepUntil, Instant now) {
        String outcome = ask(scope, "revokeSession", row -> row.getString(2), scope.tenant(), session, now, keepUntil);
        return RevokeOutcome.valueOf(outcome);
    }

    @Override
    public Set<String> revokedSessions(StoreScope scope, Collection<String> sessions, Instant now) {
        return among(scope, "revokedSessions", sessions);
    }

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        Object[] parameters = {scope.tenant(), subject, now, limit, scope.tenant(), now};
        return ask(scope, "revokeStored", row -> row.getInt(2), parameters);
    }

    @Override
    public Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        TokenRecord last = after != null && after.isLive(now) ? after : null;
        // The first page begins with the first record that can be live. It expires one millisecond from now or later.
        Instant expiry = last == null ? now.plusMillis(1) : last.expiresAt();
        String jti = last == null ? "" : last.jti();
        SqlFunction<ResultSet, Watermarked<List<TokenRecord>>> page = rows -> {
            Instant watermark = watermark(rows); // is in every row, and in the one row if there is no record
            return new Watermarked<>(all(rows, JdbcTokenStore::record), watermark);
        };
        return ask(scope, "list", page, scope.tenant(), subject, expiry, jti, limit, scope.tenant(), subject);
    }

    @Override
    public List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        Instant due = now.minus(scope.skew());
        Instant expiry = after == null ? BEGINNING : after.expiresAt();
        String jti = after == null ? "" : after.jti();
        SqlFunction<ResultSet, List<TokenRecord>> page = rows -> all(rows, JdbcTokenStore::record);
        return ask(scope, "readExpired", page, scope.tenant(), due, expiry, jti, limit);
    }

    @Override
    public int expunge(StoreScope scope, int limit, Instant now) {
        Statements domain = statements(scope.domain());
        SqlFunction<ResultSet, Integer> removed = row -> {
            Instant last = instant(row, 3, 0);
            // A batch that is not full is the last one of its run; the next run looks from the beginning.
            domain.expungedUntil = row.getInt(2) < limit || last == null ? BEGINNING : last;
            return row.getInt(2);
        };
        boolean isOwn = !isInTransaction();
        Instant due = now.minus(scope.skew());
        return ask(scope, "expunge", removed, isOwn, domain.expungedUntil, due, limit, now, limit);
    }

    /**
     * Sends a statement of the file, by its name there.
     *
     * @param reader reads the rows. The first row is the current one; the first column is the signature
     */
    <T> T ask(StoreScope scope, String name, SqlFunction<ResultSet, T> reader, @Nullable Object... parameters) {
        boolean reads = statements(scope.domain()).get(name).reads();
        return connections.perform(scope, reads, connection -> ask(connection, 0, scope, name, reader, parameters));
    }

    /** Does so for an answer that is too large for the memory: so many rows are read at a time. */
    <T> T stream(
            StoreScope scope,
            int fetchSize,
            String name,
            SqlFunction<ResultSet, T> reader,
            @Nullable Object... parameters) {
        // The whole deadline is for one attempt.
        return connections.perform(scope, false, connection -> {
            connection.setAutoCommit(false); // else the driver reads the whole answer at once
            try {
                return ask(connection, fetchSize, scope, name, reader, parameters);
            } finally {
                if (!connection.isClosed()) {
                    connection.rollback();
                    connection.setAutoCommit(true);
                }
            }
        });
    }

    private <T> @Nullable T ask(
            Connection connection,
            int fetchSize,
            StoreScope scope,
            String name,
            SqlFunction<ResultSet, T> reader,
            @Nullable Object[] parameters)
            throws SQLException {
        Statements.Prepared sent = statements(scope.domain()).get(name, connection);
        try (PreparedStatement statement = connection.prepareStatement(sent.sql())) {
            statement.setFetchSize(fetchSize);
            bind(statement, parameters);
            try (ResultSet rows = statement.executeQuery()) {
                String signature = signature(rows);
                if (sent.signature().equals(signature)) {
                    return reader.apply(rows);
                }
                throw ("standby " + sent.signature()).equals(signature)
                        ? Failures.ofStandby()
                        : Failures.ofAnotherStatement();
            }
        }
    }

    private static void bind(PreparedStatement statement, @Nullable Object[] parameters) throws SQLException {
        for (int i = 0; i < parameters.length; i++) {
            Object parameter = parameters[i];
            if (parameter instanceof Instant instant) {
                parameter = instant.atOffset(ZoneOffset.UTC);
            } else if (parameter instanceof String[] texts) {
                parameter = statement.getConnection().createArrayOf("text", texts); // the driver would say varchar
            }
            statement.setObject(i + 1, parameter);
        }
    }

    // Rows

    private static @Nullable String signature(ResultSet rows) {
        try {
            return rows.next() ? rows.getString(1) : null;
        } catch (SQLException | RuntimeException e) {
            return null; // the answer has other columns than the driver was told to expect
        }
    }

    /** All rows, from the current one on. A row whose second column is null stands for no row. */
    private static <T> List<T> all(ResultSet rows, SqlFunction<ResultSet, T> reader) throws SQLException {
        List<T> all = new ArrayList<>();
        do {
            if (rows.getString(2) != null) {
                all.add(reader.apply(rows));
            }
        } while (rows.next());
        return all;
    }

    private static StoredState state(ResultSet row) throws SQLException {
        return state(row, false);
    }

    private static StoredState stateOfSession(ResultSet row) throws SQLException {
        return state(row, row.getBoolean(14));
    }

    private static StoredState state(ResultSet row, boolean isSessionRevoked) throws SQLException {
        return new StoredState(row.getString(2) == null ? null : record(row), watermark(row), isSessionRevoked);
    }

    private static @Nullable Instant watermark(ResultSet row) throws SQLException {
        return instant(row, 13, ROUND_UP);
    }

    private static TokenRecord record(ResultSet row) throws SQLException {
        String json = row.getString(7);
        return new TokenRecord(
                row.getString(2),
                row.getString(3),
                row.getString(4),
                instant(row, 5, 0),
                Objects.requireNonNull(instant(row, 6, ROUND_UP)),
                json == null ? null : ExtraData.ofJson(json),
                Objects.requireNonNull(instant(row, 8, 0)),
                Objects.requireNonNull(instant(row, 9, 0)),
                instant(row, 10, 0),
                row.getString(11),
                row.getString(12));
    }

    private static @Nullable Instant instant(ResultSet row, int column, int plusNanos) throws SQLException {
        OffsetDateTime time = row.getObject(column, OffsetDateTime.class);
        return time == null ? null : time.toInstant().plusNanos(plusNanos).truncatedTo(ChronoUnit.MILLIS);
    }

    @Override
    public RevocationFeed feed() {
        return feed;
    }

    // Transactions

    boolean isInTransaction() {
        return connections.isInTransaction();
    }

    /**
     * Performs actions of a {@link dev.curfew.TokenResource} on this store inside a transaction of the caller's. The
     * actions are part of that transaction. Others see the changes when the caller commits. Interceptors and listeners
     * hear of them before that. Actions of other threads are not part of the transaction. If an action throws
     * {@link TokenStoreException}, the transaction must be rolled back.
     *
     * @param connection to this store's database, with autocommit off; neither committed nor closed here
     * @return what the actions answer
     * @throws IllegalArgumentException if the connection is in autocommit mode
     */
    public <T extends @Nullable Object> T inTransaction(Connection connection, Supplier<T> actions) {
        try {
            if (present("connection", connection).getAutoCommit()) {
                throw new IllegalArgumentException(
                        "The connection commits every statement by itself: call setAutoCommit(false) first");
            }
        } catch (SQLException e) {
            throw Failures.of(null, e, false);
        }
        return connections.inTransaction(connection, present("actions", actions));
    }

    @Override
    public void close() {
        connections.close();
    }
}
