package dev.curfew.reliability;

import static org.awaitility.Awaitility.await;

import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreProvider;
import dev.curfew.memory.MemoryTokenStore;
import dev.curfew.servers.MongoServer;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.RedisConnection;
import dev.curfew.servers.RedisSentinels;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.TcpProxy;
import dev.curfew.servers.TestServer;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A store under test with its servers, and the fault that can be brought about.
 *
 * @param url where to connect
 * @param fault kills a server, runs something, and starts the server again or puts another one in its place
 * @param memory the store, where it is in this JVM
 */
record Target(
        String url,
        String version,
        Consumer<Runnable> fault,
        Runnable closing,
        @Nullable TokenStore memory) implements AutoCloseable {
    static final List<String> STORES = List.of("memory", "redis", "postgresql", "mongodb");

    private static final Pattern SENTINEL = Pattern.compile("127\\.0\\.0\\.1:(\\d+)");
    private static final String PASSWORD = SecretWatch.MARK + "-password";

    /** Opens one server, which can be killed; it loses nothing if it is told to be durable, and else is fast. */
    static Target one(String store, boolean isDurable) {
        return switch (store) {
            case "memory" -> new Target("memory:", "memory store", none -> {}, () -> {}, MemoryTokenStore.create());
            case "redis" -> {
                String appendOnly = isDurable ? "yes" : "no";
                RedisServer server = RedisServer.start(
                        RedisServer.version(), Map.of("requirepass", PASSWORD, "appendonly", appendOnly));
                yield one(
                        server, "redis://:" + PASSWORD + "@127.0.0.1:" + server.port(), nameOf(server), server::close);
            }
            case "postgresql" -> {
                PostgresServer server =
                        PostgresServer.startEmbedded(isDurable ? Map.of() : Map.of("synchronous_commit", "off"));
                yield one(server, withPassword("localhost:" + server.port()), nameOf(server), server::close);
            }
            default -> {
                MongoServer server = isDurable ? MongoServer.start() : MongoServer.shared();
                String name = server.isReal() ? "MongoDB" : "mongo-java-server, a stand-in for MongoDB";
                // What is shared is ended with this JVM.
                yield one(server, server.url(), name, isDurable ? server::close : () -> {});
            }
        };
    }

    /**
     * Opens a server with replicas that take its place.
     *
     * @param isBackAtOnce whether a killed Redis is started again before all sentinels know that it was replaced
     */
    static Target replicated(String store, boolean isBackAtOnce) {
        return store.equals("redis") ? sentinels(isBackAtOnce) : new Standby().target();
    }

    private static Target one(TestServer server, String url, String version, Runnable closing) {
        Consumer<Runnable> fault = whileDown -> {
            server.kill();
            whileDown.run();
            server.restart();
        };
        return new Target(url, version, fault, closing, null);
    }

    private static String nameOf(RedisServer server) {
        return "Redis " + server.info("redis_version");
    }

    private static String nameOf(PostgresServer server) {
        return "PostgreSQL " + sql(server, "SHOW server_version");
    }

    /** The embedded server trusts everybody on this machine, whatever the password. */
    private static String withPassword(String hosts) {
        return "jdbc:postgresql://" + hosts + "/postgres?user=postgres&password=" + PASSWORD;
    }

    private static String sql(PostgresServer server, String sql) {
        try (Connection connection = DriverManager.getConnection(server.url());
                Statement statement = connection.createStatement()) {
            if (!statement.execute(sql)) {
                return "";
            }
            try (ResultSet result = statement.getResultSet()) {
                return result.next() ? String.valueOf(result.getString(1)) : "";
            }
        } catch (SQLException e) {
            throw new IllegalStateException(sql, e);
        }
    }

    private static void until(String what, Callable<Boolean> condition) {
        await(what).atMost(Duration.ofMinutes(2)).ignoreExceptions().until(condition);
    }

    /** A Redis with two replicas and three sentinels; revocations wait for one replica. */
    private static Target sentinels(boolean isBackAtOnce) {
        RedisSentinels sentinels = RedisSentinels.start(RedisServer.version(), Map.of());
        Consumer<Runnable> fault = whileDown -> {
            RedisServer old = sentinels.master();
            old.kill();
            whileDown.run();
            until("a replica is promoted", () -> sentinels.master().port() != old.port());
            String promoted = Integer.toString(sentinels.master().port());
            if (isBackAtOnce) {
                old.restart();
            } else {
                until(
                        "all sentinels name it",
                        () -> masters(sentinels.url()).stream().allMatch(promoted::equals));
                old.restart();
                // Sentinels would do so, after ten seconds.
                old.command("REPLICAOF", "127.0.0.1", promoted);
            }
            until("both others follow it", () -> {
                String master = Integer.toString(sentinels.master().port());
                return sentinels.nodes().stream()
                                .filter(node -> node.info("master_link_status").equals("up")
                                        && node.info("master_port").equals(master))
                                .count()
                        == 2;
            });
        };
        String version = nameOf(sentinels.master()) + " with sentinels";
        return new Target(sentinels.url() + "&minReplicas=1", version, fault, sentinels::close, null);
    }

    /** The port that each of the sentinels names. */
    private static List<String> masters(String url) {
        List<String> ports = new ArrayList<>();
        Matcher sentinel = SENTINEL.matcher(url);
        while (sentinel.find()) {
            try (var connection = new RedisConnection(Integer.parseInt(sentinel.group(1)))) {
                String address = String.valueOf(connection.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "curfew"));
                ports.add(address.replaceAll(".*, (\\d+)]", "$1"));
            }
        }
        return ports;
    }

    /** A PostgreSQL and a standby that has all that is acknowledged. They have fixed addresses, whichever runs there. */
    private static final class Standby {
        private PostgresServer primary = PostgresServer.startEmbedded(Map.of());
        private PostgresServer standby = follow();
        private TcpProxy toPrimary = TcpProxy.to("localhost", primary.port());
        private TcpProxy toStandby = TcpProxy.to("localhost", standby.port());

        Target target() {
            String url = withPassword("localhost:" + toStandby.port() + ",localhost:" + toPrimary.port());
            String version = nameOf(primary) + " with a synchronous standby";
            return new Target(url, version, this::fault, this::close, null);
        }

        private PostgresServer follow() {
            PostgresServer follower = primary.standby();
            sql(primary, "ALTER SYSTEM SET synchronous_standby_names = '*'");
            sql(primary, "SELECT pg_reload_conf()");
            until(
                    "it is synchronous",
                    () -> sql(primary, "SELECT sync_state FROM pg_stat_replication")
                            .equals("sync"));
            return follower;
        }

        private void fault(Runnable whileDown) {
            primary.kill();
            whileDown.run();
            sql(standby, "SELECT pg_promote()");
            primary.close();
            primary = standby;
            standby = follow();
            TcpProxy free = toPrimary;
            toPrimary = toStandby;
            toStandby = free;
            free.redirect(standby.port());
        }

        private void close() {
            toPrimary.close();
            toStandby.close();
            standby.close();
            primary.close();
        }
    }

    /** Sets where a resource connects to; each has a client of its own, on the same records. */
    void connect(TokenResource.Builder builder) {
        if (memory == null) {
            builder.url(url);
        } else {
            builder.store(memory);
        }
    }

    /** A store with a client of its own, for the kit. */
    TokenStore newStore() {
        return memory != null
                ? MemoryTokenStore.create()
                : ServiceLoader.load(TokenStoreProvider.class).stream()
                        .map(ServiceLoader.Provider::get)
                        .filter(provider -> provider.schemes().stream().anyMatch(url::startsWith))
                        .findFirst()
                        .orElseThrow()
                        .open(url, Duration.ofMinutes(1), Duration.ofMinutes(1));
    }

    @Override
    public void close() {
        closing.run();
    }
}
