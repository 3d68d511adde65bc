package dev.curfew.spring;

import dev.curfew.CurfewException;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.springframework.boot.diagnostics.FailureAnalyzer;

/** Says what to do where the application does not start because of its token store. */
final class CurfewFailureAnalyzer implements FailureAnalyzer {
    private static final int LONGEST_CHAIN = 50;

    @Override
    public @org.jspecify.annotations.Nullable FailureAnalysis analyze(Throwable failure) {
        Throwable each = failure;
        for (int i = 0; each != null && i < LONGEST_CHAIN; i++, each = each.getCause()) {
            if (each instanceof StoreChoiceException choice) {
                return new FailureAnalysis(choice.getMessage(), choice.action(), each);
            } else if (each instanceof CurfewException) {
                String message = String.valueOf(each.getMessage());
                return new FailureAnalysis(message, action(message), each);
            }
        }
        return null;
    }

    private static String action(String message) {
        return message.contains("JdbcTokenStore.createSchema")
                ? "Set curfew.jdbc.initialize-schema=always, or let Flyway or Liquibase run META-INF/curfew/postgresql.sql"
                        + " of curfew-store-jdbc, with the name of the domain."
                : "Correct the properties 'curfew.…', or start the server of the store.";
    }
}
