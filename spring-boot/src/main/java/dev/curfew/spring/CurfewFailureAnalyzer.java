package dev.curfew.spring;

import dev.curfew.CurfewException;
import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/** Says what to do where the application does not start because of its token store: the last sentence of the message. */
final class CurfewFailureAnalyzer extends AbstractFailureAnalyzer<CurfewException> {
    @Override
    protected FailureAnalysis analyze(Throwable root, CurfewException cause) {
        String message = String.valueOf(cause.getMessage());
        String tables = message.contains("JdbcTokenStore.createSchema")
                ? "Set curfew.jdbc.initialize-schema=always, or let Flyway or Liquibase make the tables. "
                : "";
        String lastSentence = message.substring(message.lastIndexOf(". ") + 1).strip();
        return new FailureAnalysis(message, tables + lastSentence, cause);
    }
}
