package dev.curfew.redis;

import dev.curfew.TokenStore;
import dev.curfew.tck.SelfExpiringStoreContract;
import org.junit.jupiter.api.AfterEach;

/** The kit, on the application's own client; after each test the servers hold nothing that does not end. */
abstract class RedisKit extends SelfExpiringStoreContract {

    abstract Servers.Topology topology();

    @Override
    protected TokenStore newStore() {
        return topology().builder().build();
    }

    @AfterEach
    final void everyKeyEndsAndEveryEntryHasItsRecord() {
        Scan.assertClean(topology().nodes());
        Scan.clear(topology().nodes());
    }
}
