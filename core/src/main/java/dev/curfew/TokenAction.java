package dev.curfew;

/**
 * The actions of a {@link TokenResource}. Each has a name, which can be changed
 * ({@link TokenResource.Builder#actionName}), and can be intercepted ({@link TokenResource.Builder#intercept}).
 */
public enum TokenAction {
    /** {@link TokenResource#storeToken}: {@code (Token, String purpose [, Map extraData])}. */
    STORE_TOKEN("store_token"),
    /** {@link TokenResource#getToken}: {@code (String jti | Token [, String purpose])}. */
    GET_TOKEN("get_token"),
    /** {@link TokenResource#revokeToken}: {@code (Token)}. */
    REVOKE_TOKEN("revoke_token"),
    /** {@link TokenResource#revokeJti}: {@code (String jti [, Instant expiresAt])}. */
    REVOKE_JTI("revoke_jti"),
    /** {@link TokenResource#revokeAllStoredForSubject}: {@code (String subject)}. */
    REVOKE_ALL_STORED_FOR_SUBJECT("revoke_all_stored_for_subject"),
    /** {@link TokenResource#revokeSubject}: {@code (String subject)}. */
    REVOKE_SUBJECT("revoke_subject"),
    /** {@link TokenResource#isRevoked}: {@code (String jti | Token | Collection jtis)}. */
    IS_REVOKED("revoked?"),
    /** {@link TokenResource#check}: {@code (Token [, String purpose])}. */
    CHECK("check"),
    /** {@link TokenResource#consume}: {@code (String jti | Token, String purpose)}. */
    CONSUME("consume"),
    /** {@link TokenResource#storeConfirmationChanges}: {@code (Token, String purpose, Map changes)}. */
    STORE_CONFIRMATION_CHANGES("store_confirmation_changes"),
    /** {@link TokenResource#getConfirmationChanges}: {@code (Token, String purpose)}. */
    GET_CONFIRMATION_CHANGES("get_confirmation_changes"),
    /** {@link TokenResource#consumeConfirmationChanges}: {@code (Token, String purpose)}. */
    CONSUME_CONFIRMATION_CHANGES("consume_confirmation_changes"),
    /** {@link TokenResource#inspect}: {@code (String jti)}. */
    INSPECT("inspect"),
    /** {@link TokenResource#listTokens}: {@code (String subject, Integer limit [, TokenRecord after])}. */
    LIST_TOKENS("list_tokens"),
    /** {@link TokenResource#readExpired}: {@code (Integer limit [, TokenRecord after])}. */
    READ_EXPIRED("read_expired"),
    /** {@link TokenResource#expungeExpired}: {@code ()}. */
    EXPUNGE_EXPIRED("expunge_expired");

    private final String defaultName;

    TokenAction(String defaultName) {
        this.defaultName = defaultName;
    }

    /** The name of the action where it is not changed. */
    public String defaultName() {
        return defaultName;
    }
}
