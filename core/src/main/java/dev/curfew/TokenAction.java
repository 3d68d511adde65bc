package dev.curfew;

import java.util.List;

/**
 * The actions of a {@link TokenResource}. Each has a name, which can be changed
 * ({@link TokenResource.Builder#actionName}), and can be intercepted ({@link TokenResource.Builder#intercept}).
 */
public enum TokenAction {
    /** {@link TokenResource#storeToken}: {@code (Token, String purpose [, Map extraData])}. */
    STORE_TOKEN("store_token", "token", "purpose", "extraData"),
    /** {@link TokenResource#getToken}: {@code (String jti | Token [, String purpose])}. */
    GET_TOKEN("get_token", "jti or token", "purpose"),
    /** {@link TokenResource#revokeToken}: {@code (Token)}. */
    REVOKE_TOKEN("revoke_token", "token"),
    /** {@link TokenResource#revokeJti}: {@code (String jti [, Instant expiresAt])}. */
    REVOKE_JTI("revoke_jti", "jti", "expiresAt"),
    /** {@link TokenResource#revokeStoredForSubject}: {@code (String subject, String jti)}. */
    REVOKE_STORED_FOR_SUBJECT("revoke_stored_for_subject", "subject", "jti"),
    /** {@link TokenResource#revokeAllStoredForSubject}: {@code (String subject)}. */
    REVOKE_ALL_STORED_FOR_SUBJECT("revoke_all_stored_for_subject", "subject"),
    /** {@link TokenResource#revokeSubject}: {@code (String subject)}. */
    REVOKE_SUBJECT("revoke_subject", "subject"),
    /** {@link TokenResource#isRevoked}: {@code (String jti | Token | Collection jtis)}. */
    IS_REVOKED("revoked?", "jti, token or jtis"),
    /** {@link TokenResource#check}: {@code (Token [, String purpose])}. */
    CHECK("check", "token", "purpose"),
    /** {@link TokenResource#consume}: {@code (String jti | Token, String purpose)}. */
    CONSUME("consume", "jti or token", "purpose"),
    /** {@link TokenResource#storeConfirmationChanges}: {@code (Token, String purpose, Map changes)}. */
    STORE_CONFIRMATION_CHANGES("store_confirmation_changes", "token", "purpose", "changes"),
    /** {@link TokenResource#getConfirmationChanges}: {@code (Token, String purpose)}. */
    GET_CONFIRMATION_CHANGES("get_confirmation_changes", "token", "purpose"),
    /** {@link TokenResource#consumeConfirmationChanges}: {@code (Token, String purpose)}. */
    CONSUME_CONFIRMATION_CHANGES("consume_confirmation_changes", "token", "purpose"),
    /** {@link TokenResource#inspect}: {@code (String jti)}. */
    INSPECT("inspect", "jti"),
    /** {@link TokenResource#listTokens}: {@code (String subject, Integer limit [, TokenRecord after])}. */
    LIST_TOKENS("list_tokens", "subject", "limit", "after"),
    /** {@link TokenResource#readExpired}: {@code (Integer limit [, TokenRecord after])}. */
    READ_EXPIRED("read_expired", "limit", "after"),
    /** {@link TokenResource#expungeExpired}: {@code ()}. */
    EXPUNGE_EXPIRED("expunge_expired");

    private final String defaultName;

    @SuppressWarnings("ImmutableEnumChecker") // made by List.of
    private final List<String> arguments;

    TokenAction(String defaultName, String... arguments) {
        this.defaultName = defaultName;
        this.arguments = List.of(arguments);
    }

    /** What the argument at this index is, as messages have it. */
    String argument(int index) {
        return index < arguments.size() ? arguments.get(index) : "argument " + (index + 1);
    }

    /** The name of the action where it is not changed. */
    public String defaultName() {
        return defaultName;
    }
}
