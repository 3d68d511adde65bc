package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.StoreScope;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisCluster;
import dev.curfew.servers.RedisServer;
import io.lettuce.core.protocol.CommandType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** Calls on a connection that another call leaves meanwhile. */
class LinkTest {
    @Test
    void R8_2_aConnectionThatIsLeftMeanwhileFailsNoCallWithAnExceptionOfTheDriver() throws Exception {
        StoreScope scope = Fixture.scope(Fixture.newDomain());
        var over = new AtomicBoolean();
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try (RedisCluster cluster = RedisCluster.start(RedisServer.version(), Map.of("appendonly", "no"))) {
            var client = Servers.clusterClient(cluster);
            var link = new Link(client, 0);
            List<Future<?>> calls = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                Request request = Request.of(CommandType.HEXISTS, "curfew:" + i, "r");
                calls.add(threads.submit(() -> {
                    while (!over.get()) {
                        try {
                            assertThat(link.ask(new Call(scope, Fixture.NOW), request)
                                            .first())
                                    .isEqualTo("0");
                        } catch (TokenStoreException e) {
                            assertThat(e).hasMessageContaining("Redis failed");
                        }
                    }
                }));
            }
            for (int i = 0; i < 200; i++) {
                link.questions.leave(link.questions.open(new Call(scope, Fixture.NOW)));
            }
            over.set(true);
            for (Future<?> each : calls) {
                each.get();
            }
            link.close();
            client.shutdown();
        } finally {
            over.set(true);
            threads.shutdownNow();
        }
    }
}
