package dev.curfew.example;

import dev.curfew.RecordField;
import dev.curfew.TokenStore;
import dev.curfew.tck.ExpungingStoreContract;
import java.util.Map;

class DocumentTokenStoreTest extends ExpungingStoreContract {
    @Override
    protected TokenStore newStore() {
        return new DocumentTokenStore(Map.of(RecordField.CREATED_AT, "inserted_at"));
    }

    /** It has no index: every page looks at every document. */
    @Override
    protected int manyRecords() {
        return 10_000;
    }
}
