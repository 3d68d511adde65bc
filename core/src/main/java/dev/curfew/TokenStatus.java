package dev.curfew;

/** What {@link TokenResource#check} says of a token; only {@link #ACTIVE} is to be accepted. */
public enum TokenStatus {
    /** Nothing is known against it. */
    ACTIVE,
    /** It is revoked, by itself or through its subject; this answer goes before all others. */
    REVOKED,
    /** It is past its expiry. */
    EXPIRED,
    /** Presence is required, and no live record of this jti, subject and purpose exists. */
    UNKNOWN,
    /**
     * The store could not be asked, and {@link FailurePolicy#DENY} is set (R8.1): answer "try again later" (HTTP 503), not
     * "log in again".
     */
    UNAVAILABLE
}
