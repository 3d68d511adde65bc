package dev.curfew.tck;

import dev.curfew.StoreScope;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStore;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Counts the batches that pass to and from a store, and how large the largest was. */
final class CountingStore extends DelegatingStore {
    private int batches;
    private int largest;

    CountingStore(TokenStore store) {
        super(store);
    }

    synchronized int batches() {
        return batches;
    }

    synchronized int largest() {
        return largest;
    }

    private synchronized int batch(int size) {
        batches++;
        largest = Math.max(largest, size);
        return size;
    }

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        return batch(super.revokeStored(scope, subject, limit, now));
    }

    @Override
    public List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        List<TokenRecord> page = super.readExpired(scope, after, limit, now);
        batch(page.size());
        return page;
    }

    @Override
    public int expunge(StoreScope scope, int limit, Instant now) {
        return batch(super.expunge(scope, limit, now));
    }
}
