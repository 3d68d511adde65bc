package dev.curfew.spring;

import dev.curfew.CurfewException;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.springframework.boot.diagnostics.FailureAnalyzer;

/** Says what to do where the application does not start because of its token store. */
final class CurfewFailureAnalyzer implements FailureAnalyzer {
    @Override
    public @Nullable FailureAnalysis analyze(Throwable failure) {
        for (Throwable each = failure; each != null; each = each.getCause()) {
            if (each instanceof StoreChoice.Failure choice) {
                return new FailureAnalysis(choice.getMessage(), choice.action, each);
            } else if (each instanceof CurfewException) {
                boolean lacksTables = String.valueOf(each.getMessage()).contains("JdbcTokenStore.createSchema");
                return new FailureAnalysis(each.getMessage(), lacksTables ? TABLES : OTHER, each);
            }
        }
        return null;
    }

    private static final String TABLES = "Set curfew.jdbc.initialize-schema=always, or let Flyway or Liquibase run"
            + " META-INF/curfew/postgresql.sql of curfew-store-jdbc, with the name of the domain.";
    private static final String OTHER = "Correct the properties 'curfew.…', or start the server of the store.";
}
