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

    private void assertRemoval(String jti, Instant expiresAt) {
        Instant removal = ((SelfExpiringTokenStore) store).removalTime(scope, jti, clock.instant());
        Instant retentionEnd = scope.retentionEnd(expiresAt);
        assertThat(removal).isBetween(retentionEnd, retentionEnd.plus(removalMargin()));
    }
}
