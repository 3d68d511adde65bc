package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.NOW;
import static dev.curfew.jdbc.Fixture.sql;
import static dev.curfew.jdbc.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.ReplicaStatus;
import dev.curfew.RevocationFeed;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.PostgresServer;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The feed of PostgreSQL: transactions, other histories of the data, and large polls. */
class JdbcFeedTest {
    private static PostgresServer server;

    private final String domain = Fixture.newDomain();
    private final StoreScope scope = Fixture.scope(domain);
    private HikariDataSource pool;
    private JdbcTokenStore store;
    private TokenResource tokens;

    @BeforeAll
    static void start() {
        server = PostgresServer.startEmbedded(Map.of());
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @BeforeEach
    void open() {
        pool = Fixture.pool(server.url(), 5);
        store = JdbcTokenStore.create(pool);
        store.createSchema(domain);
        tokens = Fixture.resource(store, domain);
    }

    @AfterEach
    void close() {
        tokens.close();
        store.close();
        pool.close();
    }

    private String table() {
        return '"' + Statements.table(domain) + '"';
    }

    /** What a poll has told, as names. */
    static class Told implements RevocationFeed.Sink {
        final Set<String> names = new HashSet<>();

        @Override
        public void revoked(String tenant, String jti, Instant expiresAt) {
            names.add(jti);
        }

        @Override
        public void sessionRevoked(String tenant, String session, Instant keptUntil) {
            names.add("session " + session);
        }

        @Override
        public void watermark(String tenant, String subject, Instant watermark, Instant keptUntil) {
            names.add("subject " + subject);
        }
    }

    private String follow(String after, Told told) {
        return store.feed().follow(scope, after, told, NOW);
    }

    @Test
    void R12_6_aTransactionThatCommitsLateIsTold() throws Exception {
        try (Connection early = pool.getConnection();
                Connection late = pool.getConnection();
                Connection dropped = pool.getConnection()) {
            for (Connection each : new Connection[] {early, late, dropped}) {
                each.setAutoCommit(false);
            }
            store.inTransaction(late, () -> tokens.revokeToken(token("late", "s")));
            store.inTransaction(dropped, () -> tokens.revokeToken(token("dropped", "s")));
            // A transaction within it has an id of its own.
            var savepoint = late.setSavepoint();
            store.inTransaction(late, () -> tokens.revokeSession("late"));
            late.releaseSavepoint(savepoint);
            var undone = late.setSavepoint();
            store.inTransaction(late, () -> tokens.revokeSubject("undone"));
            late.rollback(undone);
            store.inTransaction(early, () -> tokens.revokeToken(token("early", "s")));
            early.commit();
            var first = new Told();
            String position = follow(null, first);
            assertThat(first.names).contains("early").doesNotContain("late", "dropped");
            tokens.revokeToken(token("between", "s"));
            var second = new Told();
            position = follow(position, second);
            assertThat(second.names).containsExactly("between");
            late.commit();
            dropped.rollback();
            var third = new Told();
            position = follow(position, third);
            assertThat(third.names).containsExactlyInAnyOrder("late", "session late");
            var last = new Told();
            assertThat(follow(position, last)).isNotNull();
            assertThat(last.names).isEmpty();
        }
    }

    @Test
    void R12_6_aPollOfManyIsReadInParts() throws SQLException {
        String position = follow(null, new Told());
        String whileOneIsOpen;
        try (Connection open = pool.getConnection()) {
            open.setAutoCommit(false);
            store.inTransaction(open, () -> tokens.revokeSession("open"));
            whileOneIsOpen = follow(null, new Told());
            open.rollback();
        }
        sql(
                server.url(),
                "INSERT INTO " + table()
                        + " (tenant, jti, purpose, expires_at, created_at, updated_at, revoked_at, change)"
                        + " SELECT '', 't' || i, 'revocation', '2100-01-02Z', '2100-01-01Z', '2100-01-01Z', '2100-01-01Z',"
                        + " pg_current_xact_id() FROM generate_series(1, 10000) i");
        for (String after : new String[] {position, whileOneIsOpen, null}) {
            var told = new Told();
            assertThat(follow(after, told)).isNotNull();
            told.names.remove("subject "); // the domain's skew
            assertThat(told.names).hasSize(10_000).contains("t1", "t10000");
        }
        var stopped = new Told() {
            @Override
            public void revoked(String tenant, String jti, Instant expiresAt) {
                throw new IllegalStateException("no more");
            }
        };
        assertThatThrownBy(() -> follow(null, stopped)).hasMessage("no more");
        assertThat(follow(position, new Told())).isNotNull();
    }

    @Test
    void R12_7_anotherHistoryOfTheDataIsNoticed() {
        tokens.revokeToken(token("t", "s"));
        String position = follow(null, new Told());
        assertThat(follow(position, new Told())).isNotNull();
        for (Runnable change : new Runnable[] {
            () -> sql(server.url(), "VACUUM FULL " + table()),
            () -> sql(server.url(), "TRUNCATE " + table()),
            () -> {
                server.kill();
                server.restart();
                await().ignoreException(TokenStoreException.class).until(() -> !tokens.isRevoked("none"));
            }
        }) {
            position = follow(null, new Told());
            assertThat(position).isNotNull();
            change.run();
            assertThat(follow(position, new Told())).isNull();
        }
    }

    /** The server goes on, and gives the ids of transactions once more that were not yet in its log. */
    @Test
    void R12_7_afterTheCrashOfABackendTheHistoryIsAnother() throws Exception {
        tokens.revokeToken(token("t", "s"));
        try (Connection rolledBack = pool.getConnection()) {
            rolledBack.setAutoCommit(false);
            for (int i = 0; i < 100; i++) {
                store.inTransaction(rolledBack, () -> tokens.revokeToken(token("never", "s")));
                rolledBack.rollback();
            }
        }
        String position = follow(null, new Told());
        String backend = sql(
                        server.url(),
                        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <>"
                                + " pg_backend_pid() LIMIT 1")
                .get(0);
        ProcessHandle.of(Long.parseLong(backend)).orElseThrow().destroyForcibly();
        await().ignoreExceptions()
                .untilAsserted(() -> assertThat(follow(position, new Told())).isNull());
        var told = new Told();
        assertThat(follow(null, told)).isNotNull();
        assertThat(told.names).contains("t").doesNotContain("never");
    }

    @Test
    void R12_7_aStandbyThatIsPromotedHasAnotherHistory() {
        try (PostgresServer standby = server.standby();
                HikariDataSource poolOfStandby = Fixture.pool(standby.url(), 2);
                JdbcTokenStore promoted = JdbcTokenStore.create(poolOfStandby)) {
            String position = follow(null, new Told());
            tokens.revokeToken(token("t", "s"));
            assertThatThrownBy(() -> promoted.feed().follow(scope, null, new Told(), NOW))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("standby");
            await().until(() -> sql(standby.url(), "SELECT jti FROM " + table()).contains("t"));
            sql(standby.url(), "SELECT pg_promote()");
            var told = new Told();
            assertThat(promoted.feed().follow(scope, position, told, NOW)).isNull();
            assertThat(promoted.feed().follow(scope, null, told, NOW)).isNotNull();
            assertThat(told.names).contains("t");
        }
    }

    @Test
    void R12_5_aRevocationInATransactionOfTheCallerIsAskedAbout() throws Exception {
        try (TokenResource replicated = Fixture.builder(store, domain)
                        .localReplica(Duration.ofMinutes(1))
                        .replicaPollInterval(Duration.ofMillis(10))
                        .build();
                Connection connection = pool.getConnection()) {
            await().until(() ->
                    replicated.replicaStatus().map(ReplicaStatus::isServing).orElse(false));
            Token token = token("t", "s").withSession("phone");
            assertThat(replicated.checkLocally(token)).contains(TokenStatus.ACTIVE);
            connection.setAutoCommit(false);
            store.inTransaction(connection, () -> replicated.revokeToken(token));
            assertThat(replicated.checkLocally(token)).isEmpty();
            assertThat(replicated.check(token)).isEqualTo(TokenStatus.ACTIVE);
            connection.commit();
            assertThat(replicated.check(token)).isEqualTo(TokenStatus.REVOKED);
            await().until(() -> replicated.checkLocally(token).isPresent());
            assertThat(replicated.checkLocally(token)).contains(TokenStatus.REVOKED);
        }
    }

    /** The page has a trigger, for revocations by hand and rows that are copied in. */
    @Test
    void theTriggerOfThePageTellsWhatSomebodyElseHasRevoked() throws Exception {
        tokens.storeToken(token("by hand", "s"));
        String position = follow(null, new Told());
        String byHand = "UPDATE " + table() + " SET revoked_at = now() WHERE jti = 'by hand'";
        String undo = "UPDATE " + table() + " SET revoked_at = NULL, change = NULL WHERE jti = 'by hand'";
        sql(server.url(), byHand);
        var unseen = new Told();
        position = follow(position, unseen);
        assertThat(unseen.names).isEmpty();
        sql(server.url(), undo);
        sql(server.url(), DocsTest.trigger().replace("curfew_tokens", Statements.table(domain)));
        sql(server.url(), byHand);
        sql(
                server.url(),
                "INSERT INTO " + table()
                        + " (tenant, jti, purpose, expires_at, created_at, updated_at, revoked_at, change)"
                        + " VALUES ('', 'copied', 'revocation', '2100-01-02Z', '2100-01-01Z', '2100-01-01Z', '2100-01-01Z', '3')");
        sql(
                server.url(),
                "INSERT INTO " + table().replaceAll("\"$", "_watermarks\"")
                        + " VALUES ('', 'by hand', '', '2100-01-01Z', '2100-01-02Z')");
        var seen = new Told();
        position = follow(position, seen);
        assertThat(seen.names).containsExactlyInAnyOrder("by hand", "copied", "subject by hand");
        tokens.storeToken(token("stored", "s"));
        var stored = new Told();
        follow(position, stored);
        assertThat(stored.names).isEmpty();
    }

    @Test
    void R12_11_closeEndsALoad() {
        sql(
                server.url(),
                "INSERT INTO " + table() + " (tenant, jti, purpose, expires_at, created_at, updated_at, revoked_at)"
                        + " SELECT '', 't' || i, 'revocation', '2100-01-02Z', '2100-01-01Z', '2100-01-01Z', '2100-01-01Z'"
                        + " FROM generate_series(1, 50000) i");
        TokenResource replicated = Fixture.builder(store, domain)
                .localReplica(Duration.ofMinutes(1))
                .build();
        await().until(() ->
                replicated.replicaStatus().map(ReplicaStatus::entries).orElse(0L) > 0);
        replicated.close();
        await().until(() -> Thread.getAllStackTraces().keySet().stream()
                .noneMatch(thread -> thread.getName().startsWith("curfew-replica")));
        assertThat(tokens.isRevoked("t1")).isTrue();
    }
}
