package dev.curfew.redis;

import org.junit.jupiter.api.Tag;

/** The kit on three servers behind three sentinels, of Redis 7.0. */
@Tag("long")
class SentinelRedis70KitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.sentinels("7.0");
    }
}
