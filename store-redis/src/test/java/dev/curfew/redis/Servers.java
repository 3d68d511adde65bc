package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;

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
import org.jspecify.annotations.Nullable;

/** The servers that the kits share, one of each kind and version, and the application's clients for them. */
final class Servers {
    private static final Map<String, String> HASTY = Map.of("appendonly", "no");
    private static final Map<String, Topology> STARTED = new ConcurrentHashMap<>();

    /**
     * Some servers, and how an application opens a store on them: with a client, with a client of another node, and by a
     * URL, if a URL is enough.
     */
    record Topology(
            List<RedisServer> nodes,
            RedisTokenStore.Builder builder,
            RedisTokenStore.Builder builderOfAnotherNode,
            @Nullable String url) {}

    private Servers() {}

    private static Topology once(String kind, String version, Function<String, Topology> start) {
        return STARTED.computeIfAbsent(kind + version, key -> start.apply(version));
    }

    private static Topology of(List<RedisServer> nodes, String url) {
        return new Topology(
                nodes,
                RedisTokenStore.builder(RedisClient.create(url)),
                RedisTokenStore.builder(RedisClient.create(url)),
                url);
    }

    static Topology standalone(String version) {
        return once("standalone", version, v -> {
            RedisServer server = RedisServer.shared(v);
            return of(List.of(server), server.url());
        });
    }

    static Topology sentinels(String version) {
        return once("sentinels", version, v -> {
            RedisSentinels sentinels = RedisSentinels.start(v, HASTY);
            return of(sentinels.nodes(), sentinels.url());
        });
    }

    static Topology cluster(String version) {
        return once("cluster", version, v -> {
            RedisCluster cluster = RedisCluster.start(v, HASTY);
            return new Topology(
                    cluster.nodes(),
                    RedisTokenStore.builder(clusterClient(cluster)),
                    RedisTokenStore.builder(clusterClient(cluster)),
                    cluster.url());
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
            String url = "rediss://localhost:" + server.setting("tls-port");
            // A URL cannot name a certificate.
            return new Topology(List.of(server), tls(url, certificate), tls(url, certificate), null);
        });
    }

    private static RedisTokenStore.Builder tls(String url, Certificate certificate) {
        RedisClient client = RedisClient.create(url);
        client.setOptions(ClientOptions.builder()
                .sslOptions(SslOptions.builder()
                        .jdkSslProvider()
                        .truststore(certificate.store(), Certificate.PASSWORD)
                        .build())
                .build());
        return RedisTokenStore.builder(client);
    }

    /** PTTL of a key, from the master that has it: milliseconds, or -2 where there is no such key. */
    static long timeToLive(List<RedisServer> nodes, String key) {
        long most = -2;
        for (RedisServer node : nodes) {
            if (node.info("role").equals("master")) {
                try {
                    most = Math.max(most, (Long) node.command("PTTL", key));
                } catch (IllegalStateException e) {
                    assertThat(e).hasMessageStartingWith("MOVED");
                }
            }
        }
        return most;
    }

    /** How many clients the nodes have, without this test, the sentinels and the other nodes. */
    static int connections(List<RedisServer> nodes) {
        return nodes.stream()
                .mapToInt(node -> (int) String.valueOf(node.command("CLIENT", "LIST", "TYPE", "normal"))
                                .lines()
                                .filter(line -> !line.contains("name=sentinel"))
                                .count()
                        - 1)
                .sum();
    }
}
