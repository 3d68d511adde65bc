package dev.curfew.mongo;

import com.mongodb.ConnectionString;
import com.mongodb.MongoClientSettings;
import com.mongodb.MongoConfigurationException;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.mongodb.connection.ClusterConnectionMode;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.TokenStoreProvider;
import java.time.Duration;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Opens {@code mongodb://user:password@host,host/database?replicaSet=…} and {@code mongodb+srv://…}, with a client of its
 * own; without a database, in the database {@code curfew}. What may be added is {@code linearizableReads=true}, as
 * {@link MongoTokenStore.Builder#linearizableReads} has it.
 */
public final class MongoTokenStoreProvider implements TokenStoreProvider {
    // The driver takes ; for &.
    private static final Pattern LINEARIZABLE = Pattern.compile("(?i)([?&;])linearizableReads=([^&;]*)[&;]?");

    // By default a server that was lost is not looked for again for half a second.
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
    public TokenStore open(String url, Duration deadline) {
        Matcher own = LINEARIZABLE.matcher(url);
        boolean linearizable = own.find() && isTrue(own.group(2));
        String plain = own.replaceFirst("$1").replaceFirst("[?&;]$", "");
        if (LINEARIZABLE.matcher(plain).find()) {
            throw refused("The URL has the parameter linearizableReads more than once. Leave one of them");
        }
        // The driver takes schemes in lower case only.
        int scheme = plain.indexOf(':');
        plain = plain.substring(0, scheme).toLowerCase(Locale.ROOT) + plain.substring(scheme);
        ConnectionString connection;
        MongoClient client;
        try {
            connection = new ConnectionString(plain);
            client = MongoClients.create(settings(connection, deadline));
        } catch (MongoConfigurationException | IllegalArgumentException | IllegalStateException e) {
            // Without its message, which may quote the URL.
            throw refused("MongoDB's driver refuses the URL. It must be like"
                    + " mongodb://user:password@host:port/database?parameter=value or"
                    + " mongodb+srv://user:password@host/database?parameter=value, with special characters in a user or"
                    + " a password written in hexadecimal (@ as %40), and its parameters must be the driver's, with"
                    + " values that it knows and that go together");
        }
        String database = connection.getDatabase() == null ? MongoTokenStore.DATABASE : connection.getDatabase();
        MongoTokenStore.Builder builder =
                MongoTokenStore.builder(client, database).owning();
        return (linearizable ? builder.linearizableReads() : builder).build();
    }

    private static MongoClientSettings settings(ConnectionString connection, Duration deadline) {
        MongoClientSettings.Builder settings = MongoClientSettings.builder()
                .applicationName("curfew")
                // Also at DEBUG it writes nothing of what is in a command that it sends; 0 would be no limit.
                .applyToLoggerSettings(log -> log.maxDocumentLength(1))
                // A firewall drops connections that are idle for some minutes: such a one is never taken again.
                .applyToConnectionPoolSettings(pool -> pool.maxConnectionIdleTime(IDLE_SECONDS, TimeUnit.SECONDS))
                // Calls have their deadline in any case. These are for what it does not cover: the last word to a
                // server when the client is closed, and requests, which wait for nobody as long as they fit the
                // buffer.
                .applyToSocketSettings(sockets -> sockets.connectTimeout(deadline.toMillis(), TimeUnit.MILLISECONDS)
                        .readTimeout(deadline.toMillis(), TimeUnit.MILLISECONDS)
                        .sendBufferSize(SEND_BUFFER))
                .applyToServerSettings(server -> server.minHeartbeatFrequency(HEARTBEAT_MILLIS, TimeUnit.MILLISECONDS))
                .applyConnectionString(connection);
        if (connection.isDirectConnection() == null
                && !connection.isSrvProtocol()
                && !Boolean.TRUE.equals(connection.isLoadBalanced())) {
            // By one host alone, all of its replica set is found.
            settings.applyToClusterSettings(cluster -> cluster.mode(ClusterConnectionMode.MULTIPLE));
        }
        return settings.build();
    }

    private static boolean isTrue(String text) {
        if (!text.matches("true|false")) {
            throw refused(
                    "The URL's parameter linearizableReads is neither true nor false. Write one of them, in lower case");
        }
        return text.equals("true");
    }

    private static TokenStoreException refused(String message) {
        return new TokenStoreException(Outcome.UNCHANGED, message, null);
    }
}
