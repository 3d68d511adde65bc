package dev.curfew;

/**
 * What a check does when the local replica is older than its bound. While the replica reads everything, at the start and
 * after a failover of the store, checks ask the store in any case.
 */
public enum WhenStale {
    /** Asks the store, as without a replica. */
    ASK,
    /** Denies: {@code check} answers UNAVAILABLE, and {@code isRevoked} answers true. This spares the store. */
    DENY
}
