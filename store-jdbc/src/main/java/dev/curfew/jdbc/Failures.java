package dev.curfew.jdbc;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.net.UnknownHostException;
import java.sql.SQLException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Makes exceptions whose messages help and tell no secret. A server's own message may quote a row or a user. */
final class Failures {
    /** The SQLState of a call for which the pool had no connection in time. */
    static final String TOO_LATE = "HYT00";

    /** The SQLState of a call that had no answer in time. */
    static final String LATE = "HYT01";

    private static final String ADVICE = Statements.file("postgresql-failures.txt");

    /** The SQLStates whose messages name tables, columns, parameters or hosts, and neither values nor users. */
    private static final String HARMLESS = "(08(?!P01)|22023|25|26|3D|3F|40|42|53100|53200|55|57|58|HY).*|";

    /**
     * The SQLStates after which the statement may have been applied. An error of the server undoes the statement. But an
     * error of the driver, or of a server that shuts down, may come after the statement was applied. So may an error
     * about a prepared statement that a pooler has mixed up with another one.
     */
    private static final String UNSURE = "(0100E|02|08|22|26|40003|42P05|53200|57P|58|99|HYT01|XX).*|";

    private Failures() {}

    /** Whether the server has undone the statement and a repetition may succeed: serialization failure, deadlock. */
    static boolean mayRepeat(SQLException e) {
        return state(e).matches("40001|40P01");
    }

    /** Whether the connection has gone, or leads to the wrong server, so that another connection may answer. */
    static boolean isOfConnection(SQLException e) {
        return state(e).matches("08(?!P01).*|57P0.*|25006");
    }

    /** A server in recovery has answered. The SQLState is that of a server that refuses to write. */
    static SQLException ofStandby() {
        return new SQLException("the server is a standby: pg_is_in_recovery() is true", "25006");
    }

    static SQLException ofAnotherStatement() {
        return new SQLException("the answer is not that of the statement", "26000");
    }

    private static String state(SQLException e) {
        return e.getSQLState() == null ? "" : e.getSQLState();
    }

    private static Optional<String> advice(String state) {
        return ADVICE.lines()
                .map(line -> line.split(" ", 2))
                .filter(line -> state.matches(line[0]))
                .map(line -> line[1])
                .findFirst();
    }

    /** Why a URL is not opened; no server was asked. The message is the line of the file that begins with this word. */
    static TokenStoreException ofOpening(String word, @Nullable Throwable cause) {
        return new TokenStoreException(Outcome.UNCHANGED, advice(word).orElseThrow(), cause);
    }

    /**
     * @param domain the domain of the call, or {@code null} if there is none: then the message quotes the driver
     * @param sent whether the statement may have reached the server
     */
    static TokenStoreException of(@Nullable String domain, SQLException e, boolean sent) {
        return of(domain, state(e), e, sent);
    }

    static TokenStoreException of(@Nullable String domain, String state, SQLException e, boolean sent) {
        String what = advice(state).orElse(sent ? "the statement failed" : "no connection was to be had from the pool");
        SQLException cause = harmless(e);
        return exception(
                sent && state.matches(UNSURE) ? Outcome.UNKNOWN : Outcome.UNCHANGED,
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
