package dev.curfew.jdbc;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.ExtraData;
import dev.curfew.RecordField;
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
import java.sql.Types;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
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
 *                           created_at, updated_at, revoked_at; primary key (tenant, jti)
 *   …_expiry_idx            (expires_at)
 *   …_subject_idx           (tenant, subject, expires_at, jti) where revoked_at is null
 * curfew_tokens_watermarks  tenant, subject, watermark, kept_until; primary key (tenant, subject)
 *   …_ended_idx             (kept_until)
 * </pre>
 *
 * <p>Every verb is one statement, in a transaction of its own, in one round trip. One that changes a record
 *
 * <ol>
 *   <li>inserts a row, where there may be none;
 *   <li>locks the row if there was one, and waits for whoever has it;
 *   <li>updates it, if its newest version allows that;
 *   <li>answers what the lock showed.
 * </ol>
 *
 * <p>That needs READ COMMITTED, and works with any level above: what the server refuses there (SQLState 40001), and a
 * deadlock (40P01), is repeated until the deadline. Nothing is kept in the session, so a pooler may give every
 * transaction another connection. Every answer says which statement it is of, in case a pooler mixes them up, and whether
 * a standby gave it, in case a pool connects elsewhere: that is an error, since a standby may not have heard of a revocation.
 *
 * <p>A statement that only reads is sent once more, on another connection, where the first one has broken, or is to a
 * standby, or has not answered within half of the deadline. A statement that writes is sent once.
 */
public final class JdbcTokenStore implements TokenStore {
    private static final Logger LOG = LoggerFactory.getLogger(JdbcTokenStore.class);
    private static final Instant BEGINNING = Instant.parse("0000-01-01T00:00:00Z");
    // For createSchema, which is not an action: it may have to wait for those who read the table.
    private static final Duration SCHEMA_DEADLINE = Duration.ofMinutes(1);

    private static final long BACK_OFF_NANOS = 500_000;

    private final DataSource dataSource;
    private final @Nullable HikariDataSource owned;
    private final boolean createsSchema;
    private final @Nullable String schema;
    private final @Nullable String table;
    private final Map<RecordField, String> columns;
    private final Deadlines deadlines = new Deadlines();
    // The domain of a table that was named: there is one.
    private final AtomicReference<@Nullable String> claimant = new AtomicReference<>();
    private final Map<String, Domain> domains = new ConcurrentHashMap<>();
    // How often the store's own pool was emptied.
    private final AtomicInteger emptied = new AtomicInteger();

    @SuppressWarnings("ThreadLocalUsage") // one for each store, and a store is there once
    private final ThreadLocal<@Nullable Connection> transaction = new ThreadLocal<>();

    private volatile boolean closed;

    private JdbcTokenStore(Builder settings) {
        this.dataSource = settings.dataSource;
        this.owned = settings.owned;
        this.createsSchema = settings.createsSchema;
        this.schema = settings.schema;
        this.table = settings.table;
        this.columns = RecordField.names(settings.columns);
    }

    private static final class Domain {
        final Statements sql;
        // Where the last batch of a clean-up ended: its rows lie dead in the index before that until a vacuum.
        volatile Instant expungedUntil = BEGINNING;

        Domain(Statements sql) {
            this.sql = sql;
        }
    }

    /**
     * A store on the application's own pool, which stays open when the store is closed, with the tables as
     * {@link #createSchema} makes them. The pool lends connections on which nothing has begun yet: not one that hands out
     * the connection of a running transaction, for which there is {@link #inTransaction}.
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

    /** Under which names the tables are found; made by {@link JdbcTokenStore#builder}. */
    public static final class Builder {
        private final DataSource dataSource;
        private final Map<RecordField, String> columns = new EnumMap<>(RecordField.class);
        private @Nullable String schema;
        private @Nullable String table;
        private @Nullable HikariDataSource owned;
        private boolean createsSchema;

        private Builder(DataSource dataSource) {
            this.dataSource = present("dataSource", dataSource);
        }

        /** The tables' schema; by default the first one of the connection's {@code search_path} that has them. */
        public Builder schema(String name) {
            this.schema = present("name", name);
            return this;
        }

