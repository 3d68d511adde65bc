package dev.curfew;

/** What {@link TokenResource#storeToken} did. */
public enum StoreOutcome {
    /** The record was inserted or updated. */
    STORED,
    /** The token is revoked; nothing was changed (R2.2). */
    REVOKED,
    /** The token is past its expiry; nothing was changed (R2.4). */
    EXPIRED
}
