package dev.curfew.tck;

/** A test that looks at many rules found this one broken. */
final class RuleViolation extends AssertionError {
    private static final long serialVersionUID = 1;

    private final String rule;

    RuleViolation(String rule, String message) {
        super(rule + ": " + message);
        this.rule = rule;
    }

    RuleViolation(String rule, String message, Throwable cause) {
        super(rule + ": " + message, cause);
        this.rule = rule;
    }

    /** The rule, as {@code R3.2}. */
    String rule() {
        return rule;
    }
}
