package dev.curfew.redis;

/** The kit on one server, of Redis 7.0. */
class StandaloneRedis70KitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.standalone("7.0");
    }
}
