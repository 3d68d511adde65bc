/**
 * Curfew's store in Redis and Valkey, over Lettuce.
 */
@SuppressWarnings({"requires-automatic", "requires-transitive-automatic"}) // Lettuce has no module descriptor
module dev.curfew.store.redis {
    requires static org.jspecify;
    requires transitive dev.curfew.core;
    requires transitive lettuce.core;
    // Lettuce needs these modules, but has no module descriptor to require them.
    requires io.netty.buffer;
    requires io.netty.codec;
    requires io.netty.common;
    requires io.netty.handler;
    requires io.netty.resolver;
    requires io.netty.resolver.dns;
    requires io.netty.transport;
    requires org.slf4j;

    exports dev.curfew.redis;

    provides dev.curfew.TokenStoreProvider with
            dev.curfew.redis.RedisTokenStoreProvider;
}
