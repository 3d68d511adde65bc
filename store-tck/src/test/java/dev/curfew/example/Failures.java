package dev.curfew.example;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.sql.SQLException;
import java.util.concurrent.Callable;

/** How a store on a database tells the core that its driver failed. */
final class Failures {
    private Failures() {}

    static <T> T asking(String verb, Callable<T> statement) {
        try {
            return statement.call();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TokenStoreException(Outcome.UNKNOWN, verb + " was interrupted; it may have been applied", e);
        } catch (SQLException e) {
            boolean refused = e.getSQLState() != null && e.getSQLState().startsWith("08001");
            throw new TokenStoreException(
                    refused ? Outcome.UNCHANGED : Outcome.UNKNOWN,
                    refused
                            ? "The database refused the connection, and nothing was changed. Check that it runs"
                            : verb + " may have been applied, and may not: the database did not say. Ask again",
                    e);
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new TokenStoreException(verb + " failed", e);
        }
    }
}