        /**
         * The table's name, at most 51 bytes, case-sensitive; the watermarks are in a table of this name and
         * {@code _watermarks}. Such a store serves one domain. By default the name is {@code curfew_} and the domain.
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

        Builder owning(HikariDataSource pool) {
            this.owned = pool;
            return this;
        }

        Builder createsSchema() {
            this.createsSchema = true;
            return this;
        }

        /**
         * The store.
         *
         * @throws IllegalArgumentException if two columns have the same name
         */
        public JdbcTokenStore build() {
            return new JdbcTokenStore(this);
        }
    }

    // The schema

    /** The DDL of a domain's tables, to be run by hand or by a migration tool. It does no harm when run again. */
    public String schema(String domain) {
        return domain(domain).sql.schema();
    }

    /**
     * Creates what is missing of a domain's tables; any number of nodes may do so at once.
     *
     * @throws TokenStoreException if the user may not, or the server fails
     */
    public void createSchema(String domain) {
        Map<String, List<String>> found = compared(domain, SCHEMA_DEADLINE);
        if (!found.containsKey("missing") && !found.containsKey("slow")) {
            return; // and takes none of the locks that IF NOT EXISTS takes
        }
        // The lock lasts as long as the transaction, which these statements are together.
        String ddl = "SELECT pg_advisory_xact_lock(" + ("curfew " + domain).hashCode() + ");\n" + schema(domain);
        run(domain, SCHEMA_DEADLINE, false, connection -> {
            try (var statement = connection.createStatement()) {
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
        Map<String, List<String>> found = compared(scope.domain(), scope.deadline());
        if (createsSchema && found.containsKey("missing")) {
            createSchema(scope.domain());
            LOG.info("Created the tables of domain '{}'", scope.domain());
            found = compared(scope.domain(), scope.deadline());
        }
        List<String> fatal = new ArrayList<>(found.getOrDefault("missing", List.of()));
        fatal.addAll(found.getOrDefault("different", List.of()));
        if (!fatal.isEmpty()) {
            throw new TokenStoreException("PostgreSQL is not ready for domain '" + scope.domain() + "': "
                    + String.join("; ", fatal)
                    + ". Run JdbcTokenStore.createSchema, or the DDL of JdbcTokenStore.schema,"
                    + " or name the table and columns that you have");
        }
        if (found.containsKey("slow")) {
            LOG.warn(
                    "Domain '{}': {}. Without it, clean-up or what is done by subject reads the whole table.",
                    scope.domain(),
                    String.join("; ", found.getOrDefault("slow", List.of())));
        }
        if (found.containsKey("lossy")) {
            LOG.warn(
                    "Domain '{}': {}. A crash of the server may lose revocations that were acknowledged.",
                    scope.domain(),
                    String.join("; ", found.getOrDefault("lossy", List.of())));
        }
    }

    private Map<String, List<String>> compared(String domain, Duration deadline) {
        return send(domain, deadline, true, "differences", JdbcTokenStore::differences);
    }

    private static Map<String, List<String>> differences(ResultSet rows) throws SQLException {
        Map<String, List<String>> differences = new HashMap<>();
        do {
            String difference = rows.getString(3);
            if (difference != null) {
                differences
                        .computeIfAbsent(rows.getString(2), kind -> new ArrayList<>())
                        .add(difference);
            }
        } while (rows.next());
        return differences;
    }

    private Domain domain(String name) {
        Domain domain = domains.get(name);
        if (domain != null) {
            return domain;
        }
        if (table != null && !claimant.compareAndSet(null, name) && !name.equals(claimant.get())) {
            throw Failures.exception(
                    Outcome.UNCHANGED,
                    "Table " + table + " serves domain '" + claimant.get() + "', and not also '" + name
                            + "': build a JdbcTokenStore with another table for that",
                    null);
        }
        return domains.computeIfAbsent(
                name, d -> new Domain(new Statements(schema, table == null ? Statements.table(d) : table, columns)));
    }

    // The verbs

    @Override
    public Instant serverTime(StoreScope scope) {
        return read(scope, "serverTime", row -> instant(row, 2));
    }

    @Override
    public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        String json = record.extraData() == null ? null : record.extraData().json();
        Object[] parameters = {
            scope.tenant(),
            record.jti(),
            record.subject(),
            record.purpose(),
            record.issuedAt(),
            record.expiresAt(),
            json,
            now
        };
        String outcome = write(scope, "store", JdbcTokenStore::text, parameters);
        if (outcome.equals("MISMATCH")) {
            throw new SubjectMismatchException();
        }
        return StoreOutcome.valueOf(outcome);
    }

    @Override
    public StoredState find(StoreScope scope, String jti, Instant now) {
        return read(scope, "find", JdbcTokenStore::state, scope.tenant(), jti);
    }

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        return read(scope, "isRevoked", row -> row.getBoolean(2), scope.tenant(), jti);
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        Reader<Set<String>> reader = rows -> {
            Set<String> revoked = new HashSet<>();
            do {
                String jti = rows.getString(2);
                if (jti != null) {
                    revoked.add(jti);
                }
            } while (rows.next());
            return revoked;
        };
        return read(scope, "revoked", reader, scope.tenant(), jtis.toArray(String[]::new));
    }

    @Override
    public StoredState state(StoreScope scope, String jti, String subject, Instant now) {
        return read(scope, "state", JdbcTokenStore::state, scope.tenant(), jti, subject);
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        TokenRecord r = revocation;
        Object[] parameters = {
            scope.tenant(), r.jti(), r.subject(), r.purpose(), r.issuedAt(), r.expiresAt(), keepUntil, now
        };
        return RevokeOutcome.valueOf(write(scope, "revoke", JdbcTokenStore::text, parameters));
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope, String jti, @Nullable String subject, String purpose, Instant now) {
        StoredState found = write(scope, "consume", JdbcTokenStore::state, scope.tenant(), jti, purpose, subject, now);
        return new Watermarked<>(consumption(found.record(), now), found.watermark());
    }

    private static Consumption consumption(@Nullable TokenRecord stored, Instant now) {
        if (stored == null) {
            return Refused.UNKNOWN;
        } else if (stored.isRevoked()) {
            return Refused.ALREADY_USED;
        }
        return stored.isLive(now) ? new Consumed(stored.revoked(now, stored.expiresAt())) : Refused.EXPIRED;
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        write(scope, "revokeSubject", row -> true, scope.tenant(), subject, watermark, keepUntil);
    }

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        Object[] parameters = {scope.tenant(), subject, now, limit, scope.tenant(), now};
        return write(scope, "revokeStored", JdbcTokenStore::count, parameters);
    }

