package dev.curfew.redis;

/** The kit on three servers behind three sentinels. */
class SentinelKitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.sentinels("7.4");
    }
}
