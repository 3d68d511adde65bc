package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.NOW;
import static dev.curfew.jdbc.Fixture.sql;
import static dev.curfew.jdbc.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.RevokeOutcome;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.PostgresServer;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Whose transaction a call is part of. */
class TransactionTest {
    private static final String URL = PostgresServer.shared().url();

    private final String domain = Fixture.newDomain();
    private HikariDataSource pool;
    private JdbcTokenStore store;
    private TokenResource tokens;

    @BeforeEach
    void open() {
        pool = Fixture.pool(URL, 4);
        store = JdbcTokenStore.create(pool);
        store.createSchema(domain);
        tokens = Fixture.resource(store, domain);
        sql(URL, "CREATE TABLE IF NOT EXISTS passwords (domain text PRIMARY KEY, password text)");
        sql(URL, "INSERT INTO passwords VALUES ('" + domain + "', 'old')");
    }

    @AfterEach
    void close() {
        tokens.close();
        store.close();
        pool.close();
    }

    private void changePassword(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("UPDATE passwords SET password = 'new' WHERE domain = '" + domain + "'");
        }
    }

    private String password() {
        return sql(URL, "SELECT password FROM passwords WHERE domain = '" + domain + "'")
                .get(0);
    }

    @Test
    void R8_2_revokeAndChangeThePasswordBothOrNeither() throws SQLException {
        for (boolean commit : List.of(false, true)) {
            tokens.storeToken(token("reset", "s"), "reset");
            try (Connection connection = pool.getConnection()) {
                connection.setAutoCommit(false);
                changePassword(connection);
                store.inTransaction(connection, () -> {
                    assertThat(tokens.revokeToken(token("session", "s"))).isEqualTo(RevokeOutcome.REVOKED);
                    assertThat(tokens.consume("reset", "reset")).isInstanceOf(Consumed.class);
                    tokens.revokeSubject("s");
                    // It sees what it did.
                    assertThat(tokens.isRevoked("session")).isTrue();
                    return tokens.consume("reset", "reset");
                });
                // Others do not, before it commits.
                assertThat(tokens.isRevoked("session")).isFalse();
                assertThat(password()).isEqualTo("old");
                if (commit) {
                    connection.commit();
                } else {
                    connection.rollback();
                }
                assertThat(connection.getAutoCommit()).isFalse();
                assertThat(connection.isClosed()).isFalse();
            }
            assertThat(tokens.isRevoked("session")).isEqualTo(commit);
            assertThat(tokens.consume("reset", "reset") == Refused.ALREADY_USED).isEqualTo(commit);
            assertThat(password()).isEqualTo(commit ? "new" : "old");
            if (!commit) {
                sql(URL, "DELETE FROM \"curfew_" + domain + "\"");
            }
        }
    }

    /** The server itself writes down how each transaction that removes a record will commit. */
    @Test
    void R7_2_onlyTheCommitOfTheCleanUpDoesNotWait() throws SQLException {
        String table = "\"curfew_" + domain + "\"";
        String commits = "\"commits_" + domain + "\"";
        String noted = "\"noted_" + domain + "\"";
        sql(URL, "CREATE TABLE " + commits + " (setting text)");
        sql(
                URL,
                "CREATE FUNCTION " + noted + "() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO " + commits
                        + " VALUES (current_setting('synchronous_commit')); RETURN NULL; END$$");
        sql(URL, "CREATE TRIGGER noted AFTER DELETE ON " + table + " FOR EACH ROW EXECUTE FUNCTION " + noted + "()");
        Instant later = NOW.plus(Duration.ofDays(3));
        // The server of these tests is in haste: its default is off.
        try (HikariDataSource durable = Fixture.pool(URL + "&options=-c%20synchronous_commit=on", 1);
                JdbcTokenStore cleaned = JdbcTokenStore.create(durable)) {
            tokens.storeToken(token("own", "s"));
            assertThat(cleaned.expunge(Fixture.scope(domain), 10, later)).isEqualTo(1);
            tokens.storeToken(token("joined", "s"));
            try (Connection same = durable.getConnection()) {
                same.setAutoCommit(false);
                assertThat(cleaned.inTransaction(same, () -> cleaned.expunge(Fixture.scope(domain), 10, later)))
                        .isEqualTo(1);
                same.commit();
            }
        }
        assertThat(sql(URL, "SELECT setting FROM " + commits)).containsExactly("off", "on");
    }

    @Test
    void R5_1_aColumnOfTheApplicationIsNotInTheWay() {
        sql(URL, "ALTER TABLE \"curfew_" + domain + "\" ADD COLUMN is_used boolean, ADD COLUMN outcome text");
        tokens.storeToken(token("link", "s"), "link");
        assertThat(tokens.consume("link", "link")).isInstanceOf(Consumed.class);
        assertThat(tokens.revokeToken(token("t", "s"))).isEqualTo(RevokeOutcome.REVOKED);
    }

    /** The row is not written, and the answer must not be that somebody else has written it. */
    @Test
    void R3_1_aTriggerThatDropsTheRowIsAFailure() {
        String dropped = "\"dropped_" + domain + "\"";
        sql(URL, "CREATE FUNCTION " + dropped + "() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$");
        sql(
                URL,
                "CREATE TRIGGER dropped BEFORE INSERT ON \"curfew_" + domain + "\" FOR EACH ROW EXECUTE FUNCTION "
                        + dropped + "()");
        try (TokenResource hasty = Fixture.builder(store, domain)
                .callDeadline(Duration.ofMillis(500))
                .build()) {
            assertThatThrownBy(() -> hasty.revokeToken(token("t", "s"))).isInstanceOf(TokenStoreException.class);
        }
    }

    @Test
    void anotherThreadIsNotPartOfIt() throws Exception {
        try (Connection connection = pool.getConnection()) {
            connection.setAutoCommit(false);
            store.inTransaction(connection, () -> {
                tokens.revokeJti("mine");
                var other = new Thread(() -> tokens.revokeJti("theirs"));
                other.start();
                try {
                    other.join();
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
                return null;
            });
            connection.rollback();
        }
        assertThat(tokens.isRevoked("mine")).isFalse();
        assertThat(tokens.isRevoked("theirs")).isTrue();
    }

    @Test
    void aConnectionThatCommitsByItselfIsRefused() throws SQLException {
        try (Connection connection = pool.getConnection()) {
            assertThatThrownBy(() -> store.inTransaction(connection, () -> tokens.revokeJti("t")))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("setAutoCommit(false)");
        }
        assertThat(tokens.isRevoked("t")).isFalse();
    }

    private enum Begun {
        BY_AUTOCOMMIT_OFF,
        BY_HAND
    }

    /** A DataSource that hands out the connection of the running transaction, as Spring's proxy does. */
    private static JdbcTokenStore onRunningTransaction(HikariDataSource pool, Connection running) {
        return JdbcTokenStore.create(new LendingDataSource(pool) {
            @Override
            Connection lend(DataSource from) {
                return ConnectionWrapper.of(running, "close", (connection, arguments) -> null);
            }
        });
    }

    @ParameterizedTest
    @EnumSource
    void R8_2_aTransactionThatHasBegunIsNeitherCommittedNorRolledBack(Begun how) throws SQLException {
        for (boolean commit : List.of(false, true)) {
            try (Connection running = pool.getConnection();
                    Statement statement = running.createStatement();
                    JdbcTokenStore wrong = onRunningTransaction(pool, running)) {
                if (how == Begun.BY_HAND) {
                    statement.execute("BEGIN");
                } else {
                    running.setAutoCommit(false);
                }
                changePassword(running);
                List<Runnable> calls = List.of(
                        () -> wrong.isRevoked(Fixture.scope(domain), "t", NOW),
                        () -> wrong.state(Fixture.scope(domain), "t", "s", null, NOW),
                        () -> wrong.revokeSubject(Fixture.scope(domain), "s", NOW, NOW, NOW),
                        () -> wrong.prepare(Fixture.scope(domain)),
                        () -> wrong.createSchema(Fixture.newDomain()));
                for (Runnable call : calls) {
                    assertThatThrownBy(call::run)
                            .isInstanceOf(TokenStoreException.class)
                            .hasMessageContaining("inTransaction")
                            .hasMessageContaining("Nothing was changed");
                    // Others do not see it yet.
                    assertThat(password()).isEqualTo("old");
                }
                assertThat(running.getAutoCommit()).isEqualTo(how == Begun.BY_HAND);
                if (how == Begun.BY_HAND) {
                    statement.execute(commit ? "COMMIT" : "ROLLBACK");
                } else if (commit) {
                    running.commit();
                } else {
                    running.rollback();
                }
                assertThat(password()).isEqualTo(commit ? "new" : "old");
            }
        }
    }

    /** Where nothing has begun yet, the store commits its own statement by itself. */
    @Test
    void R8_2_aFreshConnectionWithoutAutocommitIsUsedAndLeftAsItWas() throws SQLException {
        try (Connection running = pool.getConnection();
                JdbcTokenStore other = onRunningTransaction(pool, running)) {
            running.setAutoCommit(false);
            other.revokeSubject(Fixture.scope(domain), "s", NOW, NOW, NOW);
            assertThat(running.getAutoCommit()).isFalse();
            assertThat(tokens.check(token("t", "s"))).isEqualTo(TokenStatus.REVOKED);
            changePassword(running);
            running.rollback();
            assertThat(password()).isEqualTo("old");
        }
        assertThat(tokens.check(token("t", "s"))).isEqualTo(TokenStatus.REVOKED);
    }

    @Test
    void whatCannotBeSerializedIsToldWithTheRemedy() throws SQLException {
        tokens.storeToken(token("t", "s"));
        try (Connection connection = pool.getConnection()) {
            connection.setAutoCommit(false);
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            // Its snapshot is taken; then another one revokes.
            store.inTransaction(connection, () -> tokens.isRevoked("u"));
            tokens.revokeJti("t");
            assertThatThrownBy(() -> store.inTransaction(connection, () -> tokens.revokeJti("t")))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("40001")
                    .hasMessageContaining("Roll back")
                    .hasMessageContaining("Nothing was changed");
            assertThatThrownBy(() -> store.inTransaction(connection, () -> tokens.revokeJti("t")))
                    .hasMessageContaining("25P02");
            connection.rollback();
            assertThat(store.inTransaction(connection, () -> tokens.revokeJti("t")))
                    .isEqualTo(RevokeOutcome.ALREADY_REVOKED);
            connection.rollback();
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        }
    }

    @Test
    void anInsertedRowThatASnapshotDoesNotShowIsNotWaitedForForEver() throws SQLException {
        try (Connection connection = pool.getConnection()) {
            connection.setAutoCommit(false);
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            store.inTransaction(connection, () -> tokens.isRevoked("u"));
            tokens.storeToken(token("new", "s"));
            assertThatThrownBy(() -> store.inTransaction(connection, () -> tokens.revokeJti("new")))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("40001");
            connection.rollback();
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        }
    }

    /** As the page says: the watermark that a snapshot does not show does not count. */
    @Test
    void aConsumeWithinASnapshotDoesNotKnowOfALaterLogOutEverywhere() throws SQLException {
        try (Connection connection = pool.getConnection()) {
            connection.setAutoCommit(false);
            for (int level : List.of(Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_READ_COMMITTED)) {
                connection.setTransactionIsolation(level);
                String jti = "t" + level;
                String subject = "s" + level;
                tokens.storeToken(token(jti, subject), "link");
                store.inTransaction(connection, () -> tokens.isRevoked(jti));
                tokens.revokeSubject(subject);
                assertThat(store.inTransaction(connection, () -> tokens.consume(jti, "link")) instanceof Consumed)
                        .isEqualTo(level == Connection.TRANSACTION_REPEATABLE_READ);
                connection.rollback();
                assertThat(tokens.consume(jti, "link")).isEqualTo(Refused.ALREADY_USED);
            }
        }
    }

    /** As the pages say: a check outside of the transaction, on another connection, knows of it. */
    @Test
    void aCheckWithinASnapshotDoesNotKnowOfALaterRevocation() throws SQLException {
        try (Connection connection = pool.getConnection()) {
            connection.setAutoCommit(false);
            for (int level : List.of(Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_READ_COMMITTED)) {
                connection.setTransactionIsolation(level);
                String jti = "t" + level;
                assertThat(store.inTransaction(connection, () -> tokens.check(token(jti, "s"))))
                        .isEqualTo(TokenStatus.ACTIVE);
                tokens.revokeJti(jti);
                assertThat(store.inTransaction(connection, () -> tokens.check(token(jti, "s"))))
                        .isEqualTo(
                                level == Connection.TRANSACTION_READ_COMMITTED
                                        ? TokenStatus.REVOKED
                                        : TokenStatus.ACTIVE);
                assertThat(tokens.check(token(jti, "s"))).isEqualTo(TokenStatus.REVOKED);
                connection.rollback();
            }
        }
    }

    /** A pool such as many have it: nothing is lost, and the next borrower finds the connection as it was. */
    @Test
    void R8_5_aPoolWithoutAutocommitLosesNothing() throws SQLException {
        try (HikariDataSource byHand = Fixture.pool(URL, 1, false);
                JdbcTokenStore other = JdbcTokenStore.create(byHand);
                TokenResource onIt = Fixture.resource(other, domain)) {
            assertThat(onIt.revokeToken(token("t", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.isRevoked("t")).isTrue();
            try (Connection connection = byHand.getConnection()) {
                assertThat(connection.getAutoCommit()).isFalse();
            }
        }
    }

    /** As behind a pooler that gives every transaction another session: nothing is kept in it, nothing is left in it. */
    @Test
    void nothingIsKeptInTheSession() throws SQLException {
        String settings = "SELECT string_agg(name || '=' || setting, ',' ORDER BY name) FROM pg_settings"
                + " WHERE source = 'session'";
        String url = URL + "&prepareThreshold=0";
        try (HikariDataSource one = Fixture.pool(url, 1);
                JdbcTokenStore pooled = JdbcTokenStore.create(new DiscardingDataSource(one));
                TokenResource onIt = Fixture.resource(pooled, domain)) {
            for (int i = 0; i < 20; i++) {
                assertThat(onIt.revokeToken(token("t" + i, "s"))).isEqualTo(RevokeOutcome.REVOKED);
                assertThat(onIt.isRevoked("t" + i)).isTrue();
            }
            onIt.storeToken(token("u", "s"), "link");
            assertThat(onIt.consume("u", "link")).isInstanceOf(Consumed.class);
            assertThat(onIt.revokeAllStoredForSubject("s")).isZero();
            assertThat(onIt.expungeExpired().removed()).isZero();
            try (Connection connection = one.getConnection();
                    Statement statement = connection.createStatement()) {
                assertThat(connection.getNetworkTimeout()).isZero();
                for (String leftover : List.of(
                        settings,
                        "SELECT string_agg(name, ',') FROM pg_prepared_statements WHERE NOT from_sql",
                        "SELECT string_agg(locktype, ',') FROM pg_locks WHERE pid = pg_backend_pid()"
                                + " AND locktype = 'advisory'")) {
                    try (var row = statement.executeQuery(leftover)) {
                        row.next();
                        String found = row.getString(1);
                        // What the driver itself says at the start of a session.
                        assertThat(
                                        found == null
                                                ? ""
                                                : found.replaceAll(
                                                        "(application_name|extra_float_digits|DateStyle|"
                                                                + "TimeZone|client_encoding)=[^=]*(,(?=\\w+=)|$)",
                                                        ""))
                                .as(leftover)
                                .isEmpty();
                    }
                }
            }
        }
    }

    @Test
    void R8_6_theApplicationsPoolIsLeftOpen() throws SQLException {
        JdbcTokenStore other = JdbcTokenStore.create(pool);
        TokenResource onIt = Fixture.resource(other, domain);
        onIt.revokeJti("t");
        onIt.close();
        other.close();
        try (Connection connection = pool.getConnection()) {
            assertThat(connection.isValid(1)).isTrue();
        }
        assertThat(tokens.isRevoked("t")).isTrue();
        assertThat(tokens.inspect("t").orElseThrow().revokedAt()).isEqualTo(NOW);
    }
}
