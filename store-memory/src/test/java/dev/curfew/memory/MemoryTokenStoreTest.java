package dev.curfew.memory;

import dev.curfew.TokenStore;
import dev.curfew.tck.SelfExpiringStoreContract;

class MemoryTokenStoreTest extends SelfExpiringStoreContract {
    private final TokenStore store = MemoryTokenStore.create();

    @Override
    protected TokenStore newStore() {
        return store;
    }

    /** The same one: its records are known to this process alone. */
    @Override
    protected TokenStore anotherStore() {
        return store;
    }

    @Override
    protected String url() {
        return "memory:";
    }
}
