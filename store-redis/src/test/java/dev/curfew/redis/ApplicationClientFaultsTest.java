package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.curfew.FailurePolicy;
import dev.curfew.StoreScope;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisConnection;
import io.lettuce.core.RedisClient;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The faults on an application's own client with default options, which queues commands and sends them again. */
class ApplicationClientFaultsTest extends FaultsTest {
    private final List<AutoCloseable> opened = new ArrayList<>();

    @Override
    protected TokenResource open(int port, FailurePolicy policy) {
        var client = RedisClient.create(url(port));
        RedisTokenStore store = RedisTokenStore.create(client);
        opened.add(store);
        opened.add(client::shutdown);
        return Fixture.opened(builder(policy).store(store));
    }

    @AfterEach
    void shutDown() throws Exception {
        for (AutoCloseable each : opened) {
            each.close();
        }
    }

    /** A connection is made even if that takes longer than a call may take. */
    @Test
    void R8_4_aConnectionThatTakesLongerThanACallIsMade() {
        proxy.delay(Duration.ofMillis(60));
        var client = RedisClient.create(url(proxy.port()));
        var hasty = new StoreScope(domain(), "", Fixture.SKEW, Duration.ofMillis(200));
        try (RedisTokenStore store = RedisTokenStore.create(client)) {
            for (int round = 0; round < 2; round++) {
                await().ignoreException(TokenStoreException.class).until(() -> !store.isRevoked(hasty, "t", NOW));
                proxy.cut();
            }
        }
        client.shutdown();
    }

    /** Each exception of the driver becomes a TokenStoreException, also when connections are closed and made. */
    @Test
    void R8_2_everyFailureIsATokenStoreException() throws Exception {
        var client = RedisClient.create(url(server().port()));
        var scope = new StoreScope(domain(), "", Fixture.SKEW, DEADLINE);
        try (RedisTokenStore store = RedisTokenStore.create(client);
                RedisConnection administrator = new RedisConnection(server().port())) {
            var over = new AtomicBoolean();
            var done = new AtomicInteger();
            List<Future<?>> load = new ArrayList<>();
            for (int thread = 0; thread < 12; thread++) {
                load.add(threads.submit(() -> {
                    while (!over.get()) {
                        try {
                            store.isRevoked(scope, "t", NOW);
                        } catch (TokenStoreException e) {
                            assertThat(e).hasMessageContaining("Redis failed");
                        }
                        done.incrementAndGet();
                    }
                }));
            }
            for (int i = 0; i < 30; i++) {
                int before = done.get();
                await().until(() -> done.get() > before + 100);
                administrator.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
            }
            over.set(true);
            for (Future<?> each : load) {
                each.get();
            }
        }
        client.shutdown();
    }
}
