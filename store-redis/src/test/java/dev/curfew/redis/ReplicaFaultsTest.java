package dev.curfew.redis;

import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.ReplicaFaultsContract;
import dev.curfew.servers.ReplicaNode.Mistake;
import dev.curfew.servers.TestServer;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Local replicas of one Redis, under faults. */
class ReplicaFaultsTest extends ReplicaFaultsContract {
    private static RedisServer server;

    private final String domain = Fixture.newDomain();

    @BeforeAll
    static void start() {
        server = RedisServer.start(RedisServer.version(), Map.of());
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @Override
    protected String name() {
        return "Redis";
    }

    @Override
    protected String domain() {
        return domain;
    }

    @Override
    protected int port() {
        return server.port();
    }

    @Override
    protected String url() {
        return server.url();
    }

    @Override
    protected String nodeUrl() {
        return RedisServer.url(proxy().port());
    }

    @Override
    protected TestServer server() {
        return server;
    }

    @Override
    protected Map<String, Fault> faults() {
        Map<String, Fault> faults = new LinkedHashMap<>();
        faults.put("the memory is full", this::fill);
        faults.put("a slow reader", this::trimUnderASlowReader);
        return faults;
    }

    private void fill() {
        server.command("CONFIG", "SET", "maxmemory", "1");
        rest(BOUND);
        server.command("CONFIG", "SET", "maxmemory", "0");
    }

    /** Nodes that read nothing for a while, and streams that are trimmed meanwhile. */
    private void trimUnderASlowReader() throws Exception {
        proxy().swallow();
        revokeShortLived(3000);
        rest(BOUND);
        proxy().pass();
    }

    // The harness must find a replica that makes a mistake. On PostgreSQL that is always looked at.

    @Test
    @Tag("long")
    void aReplicaThatCountsFromTheEndOfAPollIsFound() throws Exception {
        assertFound(Mistake.COUNTS_FROM_THE_END, () -> rest(BOUND.multipliedBy(5)));
    }

    @Test
    @Tag("long")
    void aReplicaThatIgnoresFailuresIsFound() throws Exception {
        assertFound(Mistake.IGNORES_FAILURES, () -> whileSwallowed(BOUND.multipliedBy(6)));
    }
}
