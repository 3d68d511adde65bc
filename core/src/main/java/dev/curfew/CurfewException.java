package dev.curfew;

import org.jspecify.annotations.Nullable;

/** The root of Curfew's own exceptions; no message of theirs contains a jti, a subject or extra data. */
public abstract class CurfewException extends RuntimeException {
    private static final long serialVersionUID = 1;

    CurfewException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
