package dev.curfew.redis;

/** The kit on a cluster of three masters and three replicas. */
class ClusterKitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.cluster("7.4");
    }
}
