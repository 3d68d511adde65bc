package dev.curfew.redis;

import static org.awaitility.Awaitility.await;

import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisSentinels;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.ReplicaFaultsContract;
import dev.curfew.servers.TestServer;
import java.time.Duration;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** Local replicas of Redis behind sentinels, while a replica of Redis becomes the master. */
class ReplicaSentinelFaultsTest extends ReplicaFaultsContract {
    private static RedisSentinels sentinels;

    private final String domain = Fixture.newDomain();

    @BeforeAll
    static void start() {
        sentinels = RedisSentinels.start(RedisServer.version(), Map.of());
    }

    @AfterAll
    static void stop() {
        sentinels.close();
    }

    @Override
    protected String name() {
        return "Redis behind sentinels";
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
        return sentinels.url() + "&minReplicas=1";
    }

    @Override
    protected String nodeUrl() {
        return sentinels.url();
    }

    @Override
    protected @Nullable TestServer server() {
        return null;
    }

    @Override
    protected Map<String, Fault> faults() {
        return Map.of("the master is lost", this::failOver);
    }

    private void failOver() {
        RedisServer master = sentinels.master();
        master.kill();
        await().atMost(Duration.ofMinutes(1))
                .ignoreExceptions()
                .until(() -> sentinels.master().port() != master.port());
        rest(BOUND);
        master.restart();
        await().atMost(Duration.ofMinutes(1)).until(() -> master.info("role").equals("slave"));
    }
}
