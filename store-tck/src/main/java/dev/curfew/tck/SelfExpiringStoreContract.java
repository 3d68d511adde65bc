package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.SelfExpiringTokenStore;
import dev.curfew.StoreScope;
import dev.curfew.TokenResource;
import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** What CONTRACT.md asks of a {@link SelfExpiringTokenStore}. To test such a store, extend this class with five methods. */
public abstract class SelfExpiringStoreContract extends EveryRule {

    /** For subclasses. */
    protected SelfExpiringStoreContract() {}

    /** How much later than its retention end the server may remove a record, as the store documents; 5 minutes by default. */
    protected Duration removalMargin() {
        return Duration.ofMinutes(5);
    }

    /**
     * When the server will remove a record by itself.
     *
     * @return the time by the clock that {@code now} was read from, or {@code null} if there is no such record
     */
    protected abstract @Nullable Instant removalTime(StoreScope scope, String jti, Instant now);

    /**
     * When the server will remove a subject's watermark by itself.
     *
     * @return the time by the clock that {@code now} was read from, or {@code null} if there is no watermark
     */
    protected abstract @Nullable Instant watermarkRemovalTime(StoreScope scope, String subject, Instant now);

    /**
     * When the server will remove the revocation of a session by itself.
     *
     * @return the time by the clock that {@code now} was read from, or {@code null} if the session is not revoked
     */
    protected abstract @Nullable Instant sessionRemovalTime(StoreScope scope, String session, Instant now);

    @Test
    final void R7_7_theServerRemovesARecordAtItsRetentionEndOrSoonAfter() {
        inEachEra(() -> {
            tokens.storeToken(token("stored", "s", HOUR));
            tokens.revokeToken(token("revoked", "s", HOUR));
            assertRemoval("stored", start.plus(HOUR));
            assertRemoval("revoked", start.plus(HOUR));
            assertThat(removalTime(scope, "unknown", clock.instant()))
                    .as("removalTime of an unknown record")
                    .isNull();
        });
    }

    @Test
    final void R7_7_aRevocationExtendsTheServersDeadlineAndNeverShortensIt() {
        tokens.storeToken(token("t", "s", HOUR));
        tokens.revokeToken(token("t", "s", Duration.ofMinutes(1)));
        assertRemoval("t", start.plus(HOUR));
        tokens.revokeJti("t", start.plusSeconds(60));
        assertRemoval("t", start.plus(HOUR));
        tokens.revokeToken(token("t", "s", HOUR.multipliedBy(2)));
        assertRemoval("t", start.plus(HOUR.multipliedBy(2)));
        tokens.storeToken(token("used", "s", HOUR), "link");
        tokens.consume("used", "link");
        assertRemoval("used", start.plus(HOUR));
    }

    @Test
    final void R7_7_aWatermarksDeadlineIsExtendedAndNeverShortened() {
        Instant end = start.plus(LONGEST);
        store.revokeSubject(scope, "s", start, end, start);
        assertWatermarkRemoval(end);
        // A later watermark, by a node that keeps it for a shorter time.
        store.revokeSubject(scope, "s", start.plusSeconds(1), start.plus(HOUR), start);
        assertWatermarkRemoval(end);
        store.revokeSubject(scope, "s", start.plusSeconds(2), end.plus(HOUR), start);
        assertWatermarkRemoval(end.plus(HOUR));
        // The latest end wins by itself: here it comes with an earlier watermark.
        another.revokeSubject(scope, "s", start, end.plus(HOUR).plusMillis(789), start);
        assertWatermarkRemoval(end.plus(HOUR).plusMillis(789));
        assertThat(watermarkRemovalTime(scope, "nobody", start))
                .as("watermarkRemovalTime of nobody")
                .isNull();
    }

