package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.HOUR;
import static dev.curfew.jdbc.Fixture.NOW;
import static dev.curfew.jdbc.Fixture.sql;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.servers.PostgresServer;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Eight nodes that get in each other's way: what PostgreSQL refuses to one of them, its caller never hears of. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class ConcurrencyTest {
    private static final int NODES = 8;
    private static final String URL = PostgresServer.shared().url();

    private final String domain = Fixture.newDomain();
    private final StoreScope scope = Fixture.scope(domain);
    private ExecutorService threads;

    @BeforeEach
    void open() {
        threads = Executors.newFixedThreadPool(NODES);
    }

    @AfterEach
    void close() {
        threads.shutdownNow();
    }

    private static HikariDataSource pool(String isolation) {
        HikariDataSource pool = Fixture.pool(URL + "&options=-c%20default_transaction_isolation=" + isolation, 2);
        return pool;
    }

    @ParameterizedTest
    @ValueSource(strings = {"read\\ committed", "repeatable\\ read", "serializable"})
    void R7_3_expungingAndRevokingByEightNodesFailsNobody(String isolation) throws Exception {
        List<Future<?>> nodes = new ArrayList<>();
        var removed = new AtomicLong();
        try (HikariDataSource pool = Fixture.pool(URL, 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
        }
        for (int node = 0; node < NODES; node++) {
            int seed = node;
            nodes.add(threads.submit(() -> {
                try (HikariDataSource pool = pool(isolation);
                        JdbcTokenStore store = JdbcTokenStore.create(pool);
                        TokenResource tokens = Fixture.resource(store, domain)) {
                    var random = new SplittableRandom(seed);
                    for (int i = 0; i < 300; i++) {
                        // Few keys and few subjects, whose expiry changes all the time, so that orders of locking
                        // differ.
                        String jti = "t" + random.nextInt(40);
                        String subject = "s" + jti.hashCode() % 3;
                        Instant expiry = NOW.plusSeconds(60 + random.nextInt(1000));
                        switch (random.nextInt(7)) {
                            case 0, 1 -> tokens.storeToken(Token.withoutIssuedAt(jti, subject, expiry));
                            case 2 -> tokens.revokeAllStoredForSubject(subject);
                            case 3 -> tokens.revokeToken(Token.withoutIssuedAt(jti, subject, expiry));
                            case 4 -> tokens.revokeSubject(subject);
                            case 5 -> tokens.revokeSession(subject);
                            // Later: what was stored is garbage by now.
                            default -> removed.addAndGet(store.expunge(scope, 10, NOW.plus(HOUR)));
                        }
                    }
                }
                return null;
            }));
        }
        for (Future<?> node : nodes) {
            node.get();
        }
        assertThat(removed).hasPositiveValue();
    }

    /** A deadlock that PostgreSQL ends by undoing our statement. */
    @Test
    void aDeadlockIsRepeatedAndNotToldTheCaller() throws Exception {
        try (HikariDataSource pool = Fixture.pool(URL, 2);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            TokenResource tokens = Fixture.resource(store, domain);
            tokens.storeToken(Token.withoutIssuedAt("first", "s", NOW.plusSeconds(100)));
            tokens.storeToken(Token.withoutIssuedAt("second", "s", NOW.plusSeconds(200)));
            String table = "\"curfew_" + domain + "\"";
            try (Connection other = DriverManager.getConnection(URL);
                    Statement statement = other.createStatement()) {
                // It waits patiently, so that the one who is undone is not it.
                statement.execute("SET deadlock_timeout = '1h'");
                other.setAutoCommit(false);
                statement.execute("SELECT 1 FROM " + table + " WHERE jti = 'second' FOR UPDATE");
                Future<Long> revoked = threads.submit(() -> tokens.revokeAllStoredForSubject("s"));
                await().until(() -> sql(
                                        URL,
                                        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%"
                                                + domain + "%' AND pid <> pg_backend_pid()")
                                .size()
                        == 1);
                // Holds the second and waits for the first; ours holds the first and waits for the second.
                statement.execute("UPDATE " + table + " SET purpose = 'changed' WHERE jti = 'first'");
                other.commit();
                assertThat(revoked.get(1, TimeUnit.MINUTES)).isEqualTo(2);
            }
            assertThat(tokens.isRevoked("first")).isTrue();
            assertThat(tokens.isRevoked("second")).isTrue();
            tokens.close();
        }
    }

    /** A partitioned table has the same place once in every partition. */
    @Test
    void R7_2_aPartitionedTableLosesWhatIsDueAndNothingElse() {
        try (HikariDataSource pool = Fixture.pool(URL, 2);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            String ddl = store.schema(domain)
                    .replaceAll("PRIMARY KEY (\\([^)]+\\))\\s+\\)", "PRIMARY KEY $1) PARTITION BY HASH $1");
            assertThat(ddl).containsPattern("(?s)PARTITION BY.*PARTITION BY");
            sql(URL, ddl);
            for (String table : new String[] {"curfew_" + domain, "curfew_" + domain + "_watermarks"}) {
                for (int part = 0; part < 4; part++) {
                    sql(
                            URL,
                            "CREATE TABLE \"" + table + "-part" + part + "\" PARTITION OF \"" + table
                                    + "\" FOR VALUES WITH (MODULUS 4, REMAINDER " + part + ")");
                }
            }
            TokenResource tokens = Fixture.resource(store, domain);
            assertThat(tokens.revokeSession("sid")).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.revokeSession("sid")).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
            tokens.revokeSubject("nobody");
            for (int i = 0; i < 1000; i++) {
                String jti = "t" + i;
                // Every other one is due.
                tokens.storeToken(Token.withoutIssuedAt(jti, "s", i % 2 == 0 ? NOW.plusSeconds(1) : NOW.plus(HOUR)));
            }
            Instant later = NOW.plusSeconds(120);
            for (int batch = 0; batch < 5; batch++) {
                assertThat(store.expunge(scope, 100, later)).isEqualTo(100);
            }
            assertThat(store.expunge(scope, 100, later)).isZero();
            for (int i = 0; i < 1000; i++) {
                assertThat(tokens.inspect("t" + i).isPresent()).isEqualTo(i % 2 == 1);
            }
            assertThat(tokens.revokeAllStoredForSubject("s")).isEqualTo(500);
            tokens.close();
        }
    }

    /** However many nodes there are, the server has the work of one; and nobody waits for another. */
    @Test
    void R7_3_oneNodeClearsOutAndTheOthersLeaveItToThat() throws Exception {
        try (HikariDataSource pool = Fixture.pool(URL, 3);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            TokenResource tokens = Fixture.resource(store, domain);
            for (int i = 0; i < 30; i++) {
                tokens.storeToken(Token.withoutIssuedAt("t" + i, "s", NOW.plusSeconds(1)));
            }
            Instant later = NOW.plus(HOUR);
            try (Connection other = pool.getConnection()) {
                other.setAutoCommit(false);
                assertThat(store.inTransaction(other, () -> store.expunge(scope, 10, later)))
                        .isEqualTo(10);
                assertThat(store.expunge(scope, 10, later)).isZero();
                // Of another domain it is somebody else's turn.
                String elsewhere = domain + "-2";
                store.createSchema(elsewhere);
                TokenResource others = Fixture.resource(store, elsewhere);
                others.storeToken(Token.withoutIssuedAt("t", "s", NOW.plusSeconds(1)));
                assertThat(store.expunge(Fixture.scope(elsewhere), 10, later)).isEqualTo(1);
                others.close();
                other.commit();
            }
            assertThat(store.expunge(scope, 100, later)).isEqualTo(20);
            tokens.close();
        }
    }

    /** What another node has locked, or brought back to life, is not waited for and not lost. */
    @Test
    void R7_3_whatIsLockedIsLeftForTheNextRun() throws Exception {
        try (HikariDataSource pool = Fixture.pool(URL, 3);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            TokenResource tokens = Fixture.builder(store, domain).build();
            for (int i = 0; i < 30; i++) {
                tokens.storeToken(Token.withoutIssuedAt("t" + i, "s", NOW.plusSeconds(i + 1)));
            }
            Instant later = NOW.plus(Duration.ofMinutes(10));
            try (Connection holder = pool.getConnection()) {
                holder.setAutoCommit(false);
                // The third is revoked again, for longer, and not yet committed.
                Instant until = later.plus(HOUR);
                store.inTransaction(
                        holder,
                        () -> store.revoke(
                                scope,
                                new TokenRecord(
                                        "t2", null, "revocation", null, until, null, later, later, later, null, null),
                                until,
                                later));
                assertThat(store.expunge(scope, 10, later)).isEqualTo(10);
                assertThat(store.expunge(scope, 10, later)).isEqualTo(10);
                assertThat(store.expunge(scope, 10, later)).isEqualTo(9);
                holder.commit();
            }
            assertThat(store.expunge(scope, 10, later)).isZero();
            assertThat(store.isRevoked(scope, "t2", later)).isTrue();
            tokens.close();
        }
    }
}
