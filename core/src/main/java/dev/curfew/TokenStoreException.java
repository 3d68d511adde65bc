package dev.curfew;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The store could not be opened, or failed, or did not answer in time. {@link #outcome} says what is known of the action.
 * Storing and revoking may be repeated. The answer of a repeated {@link TokenResource#consume} may be the success of the
 * first attempt.
 */
public final class TokenStoreException extends CurfewException {
    private static final long serialVersionUID = 2;

    private final Outcome outcome;

    /** What is known of the action that failed. */
    public enum Outcome {
        /** The store has not applied the action. */
        UNCHANGED,
        /** The store may have applied the action. */
        UNKNOWN,
        /** The store has applied the action, and not yet replicated it as far as it was told to (R8.5). */
        APPLIED_NOT_REPLICATED
    }

    /**
     * Thrown by stores where it is not known whether the action was applied.
     *
     * @param message what happened, to what, and what to do; no jti, subject, extra data, password or URL credential
     */
    public TokenStoreException(String message) {
        this(Outcome.UNKNOWN, message, null);
    }

    /**
     * Thrown by stores where it is not known whether the action was applied.
     *
     * @param message what happened, to what, and what to do; no jti, subject, extra data, password or URL credential
     * @param cause what the driver threw, or {@code null} where that would tell a secret
     */
    public TokenStoreException(String message, @Nullable Throwable cause) {
        this(Outcome.UNKNOWN, message, cause);
    }

    /**
     * Thrown by stores.
     *
     * @param outcome what is known of the action
     * @param message what happened, to what, and what to do; no jti, subject, extra data, password or URL credential
     * @param cause what the driver threw, or {@code null} where that would tell a secret
     */
    public TokenStoreException(Outcome outcome, String message, @Nullable Throwable cause) {
        super(message, cause);
        this.outcome = Objects.requireNonNull(outcome, "outcome");
    }

    /** What is known of the action: whether the store has applied it. */
    public Outcome outcome() {
        return outcome;
    }
}
