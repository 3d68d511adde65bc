package dev.curfew.servers;

import java.io.UncheckedIOException;
import java.net.URI;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A Redis server. Which one: where the kits share one, that of the system property {@value #PROPERTY} or the environment
 * variable {@value #VARIABLE}; else one in a container, where Docker answers; else one from a Maven artifact.
 */
public final class RedisServer extends TestServer {
    /** Names a server for {@link #shared}: {@code redis://127.0.0.1:6379}, whose data tests may remove. */
    public static final String PROPERTY = "curfew.test.redis.url";

    /** Names a server for {@link #shared}, where the property does not. */
    public static final String VARIABLE = "CURFEW_TEST_REDIS_URL";

    private static final Pattern VERSION = Pattern.compile("(redis|valkey)_version:(\\S+)");

    private static final Map<String, String> DURABLE = Map.of("appendonly", "yes", "appendfsync", "always", "save", "");

    private static final Map<String, RedisServer> SHARED = new LinkedHashMap<>();

    private final int port;
    private final Map<String, String> settings;

    private RedisServer(@Nullable ServerProcess process, int port, Map<String, String> settings) {
        super(process);
        this.port = port;
        this.settings = settings;
    }

    /** The version that is embedded where a test does not say which: the property {@code curfew.test.redis.version}. */
    public static String version() {
        return System.getProperty("curfew.test.redis.version", "7.4");
    }

    /**
     * The server of this version for all tests of this JVM that do it no harm; never closed, and it keeps nothing. A
     * server that is named by its URL stands in for the version of {@link #version}.
     */
    public static synchronized RedisServer shared(String version) {
        return SHARED.computeIfAbsent(version, v -> {
            String named = named(PROPERTY, VARIABLE);
            if (named != null && version.equals(version())) {
                return new RedisServer(null, URI.create(named).getPort(), Map.of()).ready();
            }
            Map<String, String> hasty = Map.of("save", "", "appendonly", "no");
            return started(
                    DockerProcess.isAvailable()
                            ? DockerProcess.redis(version, hasty)
                            : new EmbeddedRedisProcess(version, hasty),
                    hasty);
        });
    }

    /**
     * A server of the test's own, to be killed, paused and restarted; set up to lose nothing that it acknowledged.
     *
     * @param settings more settings for the server, by name
     */
    public static RedisServer start(String version, Map<String, String> settings) {
        Map<String, String> all = withDefaults(DURABLE, settings);
        return started(new EmbeddedRedisProcess(version, all), all);
    }

    /** One that watches over others. */
    static RedisServer sentinel(String version, Map<String, String> settings) {
        return started(new EmbeddedRedisProcess(version, settings, "--sentinel"), settings);
    }

    private static RedisServer started(ServerProcess process, Map<String, String> settings) {
        process.start();
        return new RedisServer(process, process.port(), settings).ready();
    }

    private RedisServer ready() {
        awaitAnswer();
        Matcher version = VERSION.matcher(String.valueOf(command("INFO", "server")));
        String found = "";
        while (version.find()) {
            found = (version.group(1).equals("redis") ? "Redis " : "Valkey ") + version.group(2);
        }
        ServersUsed.add(found + ", " + origin());
        return this;
    }

    /** Until it says so to a PING: {@code PONG}, or the beginning of an error, such as {@code LOADING}. */
    private void waitFor(String answer) {
        Condition.await("a Redis answers " + answer, () -> {
            try {
                return String.valueOf(command("PING")).startsWith(answer);
            } catch (IllegalStateException e) {
                return String.valueOf(e.getMessage()).startsWith(answer);
            } catch (UncheckedIOException e) {
                return false;
            }
        });
    }

    /** The URL, without user or password. */
    public String url() {
        return url(port());
    }

    /** The URL of a Redis on this machine at a port, such as a {@link TcpProxy}'s. */
    public static String url(int port) {
        return "redis://127.0.0.1:" + port;
    }

    @Override
    public int port() {
        return port;
    }

    /**
     * Performs one command on a connection of its own, as an administrator.
     *
     * @return a {@code String}, a {@code Long}, a {@code List} or {@code null}
     * @throws IllegalStateException if the reply is an error, with its text
     * @throws UncheckedIOException if it does not answer
     */
    public @Nullable Object command(String... words) {
        try (RedisConnection connection = connect()) {
            return connection.command(words);
        }
    }

    /** A connection, as an administrator. */
    public RedisConnection connect() {
        var connection = new RedisConnection(port());
        String password = settings.get("requirepass");
        if (password != null) {
            connection.command("AUTH", password);
        }
        return connection;
    }

    /** One line of what {@code INFO} says, or an empty text. */
    public String info(String field) {
        Matcher matcher =
                Pattern.compile("(?m)^" + field + ":([^\r\n]*)").matcher(String.valueOf(command("INFO", "everything")));
        return matcher.find() ? matcher.group(1) : "";
    }

    /** The value of one of its settings. */
    public String setting(String name) {
        return command("CONFIG", "GET", name) instanceof List<?> found && found.size() == 2
                ? String.valueOf(found.get(1))
                : "";
    }

    @Override
    void awaitAnswer() {
        waitFor("PONG");
    }

    /** Starts it again, and returns while it loads its data: thousands of keys and a {@code key-load-delay} make that long. */
    public void restartLoading() {
        process().start();
        waitFor("LOADING");
    }
}
