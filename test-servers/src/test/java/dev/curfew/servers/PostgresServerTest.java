package dev.curfew.servers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What the tests of the stores rely on. */
class PostgresServerTest {
    private static PostgresServer server;

    @BeforeAll
    static void start() {
        server = PostgresServer.start(Map.of());
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private static String ask(String url, String sql) throws SQLException {
        try (Connection connection = DriverManager.getConnection(url);
                Statement statement = connection.createStatement()) {
            if (!statement.execute(sql)) {
                return "";
            }
            try (ResultSet result = statement.getResultSet()) {
                result.next();
                return result.getString(1);
            }
        }
    }

    @Test
    void itIsDurableAlsoAfterARestart() throws SQLException {
        for (int round = 0; round < 3; round++) {
            assertThat(ask(server.url(), "SHOW fsync")).isEqualTo("on");
            assertThat(ask(server.url(), "SHOW synchronous_commit")).isEqualTo("on");
            ask(server.url(), "CREATE TABLE survivor" + round + " (n int)");
            server.kill();
            assertThatThrownBy(() -> ask(server.url(), "SELECT 1")).isInstanceOf(SQLException.class);
            server.restart();
            assertThat(ask(server.url(), "SELECT count(*) FROM survivor" + round))
                    .isEqualTo("0");
        }
    }

    @Test
    void aPausedServerAnswersAfterItIsResumed() throws Exception {
        server.pause();
        CompletableFuture<String> answer = CompletableFuture.supplyAsync(() -> {
            try {
                return ask(server.url(), "SELECT 'here'");
            } catch (SQLException e) {
                return e.toString();
            }
        });
        assertThatThrownBy(() -> answer.get(300, TimeUnit.MILLISECONDS)).isInstanceOf(TimeoutException.class);
        server.resume();
        assertThat(answer.get(1, TimeUnit.MINUTES)).isEqualTo("here");
    }

    @Test
    void aProxyPassesSwallowsAndCuts() throws Exception {
        try (TcpProxy proxy = TcpProxy.to("localhost", server.port())) {
            String url = PostgresServer.url("localhost", proxy.port());
            proxy.delay(Duration.ofMillis(1));
            assertThat(ask(url, "SELECT 'late'")).isEqualTo("late");
            proxy.pass();
            try (Connection connection = DriverManager.getConnection(url);
                    Statement statement = connection.createStatement()) {
                statement.execute("CREATE TABLE heard (n int)");
                proxy.cutOnReply();
                assertThatThrownBy(() -> statement.execute("INSERT INTO heard VALUES (1)"))
                        .isInstanceOf(SQLException.class);
            }
            // It was done all the same.
            await().untilAsserted(() ->
                    assertThat(ask(server.url(), "SELECT count(*) FROM heard")).isEqualTo("1"));
            proxy.pass();
            try (Connection connection = DriverManager.getConnection(url);
                    Statement statement = connection.createStatement()) {
                proxy.swallow();
                connection.setNetworkTimeout(Runnable::run, 300);
                assertThatThrownBy(() -> statement.execute("SELECT 1")).isInstanceOf(SQLException.class);
            }
            proxy.pass();
            try (Connection connection = DriverManager.getConnection(url)) {
                proxy.cut();
                assertThatThrownBy(() -> connection.createStatement().execute("SELECT 1"))
                        .isInstanceOf(SQLException.class);
            }
        }
    }

    @Test
    void theServersOfAJvmThatDiedHardAreEnded() throws Exception {
        Process jvm = new ProcessBuilder(
                        ProcessHandle.current().info().command().orElseThrow(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        Orphaning.class.getName())
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        String line = jvm.inputReader().readLine();
        jvm.destroyForcibly().waitFor();
        ProcessHandle orphan = ProcessHandle.of(Long.parseLong(line)).orElseThrow();
        assertThat(orphan.isAlive()).isTrue();
        Process next = new ProcessBuilder(
                        ProcessHandle.current().info().command().orElseThrow(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        Orphaning.class.getName(),
                        "close")
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        assertThat(next.waitFor(60, TimeUnit.SECONDS)).isTrue();
        try {
            orphan.onExit().get(1, TimeUnit.MINUTES);
        } catch (ExecutionException | TimeoutException e) {
            throw new AssertionError("The orphan is still there", e);
        }
    }

    /** Starts a server, says its process id, and waits to be killed. */
    static final class Orphaning {
        public static void main(String[] args) throws Exception {
            PostgresServer own = PostgresServer.start(Map.of());
            System.out.println(ask(own.url(), "SELECT pg_backend_pid()").isEmpty() ? "" : postmaster(own));
            System.out.flush();
            if (args.length > 0) {
                own.close();
                return;
            }
            Thread.currentThread().join();
        }

        private static String postmaster(PostgresServer own) throws SQLException {
            return ask(own.url(), "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)");
        }
    }
}
