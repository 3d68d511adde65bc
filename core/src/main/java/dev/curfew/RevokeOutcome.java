package dev.curfew;

/** What {@link TokenResource#revokeToken} and its like did. */
public enum RevokeOutcome {
    /** This call revoked the token: of all concurrent ones, exactly one hears so (R3.1). */
    REVOKED,
    /** It was revoked before. */
    ALREADY_REVOKED,
    /** The token is past its retention end, so that no verifier accepts it any more; nothing was stored (R3.7). */
    EXPIRED,
    /** Nothing of that jti is stored for that subject; only {@link TokenResource#revokeStoredForSubject} says so. */
    UNKNOWN
}
