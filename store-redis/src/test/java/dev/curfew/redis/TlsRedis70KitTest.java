package dev.curfew.redis;

/** The kit on one server, by TLS, of Redis 7.0. */
class TlsRedis70KitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.tls("7.0");
    }
}
