package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.curfew.Consumption.Consumed;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.ServerFaultsContract;
import dev.curfew.servers.TestServer;
import io.lettuce.core.RedisClient;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What is promised when one server or the network fails, opened by the URL. */
class FaultsTest extends ServerFaultsContract {
    private static RedisServer server;
    private static RedisClient client;

    private final String domain = Fixture.newDomain();

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
                    .hasMessageContaining("Nothing was changed");
            server.restart();
            awaitSuccess(tokens);
            // What was said to have failed does not come true later.
            assertThat(tokens.isRevoked("stored")).isFalse();
            for (int i = 0; i < 50; i++) {
                assertThat(tokens.inspect("t" + i)).isEmpty();
            }
        }
    }

    /** The server does what it is asked, and the connection is cut before the reply; then the driver may ask again. */
    private <T> T withALostReply(Supplier<T> call, BooleanSupplier done) throws Exception {
        proxy.cutOnReply();
        Future<T> answer = threads.submit(call::get);
        await().until(done::getAsBoolean);
        proxy.pass();
        return answer.get(DEADLINE.plus(LATE).toMillis(), TimeUnit.MILLISECONDS);
    }

    @Test
    void R8_7_aLostReplyIsNeverAWrongAnswer() throws Exception {
        try (TokenResource direct =
                builder(FailurePolicy.THROW).url(RedisServer.url(server.port())).build()) {
            for (int round = 0; round < 10; round++) {
                String n = Integer.toString(round);
                direct.storeToken(token("used" + n, "s"), "link");
                try (TokenResource tokens = open(proxy.port(), FailurePolicy.THROW)) {
                    tokens.isRevoked("warm");
                    assertThat(attempt(
                                    () -> tokens.revokeToken(token("revoked" + n, "s")),
                                    () -> direct.isRevoked("revoked" + n)))
                            .isIn(RevokeOutcome.REVOKED, "unknown");
                    awaitSuccess(tokens);
                    Object use = attempt(() -> tokens.consume("used" + n, "link"), () -> direct.isRevoked("used" + n));
                    assertThat(use instanceof Consumed || use.equals("unknown"))
                            .as("not used by itself: " + use)
                            .isTrue();
                    awaitSuccess(tokens);
                    assertThat(attempt(
                                    () -> tokens.storeToken(token("stored" + n, "s")),
                                    () -> server.info("expired_keys") != null))
                            .isIn(StoreOutcome.STORED, "unknown");
                }
                // Who asks again is told the truth.
                assertThat(direct.revokeToken(token("revoked" + n, "s"))).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
                assertThat(direct.consume("used" + n, "link")).isNotInstanceOf(Consumed.class);
                direct.revokeAllStoredForSubject("s");
            }
        }
    }

    private Object attempt(Supplier<Object> call, BooleanSupplier done) throws Exception {
        try {
            return withALostReply(call, done);
        } catch (java.util.concurrent.ExecutionException e) {
            assertThat(e.getCause()).isInstanceOf(TokenStoreException.class).hasMessageContaining("not known");
            return "unknown";
        }
    }
}
