package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.StoreOutcome;
import dev.curfew.Token;
import java.time.Duration;
import java.util.LinkedHashMap;
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
            assertThat(tokens.getConfirmationChanges(token, "confirm"))
                    .as("getConfirmationChanges")
                    .contains(new LinkedHashMap<>(changes));
            assertThat(tokens.getConfirmationChanges(token, "other"))
                    .as("getConfirmationChanges")
                    .isEmpty();
            assertThat(tokens.consumeConfirmationChanges(token, "confirm"))
                    .as("consumeConfirmationChanges")
                    .contains(new LinkedHashMap<>(changes));
            assertNoneLeft(token);
            Token late = token("late", "s", Duration.ofMinutes(1));
            tokens.storeConfirmationChanges(late, "confirm", changes);
            clock.advance(Duration.ofSeconds(90));
            assertNoneLeft(late);
        });
    }

    private void assertNoneLeft(Token token) {
        assertThat(tokens.consumeConfirmationChanges(token, "confirm"))
                .as("consumeConfirmationChanges")
                .isEmpty();
        assertThat(tokens.getConfirmationChanges(token, "confirm"))
                .as("getConfirmationChanges")
                .isEmpty();
    }
}
