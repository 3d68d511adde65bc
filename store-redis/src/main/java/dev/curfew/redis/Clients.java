package dev.curfew.redis;

import io.lettuce.core.AbstractRedisClient;
import io.lettuce.core.ClientOptions;
import io.lettuce.core.ClientOptions.DisconnectedBehavior;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.SocketOptions;
import io.lettuce.core.SocketOptions.KeepAliveOptions;
import io.lettuce.core.TimeoutOptions;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.ClusterTopologyRefreshOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.resource.ClientResources;
import io.lettuce.core.resource.DefaultClientResources;
import io.lettuce.core.resource.Delay;
import java.time.Duration;
import java.util.Collection;
import java.util.concurrent.TimeUnit;

/** Makes the store's own clients. They queue no command while there is no connection, and send none a second time. */
final class Clients {
    /** Prevents that a firewall takes a connection for idle, and finds a dead connection before a call waits for it. */
    private static final KeepAliveOptions KEEP_ALIVE = KeepAliveOptions.builder()
            .enable()
            .idle(Duration.ofSeconds(10))
            .interval(Duration.ofSeconds(5))
            .count(3)
            .build();

    private static final ClientOptions OPTIONS = ClientOptions.builder()
            .disconnectedBehavior(DisconnectedBehavior.REJECT_COMMANDS)
            // No timeout of the driver for each command: the store limits the wait itself, which costs less.
            .timeoutOptions(TimeoutOptions.create())
            .socketOptions(SocketOptions.builder()
                    .connectTimeout(Duration.ofSeconds(2))
                    .keepAlive(KEEP_ALIVE)
                    .build())
            .build();

    private Clients() {}

    static ClientResources resources() {
        return DefaultClientResources.builder()
                .ioThreadPoolSize(2)
                .computationThreadPoolSize(2)
                .reconnectDelay(
                        () -> Delay.exponential(Duration.ZERO, Duration.ofMillis(500), 2, TimeUnit.MILLISECONDS))
                .build();
    }

    static RedisClient of(ClientResources resources, RedisURI uri) {
        // For the first commands on a connection. The store itself gives up an attempt earlier.
        uri.setTimeout(Duration.ofSeconds(30));
        // A sentinel that hangs must leave time for the others.
        uri.getSentinels().forEach(sentinel -> sentinel.setTimeout(Duration.ofMillis(500)));
        RedisClient client = RedisClient.create(resources, uri);
        client.setOptions(OPTIONS);
        return client;
    }

    @SuppressWarnings("deprecation") // Lettuce 7 has the triggers on by default; 6 has not
    static RedisClusterClient ofCluster(ClientResources resources, Collection<RedisURI> uris) {
        uris.forEach(uri -> uri.setTimeout(Duration.ofSeconds(1)));
        RedisClusterClient client = RedisClusterClient.create(resources, uris);
        client.setOptions(ClusterClientOptions.builder(OPTIONS)
                .topologyRefreshOptions(ClusterTopologyRefreshOptions.builder()
                        .enableAllAdaptiveRefreshTriggers()
                        .adaptiveRefreshTriggersTimeout(Duration.ofMillis(500))
                        .refreshTriggersReconnectAttempts(1)
                        .enablePeriodicRefresh(Duration.ofSeconds(1))
                        .build())
                .build());
        return client;
    }

    static void shutDown(AbstractRedisClient client) {
        client.shutdown(0, 2, TimeUnit.SECONDS);
    }

    static void shutDown(ClientResources resources) {
        var unused = resources.shutdown(0, 2, TimeUnit.SECONDS);
    }
}
