package dev.curfew.servers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the tests of the Redis store rely on. */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class RedisServerTest {

    @ParameterizedTest
    @ValueSource(strings = {"7.0", "7.4"})
    void itKeepsWhatItAcknowledgedAlsoAfterAKill(String version) {
        try (RedisServer server = RedisServer.start(version, Map.of())) {
            assertThat(server.info("redis_version")).startsWith(version);
            for (int round = 0; round < 3; round++) {
                server.command("SET", "survivor" + round, "yes");
                server.kill();
                assertThatThrownBy(() -> server.command("PING")).isInstanceOf(UncheckedIOException.class);
                server.restart();
                assertThat(server.command("GET", "survivor" + round)).isEqualTo("yes");
            }
        }
    }

    @Test
    void whilePausedItAcceptsAndDoesNotAnswer() throws Exception {
        try (RedisServer server = RedisServer.start(RedisServer.version(), Map.of())) {
            server.pause();
            CompletableFuture<Object> answer = CompletableFuture.supplyAsync(() -> server.command("PING"));
            assertThatThrownBy(() -> answer.get(300, TimeUnit.MILLISECONDS)).isInstanceOf(TimeoutException.class);
            server.resume();
            assertThat(answer.get(1, TimeUnit.MINUTES)).isEqualTo("PONG");
        }
    }

    @Test
    void itCanBeMetWhileItLoads() {
        // While it loads, it listens only once in a thousand commands.
        Map<String, String> slow = Map.of("key-load-delay", "500", "appendfsync", "no");
        try (RedisServer server = RedisServer.start(RedisServer.version(), slow)) {
            try (RedisConnection connection = server.connect()) {
                for (int i = 0; i < 4_000; i++) {
                    connection.command("SET", "k" + i, "v");
                }
            }
            server.kill();
            server.restartLoading();
            assertThatThrownBy(() -> server.command("GET", "k0")).hasMessageStartingWith("LOADING");
            await().atMost(Duration.ofSeconds(30))
                    .ignoreExceptions()
                    .untilAsserted(
                            () -> assertThat(server.command("GET", "k3999")).isEqualTo("v"));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.0", "7.4"})
    void sentinelsPromoteAReplica(String version) {
        try (RedisSentinels sentinels = RedisSentinels.start(version, Map.of())) {
            RedisServer master = sentinels.master();
            master.command("SET", "k", "v");
            await().until(() -> sentinels.nodes().stream().allMatch(node -> "v".equals(node.command("GET", "k"))));
            master.kill();
            await().atMost(Duration.ofSeconds(30))
                    .ignoreExceptions()
                    .until(() -> sentinels.master().command("SET", "k2", "v2").equals("OK"));
            assertThat(sentinels.master().command("GET", "k")).isEqualTo("v");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.0", "7.4"})
    void aClusterPromotesAReplica(String version) {
        try (RedisCluster cluster = RedisCluster.start(version, Map.of())) {
            assertThat(cluster.masters()).hasSize(3);
            RedisServer first = cluster.nodes().get(0);
            assertThat(List.of(first.command("CLUSTER", "KEYSLOT", "foo"))).containsExactly(12182L);
            first.kill();
            await().atMost(Duration.ofSeconds(30)).until(() -> cluster.masters().size() == 3);
            first.restart();
            cluster.awaitHealth();
        }
    }
}
