package dev.curfew.redis;

import org.junit.jupiter.api.Tag;

/** The kit on one server, of Redis 7.0. */
@Tag("long")
class StandaloneRedis70KitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.standalone("7.0");
    }
}
