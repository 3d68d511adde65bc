package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.Consumption;
import dev.curfew.FailurePolicy;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.ServerFaultsContract;
import dev.curfew.servers.TcpProxy;
import dev.curfew.servers.TestServer;
import io.lettuce.core.RedisClient;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** One server or the network fails; the store is opened by URL. */
class FaultsTest extends ServerFaultsContract {
    private static RedisServer server;
    private static RedisClient client;

    private final String domain = Fixture.newDomain();
    private int connections;

    @BeforeAll
    static void start() {
        server = RedisServer.start(RedisServer.version(), Map.of());
        client = RedisClient.create(server.url());
    }

    @AfterAll
    static void stop() {
        client.shutdown();
        server.close();
    }

    @AfterEach
    final void everyKeyEndsAndEveryEntryHasItsRecord() {
        Scan.assertCleanAfterFaults(List.of(server), RedisTokenStore.builder(client), domain);
    }

    @Override
    protected TestServer server() {
        return server;
    }

    @Override
    protected String url(int port) {
        return RedisServer.url(port);
    }

    @Override
    protected String domain() {
        return domain;
    }

    @Override
    protected int burst() {
        return HAS_VIRTUAL_THREADS ? 10_000 : super.burst();
    }

    @Override
    protected void beforeBurst() {
        connections = connections();
    }

    /** The store has connected when it was opened: no check waits for a connection. */
    @Override
    protected void afterBurst() {
        // This test's own question makes one connection too.
        assertThat(connections()).isEqualTo(connections + 1);
    }

    private static int connections() {
        return Integer.parseInt(server.info("total_connections_received"));
    }

    /** Each request and each reply is late, but no single reply is later than the deadline. */
    @Test
    void R8_3_allThatACallAsksSharesItsDeadline() throws Exception {
        try (TcpProxy slow = TcpProxy.to("localhost", server.port());
                TokenResource tokens = open(slow.port(), FailurePolicy.THROW)) {
            tokens.storeToken(token("t", "s"));
            assertThat(tokens.listTokens("s")).hasSize(1);
            slow.delay(DEADLINE.multipliedBy(9).dividedBy(20));
            for (Runnable call :
                    List.<Runnable>of(() -> tokens.listTokens("s"), () -> tokens.revokeAllStoredForSubject("s"))) {
                Future<?> failing =
                        threads.submit(() -> assertThatThrownBy(call::run).isInstanceOf(TokenStoreException.class));
                failing.get(DEADLINE.plus(LATE).toMillis(), TimeUnit.MILLISECONDS);
            }
            slow.delay(Duration.ZERO);
            awaitSuccess(tokens);
        }
    }

    /** A firewall drops what is sent on a connection that was idle for long, and tells neither side. */
    @Test
    void R8_4_aConnectionThatAFirewallHasDroppedIsLeftAfterOneCall() {
        try (TokenResource tokens = open(proxy.port(), FailurePolicy.DENY)) {
            for (int round = 0; round < 3; round++) {
                assertThat(tokens.isRevoked("t")).isFalse();
                proxy.silenceOnReplyTo("HEXISTS");
                long begin = System.nanoTime();
                int denied = 0;
                while (tokens.isRevoked("t")) {
                    denied++;
                }
                Duration took = Duration.ofNanos(System.nanoTime() - begin);
                assertThat(proxy.hasStruck()).isTrue();
                assertThat(denied).isEqualTo(1);
                assertThat(took).isLessThan(DEADLINE.plus(LATE));
            }
        }
    }

    /** The driver may send the command again after a reply that was cut. The two replies must not become one. */
    @Test
    void R8_7_aReplyThatWasCutIsNotMixedWithTheNextOne() {
        try (TokenResource tokens = open(proxy.port(), FailurePolicy.THROW)) {
            Token token = token("t", "s").withSession("a session with a name of some length");
            tokens.storeToken(token, "link", Map.of("text", "x".repeat(100)));
            TokenRecord record = tokens.inspect("t").orElseThrow();
            proxy.cutWithinReplyTo("HGETALL");
            assertThat(tokens.inspect("t")).hasValue(record);
            assertThat(proxy.hasStruck()).isTrue();
            tokens.revokeToken(token);
            proxy.cutWithinReplyTo("HMGET");
            assertThat(tokens.check(token)).isEqualTo(TokenStatus.REVOKED);
            assertThat(proxy.hasStruck()).isTrue();
            tokens.storeToken(token("used", "s"), "link", Map.of("text", "x".repeat(100)));
            proxy.cutWithinReplyTo("used");
            assertThat(tokens.consume("used", "link"))
                    .isInstanceOfSatisfying(
                            Consumption.Consumed.class,
                            consumed -> assertThat(tokens.inspect("used")).hasValue(consumed.record()));
            assertThat(proxy.hasStruck()).isTrue();
        }
    }

    @Test
    void R8_2_nothingIsQueuedWhileThereIsNoConnection() {
        try (TokenResource tokens = open(server.port(), FailurePolicy.THROW)) {
            tokens.storeToken(token("stored", "s"), "link");
            server.kill();
            for (int i = 0; i < 50; i++) {
                String jti = "t" + i;
                assertThatThrownBy(() -> tokens.revokeToken(token(jti, "s"))).isInstanceOf(TokenStoreException.class);
            }
            assertThatThrownBy(() -> tokens.revokeJti("stored"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("could not be reached")
                    .hasMessageContaining("Nothing was changed")
                    .extracting(thrown -> ((TokenStoreException) thrown).outcome())
                    .isEqualTo(Outcome.UNCHANGED);
            server.restart();
            awaitSuccess(tokens);
            // A call that has failed is not applied later.
            assertThat(tokens.isRevoked("stored")).isFalse();
            for (int i = 0; i < 50; i++) {
                assertThat(tokens.inspect("t" + i)).isEmpty();
            }
        }
    }
}
