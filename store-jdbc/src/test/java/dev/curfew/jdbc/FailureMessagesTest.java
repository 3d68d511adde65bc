package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.NOW;
import static dev.curfew.jdbc.Fixture.sql;
import static dev.curfew.jdbc.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.PostgresServer;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.ServerSocket;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/** What people read when something is wrong, and what they do not read. */
class FailureMessagesTest {
    private static PostgresServer server;

    private final String domain = Fixture.newDomain();
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();
    private final Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);

    @BeforeAll
    static void start() {
        server = PostgresServer.start(Map.of());
        // From now on a password is asked for, but not of the one who must change that back.
        sql(server.url(), "CREATE ROLE \"secret-user\" LOGIN PASSWORD 'Pw7-of-test'");
        String rules = sql(server.url(), "SHOW hba_file").get(0);
        sql(
                server.url(),
                "COPY (VALUES ('host all postgres all trust'), ('local all all trust'), ('host all all all scram-sha-256'))"
                        + " TO '" + rules + "'");
        sql(server.url(), "SELECT pg_reload_conf()");
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @BeforeEach
    void listen() {
        log.start();
        root.addAppender(log);
        root.setLevel(Level.DEBUG);
    }

    /** Neither the log, ours or the pool's, nor anything that is thrown tells a secret. */
    @AfterEach
    void R9_2_nothingWasGivenAway() {
        root.setLevel(Level.ERROR);
        root.detachAppender(log);
        assertThat(log.list).allSatisfy(line -> {
            // The driver's own words at debug level are the application's affair.
            if (line.getLevel().isGreaterOrEqual(Level.INFO)
                    || line.getLoggerName().startsWith("dev.curfew")) {
                assertThat(line.getFormattedMessage()).doesNotContain("secret");
                if (line.getThrowableProxy() != null) {
                    assertThat(line.getThrowableProxy().getMessage()).doesNotContain("secret");
                }
            }
        });
    }

    private static void assertTells(Throwable thrown, String... words) {
        assertThat(thrown).isInstanceOf(TokenStoreException.class).hasMessageContainingAll(words);
        var everything = new StringWriter();
        thrown.printStackTrace(new PrintWriter(everything));
        assertThat(everything.toString()).doesNotContain("secret");
    }

    private String url(String user, String password, String database) {
        return "jdbc:postgresql://localhost:" + server.port() + "/" + database + "?user=" + user + "&password="
                + password;
    }

    private Throwable opening(String url) {
        return catchThrowable(() -> builder().url(url).build().close());
    }

    private TokenResource.Builder builder() {
        return TokenResource.builder()
                .domain(domain)
                .clock(() -> NOW)
                .callDeadline(Duration.ofSeconds(2))
                .failurePolicy(FailurePolicy.THROW)
                .maxTokenLifetime(Duration.ofDays(1));
    }

    @Test
    void aWrongPassword() {
        assertTells(
                opening(url("secret-user", "secret-password", "postgres")),
                "refused the user or the password",
                "28P01");
    }

    @Test
    void aMissingDatabase() {
        assertTells(opening(url("postgres", "Pw7-of-test", "nowhere")), "database does not exist", "3D000");
    }

    @Test
    void aServerThatIsNotThere() throws IOException {
        int port;
        try (var socket = new ServerSocket(0)) {
            port = socket.getLocalPort();
        }
        assertTells(
                opening("jdbc:postgresql://localhost:" + port + "/postgres?user=secret-user&password=secret-password"),
                "could not be reached",
                "08001");
    }

    @Test
    void aUrlThatIsNone() {
        assertTells(opening("jdbc:postgresql://localhost:port/x?password=secret"), "jdbc");
        assertTells(opening("jdbc:postgresql://secret-user:secret@localhost/x"), "as parameters", "?user=…&password=…");
    }

    @Test
    void aServerThatAcceptsAndNeverAnswers() throws IOException {
        try (var socket = new ServerSocket(0)) {
            assertTells(
                    opening("jdbc:postgresql://localhost:" + socket.getLocalPort()
                            + "/x?user=secret-user&password=secret"),
                    "PostgreSQL failed");
        }
    }

    @Test
    void tooFewConnections() throws SQLException {
        sql(server.url(), "CREATE ROLE crowd LOGIN PASSWORD 'Pw7-of-test' CONNECTION LIMIT 0");
        assertTells(opening(url("crowd", "Pw7-of-test", "postgres")), "no connection left", "53300");
        // A pool that is too small says so, and that nothing was sent.
        try (HikariDataSource pool = Fixture.pool(server.url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            TokenResource tokens = builder().store(store).build();
            try (Connection busy = pool.getConnection()) {
                assertTells(
                        catchThrowable(() -> tokens.revokeToken(token("secret-jti", "secret-subject"))),
                        "no connection was to be had from the pool",
                        "Nothing was changed");
                assertThat(busy.isClosed()).isFalse();
            }
            assertThat(tokens.revokeToken(token("secret-jti", "secret-subject")))
                    .isEqualTo(RevokeOutcome.REVOKED);
            tokens.close();
        }
    }

    @Test
    void aUserWithoutRights() {
        sql(server.url(), "CREATE ROLE visitor LOGIN PASSWORD 'Pw7-of-test'");
        assertTells(
                opening(url("visitor", "Pw7-of-test", "postgres")), "a right is missing", "42501", "Grant", "CREATE");
        sql(server.url(), "CREATE ROLE reader LOGIN PASSWORD 'Pw7-of-test'");
        try (HikariDataSource owner = Fixture.pool(server.url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(owner)) {
            store.createSchema(domain);
        }
        // The tables are there: the rights on them are all it takes.
        for (String table : List.of("curfew_" + domain, "curfew_" + domain + "_watermarks")) {
            sql(server.url(), "GRANT SELECT ON \"" + table + "\" TO reader");
        }
        try (TokenResource tokens =
                builder().url(url("reader", "Pw7-of-test", "postgres")).build()) {
            assertThat(tokens.isRevoked("secret-jti")).isFalse();
            assertTells(
                    catchThrowable(() -> tokens.revokeToken(token("secret-jti", "secret-subject"))),
                    "a right is missing",
                    "42501",
                    "Nothing was changed");
            for (String table : List.of("curfew_" + domain, "curfew_" + domain + "_watermarks")) {
                sql(server.url(), "GRANT INSERT, UPDATE, DELETE ON \"" + table + "\" TO reader");
            }
            assertThat(tokens.revokeToken(token("t", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.storeToken(token("u", "s"))).isEqualTo(StoreOutcome.STORED);
            tokens.revokeSubject("s");
            assertThat(tokens.expungeExpired().removed()).isZero();
        }
    }

    @Test
    void aServerThatIsReadOnly() {
        sql(server.url(), "CREATE ROLE standby LOGIN PASSWORD 'Pw7-of-test'");
        sql(server.url(), "ALTER ROLE standby SET default_transaction_read_only = on");
        sql(server.url(), "GRANT ALL ON SCHEMA public TO standby");
        String url = url("standby", "Pw7-of-test", "postgres");
        // By URL it is not even opened: a standby may not have heard of a revocation.
        assertTells(opening(url), "could not be reached");
        try (HikariDataSource owner = Fixture.pool(server.url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(owner);
                HikariDataSource pool = Fixture.pool(url, 1);
                JdbcTokenStore readOnly = JdbcTokenStore.create(pool)) {
            assertTells(catchThrowable(() -> readOnly.createSchema(domain)), "read-only", "25006");
            store.createSchema(domain);
            sql(server.url(), "GRANT ALL ON ALL TABLES IN SCHEMA public TO standby");
            try (TokenResource tokens = builder().store(readOnly).build()) {
                assertThat(tokens.check(token("secret-jti", "secret-subject"))).isEqualTo(TokenStatus.ACTIVE);
                assertTells(
                        catchThrowable(() -> tokens.revokeToken(token("secret-jti", "secret-subject"))),
                        "read-only",
                        "targetServerType=primary",
                        "Nothing was changed");
            }
        }
    }

    /** The table's file becomes one that the kernel never has room for. */
    @Test
    void aFullDisk() {
        try (HikariDataSource pool = Fixture.pool(server.url(), 2);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            String file = sql(
                            server.url(),
                            "SELECT current_setting('data_directory') || '/' || pg_relation_filepath('\"curfew_"
                                    + domain + "\"')")
                    .get(0);
            sql(server.url(), "CHECKPOINT");
            sql(
                    server.url(),
                    "COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -f " + file + "; ln -s /dev/full " + file + "'");
            try (TokenResource tokens = builder().store(store).build()) {
                assertTells(
                        catchThrowable(() ->
                                tokens.storeToken(token("secret-jti", "secret-subject"), "p", Map.of("secret", 1))),
                        "disk is full",
                        "53100",
                        "Nothing was changed");
                assertThat(tokens.isRevoked("secret-jti")).isFalse();
            }
            sql(server.url(), "COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -f " + file + "; touch " + file + "'");
        }
    }

    /** What quotes a row is left out: here a trigger's own message. */
    @Test
    void R9_2_aMessageThatQuotesARowIsLeftOut() {
        try (HikariDataSource pool = Fixture.pool(server.url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            sql(
                    server.url(),
                    "CREATE FUNCTION \"" + domain + "\"() RETURNS trigger LANGUAGE plpgsql AS"
                            + " $$BEGIN RAISE 'no % for %', NEW.jti, NEW.subject; END$$");
            sql(
                    server.url(),
                    "CREATE TRIGGER refuse BEFORE INSERT ON \"curfew_" + domain + "\" FOR EACH ROW EXECUTE"
                            + " FUNCTION \"" + domain + "\"()");
            try (TokenResource tokens = builder().store(store).build()) {
                assertTells(
                        catchThrowable(() -> tokens.storeToken(token("secret-jti", "secret-subject"))),
                        "P0001",
                        "Nothing was changed");
                sql(server.url(), "DROP TRIGGER refuse ON \"curfew_" + domain + "\"");
                sql(server.url(), "ALTER TABLE \"curfew_" + domain + "\" ADD CHECK (jti <> 'secret-jti')");
                assertTells(
                        catchThrowable(() -> tokens.storeToken(token("secret-jti", "secret-subject"))),
                        "23514",
                        "Nothing was changed");
            }
        }
    }

    @Test
    void tablesAreNotCreatedWhereTheUrlSaysSo() {
        assertTells(opening(server.url() + "&createSchema=false"), "is missing", "createSchema");
        assertThat(opening(server.url())).isNull();
        assertThat(opening(server.url() + "&createSchema=false")).isNull();
    }

    @Test
    void aStatementThatWasCancelled() {
        sql(server.url(), "CREATE ROLE hasty LOGIN PASSWORD 'Pw7-of-test'");
        try (HikariDataSource owner = Fixture.pool(server.url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(owner);
                HikariDataSource pool = Fixture.pool(url("hasty", "Pw7-of-test", "postgres"), 1);
                JdbcTokenStore limited = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            sql(server.url(), "GRANT ALL ON ALL TABLES IN SCHEMA public TO hasty");
            sql(server.url(), "ALTER ROLE hasty SET lock_timeout = 50");
            try (Connection holder = owner.getConnection();
                    TokenResource tokens = builder().store(limited).build()) {
                holder.setAutoCommit(false);
                store.inTransaction(holder, () -> {
                    store.revokeSubject(Fixture.scope(domain), "secret-subject", NOW, NOW, NOW);
                    return null;
                });
                assertThatThrownBy(() -> tokens.revokeSubject("secret-subject"))
                        .satisfies(thrown -> assertTells(thrown, "lock_timeout", "55P03", "Nothing was changed"));
                holder.rollback();
            } catch (SQLException e) {
                throw new AssertionError(e);
            }
        }
    }
}