    @Override
    public Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        // Without a place to go on from: the first that can be live expires one millisecond from now, whatever its jti.
        boolean further = after != null && after.isLive(now);
        Instant expiry = after == null || !further ? now.plusMillis(1) : after.expiresAt();
        String jti = after == null || !further ? "" : after.jti();
        Reader<List<TokenRecord>> page = JdbcTokenStore::records;
        Reader<Watermarked<List<TokenRecord>>> reader = rows -> {
            Instant watermark = watermark(rows); // on every row, also where there is no record
            return new Watermarked<>(Objects.requireNonNull(page.read(rows)), watermark);
        };
        return read(scope, "list", reader, scope.tenant(), subject, expiry, jti, limit, scope.tenant(), subject);
    }

    @Override
    public List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        Instant due = now.minus(scope.skew());
        Instant expiry = after == null ? BEGINNING : after.expiresAt();
        String jti = after == null ? "" : after.jti();
        return read(scope, "readExpired", JdbcTokenStore::records, scope.tenant(), due, expiry, jti, limit);
    }

    @Override
    public int expunge(StoreScope scope, int limit, Instant now) {
        Domain domain = domain(scope.domain());
        Reader<Integer> reader = row -> {
            int removed = count(row);
            Instant last = instant(row, 3);
            // One that is not full is the last of its run; the next run looks from the beginning.
            domain.expungedUntil = removed < limit || last == null ? BEGINNING : last;
            return removed;
        };
        Object[] parameters = {domain.expungedUntil, now.minus(scope.skew()), limit, now, limit};
        return write(scope, "expunge", reader, parameters);
    }

    // Rows

    /** Reads from the first row on, and from the second column on: the first one is the statement's signature. */
    private interface Reader<T> {
        /** The answer, or null where the statement has to be repeated. */
        @Nullable
        T read(ResultSet rows) throws SQLException;
    }

    private static @Nullable String text(ResultSet row) throws SQLException {
        return row.getString(2);
    }

    private static int count(ResultSet row) throws SQLException {
        return row.getInt(2);
    }

    private static List<TokenRecord> records(ResultSet rows) throws SQLException {
        List<TokenRecord> records = new ArrayList<>();
        do {
            if (rows.getString(2) != null) {
                records.add(record(rows));
            }
        } while (rows.next());
        return records;
    }

    private static StoredState state(ResultSet row) throws SQLException {
        return new StoredState(row.getString(2) == null ? null : record(row), watermark(row));
    }

    private static @Nullable Instant watermark(ResultSet row) throws SQLException {
        return roundedUp(row, 11);
    }

    private static TokenRecord record(ResultSet row) throws SQLException {
        String json = row.getString(7);
        return new TokenRecord(
                row.getString(2),
                row.getString(3),
                row.getString(4),
                instant(row, 5),
                Objects.requireNonNull(roundedUp(row, 6)),
                json == null ? null : ExtraData.ofJson(json),
                Objects.requireNonNull(instant(row, 8)),
                Objects.requireNonNull(instant(row, 9)),
                instant(row, 10));
    }

    private static @Nullable Instant instant(ResultSet row, int column) throws SQLException {
        OffsetDateTime time = row.getObject(column, OffsetDateTime.class);
        return time == null ? null : Instant.ofEpochMilli(time.toInstant().toEpochMilli());
    }

    /** Never early (R1.3), where somebody else wrote what is finer. */
    private static @Nullable Instant roundedUp(ResultSet row, int column) throws SQLException {
        OffsetDateTime time = row.getObject(column, OffsetDateTime.class);
        return time == null
                ? null
                : Instant.ofEpochMilli(time.toInstant().plusNanos(999_999).toEpochMilli());
    }

    private static void bind(PreparedStatement statement, @Nullable Object[] parameters) throws SQLException {
        for (int i = 0; i < parameters.length; i++) {
            Object parameter = parameters[i];
            if (parameter instanceof Instant instant) {
                statement.setObject(i + 1, instant.atOffset(ZoneOffset.UTC));
            } else if (parameter instanceof String[] texts) {
                statement.setArray(i + 1, statement.getConnection().createArrayOf("text", texts));
            } else if (parameter == null) {
                statement.setNull(i + 1, Types.NULL);
            } else {
                statement.setObject(i + 1, parameter);
            }
        }
    }

    // Connections

    /**
     * Performs actions of a {@link dev.curfew.TokenResource} on this store inside a transaction of the caller's: they are
     * part of it, and become true, also for others, when the caller commits. Interceptors and listeners hear of them
     * before that. It holds for what the calling thread does. If an action throws {@link TokenStoreException}, the
     * transaction must be rolled back.
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
        present("actions", actions);
        Connection outer = transaction.get();
        transaction.set(connection);
        try {
            return actions.get();
        } finally {
            transaction.set(outer);
        }
    }

    private interface Work<T> {
        @Nullable
        T on(Connection connection) throws SQLException;
    }

    /** Sends a statement that changes nothing, and may be sent again. */
    private <T> T read(StoreScope scope, String name, Reader<T> reader, @Nullable Object... parameters) {
        return send(scope.domain(), scope.deadline(), true, name, reader, parameters);
    }

    private <T> T write(StoreScope scope, String name, Reader<T> reader, @Nullable Object... parameters) {
        return send(scope.domain(), scope.deadline(), false, name, reader, parameters);
    }

    private <T> T send(
            String domain,
            Duration deadline,
            boolean reads,
            String name,
            Reader<T> reader,
            @Nullable Object... parameters) {
        Statements.Statement sent = domain(domain).sql.get(name);
        return run(domain, deadline, reads, connection -> {
            try (PreparedStatement statement = connection.prepareStatement(sent.sql())) {
                bind(statement, parameters);
                try (ResultSet rows = statement.executeQuery()) {
                    String signature = signature(rows);
                    if (sent.ofStandby().equals(signature)) {
                        throw Failures.ofStandby();
                    } else if (!sent.signature().equals(signature)) {
                        throw Failures.mixedUp(domain);
                    }
                    return reader.read(rows);
                }
            }
        });
    }

    private static @Nullable String signature(ResultSet rows) {
        try {
            return rows.next() ? rows.getString(1) : null;
        } catch (SQLException | RuntimeException e) {
            return null; // the driver finds something else than it was told to expect
        }
    }

    private <T> T run(String domain, Duration deadline, boolean reads, Work<T> work) {
        Connection outer = transaction.get();
        try (Deadlines.Call call = deadlines.begin(deadline, reads && outer == null)) {
            while (!closed) {
                int before = emptied.get();
                try {
                    T answer = outer == null ? onOwnConnection(domain, call, work) : on(outer, domain, call, work);
                    if (answer != null) {
                        return answer;
                    }
                } catch (SQLException e) {
                    boolean gone = call.isCut() || Failures.isOfConnection(e);
                    if (gone && outer == null) {
                        emptyOwnPool(before);
                    }
                    if (call.isOver()) {
                        throw Failures.late(domain, e);
                    }
                    boolean again = gone ? call.mayBeAskedAgain() : outer == null && Failures.mayRepeat(e);
                    if (!again) {
                        throw Failures.of(domain, e, true);
                    }
                }
                // Whoever was in the way is done in a moment.
                LockSupport.parkNanos(BACK_OFF_NANOS);
            }
        }
        throw new IllegalStateException("The JDBC store is closed; open a new one");
    }

    private <T> @Nullable T onOwnConnection(String domain, Deadlines.Call call, Work<T> work) throws SQLException {
        try (Connection connection = connection(domain, call)) {
            requireFresh(connection, domain);
            boolean commitsByHand = !connection.getAutoCommit();
            if (commitsByHand) {
                connection.setAutoCommit(true); // the driver's own affair: it costs no round trip
            }
            try {
                return on(connection, domain, call, work);
            } finally {
                if (commitsByHand && !connection.isClosed()) {
                    connection.setAutoCommit(false);
                }
            }
        }
    }

    /**
     * Refuses a connection on which a transaction has begun: it is somebody else's, and setAutoCommit would commit it. JDBC
     * forbids setReadOnly within a transaction, and the driver knows without a round trip whether there is one.
     */
    private static void requireFresh(Connection connection, String domain) throws SQLException {
        try {
            connection.setReadOnly(connection.isReadOnly());
        } catch (SQLException e) {
            if (Failures.isOfConnection(e)) {
                throw e;
            }
            throw Failures.inTransaction(domain, e);
        }
    }

    /**
     * Asks the pool twice, if the first time was short: it may have spent that on finding out that connections are dead.
     * Nothing has been sent yet. A pool that gave up within half of the deadline does so again within the other half.
     */
    private Connection connection(String domain, Deadlines.Call call) {
        int before = emptied.get();
        try {
            return dataSource.getConnection();
        } catch (SQLException e) {
            if (call.isHalfOver()) {
                throw Failures.of(domain, e, false);
            }
            if (owned != null && owned.getHikariPoolMXBean().getActiveConnections() < owned.getMaximumPoolSize()) {
                emptyOwnPool(before); // else it was merely busy
            }
        }
        try {
            return dataSource.getConnection();
        } catch (SQLException e) {
            throw Failures.of(domain, e, false);
        }
    }

    /**
     * Lets go of all connections of the store's own pool: where one is dead, a firewall has most likely dropped the others
     * too, and where one is to a standby, so are others. A connection that is in use is closed when it comes back.
     *
     * @param before how often it had been emptied when that one was lent: what was made since then need not be like it
     */
    private void emptyOwnPool(int before) {
        if (owned != null && emptied.compareAndSet(before, before + 1)) {
            owned.getHikariPoolMXBean().softEvictConnections();
        }
    }

    private static <T> @Nullable T on(Connection connection, String domain, Deadlines.Call call, Work<T> work)
            throws SQLException {
        try {
            if (!call.waitsFor(connection)) {
                throw Failures.tooLate(domain);
            }
            return work.on(connection);
        } finally {
            call.waitsNoLonger();
        }
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        deadlines.close();
        if (owned != null) {
            owned.close();
        }
    }
}
