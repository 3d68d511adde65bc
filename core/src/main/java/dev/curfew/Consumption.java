package dev.curfew;

/** What {@link TokenResource#consume} answers: the record, to exactly one caller, or why not. */
public sealed interface Consumption {

    /**
     * This caller, and no other, has used the token.
     *
     * @param record the record as it is from now on, its {@code revokedAt} set
     */
    record Consumed(TokenRecord record) implements Consumption {}

    /** Why nothing was consumed. */
    enum Refused implements Consumption {
        /** It is used, or was revoked. */
        ALREADY_USED,
        /** It is past its expiry. */
        EXPIRED,
        /** No such token is stored for this purpose. */
        UNKNOWN
    }
}
