package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.StoreOutcome;
import dev.curfew.Token;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Section R6 of CONTRACT.md: confirmation changes. */
abstract class R6ConfirmationChanges extends R5SingleUse {

    @Test
    final void R6_1_confirmationChangesAreKeptAndGivenOutOnce() {
        inEachEra(() -> {
            Token token = token("t", "s", HOUR);
            Map<String, Object> changes = Map.of("email", "new@example.com", "list", List.of(1, 2));
            assertThat(tokens.storeConfirmationChanges(token, "confirm", changes))
                    .as("storeConfirmationChanges")
                    .isEqualTo(StoreOutcome.STORED);
            assertThat(tokens.getConfirmationChanges(token, "confirm").orElseThrow())
                    .as("getConfirmationChanges")
                    .isEqualTo(changes);
            assertThat(tokens.getConfirmationChanges(token, "other"))
                    .as("getConfirmationChanges")
                    .isEmpty();
            assertThat(tokens.consumeConfirmationChanges(token, "confirm"))
                    .isInstanceOfSatisfying(
                            Consumed.class,
                            consumed -> assertThat(consumed.record().extraData())
                                    .as("extraData of the record that consumeConfirmationChanges answers")
                                    .isEqualTo(changes));
            assertRefused(token, Refused.ALREADY_USED);
            Token late = token("late", "s", Duration.ofMinutes(1));
            tokens.storeConfirmationChanges(late, "confirm", changes);
            clock.advance(Duration.ofSeconds(90));
            assertRefused(late, Refused.EXPIRED);
        });
    }

    private void assertRefused(Token token, Refused refusal) {
        assertThat(tokens.consumeConfirmationChanges(token, "confirm"))
                .as("consumeConfirmationChanges")
                .isEqualTo(refusal);
        assertThat(tokens.getConfirmationChanges(token, "confirm"))
                .as("getConfirmationChanges")
                .isEmpty();
    }
}
