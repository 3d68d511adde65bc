package dev.curfew.benchmarks;

import java.util.List;

/**
 * Who is measured: Curfew on a store, the least that the bare client must do for the same answer (the limit), or what
 * people use today (a peer). One that has no such action is never asked for it.
 */
interface Target extends AutoCloseable {
    /** On the server of {@link Servers}, which {@link Load} has filled; in memory, it fills itself. */
    static Target open(String store, String who, Clients clients, int records) {
        if (who.equals("curfew")) {
            return CurfewTarget.open(store, clients, records);
        }
        return switch (store) {
            case "memory" -> new MemoryLimit(records);
            case "redis" -> RedisTargets.open(who, clients.redis(), records);
            case "postgresql" -> PostgresTargets.open(who, clients, records);
            default -> new MongoLimit(clients.mongo(), records);
        };
    }

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

    private IllegalStateException missing(String action) {
        return new IllegalStateException(getClass().getSimpleName() + " has no action " + action);
    }

    @Override
    void close();
}
