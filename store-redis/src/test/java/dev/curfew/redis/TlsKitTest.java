package dev.curfew.redis;

import org.junit.jupiter.api.Tag;

/** The kit on one server, by TLS. */
@Tag("long")
class TlsKitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.tls("7.4");
    }
}
