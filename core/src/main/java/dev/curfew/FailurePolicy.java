package dev.curfew;

/** What {@link TokenResource#isRevoked} and {@link TokenResource#check} answer while the store fails (R8.1, R8.9). */
public enum FailurePolicy {
    /**
     * {@link TokenStatus#UNAVAILABLE}, and "revoked" where the answer is a boolean: nobody gets in on a token that could not
     * be checked. The default.
     */
    DENY,
    /** Throw the {@link TokenStoreException}, for a caller that decides by itself. */
    THROW,
    /**
     * "Not revoked", and present where presence is required: whoever breaks the store, breaks the revocations. An expired
     * token stays expired. For where being available matters more.
     */
    ALLOW
}
