package dev.curfew.redis;

import org.junit.jupiter.api.Tag;

/** The kit on one server, by TLS, of Redis 7.0. */
@Tag("long")
class TlsRedis70KitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.tls("7.0");
    }
}
