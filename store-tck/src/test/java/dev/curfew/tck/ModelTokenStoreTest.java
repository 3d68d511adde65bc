package dev.curfew.tck;

import dev.curfew.TokenStore;

/** The model that other stores are compared with keeps the contract itself. */
class ModelTokenStoreTest extends ExpungingStoreContract {
    private final TokenStore store = new ModelTokenStore();

    @Override
    protected TokenStore newStore() {
        return store;
    }

    @Override
    protected TokenStore anotherStore() {
        return new DelegatingStore(store);
    }

    /** It looks at every record for every page. */
    @Override
    protected int manyRecords() {
        return 10_000;
    }

    /** On a busy machine each round of a race takes milliseconds; the memory store's test has them all. */
    @Override
    protected int races() {
        return Math.min(super.races(), 5_000);
    }
}
