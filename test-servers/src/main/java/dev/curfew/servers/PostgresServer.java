package dev.curfew.servers;

import java.io.IOException;
import java.nio.file.Files;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A PostgreSQL server. Which one: where the kits share one, that of the system property {@value #PROPERTY} or the
 * environment variable {@value #VARIABLE}; else one in a container, where Docker answers; else one from a Maven
 * artifact.
 */
public final class PostgresServer extends TestServer {
    /** Names a server for {@link #shared}: a JDBC URL with user and password, of a database that tests may fill. */
    public static final String PROPERTY = "curfew.test.postgres.url";

    /** Names a server for {@link #shared}, where the property does not. */
    public static final String VARIABLE = "CURFEW_TEST_POSTGRES_URL";

    private static final Map<String, String> DURABLE =
            Map.of("fsync", "on", "synchronous_commit", "on", "full_page_writes", "on");

    private static @Nullable PostgresServer shared;

    private final String url;

    private PostgresServer(@Nullable ServerProcess process, String url) {
        super(process);
        this.url = url;
        ServersUsed.add("PostgreSQL " + version() + ", " + origin());
    }

    /** The server for all tests of this JVM that do it no harm; never closed, and in haste rather than durable. */
    public static synchronized PostgresServer shared() {
        if (shared == null) {
            String named = named(PROPERTY, VARIABLE);
            shared = named == null ? started(Map.of("shared_buffers", "256MB")) : new PostgresServer(null, named);
        }
        return shared;
    }

    /**
     * A server of the test's own, to be killed, paused and restarted; set up to lose nothing that it acknowledged.
     *
     * @param settings more settings for the server, by name
     */
    public static PostgresServer start(Map<String, String> settings) {
        return started(withDefaults(DURABLE, settings));
    }

    /** As {@link #start}, but never in a container: for a test that needs a {@link #standby}. */
    public static PostgresServer startEmbedded(Map<String, String> settings) {
        return started(new EmbeddedPostgresProcess(withDefaults(DURABLE, settings)));
    }

    private static PostgresServer started(Map<String, String> settings) {
        ServerProcess process = DockerProcess.isAvailable()
                ? DockerProcess.postgres(System.getProperty("curfew.test.postgres.image", "18"), settings)
                : new EmbeddedPostgresProcess(settings);
        return started(process);
    }

    private static PostgresServer started(ServerProcess process) {
        process.start();
        return new PostgresServer(process, url("localhost", process.port()));
    }

    /**
     * A hot standby of this server, which streams from it: it answers, is read-only, and can be promoted by
     * {@code pg_promote()}.
     *
     * @throws IllegalStateException if this server is not an embedded one
     */
    public PostgresServer standby() {
        if (!(process() instanceof EmbeddedPostgresProcess primary)) {
            throw new IllegalStateException("Only an embedded server can have a standby");
        }
        try (Connection connection = DriverManager.getConnection(url);
                Statement statement = connection.createStatement()) {
            statement.execute("SELECT pg_backup_start('standby', true)");
            EmbeddedPostgresProcess standby = primary.copy();
            try (ResultSet label = statement.executeQuery("SELECT labelfile FROM pg_backup_stop(false)")) {
                label.next();
                Files.writeString(standby.data().resolve("backup_label"), label.getString(1));
            }
            Files.createFile(standby.data().resolve("standby.signal"));
            Files.writeString(
                    standby.data().resolve("postgresql.auto.conf"),
                    "primary_conninfo = 'host=localhost port=" + port() + " user=postgres'\n");
            return started(standby);
        } catch (SQLException | IOException e) {
            throw new IllegalStateException("The standby could not be made", e);
        }
    }

    /** The URL of the same database at another address, such as a {@link TcpProxy}'s. */
    public static String url(String host, int port) {
        return "jdbc:postgresql://" + host + ":" + port + "/postgres?user=postgres&password=postgres";
    }

    /** The JDBC URL, with a superuser's name and password. */
    public String url() {
        return url;
    }

    @Override
    void awaitAnswer() {
        version();
    }

    private String version() {
        try (Connection connection = DriverManager.getConnection(url);
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery("SHOW server_version")) {
            result.next();
            return result.getString(1);
        } catch (SQLException e) {
            throw new IllegalStateException("The PostgreSQL server does not answer", e);
        }
    }
}
