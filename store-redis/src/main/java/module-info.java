/**
 * Curfew's store in Redis and Valkey, over Lettuce.
 */
@SuppressWarnings({"requires-automatic", "requires-transitive-automatic"}) // Lettuce has no module descriptor
module dev.curfew.store.redis {
    requires static org.jspecify;
    requires transitive dev.curfew.core;
    requires transitive lettuce.core;
    requires org.slf4j;

    exports dev.curfew.redis;

    provides dev.curfew.TokenStoreProvider with
            dev.curfew.redis.RedisTokenStoreProvider;
}
