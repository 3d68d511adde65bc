package dev.curfew.jdbc;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.net.UnknownHostException;
import java.sql.SQLException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What went wrong, in words that help and give nothing away: a server's message may quote a row or a user. */
final class Failures {
    private record Advice(String state, String text) {}

    private static final List<Advice> ADVICE = Statements.file("postgresql-failures.txt")
            .lines()
            .filter(line -> !line.startsWith("#"))
            .map(line -> line.split(" ", 2))
            .map(line -> new Advice(line[0], line[1]))
            .toList();

    /** Where the server's own words name tables, columns, parameters and hosts at most, and neither values nor users. */
    private static final String HARMLESS = "(08(?!P01)|22023|25|26|3D|3F|40|42|53100|53200|55|57|58).*|";

    /** An error of the server's undoes the statement; one of the driver's, or of a server about to go, may come after it. */
    private static final String UNSURE = "(08|22|40003|53200|57P|58|99|XX).*|";

    /**
     * What the server or the driver says when a prepared statement is not the one that it was taken for: it exists, or does
     * not; it has other parameters, in number or in kind; it answers no rows, or more than one answer.
     */
    private static final String OF_ANOTHER_STATEMENT = "42P05|26000|08P01|22P02|22P03|02000|0100E";

    private Failures() {}

    /** Whether the server has undone the statement and a repetition may succeed: serialization failure, deadlock. */
    static boolean mayRepeat(SQLException e) {
        return state(e).matches("40001|40P01");
    }

    /** Whether the connection has gone, or is to the wrong server, so that another one may answer. */
    static boolean isOfConnection(SQLException e) {
        return state(e).matches("08(?!P01).*|57P0.*|25006");
    }

    /** A server in recovery has answered: as when it refuses to write. */
    static SQLException ofStandby() {
        return new SQLException("the server is a standby: pg_is_in_recovery() is true", "25006");
    }

    static SQLException ofAnotherStatement() {
        return new SQLException("the answer is not that of the statement", "26000");
    }

    private static String state(SQLException e) {
        return e.getSQLState() == null ? "" : e.getSQLState();
    }

    static TokenStoreException late(String domain, SQLException e) {
        return exception(
                Outcome.UNKNOWN,
                "PostgreSQL did not answer for domain '" + domain
                        + "' within the call deadline, and the connection was cut",
                harmless(e));
    }

    static TokenStoreException tooLate(String domain) {
        return exception(
                Outcome.UNCHANGED,
                "No connection was there for domain '" + domain
                        + "' within the call deadline. Make the pool larger, or its own wait shorter",
                null);
    }

    /**
     * @param domain for which it was asked, or {@code null} where there is no domain yet, nor a log of the driver's words
     * @param sent whether the statement may have reached the server
     */
    static TokenStoreException of(@Nullable String domain, SQLException e, boolean sent) {
        String state = state(e);
        boolean mixedUp = sent && state.matches(OF_ANOTHER_STATEMENT);
        String what = mixedUp
                ? "a pooler has mixed up prepared statements, and another one may have been run. With PgBouncer before"
                        + " 1.21 add prepareThreshold=0 to the URL"
                : ADVICE.stream()
                        .filter(advice -> state.startsWith(advice.state()))
                        .map(Advice::text)
                        .findFirst()
                        .orElse(sent ? "the statement failed" : "no connection was to be had from the pool");
        SQLException cause = harmless(e);
        return exception(
                sent && (mixedUp || state.matches(UNSURE)) ? Outcome.UNKNOWN : Outcome.UNCHANGED,
                "PostgreSQL failed" + (domain == null ? "" : " for domain '" + domain + "'") + ": " + what
                        + (state.isEmpty() ? "" : " (SQLState " + state + ")")
                        + (domain == null ? ". It says: \"" + cause.getMessage() + '"' : ""),
                cause);
    }

    /** The last sentence of the message says what the outcome does. */
    static TokenStoreException exception(Outcome outcome, String text, @Nullable SQLException cause) {
        String last =
                outcome == Outcome.UNCHANGED ? ". Nothing was changed" : ". Whether it applied the action is not known";
        return new TokenStoreException(outcome, text + last, cause);
    }

    /** The exception without its message, where that might quote what must not be shown. */
    static SQLException harmless(SQLException e) {
        String message = !state(e).matches(HARMLESS)
                ? e.getClass().getName() + ", whose message may quote data"
                : e.getCause() instanceof UnknownHostException ? "the host's name is not known" : e.getMessage();
        var harmless = new SQLException(message, e.getSQLState(), e.getErrorCode());
        harmless.setStackTrace(e.getStackTrace());
        return harmless;
    }
}
