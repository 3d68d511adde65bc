package dev.curfew.redis;

import dev.curfew.FailurePolicy;
import dev.curfew.TokenResource;
import io.lettuce.core.RedisClient;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;

/** The same, on an application's own client, whose options nobody has touched: left alone, it queues and sends again. */
class ApplicationClientFaultsTest extends FaultsTest {
    private final List<AutoCloseable> opened = new ArrayList<>();

    @Override
    protected TokenResource open(int port, FailurePolicy policy) {
        var client = RedisClient.create(url(port));
        RedisTokenStore store = RedisTokenStore.create(client);
        opened.add(store);
        opened.add(client::shutdown);
        return builder(policy).store(store).build();
    }

    @AfterEach
    void shutDown() throws Exception {
        for (AutoCloseable each : opened) {
            each.close();
        }
    }
}
