/**
 * Curfew's store in memory: for one process, and for as long as it runs.
 */
module dev.curfew.store.memory {
    requires static org.jspecify;
    requires transitive dev.curfew.core;
    requires com.github.benmanes.caffeine;
    requires org.slf4j;

    exports dev.curfew.memory;

    provides dev.curfew.TokenStoreProvider with
            dev.curfew.memory.MemoryTokenStoreProvider;
}
