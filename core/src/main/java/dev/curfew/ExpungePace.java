package dev.curfew;

/** How fast {@link TokenResource#expungeExpired(ExpungePace)} goes (R7.2). */
public enum ExpungePace {
    /**
     * So that nobody notices: small batches, which the store answers within some milliseconds, and a rest of four times as
     * long after each, longer while checks are slow. The {@link Expunger} goes like this.
     */
    GENTLE,

    /** For a maintenance window: the largest batches ({@link TokenResource.Builder#expungeBatchSize}), one after another. */
    FULL_SPEED
}
