package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.Load;
import dev.curfew.servers.RedisCluster;
import dev.curfew.servers.RedisSentinels;
import dev.curfew.servers.RedisServer;
import io.lettuce.core.RedisClient;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A master is lost for good, under load, and a replica takes its place: nothing that was acknowledged is lost. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class FailoverTest {
    private static final Logger LOG = LoggerFactory.getLogger(FailoverTest.class);
    private static final Duration DEADLINE = Duration.ofSeconds(2);

    private final String domain = Fixture.newDomain();
    private final ExecutorService threads = Executors.newCachedThreadPool();

    @AfterEach
    void stop() {
        threads.shutdownNow();
    }

    private TokenResource.Builder builder(FailurePolicy policy) {
        return Fixture.builder(domain).callDeadline(DEADLINE).failurePolicy(policy);
    }

    /** One check after another, from before the failure until after it. */
    private static final class Checks {
        private final AtomicBoolean over = new AtomicBoolean();
        private final AtomicLong longestDenial = new AtomicLong();
        private final AtomicLong slowest = new AtomicLong();
        private final List<Future<?>> running;

        /** One token each for the masters of a cluster, or just one. */
        Checks(TokenResource tokens, List<Token> free, ExecutorService threads) {
            running = free.stream()
                    .<Future<?>>map(token -> threads.submit(() -> check(tokens, token)))
                    .toList();
        }

        private void check(TokenResource tokens, Token token) {
            long lastAllowed = System.nanoTime();
            while (!over.get()) {
                long begun = System.nanoTime();
                boolean allowed = tokens.check(token) == TokenStatus.ACTIVE;
                long ended = System.nanoTime();
                slowest.accumulateAndGet(ended - begun, Math::max);
                if (allowed) {
                    longestDenial.accumulateAndGet(ended - lastAllowed, Math::max);
                    lastAllowed = ended;
                }
            }
        }

        void stop() throws Exception {
            over.set(true);
            for (Future<?> each : running) {
                each.get();
            }
        }

        void assertWithin(Duration longest, String what) {
            Duration denied = Duration.ofNanos(longestDenial.get());
            LOG.info("Checks were denied for {} ms: {}", denied.toMillis(), what);
            assertThat(denied).as(what).isLessThan(longest);
            assertThat(Duration.ofNanos(slowest.get())).isLessThan(DEADLINE.plusSeconds(2));
        }
    }

    private void assertNothingIsLost(
            TokenResource tokens, TokenResource denying, Runnable failure, String what, List<Token> free)
            throws Exception {
        var checks = new Checks(denying, free, threads);
        var load = new Load(tokens, "s", threads);
        load.awaitSuccesses(500);
        failure.run();
        load.awaitFailures();
        // The store recovers by itself: nobody opens it again.
        load.awaitSuccesses(500);
        await().atMost(Duration.ofSeconds(60))
                .until(() -> free.stream().allMatch(token -> denying.check(token) == TokenStatus.ACTIVE));
        load.stop();
        checks.stop();
        load.assertNoRevocationLost();
        checks.assertWithin(Duration.ofSeconds(30), what);
    }

    private static List<Token> spread() {
        return List.of("t0", "t1", "t2", "t3", "t4", "t5").stream()
                .map(jti -> Fixture.token(jti, "nobody"))
                .toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.0", "7.4"})
    void R8_5_sentinels(String version) throws Exception {
        try (RedisSentinels sentinels = RedisSentinels.start(version, Map.of())) {
            String url = sentinels.url() + "&minReplicas=1";
            try (TokenResource tokens =
                            Fixture.opened(builder(FailurePolicy.THROW).url(url));
                    TokenResource denying =
                            Fixture.opened(builder(FailurePolicy.DENY).url(url))) {
                RedisServer master = sentinels.master();
                assertNothingIsLost(
                        tokens, denying, master::kill, "sentinels, Redis " + version, spread().subList(0, 1));
                assertThat(sentinels.master().port()).isNotEqualTo(master.port());
            }
            var client = RedisClient.create(sentinels.url());
            Scan.assertCleanAfterFaults(List.of(sentinels.master()), RedisTokenStore.builder(client), domain);
            client.shutdown();
        }
    }

    /** On an application's own client, with default options. */
    @Test
    void R8_4_aMasterThatHangsIsLeftToo() throws Exception {
        try (RedisSentinels sentinels = RedisSentinels.start(RedisServer.version(), Map.of())) {
            var client = RedisClient.create(sentinels.url());
            try (RedisTokenStore store =
                            RedisTokenStore.builder(client).minReplicas(1).build();
                    TokenResource tokens =
                            Fixture.opened(builder(FailurePolicy.THROW).store(store));
                    TokenResource denying =
                            Fixture.opened(builder(FailurePolicy.DENY).store(store))) {
                RedisServer master = sentinels.master();
                assertNothingIsLost(tokens, denying, master::pause, "a master that hangs", spread().subList(0, 1));
                master.resume();
                await().atMost(Duration.ofSeconds(60))
                        .until(() -> master.info("role").equals("slave"));
                // It comes back as a replica, and the store does not use it.
                assertThat(tokens.revokeToken(Fixture.token("late", "s"))).isNotNull();
            }
            client.shutdown();
        }
    }

    /** Replicas lag behind, and a master is lost meanwhile: {@code minReplicas} is for this case. */
    @Test
    void R8_5_whatNoReplicaHasIsLostUnlessItWasWaitedFor() throws Exception {
        try (RedisSentinels sentinels = RedisSentinels.start(RedisServer.version(), Map.of());
                TokenResource hasty =
                        Fixture.opened(builder(FailurePolicy.THROW).url(sentinels.url()));
                TokenResource careful =
                        Fixture.opened(builder(FailurePolicy.THROW).url(sentinels.url() + "&minReplicas=1"))) {
            RedisServer master = sentinels.master();
            List<RedisServer> replicas =
                    sentinels.nodes().stream().filter(node -> node != master).toList();
            assertThat(careful.revokeToken(Fixture.token("before", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            replicas.forEach(RedisServer::pause);
            // Otherwise the writes wait in the replicas' sockets, and the replicas read them in the end.
            master.command("CLIENT", "KILL", "TYPE", "replica");
            assertThat(hasty.revokeToken(Fixture.token("hasty", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            assertThatThrownBy(() -> careful.revokeToken(Fixture.token("careful", "s")))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("is applied")
                    .hasMessageContaining("0 of the 1 replicas");
            // The revocation of another node is not confirmed yet either.
            assertThatThrownBy(() -> careful.revokeToken(Fixture.token("hasty", "s")))
                    .hasMessageContaining("not yet replicated");
            assertThat(careful.isRevoked("careful")).isTrue();
            master.kill();
            replicas.forEach(RedisServer::resume);
            await().atMost(Duration.ofSeconds(60))
                    .ignoreException(TokenStoreException.class)
                    .until(() -> careful.inspect("nobody").isEmpty());
            assertThat(careful.isRevoked("before")).isTrue();
            // This revocation was acknowledged, and is lost.
            assertThat(careful.isRevoked("hasty")).isFalse();
            // This revocation was not acknowledged: a second call revokes the token.
            assertThat(careful.revokeToken(Fixture.token("careful", "s"))).isEqualTo(RevokeOutcome.REVOKED);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.0", "7.4"})
    void R8_5_aCluster(String version) throws Exception {
        try (RedisCluster cluster = RedisCluster.start(version, Map.of())) {
            String url = cluster.url() + "?minReplicas=1";
            try (TokenResource tokens =
                            Fixture.opened(builder(FailurePolicy.THROW).url(url));
                    TokenResource denying =
                            Fixture.opened(builder(FailurePolicy.DENY).url(url))) {
                assertNothingIsLostInACluster(tokens, denying, cluster, "a cluster, Redis " + version);
            }
            assertClean(cluster);
        }
    }

    /** A node that hangs, and comes back before another one has taken its place. */
    @Test
    void R8_4_aNodeThatHangsForAMomentIsConnectedToAnew() {
        try (RedisCluster cluster = RedisCluster.start(RedisServer.version(), Map.of("cluster-node-timeout", "60000"));
                TokenResource tokens = Fixture.opened(builder(FailurePolicy.THROW)
                        .callDeadline(Duration.ofSeconds(1))
                        .url(cluster.url()))) {
            List<String> jtis = spread().stream().map(Token::jti).toList();
            for (int round = 0; round < 2; round++) {
                jtis.forEach(tokens::isRevoked);
                List<RedisServer> masters = cluster.masters();
                masters.forEach(RedisServer::pause);
                for (String jti : jtis) {
                    assertThatThrownBy(() -> tokens.isRevoked(jti)).isInstanceOf(TokenStoreException.class);
                }
                masters.forEach(RedisServer::resume);
                await().atMost(Duration.ofSeconds(10))
                        .ignoreException(TokenStoreException.class)
                        .until(() -> jtis.stream().noneMatch(tokens::isRevoked));
            }
        }
    }

    /** On an application's own client, with default options. */
    @Test
    void R8_5_aClusterByAnApplicationsClient() throws Exception {
        try (RedisCluster cluster = RedisCluster.start(RedisServer.version(), Map.of())) {
            var client = Servers.clusterClient(cluster);
            try (RedisTokenStore store =
                            RedisTokenStore.builder(client).minReplicas(1).build();
                    TokenResource tokens =
                            Fixture.opened(builder(FailurePolicy.THROW).store(store));
                    TokenResource denying =
                            Fixture.opened(builder(FailurePolicy.DENY).store(store))) {
                assertNothingIsLostInACluster(tokens, denying, cluster, "a cluster, an application's client");
            }
            client.shutdown();
            assertClean(cluster);
        }
    }

    private void assertNothingIsLostInACluster(
            TokenResource tokens, TokenResource denying, RedisCluster cluster, String what) throws Exception {
        RedisServer master = cluster.masters().get(0);
        // The replica that takes the master's place has no replica of its own until the master is back.
        assertNothingIsLost(
                tokens,
                denying,
                () -> {
                    master.kill();
                    threads.submit(() -> {
                        await().atMost(Duration.ofSeconds(60))
                                .until(() -> cluster.masters().size() == 3);
                        master.restart();
                    });
                },
                what,
                spread());
    }

    private void assertClean(RedisCluster cluster) {
        cluster.awaitHealth();
        var client = Servers.clusterClient(cluster);
        Scan.assertCleanAfterFaults(cluster.nodes(), RedisTokenStore.builder(client), domain);
        client.shutdown();
    }
}
