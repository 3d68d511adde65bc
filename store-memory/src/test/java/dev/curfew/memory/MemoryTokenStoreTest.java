package dev.curfew.memory;

import dev.curfew.StoreScope;
import dev.curfew.TokenStore;
import dev.curfew.tck.SelfExpiringStoreContract;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

class MemoryTokenStoreTest extends SelfExpiringStoreContract {
    private final MemoryTokenStore store = MemoryTokenStore.create();

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
    protected @Nullable Instant removalTime(StoreScope scope, String jti, Instant now) {
        return store.removalTime(scope, jti, now);
    }

    @Override
    protected @Nullable Instant sessionRemovalTime(StoreScope scope, String session, Instant now) {
        return store.sessionRemovalTime(scope, session, now);
    }

    @Override
    protected @Nullable Instant watermarkRemovalTime(StoreScope scope, String subject, Instant now) {
        return store.watermarkRemovalTime(scope, subject, now);
    }

    @Override
    protected String url() {
        return "memory:";
    }
}
