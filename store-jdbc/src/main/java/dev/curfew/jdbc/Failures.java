package dev.curfew.jdbc;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What went wrong, in words that help and give nothing away: a server's message may quote a row or a user. */
final class Failures {
    private static final String MIXED_UP =
            "a pooler has mixed up prepared statements, and another one may have been run."
                    + " With PgBouncer before 1.21 add prepareThreshold=0 to the URL";

    /** Of a standby, and of a server that has become one behind an address that stays. */
    private static final String READ_ONLY = "25006";

    /** By the beginning of the SQLState, the longest first. */
    private static final List<Map.Entry<String, String>> ADVICE = List.of(
            Map.entry("08001", "it could not be reached. Check the host and the port, and that it runs and accepts"),
            Map.entry("08", "the connection failed. The next call takes a new one"),
            Map.entry(
                    READ_ONLY, "it is read-only, perhaps a standby. Connect to the primary: targetServerType=primary"),
            Map.entry("25P02", "an earlier statement of this transaction has failed. Roll back and begin again"),
            Map.entry("28", "it refused the user or the password. Check them, and pg_hba.conf"),
            Map.entry("3D000", "the database does not exist. Create it, or correct the URL"),
            Map.entry(
                    "3F000",
                    "there is no schema for the tables. Name one that exists: ALTER ROLE … SET search_path,"
                            + " JdbcTokenStore.builder(…).schema(…), or currentSchema=… in the URL"),
            Map.entry("40", "the transaction lost against another one. Roll back and begin again"),
            Map.entry(
                    "42501",
                    "a right is missing. Grant the user SELECT, INSERT, UPDATE and DELETE on the table and its"
                            + " watermarks, or CREATE on the schema where the tables shall be made"),
            Map.entry(
                    "42P01",
                    "a table is missing, or not on the search_path. Run createSchema, or the file"
                            + " META-INF/curfew/postgresql.sql, or name the tables' schema: ALTER ROLE … SET search_path,"
                            + " JdbcTokenStore.builder(…).schema(…), or currentSchema=… in the URL"),
            Map.entry("42", "a table is not as it must be. Compare it with META-INF/curfew/postgresql.sql"),
            Map.entry("53100", "its disk is full. Make room; checks still work as long as it reads"),
            Map.entry("53300", "it has no connection left. Raise max_connections, or make the pools smaller"),
            Map.entry("53", "it is short of a resource"),
            Map.entry("55P03", "a lock was not to be had within lock_timeout"),
            Map.entry("57014", "the statement was cancelled, by statement_timeout or by hand"),
            Map.entry("57P", "it is shutting down or starting up. The next call takes a new connection"));

    /** Where the server's own words name tables, columns and hosts at most, and neither values nor users. */
    private static final List<String> HARMLESS =
            List.of("08", "25", "26", "3D", "3F", "40", "42", "53100", "53200", "55", "57", "58");

    private static final List<String> UNSURE = List.of("08", "22", "40003", "53200", "57P", "58", "99", "XX");

    /**
     * What the server or the driver says when a prepared statement is not the one that it was taken for: it exists, or does
     * not; it has other parameters, in number or in kind; it answers no rows, or more than one answer.
     */
    private static final List<String> OF_ANOTHER_STATEMENT =
            List.of("42P05", "26000", "08P01", "22P02", "22P03", "02000", "0100E");

    private Failures() {}

    /** Whether the server has undone the statement and a repetition may succeed: serialization failure, deadlock. */
    static boolean mayRepeat(SQLException e) {
        return "40001".equals(e.getSQLState()) || "40P01".equals(e.getSQLState());
    }

    /** Whether the connection has gone, or is to the wrong server, so that another one may answer. */
    static boolean isOfConnection(SQLException e) {
        String state = state(e);
        return (state.startsWith("08") && !isOfAnotherStatement(state))
                || state.startsWith("57P0")
                || state.equals(READ_ONLY);
    }

    /** A server in recovery has answered: as when it refuses to write. */
    static SQLException ofStandby() {
        return new SQLException("the server is a standby: pg_is_in_recovery() is true", READ_ONLY);
    }

    private static boolean isOfAnotherStatement(String state) {
        return OF_ANOTHER_STATEMENT.contains(state);
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

    /** The answer is that of another statement. */
    static TokenStoreException mixedUp(String domain) {
        return failed(Outcome.UNKNOWN, domain, MIXED_UP, null);
    }

    /** The pool lent a connection on which somebody has begun a transaction. */
    static TokenStoreException inTransaction(String domain, SQLException e) {
        return failed(
                Outcome.UNCHANGED,
                domain,
                "the pool lent a connection on which a transaction has begun, which the store must not commit."
                        + " Give the store the pool itself, and not a DataSource that hands out the connection of the"
                        + " running transaction; to be part of that, call inTransaction",
                e);
    }

    /**
     * @param domain for which it was asked, or {@code null} where it was for none
     * @param sent whether the statement may have reached the server
     */
    static TokenStoreException of(@Nullable String domain, SQLException e, boolean sent) {
        String state = state(e);
        boolean mixedUp = sent && isOfAnotherStatement(state);
        String what = mixedUp
                ? MIXED_UP
                : ADVICE.stream()
                        .filter(advice -> state.startsWith(advice.getKey()))
                        .map(Map.Entry::getValue)
                        .findFirst()
                        .orElse(sent ? "the statement failed" : "no connection was to be had from the pool");
        // An error of the server's undoes the statement; one of the driver's, or of a server about to go, may come
        // after it.
        boolean undone = !mixedUp && !state.isEmpty() && UNSURE.stream().noneMatch(state::startsWith);
        return failed(sent && !undone ? Outcome.UNKNOWN : Outcome.UNCHANGED, domain, what, e);
    }

    private static TokenStoreException failed(
            Outcome outcome, @Nullable String domain, String what, @Nullable SQLException e) {
        String state = e == null ? "" : state(e);
        String text = "PostgreSQL failed" + (domain == null ? "" : " for domain '" + domain + "'") + ": " + what
                + (state.isEmpty() ? "" : " (SQLState " + state + ")");
        return exception(outcome, text, e == null ? null : harmless(e));
    }

    /** The last sentence of the message says what the outcome does. */
    static TokenStoreException exception(Outcome outcome, String text, @Nullable SQLException cause) {
        String last =
                outcome == Outcome.UNCHANGED ? ". Nothing was changed" : ". Whether it applied the action is not known";
        return new TokenStoreException(outcome, text + last, cause);
    }

    /** The exception without its message, where that might quote what must not be shown. */
    static SQLException harmless(SQLException e) {
        String state = e.getSQLState();
        boolean tells = state != null && HARMLESS.stream().noneMatch(state::startsWith);
        var harmless = new SQLException(
                tells ? e.getClass().getName() + ", whose message may quote data" : e.getMessage(),
                state,
                e.getErrorCode());
        harmless.setStackTrace(e.getStackTrace());
        return harmless;
    }
}
