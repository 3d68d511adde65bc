package dev.curfew.benchmarks;

import java.util.List;

/**
 * Who is measured: Curfew on a store, the least that the bare client must do for the same answer (the limit), or what
 * people use today (a peer). One that has no such action is never asked for it.
 */
interface Target extends AutoCloseable {
    /** Whether a jti is revoked. */
    default Object isRevoked(String jti) {
        throw missing("isRevoked");
    }

    /** Which of the jtis are revoked. */
    default Object revoked(List<String> jtis) {
        throw missing("revoked");
    }

    /** Whether a token is revoked, by itself or by its subject's watermark. */
    default Object check(String jti, String subject) {
        throw missing("check");
    }

    /** All that is stored of a token. */
    default Object find(String jti) {
        throw missing("find");
    }

    /** Stores a token that is not there yet. */
    default Object store(String jti) {
        throw missing("store");
    }

    /** Revokes a token that is not there yet. */
    default Object revoke(String jti) {
        throw missing("revoke");
    }

    /** Uses a token, once. */
    default Object consume(String jti) {
        throw missing("consume");
    }

    /** Stores what is to be used, however that is fastest. */
    default void prepareUse(String[] jtis) {
        for (String jti : jtis) {
            store(jti);
        }
    }

    private IllegalStateException missing(String action) {
        return new IllegalStateException(getClass().getSimpleName() + " has no action " + action);
    }

    @Override
    void close();
}
