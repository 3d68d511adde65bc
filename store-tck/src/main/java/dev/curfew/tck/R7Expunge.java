package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.SelfExpiringTokenStore;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Section R7 of CONTRACT.md: expunge, as far as it holds for every store. The two kinds of contracts have the rest. */
abstract class R7Expunge extends R6ConfirmationChanges {

    @Test
    final void R7_2_expungingLeavesWhatIsNotPastItsRetention() {
        inEachEra(() -> {
            tokens.storeToken(token("live", "s", HOUR), "link", Map.of("k", 1));
            tokens.revokeToken(token("revoked", "s", HOUR));
            tokens.storeToken(token("within the skew", "s", Duration.ofMinutes(1)));
            clock.advance(Duration.ofMinutes(1).plus(SKEW).minusMillis(1));
            expunge();
            for (String jti : List.of("live", "revoked", "within the skew")) {
                assertThat(tokens.inspect(jti)).as("inspect, %s", jti).isPresent();
            }
            assertThat(tokens.listTokens("s")).as("listTokens").hasSize(1);
        });
    }

    @Test
    final void R7_7_aStoreSaysByItsTypeWhetherItsServerExpiresRecords() {
        assertThat(store instanceof SelfExpiringTokenStore)
                .as("the store is a SelfExpiringTokenStore, and is tested by SelfExpiringStoreContract")
                .isEqualTo(this instanceof SelfExpiringStoreContract);
    }

    @Test
    final void R7_8_theServersTimeIsTheTimeOfItsClock() {
        Instant server = store.serverTime(scope);
        if (server != null) {
            // No other test asks a clock. The clock of a server for tests agrees with this one to some minutes.
            Instant here = InstantSource.system().instant();
            assertThat(server).as("the time of the server").isBetween(here.minusSeconds(600), here.plusSeconds(600));
        }
    }
}