    @Test
    final void R7_7_aSessionsDeadlineIsExtendedAndNeverShortened() {
        Instant end = start.plus(LONGEST);
        store.revokeSession(scope, "s", end, start);
        assertSessionRemoval(end);
        another.revokeSession(scope, "s", start.plus(HOUR), start);
        assertSessionRemoval(end);
        another.revokeSession(scope, "s", end.plus(HOUR).plusMillis(789), start);
        assertSessionRemoval(end.plus(HOUR).plusMillis(789));
        assertThat(sessionRemovalTime(scope, "another", start))
                .as("sessionRemovalTime of a session that is not revoked")
                .isNull();
    }

    private void assertSessionRemoval(Instant end) {
        assertThat(sessionRemovalTime(scope, "s", clock.instant()))
                .as("sessionRemovalTime")
                .isBetween(end, end.plus(removalMargin()));
    }

    private void assertWatermarkRemoval(Instant end) {
        assertThat(watermarkRemovalTime(scope, "s", clock.instant()))
                .as("watermarkRemovalTime")
                .isBetween(end, end.plus(removalMargin()));
    }

    @Test
    final void R1_4_aNodeWhoseClockIsAheadRemovesNothingEarly() {
        inEachEra(() -> {
            Instant retentionEnd = scope.retentionEnd(start.plus(HOUR));
            tokens.storeToken(token("stored", "s", HOUR));
            // Revoked by a node whose clock is ahead, and which sees less time to go.
            clock.set(start.plus(SKEW));
            tokens.revokeJti("stored", start.plus(SKEW).plusSeconds(1));
            clock.set(start);
            assertThat(removalTime(scope, "stored", start))
                    .as("removalTime after a revocation by a node that is ahead")
                    .isAfterOrEqualTo(retentionEnd);
            clock.set(retentionEnd.plus(SKEW).minusMillis(1));
            tokens.isRevoked("another");
            expunge();
            clock.set(retentionEnd.minusMillis(1));
            assertThat(tokens.isRevoked("stored")).as("isRevoked").isTrue();
        });
    }

    @Test
    final void R1_7_theServersDeadlineIsThatOfTheLargestSkew() {
        Duration largest = Duration.ofMinutes(5);
        try (TokenResource verifier = skewed(largest, another);
                TokenResource smaller = skewed(Duration.ZERO, store)) {
            smaller.revokeToken(token("t", "s", HOUR));
            assertThat(removalTime(new StoreScope(domain + "-skew", "", SKEW, deadline()), "t", start))
                    .as("removalTime of a token that a node of a smaller skew has revoked")
                    .isAfterOrEqualTo(start.plus(HOUR).plus(largest));
            assertThat(verifier.isRevoked("t")).as("isRevoked").isTrue();
        }
    }

    /** A clock was ahead and is right now. The server keeps what was revoked meanwhile for its whole retention. */
    @Test
    final void R1_6_theServersDeadlineOutlivesAClockThatWasAhead() {
        Instant expiresAt = start.plus(HOUR.multipliedBy(4));
        tokens.isRevoked("before");
        clock.advance(HOUR.multipliedBy(3));
        tokens.revokeToken(token("during", "s", HOUR));
        tokens.revokeSubject("s");
        tokens.revokeSession("s");
        clock.set(start);
        tokens.isRevoked("after");
        assertThat(removalTime(scope, "during", start))
                .as("when the record is removed")
                .isAfterOrEqualTo(scope.retentionEnd(expiresAt));
        assertThat(watermarkRemovalTime(scope, "s", start))
                .as("when the watermark is removed")
                .isAfterOrEqualTo(start.plus(HOUR.multipliedBy(3)).plus(LONGEST).plus(SKEW));
        assertThat(sessionRemovalTime(scope, "s", start))
                .as("when the revocation of the session is removed")
                .isAfterOrEqualTo(start.plus(HOUR.multipliedBy(3)).plus(LONGEST).plus(SKEW));
    }

    private void assertRemoval(String jti, Instant expiresAt) {
        Instant removal = removalTime(scope, jti, clock.instant());
        Instant retentionEnd = scope.retentionEnd(expiresAt);
        assertThat(removal)
                .as("removalTime, %s", jti)
                .isBetween(retentionEnd.plus(SKEW), retentionEnd.plus(removalMargin()));
    }
}
