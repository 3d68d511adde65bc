package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.HOUR;
import static dev.curfew.jdbc.Fixture.NOW;
import static dev.curfew.jdbc.Fixture.sql;
import static dev.curfew.jdbc.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.ExtraData;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.servers.PostgresServer;
import java.sql.SQLException;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What an exception knows of the action, and that its message says the same. */
class OutcomeTest {
    private static final String URL = PostgresServer.shared().url();

    private static void assertOutcome(Throwable thrown, Outcome outcome) {
        assertThat(thrown).isInstanceOfSatisfying(TokenStoreException.class, e -> {
            assertThat(e.outcome()).isEqualTo(outcome);
            assertThat(e.getMessage())
                    .endsWith(
                            outcome == Outcome.UNCHANGED
                                    ? ". Nothing was changed"
                                    : ". Whether it applied the action is not known");
        });
    }

    /** The server has undone what it refuses; the connection, the driver or a server about to go may be too late. */
    @ParameterizedTest
    @CsvSource({
        "08006, UNKNOWN",
        "08P01, UNKNOWN",
        "26000, UNKNOWN",
        "42P05, UNKNOWN",
        "02000, UNKNOWN",
        "40003, UNKNOWN",
        "57P01, UNKNOWN",
        "58030, UNKNOWN",
        "XX000, UNKNOWN",
        ", UNKNOWN",
        "25001, UNCHANGED",
        "25006, UNCHANGED",
        "25P02, UNCHANGED",
        "40001, UNCHANGED",
        "42P01, UNCHANGED",
        "42501, UNCHANGED",
        "53100, UNCHANGED",
        "55P03, UNCHANGED",
        "57014, UNCHANGED",
        "23505, UNCHANGED",
    })
    void R8_2_theOutcomeAfterAStatementWasSent(String state, Outcome outcome) {
        assertOutcome(Failures.of("d", new SQLException("no", state), true), outcome);
    }

    @ParameterizedTest
    @CsvSource({"08001", "08P01", "28P01", "53300", "57P03", "''"})
    void R8_2_whereNothingWasSentNothingWasChanged(String state) {
        assertOutcome(Failures.of("d", new SQLException("no", state), false), Outcome.UNCHANGED);
    }

    @Test
    void R8_2_theOutcomeOfTheOthers() {
        assertOutcome(Failures.of("d", Failures.LATE, new SQLException("no", "08006"), true), Outcome.UNKNOWN);
        assertOutcome(Failures.of("d", Failures.TOO_LATE, new SQLException(), false), Outcome.UNCHANGED);
        assertOutcome(Failures.of("d", Failures.ofAnotherStatement(), true), Outcome.UNKNOWN);
        assertOutcome(Failures.of("d", Failures.ofStandby(), true), Outcome.UNCHANGED);
    }

    /** With a server, and through the resource. */
    @Test
    void R8_2_aCallerIsTold() {
        String domain = Fixture.newDomain();
        try (HikariDataSource pool = Fixture.pool(URL, 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            try (TokenResource tokens = Fixture.resource(store, domain)) {
                sql(URL, "DROP TABLE \"curfew_" + domain + "\"");
                assertOutcome(catchThrowable(() -> tokens.revokeToken(token("t", "s"))), Outcome.UNCHANGED);
            }
        }
    }

    @Test
    void R8_2_aTableThatServesAnotherDomainIsLeftAlone() {
        try (HikariDataSource pool = Fixture.pool(URL, 1);
                JdbcTokenStore store =
                        JdbcTokenStore.builder(pool).table(Fixture.newDomain()).build()) {
            store.createSchema("one");
            TokenRecord record = new TokenRecord(
                    "t", "s", "p", NOW, NOW.plus(HOUR), ExtraData.of(Map.of()), NOW, NOW, null, null, null);
            assertThatThrownBy(() -> store.store(Fixture.scope("another"), record, NOW))
                    .hasMessageContaining("serves domain 'one'")
                    .satisfies(thrown -> assertOutcome(thrown, Outcome.UNCHANGED));
        }
    }
}
