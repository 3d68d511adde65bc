package dev.curfew.benchmarks;

import com.mongodb.client.MongoClient;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.servers.MongoServer;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.RedisServer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bson.Document;

/**
 * The servers of one run: started by the JVM that plans it, and told by system properties to those that measure. They are
 * set up to keep what they acknowledge: PostgreSQL with {@code fsync}, Redis with an append-only file that is synced every
 * second.
 */
final class Servers {
    private static final String POSTGRES = "curfew.benchmarks.postgres";
    private static final String REDIS = "curfew.benchmarks.redis";
    private static final String MONGO = "curfew.benchmarks.mongo";

    private static final Map<String, String> POSTGRES_SETTINGS =
            Map.of("shared_buffers", "2GB", "max_wal_size", "8GB", "checkpoint_timeout", "30min");
    private static final Map<String, String> REDIS_SETTINGS = Map.of("appendfsync", "everysec");

    private static final Map<String, String> STARTED = new LinkedHashMap<>();

    private static final String STAND_IN = "mongo-java-server, a stand-in for MongoDB";

    private Servers() {}

    static String postgres() {
        return url(POSTGRES);
    }

    static String redis() {
        return url(REDIS);
    }

    static String mongo() {
        return url(MONGO);
    }

    private static String url(String property) {
        String url = System.getProperty(property);
        if (url == null) {
            throw new IllegalStateException("There is no server: " + property + " is not set");
        }
        return url;
    }

    /** Starts the store's server, unless it is there; it ends with this JVM. */
    static synchronized void start(String store) {
        if (STARTED.containsKey(store)) {
            return;
        }
        switch (store) {
            case "postgresql" -> {
                PostgresServer server = PostgresServer.start(POSTGRES_SETTINGS);
                System.setProperty(POSTGRES, server.url());
                try (HikariDataSource pool = PostgresTargets.pool(1)) {
                    STARTED.put(store, "PostgreSQL " + PostgresTargets.text(pool, "SHOW server_version"));
                }
            }
            case "redis" -> {
                RedisServer server = RedisServer.start(RedisServer.version(), REDIS_SETTINGS);
                System.setProperty(REDIS, server.url());
                STARTED.put(store, "Redis " + server.info("redis_version"));
            }
            case "mongodb" -> {
                MongoServer server = MongoServer.shared();
                System.setProperty(MONGO, server.url());
                STARTED.put(store, version(server));
            }
            default -> {} // in memory
        }
    }

    private static String version(MongoServer server) {
        if (!server.isReal()) {
            return STAND_IN;
        }
        try (MongoClient client = server.connect()) {
            return "MongoDB "
                    + client.getDatabase("admin")
                            .runCommand(new Document("buildInfo", 1))
                            .getString("version");
        }
    }

    static synchronized boolean isStandIn() {
        return STARTED.containsValue(STAND_IN);
    }

    /** What has been started. */
    static synchronized List<String> descriptions() {
        return List.copyOf(STARTED.values());
    }

    /** What tells a JVM that measures where they are. */
    static String[] arguments() {
        return Stream.of(POSTGRES, REDIS, MONGO)
                .filter(property -> System.getProperty(property) != null)
                .map(property -> "-D" + property + "=" + url(property))
                .toArray(String[]::new);
    }
}
