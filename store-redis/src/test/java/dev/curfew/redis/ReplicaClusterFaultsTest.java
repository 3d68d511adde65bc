package dev.curfew.redis;

import static org.awaitility.Awaitility.await;

import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisCluster;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.ReplicaFaultsContract;
import dev.curfew.servers.TestServer;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** Local replicas of a Redis Cluster, while a master is lost and while one hangs. */
class ReplicaClusterFaultsTest extends ReplicaFaultsContract {
    private static RedisCluster cluster;

    private final String domain = Fixture.newDomain();

    @BeforeAll
    static void start() {
        cluster = RedisCluster.start(RedisServer.version(), Map.of());
    }

    @AfterAll
    static void stop() {
        cluster.close();
    }

    @Override
    protected String name() {
        return "Redis Cluster";
    }

    @Override
    protected String domain() {
        return domain;
    }

    @Override
    protected int port() {
        return 0;
    }

    /** With minReplicas: what is acknowledged survives the failover. */
    @Override
    protected String url() {
        return cluster.url() + "?minReplicas=1";
    }

    @Override
    protected String nodeUrl() {
        return cluster.url();
    }

    @Override
    protected @Nullable TestServer server() {
        return null;
    }

    @Override
    protected Map<String, Fault> faults() {
        Map<String, Fault> faults = new LinkedHashMap<>();
        faults.put("a master is lost", this::failOver);
        faults.put("a master hangs", this::hang);
        return faults;
    }

    private void failOver() {
        RedisServer master = cluster.masters().get(0);
        master.kill();
        await().atMost(Duration.ofMinutes(1))
                .ignoreExceptions()
                .until(() -> cluster.masters().size() == 3);
        rest(BOUND);
        master.restart();
        cluster.awaitHealth();
    }

    private void hang() {
        RedisServer master = cluster.masters().get(1);
        master.pause();
        rest(BOUND.multipliedBy(2));
        master.resume();
        cluster.awaitHealth();
    }
}
