package dev.curfew.example;

import dev.curfew.RecordField;
import dev.curfew.TokenStore;
import dev.curfew.tck.ExpungingStoreContract;
import java.util.Map;

class DocumentTokenStoreTest extends ExpungingStoreContract {
    private final TokenStore store = new DocumentTokenStore(Map.of(RecordField.CREATED_AT, "inserted_at"));

    @Override
    protected TokenStore newStore() {
        return store;
    }

    /** The same one: its documents are in the memory of this process. */
    @Override
    protected TokenStore anotherStore() {
        return store;
    }

    /** It has no index: every page looks at every document. */
    @Override
    protected int manyRecords() {
        return 10_000;
    }

    /** On a busy machine each round of a race takes milliseconds; the memory store's test has them all. */
    @Override
    protected int races() {
        return Math.min(super.races(), 1_000);
    }
}
