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
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.read.ListAppender;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.PostgresServer;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.SimpleFormatter;
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
    private final java.util.logging.Logger driver = java.util.logging.Logger.getLogger("org.postgresql");
    private final DriverLog driverLog = new DriverLog();

    /** What the driver says, by java.util.logging and at every level. */
    private static final class DriverLog extends Handler {
        final List<LogRecord> records = new CopyOnWriteArrayList<>();

        @Override
        public void publish(LogRecord line) {
            records.add(line);
        }

        List<String> lines() {
            return records.stream().map(DriverLog::line).toList();
        }

        static String line(LogRecord line) {
            String text = line.getLevel() + " " + new SimpleFormatter().formatMessage(line);
            return line.getThrown() == null ? text : text + " " + everything(line.getThrown());
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }

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
        root.setLevel(Level.TRACE);
        driver.setUseParentHandlers(false);
        driver.setLevel(java.util.logging.Level.ALL);
        driver.addHandler(driverLog);
    }

    /** Neither the log, ours or the pool's, nor anything that is thrown tells a secret; the driver's tells no password. */
    @AfterEach
    void R9_2_nothingWasGivenAway() {
        driver.removeHandler(driverLog);
        driver.setLevel(null);
        driver.setUseParentHandlers(true);
        root.setLevel(Level.ERROR);
        root.detachAppender(log);
        assertThat(log.list).allSatisfy(line -> {
            assertThat(line.getFormattedMessage()).doesNotContain("secret");
            if (line.getThrowableProxy() != null) {
                assertThat(ThrowableProxyUtil.asString(line.getThrowableProxy()))
                        .doesNotContain("secret");
            }
        });
        // Users and bind parameters are in the driver's own words below INFO, as the page says.
        assertThat(driverLog.records)
                .allSatisfy(line -> assertThat(DriverLog.line(line))
                        .doesNotContain("secret-password")
                        .doesNotContain(
                                line.getLevel().intValue() < java.util.logging.Level.INFO.intValue()
                                        ? "?user=secret"
                                        : "secret"));
    }

    private static String everything(Throwable thrown) {
        var everything = new StringWriter();
        thrown.printStackTrace(new PrintWriter(everything));
        return everything.toString();
    }

    private static void assertTells(Throwable thrown, String... words) {
        assertThat(thrown).isInstanceOf(TokenStoreException.class).hasMessageContainingAll(words);
        assertThat(everything(thrown)).doesNotContain("secret");
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
                .callDeadline(Fixture.DEADLINE)
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
        String credentials = "?user=secret-user&password=secret-password";
        String userInfo = "as parameters: jdbc:postgresql://host:port/database?user=…&password=…";
        assertTells(opening("jdbc:postgresql://secret-user:secret-password@localhost/x"), userInfo);
        assertTells(opening("jdbc:postgresql://secret-user:secret/password@localhost/x"), userInfo);
        assertTells(opening("jdbc:postgresql:secret-user:secret-password@localhost/x"), userInfo);
        String slash = "jdbc:postgresql://host:port/database?";
        assertTells(opening("jdbc:postgresql://localhost:5432" + credentials), "one / after", slash);
        assertTells(opening("jdbc:postgresql://localhost:5432/x/" + credentials), "one / after", slash);
        assertTells(opening("jdbc:postgresql://secret-user:secret?password@localhost/x"), "one / after", slash);
        assertTells(opening("jdbc:postgresql:/localhost:5432/x" + credentials), slash);
        assertTells(opening("jdbc:postgresql://localhost/x&user=secret-user&password=secret-password"), "begin with ?");
        assertTells(opening("jdbc:postgresql://localhost/x;user=secret-user;password=secret-password"), "begin with ?");
        String port = "number from 1 to 65535";
        for (String wrong : List.of("port", "", "0", "65536", "5432,other:port")) {
            assertTells(opening("jdbc:postgresql://localhost:" + wrong + "/x" + credentials), port);
        }
        assertTells(opening("jdbc:postgresql://secret-user:secret-password/x"), port);
        assertTells(opening("jdbc:postgresql://localhost/x?user=secret-user&password=50%secret-password"), "%25");
        assertTells(opening("jdbc:postgresql:///?service=nowhere"), "service");
    }

    @Test
    void aUrlInCapitalsIsOne() {
        assertThat(opening(server.url().replace("jdbc:postgresql:", "JDBC:PostgreSQL:")))
                .isNull();
    }

    @Test
    void createSchemaIsTrueOrFalse() {
        for (String wrong : List.of(
                "createSchema=False",
                "createSchema=",
                "createSchema",
                "createSchema=no",
                "createSchema=true&createSchema=x")) {
            assertTells(opening(server.url() + "&" + wrong), "createSchema=true or createSchema=false");
        }
        for (String wrong : List.of("createschema=false", "CREATESCHEMA=true")) {
            assertTells(opening(server.url() + "&" + wrong), "createSchema=true or createSchema=false");
        }
        assertTells(opening(server.url() + "&createSchema=false"), "is missing");
        assertThat(opening(server.url() + "&createSchema=true")).isNull();
        // With a typo it would be nobody's: the driver drops what it does not know.
        assertTells(opening(server.url() + "&createSchemas=no"), "createSchema=true or createSchema=false");
    }

    @Test
    void aHostThatNobodyKnows() {
        assertTells(
                opening("jdbc:postgresql://nowhere.invalid/x?user=secret-user&password=secret-password"),
                "host's name is not known",
                "08001");
    }

    @Test
    void somethingElseThanPostgreSql() throws Exception {
        Thread other;
        try (var socket = new ServerSocket(0)) {
            other = new Thread(() -> answerAll(socket));
            other.start();
            assertTells(
                    opening("jdbc:postgresql://localhost:" + socket.getLocalPort()
                            + "/x?user=secret-user&password=secret-password"),
                    "did not answer as PostgreSQL does",
                    "port");
        }
        other.join();
    }

    /** Like a web server, until the socket is closed. */
    private static void answerAll(ServerSocket socket) {
        try {
            while (true) {
                try (Socket client = socket.accept()) {
                    client.getInputStream().read();
                    client.getOutputStream()
                            .write("HTTP/1.1 400 Bad Request\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
                }
            }
        } catch (IOException e) {
            // It is over.
        }
    }

    @Test
    void whatTheUrlAsksForAndDoesNotGet() {
        String url = url("secret-user", "Pw7-of-test", "postgres");
        assertTells(opening(url.replace("&password=Pw7-of-test", "")), "no password");
        assertTells(opening(url + "&sslmode=require"), "does not support SSL");
        assertTells(opening(url + "&sslmode=always"), "sslmode", "always");
        assertTells(opening(url + "&targetServerType=secondary"), "targetServerType", "secondary");
        assertTells(opening(url + "&socketFactory=nothing"), "SocketFactory", "08006");
        assertTells(opening(url + "&connectTimeout=soon"), "a parameter of the URL", "soon", "22023");
        assertTells(opening(url + "&options=-c%20nothing=1"), "a parameter of the URL", "\"nothing\"", "42704");
    }

    /** At every level there is. */
    @Test
    void R9_2_noLogTellsThePassword() {
        sql(server.url(), "GRANT CREATE ON SCHEMA public TO \"secret-user\"");
        String url = url("secret-user", "Pw7-of-test", "postgres") + "&sslpassword=secret-password";
        assertTells(opening(url + "&pasword=secret-password"), "neither Curfew nor PostgreSQL's driver knows");
        try (TokenResource tokens = builder().url(url).build()) {
            assertThat(tokens.revokeToken(token("secret-jti", "secret-subject")))
                    .isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.isRevoked("secret-jti")).isTrue();
        }
        assertTells(opening(url("secret-user", "secret-password", "postgres")), "refused");
        // What the driver does tell is what the page says.
        assertThat(driverLog.lines())
                .contains("FINE Connecting with URL: jdbc:postgresql://localhost:" + server.port() + "/postgres")
                .anySatisfy(line ->
                        assertThat(line).startsWith("FINE Connection error").contains("secret-user"))
                .anySatisfy(line -> assertThat(line)
                        .startsWith("FINEST")
                        .contains("Startup")
                        .contains("secret-user"))
                .anySatisfy(line ->
                        assertThat(line).startsWith("FINEST").contains("Bind").contains("secret-jti"))
                .noneSatisfy(line -> assertThat(line).contains("Pw7-of-test"));
    }

    // The search_path

    private void userWithPath(String user, String path) {
        sql(server.url(), "CREATE ROLE " + user + " LOGIN PASSWORD 'Pw7-of-test'");
        sql(server.url(), "ALTER ROLE " + user + " SET search_path = " + path);
    }

    @Test
    void aSearchPathWithoutASchema() {
        String[] remedies = {
            "search_path", "ALTER ROLE", "JdbcTokenStore.builder(…).schema(…)", "currentSchema=…", "othing was changed"
        };
        userWithPath("emptypath", "''");
        userWithPath("lostpath", "nowhere");
        for (String user : List.of("emptypath", "lostpath")) {
            String url = url(user, "Pw7-of-test", "postgres");
            assertTells(opening(url), remedies);
            assertTells(opening(url + "&createSchema=false"), remedies);
            try (HikariDataSource pool = Fixture.pool(url, 1);
                    JdbcTokenStore store = JdbcTokenStore.create(pool)) {
                assertTells(catchThrowable(() -> builder().store(store).build()), remedies);
                assertTells(catchThrowable(() -> store.createSchema(domain)), remedies);
            }
        }
        assertTells(opening(server.url() + "&currentSchema=nowhere"), remedies);
        assertThat(opening(server.url() + "&currentSchema=public")).isNull();
    }

    @Test
    void tablesThatAreNotOnTheSearchPath() {
        sql(server.url(), "CREATE SCHEMA elsewhere");
        try (HikariDataSource pool = Fixture.pool(server.url(), 1);
                JdbcTokenStore there =
                        JdbcTokenStore.builder(pool).schema("elsewhere").build();
                JdbcTokenStore here = JdbcTokenStore.create(pool);
                JdbcTokenStore nowhere =
                        JdbcTokenStore.builder(pool).schema("nowhere").build()) {
            there.createSchema(domain);
            assertTells(
                    catchThrowable(() -> builder().store(here).build()),
                    "is missing",
                    "schema \"elsewhere\"",
                    "search_path",
                    "JdbcTokenStore.builder(…).schema(…)",
                    "currentSchema=…");
            builder().store(there).build().close();
            assertTells(catchThrowable(() -> builder().store(nowhere).build()), "schema \"nowhere\" does not exist");
            assertTells(catchThrowable(() -> nowhere.createSchema(domain)), "3F000", "schema", "Nothing was changed");
            // The path is lost while it runs.
            assertTells(
                    catchThrowable(() -> here.isRevoked(Fixture.scope(domain), "secret-jti", NOW)),
                    "42P01",
                    "search_path",
                    "Nothing was changed");
        }
    }

    /** It has a deadline of its own: half of it is waited for. */
    @Test
    void aServerThatAcceptsAndNeverAnswers() throws IOException {
        try (var socket = new ServerSocket(0)) {
            String url = "jdbc:postgresql://localhost:" + socket.getLocalPort()
                    + "/x?user=secret-user&password=secret-password";
            assertTells(
                    catchThrowable(() -> builder()
                            .openDeadline(Duration.ofSeconds(2))
                            .url(url)
                            .build()
                            .close()),
                    "could not be reached",
                    "08001");
        }
    }

    @Test
    void tooFewConnections() throws SQLException {
        sql(server.url(), "CREATE ROLE crowd LOGIN PASSWORD 'Pw7-of-test' CONNECTION LIMIT 0");
        assertTells(opening(url("crowd", "Pw7-of-test", "postgres")), "no connection left", "53300");
        // A pool that is too small says so, and that nothing was sent.
        try (HikariDataSource pool = Fixture.pool(server.url(), 1, true, Duration.ofSeconds(3));
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
        assertTells(opening(url), "targetServerType: primary");
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
        sql(
                server.url(),
                "ALTER ROLE hasty SET lock_timeout = 50"); // before the pool connects, which it does by itself
        try (HikariDataSource owner = Fixture.pool(server.url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(owner);
                HikariDataSource pool = Fixture.pool(url("hasty", "Pw7-of-test", "postgres"), 1);
                JdbcTokenStore limited = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            sql(server.url(), "GRANT ALL ON ALL TABLES IN SCHEMA public TO hasty");
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

    /** A number beyond 64 bits, and what is no object: those that are listed with it must not suffer. */
    @Test
    void R2_7_extraDataOfSomebodyElsesBreakNoPage() {
        try (HikariDataSource pool = Fixture.pool(server.url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            try (TokenResource tokens = builder().store(store).build()) {
                for (String jti : List.of("a", "secret-b", "secret-c", "d")) {
                    tokens.storeToken(token(jti, "s"), "p", Map.of("k", jti));
                }
                String update = "UPDATE \"curfew_" + domain + "\" SET extra_data = ";
                sql(server.url(), update + "'{\"secret\": 18446744073709551616}' WHERE jti = 'secret-b'");
                sql(server.url(), update + "'[\"secret\"]' WHERE jti = 'secret-c'");
                Instant later = NOW.plus(Fixture.HOUR.multipliedBy(2));
                for (List<TokenRecord> page :
                        List.of(tokens.listTokens("s"), store.readExpired(Fixture.scope(domain), null, 10, later))) {
                    assertThat(page).extracting(TokenRecord::jti).containsExactly("a", "d", "secret-b", "secret-c");
                    assertThat(page.get(1).extraData()).isEqualTo(Map.of("k", "d"));
                    for (TokenRecord spoiled : page.subList(2, 4)) {
                        assertTells(catchThrowable(() -> spoiled.extraData().get("k")), "extra data", "Correct");
                    }
                }
                for (String jti : List.of("secret-b", "secret-c")) {
                    assertThat(tokens.getToken(jti)).isPresent();
                    assertThat(tokens.check(token(jti, "s"))).isEqualTo(TokenStatus.ACTIVE);
                }
            }
        }
    }
}
