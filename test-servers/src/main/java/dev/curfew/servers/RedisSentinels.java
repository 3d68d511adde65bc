package dev.curfew.servers;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** A Redis with two replicas, and three sentinels that watch over them. */
public final class RedisSentinels implements AutoCloseable {
    private static final String NAME = "curfew";

    private final List<RedisServer> nodes = new ArrayList<>();
    private final List<RedisServer> sentinels = new ArrayList<>();

    private RedisSentinels(String version, Map<String, String> settings) {
        nodes.add(RedisServer.start(version, settings));
        String master = "127.0.0.1 " + nodes.get(0).port();
        for (int i = 0; i < 2; i++) {
            nodes.add(RedisServer.start(version, TestServer.withDefaults(settings, Map.of("replicaof", master))));
        }
        Condition.await(
                "two replicas follow the master",
                () -> nodes.stream()
                        .skip(1)
                        .allMatch(node -> node.info("master_link_status").equals("up")));
        for (int i = 0; i < 3; i++) {
            sentinels.add(RedisServer.sentinel(
                    version,
                    Map.of(
                            "sentinel",
                            "monitor " + NAME + " " + master + " 2\n"
                                    + "down-after-milliseconds " + NAME + " 1000\n"
                                    + "failover-timeout " + NAME + " 5000")));
        }
        Condition.await(
                "the sentinels know of each other and of the replicas",
                () -> sentinels.stream()
                        .allMatch(sentinel -> sentinel.info("master0")
                                .endsWith("status=ok,address=" + master.replace(' ', ':') + ",slaves=2,sentinels=3")));
    }

    /** Starts them. */
    public static RedisSentinels start(String version, Map<String, String> settings) {
        return new RedisSentinels(version, settings);
    }

    /** The URL of all sentinels. */
    public String url() {
        return "redis-sentinel://"
                + sentinels.stream().map(s -> "127.0.0.1:" + s.port()).collect(Collectors.joining(","))
                + "/0?sentinelMasterId=" + NAME;
    }

    /** The master of the moment, of those that answer. */
    public RedisServer master() {
        return RedisCluster.ofRole(nodes, "master").get(0);
    }

    /** All three servers, whatever their role. */
    public List<RedisServer> nodes() {
        return List.copyOf(nodes);
    }

    @Override
    public void close() {
        sentinels.forEach(RedisServer::close);
        nodes.forEach(RedisServer::close);
    }
}
