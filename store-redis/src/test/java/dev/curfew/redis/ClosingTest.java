package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.curfew.TokenResource;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisCluster;
import dev.curfew.servers.RedisServer;
import io.lettuce.core.RedisClient;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** A closed store leaves no thread and no connection behind. */
class ClosingTest {
    private final String domain = Fixture.newDomain();

    private void assertThatNothingStaysBehind(String url, List<RedisServer> nodes) {
        // The threads of other tests' clients, which are still open.
        Set<Thread> before = Thread.getAllStackTraces().keySet();
        TokenResource tokens = Fixture.builder(domain).url(url).build();
        tokens.isRevoked("t");
        assertThat(Servers.connections(nodes)).isPositive();
        tokens.close();
        await().untilAsserted(() -> assertThat(Thread.getAllStackTraces().keySet())
                .filteredOn(thread -> !before.contains(thread))
                .filteredOn(thread -> thread.getName().matches("(curfew|lettuce|CompletableFuture).*"))
                .isEmpty());
        await().untilAsserted(() -> assertThat(Servers.connections(nodes)).isZero());
        assertThatThrownBy(() -> tokens.inspect("t"))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
        tokens.close();
    }

    @Test
    void R8_6_noThreadAndNoConnectionStaysBehind() {
        try (RedisServer server = RedisServer.start(RedisServer.version(), Map.of())) {
            assertThatNothingStaysBehind(server.url(), List.of(server));
        }
    }

    @Test
    void R8_6_norInACluster() {
        try (RedisCluster cluster = RedisCluster.start(RedisServer.version(), Map.of())) {
            assertThatNothingStaysBehind(cluster.url() + "?minReplicas=1", cluster.nodes());
        }
    }

    @Test
    void R8_6_theApplicationsClientStaysOpen() {
        try (RedisServer server = RedisServer.start(RedisServer.version(), Map.of())) {
            var client = RedisClient.create(server.url());
            RedisTokenStore store = RedisTokenStore.create(client);
            TokenResource tokens = Fixture.resource(store, domain);
            tokens.isRevoked("t");
            tokens.close();
            store.close();
            store.close();
            await().untilAsserted(() ->
                    assertThat(Servers.connections(List.of(server))).isZero());
            assertThatThrownBy(() -> store.isRevoked(Fixture.scope(domain), "t", Fixture.NOW))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("closed");
            try (var connection = client.connect()) {
                assertThat(connection.sync().ping()).isEqualTo("PONG");
            }
            client.shutdown();
        }
    }
}
