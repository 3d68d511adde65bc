package dev.curfew.redis;

/** The kit on one server. */
class StandaloneKitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.standalone("7.4");
    }

    @Override
    boolean many() {
        return true;
    }
}
