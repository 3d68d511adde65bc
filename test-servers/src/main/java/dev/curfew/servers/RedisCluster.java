package dev.curfew.servers;

import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** A Redis Cluster of three masters with one replica each. */
public final class RedisCluster implements AutoCloseable {
    private static final int MASTERS = 3;
    private static final int SLOTS = 16_384;

    private final List<RedisServer> nodes = new ArrayList<>();

    private RedisCluster(String version, Map<String, String> settings) {
        for (int i = 0; i < 2 * MASTERS; i++) {
            Map<String, String> ofCluster = Map.of(
                    "cluster-enabled", "yes",
                    "cluster-node-timeout", "1500",
                    "cluster-port", Integer.toString(ServerFolder.freePort()),
                    "repl-diskless-sync-delay", "0");
            nodes.add(RedisServer.start(version, TestServer.withDefaults(ofCluster, settings)));
        }
        for (int i = 0; i < MASTERS; i++) {
            RedisServer master = nodes.get(i);
            master.command(
                    "CLUSTER",
                    "ADDSLOTSRANGE",
                    Integer.toString(i * SLOTS / MASTERS),
                    Integer.toString((i + 1) * SLOTS / MASTERS - 1));
            master.command("CLUSTER", "SET-CONFIG-EPOCH", Integer.toString(i + 1));
        }
        for (RedisServer node : nodes) {
            nodes.get(0)
                    .command(
                            "CLUSTER",
                            "MEET",
                            "127.0.0.1",
                            Integer.toString(node.port()),
                            node.setting("cluster-port"));
        }
        Condition.await(
                "all nodes know of each other", () -> nodes.stream().allMatch(node -> known(node) == nodes.size()));
        for (int i = MASTERS; i < nodes.size(); i++) {
            RedisServer replica = nodes.get(i);
            String master = String.valueOf(nodes.get(i - MASTERS).command("CLUSTER", "MYID"));
            Condition.await("a replica knows its master", () -> {
                try {
                    return "OK".equals(replica.command("CLUSTER", "REPLICATE", master));
                } catch (IllegalStateException e) {
                    return false;
                }
            });
        }
        awaitHealth();
    }

    private static long known(RedisServer node) {
        return String.valueOf(node.command("CLUSTER", "NODES"))
                .lines()
                .filter(line -> !line.contains("handshake"))
                .count();
    }

    /** Starts it. */
    public static RedisCluster start(String version, Map<String, String> settings) {
        return new RedisCluster(version, settings);
    }

    /** Returns when every node says that the cluster is well, and every replica follows its master. */
    public void awaitHealth() {
        Condition.await("the cluster is well", () -> nodes.stream().allMatch(RedisCluster::isWell));
    }

    private static boolean isWell(RedisServer node) {
        try {
            return String.valueOf(node.command("CLUSTER", "INFO")).contains("cluster_state:ok")
                    && (node.info("role").equals("master")
                            ? node.info("connected_slaves").equals("1")
                            : node.info("master_link_status").equals("up"));
        } catch (UncheckedIOException e) {
            return false;
        }
    }

    /** The URL of all nodes. */
    public String url() {
        return "redis-cluster://"
                + nodes.stream().map(n -> "127.0.0.1:" + n.port()).collect(Collectors.joining(","));
    }

    /** The masters of the moment, of the nodes that answer. */
    public List<RedisServer> masters() {
        return ofRole(nodes, "master");
    }

    static List<RedisServer> ofRole(List<RedisServer> nodes, String role) {
        List<RedisServer> found = new ArrayList<>();
        for (RedisServer node : nodes) {
            try {
                if (node.command("ROLE") instanceof List<?> roles && role.equals(roles.get(0))) {
                    found.add(node);
                }
            } catch (UncheckedIOException e) {
                // It was killed.
            }
        }
        return found;
    }

    /** All six servers, whatever their role. */
    public List<RedisServer> nodes() {
        return List.copyOf(nodes);
    }

    @Override
    public void close() {
        nodes.forEach(RedisServer::close);
    }
}
