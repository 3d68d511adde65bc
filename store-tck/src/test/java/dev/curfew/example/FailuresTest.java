package dev.curfew.example;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.sql.SQLException;
import org.junit.jupiter.api.Test;

class FailuresTest {

    @Test
    void theOutcomeIsUnchangedOnlyWhereThatIsSure() {
        assertThat(outcome(new SQLException("refused", "08001"))).isEqualTo(Outcome.UNCHANGED);
        assertThat(outcome(new SQLException("broken", "08006"))).isEqualTo(Outcome.UNKNOWN);
    }

    private static Outcome outcome(Exception cause) {
        try {
            return Failures.asking("revoke", () -> {
                throw cause;
            });
        } catch (TokenStoreException e) {
            return e.outcome();
        }
    }

    @Test
    void anInterruptionIsKeptForTheCaller() {
        assertThatThrownBy(() -> Failures.asking("revoke", () -> {
                    throw new InterruptedException();
                }))
                .isInstanceOf(TokenStoreException.class);
        assertThat(Thread.interrupted()).isTrue();
    }
}
