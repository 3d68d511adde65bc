package dev.curfew.spring;

import dev.curfew.CurfewException;
import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/** Says what to do where the application does not start because of its token store: the last sentence of the message. */
final class CurfewFailureAnalyzer extends AbstractFailureAnalyzer<CurfewException> {
    @Override
    protected FailureAnalysis analyze(Throwable root, CurfewException cause) {
        String message = String.valueOf(cause.getMessage()).replace(". Nothing was changed", "");
        String ofSpring = message.contains("JdbcTokenStore.createSchema")
                ? "Set curfew.jdbc.initialize-schema=always, or let Flyway or Liquibase make the tables. "
                : message.contains("No store is named")
                        ? "Add Spring's starter for the driver of your store and its connection, or set curfew.url:"
                                + " memory: where the memory of this process is meant. "
                        : "";
        String lastSentence = message.substring(message.lastIndexOf(". ") + 1).strip();
        return new FailureAnalysis(message, ofSpring + lastSentence, cause);
    }
}
