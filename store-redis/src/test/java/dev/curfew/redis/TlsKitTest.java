package dev.curfew.redis;

/** The kit on one server, by TLS. */
class TlsKitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.tls("7.4");
    }
}
