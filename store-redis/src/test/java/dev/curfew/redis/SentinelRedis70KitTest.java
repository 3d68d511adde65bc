package dev.curfew.redis;

/** The kit on three servers behind three sentinels, of Redis 7.0. */
class SentinelRedis70KitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.sentinels("7.0");
    }
}
