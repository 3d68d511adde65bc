package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.FailurePolicy;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.ServerFaultsContract;
import dev.curfew.servers.TestServer;
import io.lettuce.core.RedisClient;
import java.util.List;
import java.util.Map;
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
}
