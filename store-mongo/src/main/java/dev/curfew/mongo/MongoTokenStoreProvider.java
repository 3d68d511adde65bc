package dev.curfew.mongo;

import com.mongodb.ConnectionString;
import com.mongodb.MongoClientSettings;
import com.mongodb.MongoConfigurationException;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.mongodb.connection.ClusterConnectionMode;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreProvider;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.StringJoiner;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Opens a store by a URL: {@code mongodb://user:password@host,host/database?replicaSet=…} or {@code mongodb+srv://…}.
 * The store has a client of its own. If the URL names no database, the store uses the database {@code curfew}. The
 * parameter {@code linearizableReads=true} of the URL means {@link MongoTokenStore.Builder#linearizableReads}.
 */
public final class MongoTokenStoreProvider implements TokenStoreProvider {
    private static final String LINEARIZABLE = "linearizableReads";
    // The driver ignores all other parameters, and says so only in its log.
    private static final Set<String> OF_DRIVER =
            Set.of(Documents.file("mongodb-parameters.txt").split("\\s+"));
    private static final Pattern THIS_MACHINE =
            Pattern.compile("(?i)(localhost|127(\\.\\d+){3}|::1|\\[(::|(0:){7})1])(:\\d+)?|.*\\.sock");
    private static final Logger LOG = LoggerFactory.getLogger(MongoTokenStore.class);

    // The driver's default is to wait half a second before it looks for a lost server again.
    private static final long HEARTBEAT_MILLIS = 50;
    private static final int IDLE_SECONDS = 60;
    private static final int SEND_BUFFER = 1 << 20;

    /** Called by {@link java.util.ServiceLoader}. */
    public MongoTokenStoreProvider() {}

    @Override
    public String name() {
        return "mongo";
    }

    @Override
    public Set<String> schemes() {
        return Set.of("mongodb", "mongodb+srv");
    }

    @Override
    public TokenStore open(String url, Duration callDeadline, Duration openDeadline) {
        String[] parts = url.split("\\?", 2);
        // The driver accepts schemes in lower case only.
        int scheme = url.indexOf(':');
        String server = url.substring(0, scheme).toLowerCase(Locale.ROOT) + parts[0].substring(scheme);
        var ofDriver = new StringJoiner("&", "?", "").setEmptyValue("");
        List<String> linearizable = new ArrayList<>();
        // The driver also accepts ; as the separator.
        for (String parameter : parts.length == 1 ? new String[0] : parts[1].split("[&;]")) {
            String name = parameter.split("=", 2)[0];
            if (name.equalsIgnoreCase(LINEARIZABLE)) {
                linearizable.add(parameter.substring(name.length()));
            } else if (OF_DRIVER.contains(name.toLowerCase(Locale.ROOT))) {
                ofDriver.add(parameter);
            } else if (!parameter.isEmpty()) {
                throw Failures.ofUrl("UnknownParameter");
            }
        }
        if (linearizable.size() > 1 || !List.of("=true", "=false").containsAll(linearizable)) {
            throw Failures.ofUrl("LinearizableReads");
        }
        ConnectionString connection;
        MongoClient client;
        try {
            connection = new ConnectionString(server + ofDriver);
            warnOfNetwork(connection);
            client = MongoClients.create(settings(connection, callDeadline));
        } catch (MongoConfigurationException | IllegalArgumentException | IllegalStateException e) {
            throw Failures.ofUrl("Url"); // without the driver's message, which may quote the URL
        }
        String database = connection.getDatabase() == null ? MongoTokenStore.DATABASE : connection.getDatabase();
        MongoTokenStore.Builder builder =
                MongoTokenStore.builder(client.getDatabase(database)).owning(client);
        return (linearizable.contains("=true") ? builder.linearizableReads() : builder).build();
    }

    private static MongoClientSettings settings(ConnectionString connection, Duration deadline) {
        MongoClientSettings.Builder settings = MongoClientSettings.builder()
                .applicationName("curfew")
                // So the driver does not log the content of commands, not even at DEBUG; 0 would mean no limit.
                .applyToLoggerSettings(log -> log.maxDocumentLength(1))
                // A firewall drops connections that are idle for some minutes: so an idle one is not used again.
                .applyToConnectionPoolSettings(pool -> pool.maxConnectionIdleTime(IDLE_SECONDS, TimeUnit.SECONDS))
                // The deadline of a call covers neither the last command to a server when the client is closed, nor
                // sending. The read timeout limits the first. A request that fits the send buffer does not wait for
                // the server.
                .applyToSocketSettings(sockets -> sockets.connectTimeout(deadline.toMillis(), TimeUnit.MILLISECONDS)
                        .readTimeout(deadline.toMillis(), TimeUnit.MILLISECONDS)
                        .sendBufferSize(SEND_BUFFER))
                .applyToServerSettings(server -> server.minHeartbeatFrequency(HEARTBEAT_MILLIS, TimeUnit.MILLISECONDS))
                .applyConnectionString(connection);
        if (connection.isDirectConnection() == null
                && !connection.isSrvProtocol()
                && !Boolean.TRUE.equals(connection.isLoadBalanced())) {
            // So one host is enough to find its whole replica set.
            settings.applyToClusterSettings(cluster -> cluster.mode(ClusterConnectionMode.MULTIPLE));
        }
        return settings.build();
    }

    /** Logs one warning, without the host's name, if another machine could listen or answer in the server's place. */
    private static void warnOfNetwork(ConnectionString connection) {
        boolean remote = !connection.getHosts().stream()
                .allMatch(host -> THIS_MACHINE.matcher(host).matches());
        if (remote && !Boolean.TRUE.equals(connection.getSslEnabled())) {
            LOG.warn(
                    "The URL leads to another host without TLS: whoever is in between can read what is sent, and answer"
                            + " in the server's place. Add tls=true to its parameters.");
        } else if (remote && Boolean.TRUE.equals(connection.getSslInvalidHostnameAllowed())) {
            LOG.warn(
                    "The URL leads to another host, and any certificate will do: whoever has one can answer in the server's"
                            + " place. Leave tlsInsecure and tlsAllowInvalidHostnames out of its parameters.");
        }
    }
}
