package dev.curfew.redis;

/** The kit on a cluster of three masters and three replicas, of Redis 7.0. */
class ClusterRedis70KitTest extends RedisKit {
    @Override
    Servers.Topology topology() {
        return Servers.cluster("7.0");
    }
}
