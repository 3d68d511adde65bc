package dev.curfew.redis;

import dev.curfew.servers.RedisCluster;
import dev.curfew.servers.RedisSentinels;
import dev.curfew.servers.RedisServer;
import io.lettuce.core.ClientOptions;
import io.lettuce.core.RedisClient;
import io.lettuce.core.SslOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.RedisClusterURIUtil;
import java.net.URI;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;

/** The servers that the kits share, one of each kind and version, and the application's clients for them. */
final class Servers {
    private static final Map<String, String> HASTY = Map.of("appendonly", "no");
    private static final Map<String, Topology> STARTED = new ConcurrentHashMap<>();

    /** Some servers, and how an application opens a store on them. */
    record Topology(List<RedisServer> nodes, RedisTokenStore.Builder builder) {}

    private Servers() {}

    private static Topology once(String kind, String version, Function<String, Topology> start) {
        return STARTED.computeIfAbsent(kind + version, key -> start.apply(version));
    }

    static Topology standalone(String version) {
        return once("standalone", version, v -> {
            RedisServer server = RedisServer.shared(v);
            return new Topology(List.of(server), RedisTokenStore.builder(RedisClient.create(server.url())));
        });
    }

    static Topology sentinels(String version) {
        return once("sentinels", version, v -> {
            RedisSentinels sentinels = RedisSentinels.start(v, HASTY);
            return new Topology(sentinels.nodes(), RedisTokenStore.builder(RedisClient.create(sentinels.url())));
        });
    }

    static Topology cluster(String version) {
        return once("cluster", version, v -> {
            RedisCluster cluster = RedisCluster.start(v, HASTY);
            return new Topology(cluster.nodes(), RedisTokenStore.builder(clusterClient(cluster)));
        });
    }

    static RedisClusterClient clusterClient(RedisCluster cluster) {
        return RedisClusterClient.create(
                RedisClusterURIUtil.toRedisURIs(URI.create(cluster.url().replace("-cluster", ""))));
    }

    static Topology tls(String version) {
        return once("tls", version, v -> {
            Certificate certificate = Certificate.create();
            RedisServer server = RedisServer.start(v, certificate.settings(HASTY));
            RedisClient client = RedisClient.create("rediss://localhost:" + server.setting("tls-port"));
            client.setOptions(ClientOptions.builder()
                    .sslOptions(SslOptions.builder()
                            .jdkSslProvider()
                            .truststore(certificate.store(), Certificate.PASSWORD)
                            .build())
                    .build());
            return new Topology(List.of(server), RedisTokenStore.builder(client));
        });
    }
}
