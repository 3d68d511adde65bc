package dev.curfew.memory;

import dev.curfew.TokenStore;
import dev.curfew.tck.SelfExpiringStoreContract;

class MemoryTokenStoreTest extends SelfExpiringStoreContract {
    @Override
    protected TokenStore newStore() {
        return MemoryTokenStore.create();
    }
}
