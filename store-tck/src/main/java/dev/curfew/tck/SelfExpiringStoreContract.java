package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.SelfExpiringTokenStore;
import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;

/** What a {@link SelfExpiringTokenStore} must keep of CONTRACT.md; extend it with one factory method. */
public abstract class SelfExpiringStoreContract extends TokenStoreContract {

    /** For subclasses. */
    protected SelfExpiringStoreContract() {}

    /** How much later than its retention end the server may remove a record, as the store documents; 5 minutes by default. */
    protected Duration removalMargin() {
        return Duration.ofMinutes(5);
    }

    @Test
    final void R7_7_theServerRemovesARecordAtItsRetentionEndOrSoonAfter() {
        tokens.storeToken(token("stored", "s", HOUR));
        tokens.revokeToken(token("revoked", "s", HOUR));
        assertRemoval("stored", START.plus(HOUR));
        assertRemoval("revoked", START.plus(HOUR));
        assertThat(((SelfExpiringTokenStore) store).removalTime(scope, "unknown", clock.instant()))
                .isNull();
    }

    @Test
    final void R7_7_aRevocationExtendsTheServersDeadlineAndNeverShortensIt() {
        tokens.storeToken(token("t", "s", HOUR));
        tokens.revokeToken(token("t", "s", Duration.ofMinutes(1)));
        assertRemoval("t", START.plus(HOUR));
        tokens.revokeJti("t");
        assertRemoval("t", START.plus(HOUR));
        tokens.revokeToken(token("t", "s", HOUR.multipliedBy(2)));
        assertRemoval("t", START.plus(HOUR.multipliedBy(2)));
        tokens.storeToken(token("used", "s", HOUR), "link");
        tokens.consume("used", "link");
        assertRemoval("used", START.plus(HOUR));
    }

    @Test
    final void R7_7_aWatermarksDeadlineIsExtendedAndNeverShortened() {
        Instant end = START.plus(LONGEST);
        store.revokeSubject(scope, "s", START, end, START);
        assertWatermarkRemoval(end);
        // The later watermark of a node that keeps it for less.
        store.revokeSubject(scope, "s", START.plusSeconds(1), START.plus(HOUR), START);
        assertWatermarkRemoval(end);
        store.revokeSubject(scope, "s", START.plusSeconds(2), end.plus(HOUR), START);
        assertWatermarkRemoval(end.plus(HOUR));
        assertThat(((SelfExpiringTokenStore) store).watermarkRemovalTime(scope, "nobody", START))
                .isNull();
    }

    private void assertWatermarkRemoval(Instant end) {
        assertThat(((SelfExpiringTokenStore) store).watermarkRemovalTime(scope, "s", clock.instant()))
                .isBetween(end, end.plus(removalMargin()));
    }

    @Test
    final void R1_4_aNodeWhoseClockIsAheadRemovesNothingEarly() {
        Instant retentionEnd = scope.retentionEnd(START.plus(HOUR));
        tokens.storeToken(token("stored", "s", HOUR));
        // Revoked by a node that is ahead, and so reckons with less time to go.
        clock.set(START.plus(SKEW));
        tokens.revokeJti("stored");
        clock.set(START);
        assertThat(((SelfExpiringTokenStore) store).removalTime(scope, "stored", START))
                .isAfterOrEqualTo(retentionEnd);
        clock.set(retentionEnd.plus(SKEW).minusMillis(1));
        tokens.isRevoked("another");
        expunge();
        clock.set(retentionEnd.minusMillis(1));
        assertThat(tokens.isRevoked("stored")).isTrue();
    }

    /** The server removes nothing early that was revoked by a clock which was ahead, and is right now. */
    @Test
    final void R1_6_theServersDeadlineOutlivesAClockThatWasAhead() {
        var expiring = (SelfExpiringTokenStore) store;
        Instant expiresAt = START.plus(HOUR.multipliedBy(4));
        tokens.isRevoked("before");
        clock.advance(HOUR.multipliedBy(3));
        tokens.revokeToken(token("during", "s", HOUR));
        tokens.revokeSubject("s");
        clock.set(START);
        tokens.isRevoked("after");
        assertThat(expiring.removalTime(scope, "during", START))
                .as("when the record is removed")
                .isAfterOrEqualTo(scope.retentionEnd(expiresAt));
        assertThat(expiring.watermarkRemovalTime(scope, "s", START))
                .as("when the watermark is removed")
                .isAfterOrEqualTo(START.plus(HOUR.multipliedBy(3)).plus(LONGEST).plus(SKEW));
    }

    private void assertRemoval(String jti, Instant expiresAt) {
        Instant removal = ((SelfExpiringTokenStore) store).removalTime(scope, jti, clock.instant());
        Instant retentionEnd = scope.retentionEnd(expiresAt);
        assertThat(removal).isBetween(retentionEnd.plus(SKEW), retentionEnd.plus(removalMargin()));
    }
}
