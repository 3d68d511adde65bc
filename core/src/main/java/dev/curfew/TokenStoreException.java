package dev.curfew;

import org.jspecify.annotations.Nullable;

/**
 * The store could not be opened, or failed, or did not answer in time. Whether the action was applied is not known
 * unless the message says so: storing and revoking may be repeated, the answer of a repeated
 * {@link TokenResource#consume} may be that of the first attempt's success.
 */
public final class TokenStoreException extends CurfewException {
    private static final long serialVersionUID = 1;

    /**
     * Thrown by stores.
     *
     * @param message what happened, to what, and what to do; no jti, subject, extra data, password or URL credential
     */
    public TokenStoreException(String message) {
        super(message, null);
    }

    /**
     * Thrown by stores.
     *
     * @param message what happened, to what, and what to do; no jti, subject, extra data, password or URL credential
     * @param cause what the driver threw, or {@code null} where that would tell a secret
     */
    public TokenStoreException(String message, @Nullable Throwable cause) {
        super(message, cause);
    }
}
