package dev.curfew.spring;

/** The store could not be chosen: none, several, or one whose bean is missing. */
final class StoreChoiceException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final String action;

    StoreChoiceException(String description, String action) {
        super(description + " " + action);
        this.action = action;
    }

    String action() {
        return action;
    }
}
