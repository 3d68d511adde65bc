package dev.curfew;

/**
 * A token was stored under a jti that already belongs to another subject (R2.3); nothing was changed. Either ids are
 * not unique, or somebody presents a token that is not theirs: refuse it.
 */
public final class SubjectMismatchException extends CurfewException {
    private static final long serialVersionUID = 1;

    /** Thrown by stores. */
    public SubjectMismatchException() {
        super("A record with this jti exists and belongs to another subject; nothing was changed", null);
    }
}
