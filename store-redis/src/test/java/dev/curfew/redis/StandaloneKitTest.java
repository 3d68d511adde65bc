package dev.curfew.redis;

import dev.curfew.servers.RedisServer;
import org.jspecify.annotations.Nullable;

/** The kit on one server. */
class StandaloneKitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.standalone("7.4");
    }

    @Override
    protected @Nullable Runnable blockServer(String domain) {
        return RedisServer.shared("7.4").block();
    }

    @Override
    boolean many() {
        return true;
    }
}
