package dev.curfew.redis;

import dev.curfew.StoreScope;
import dev.curfew.TokenStore;
import dev.curfew.tck.SelfExpiringStoreContract;
import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;

/** The kit, on the application's own client; after each test the servers hold nothing that does not end. */
abstract class RedisKit extends SelfExpiringStoreContract {

    abstract Servers.Topology topology();

    /** Whether the larger tests have their full size, which {@code -Dcurfew.test.full} sets. */
    private static boolean isFull() {
        return Boolean.getBoolean("curfew.test.full");
    }

    /** Whether the larger tests have a medium size here, even without {@code -Dcurfew.test.full}. */
    boolean many() {
        return false;
    }

    @Override
    protected int races() {
        return isFull() ? super.races() : Math.min(super.races(), many() ? 5_000 : 500);
    }

    @Override
    protected int manyRecords() {
        return isFull() ? super.manyRecords() : Math.min(super.manyRecords(), many() ? 50_000 : 5_000);
    }

    @Override
    protected int modelSteps() {
        return isFull() || many() ? super.modelSteps() : Math.min(super.modelSteps(), 2_000);
    }

    /** The kit's clock is ahead of the server's by more than the day that the store reckons with. */
    @Override
    protected Duration removalMargin() {
        return Duration.ofDays(1).plusMinutes(5);
    }

    @Override
    protected @Nullable Instant removalTime(StoreScope scope, String jti, Instant now) {
        return removalTime(Keys.of(scope).record(jti), now);
    }

    @Override
    protected @Nullable Instant watermarkRemovalTime(StoreScope scope, String subject, Instant now) {
        return removalTime(Keys.of(scope).watermark(subject), now);
    }

    @Override
    protected @Nullable Instant sessionRemovalTime(StoreScope scope, String session, Instant now) {
        return removalTime(Keys.of(scope).session(session), now);
    }

    private @Nullable Instant removalTime(String key, Instant now) {
        long left = Servers.timeToLive(topology().nodes(), key);
        return left == -2 ? null : left == -1 ? Instant.MAX : now.plusMillis(left);
    }

    @Override
    protected TokenStore newStore() {
        return topology().builder().build();
    }

    @Override
    protected TokenStore anotherStore() {
        return topology().builderOfAnotherNode().build();
    }

    @Override
    protected @Nullable String url() {
        return topology().url();
    }

    @Override
    protected int connections() {
        return Servers.connections(topology().nodes());
    }

    @AfterEach
    final void everyKeyEndsAndEveryEntryHasItsRecord() {
        Scan.assertClean(topology().nodes());
        Scan.clear(topology().nodes());
    }
}
