package dev.curfew.reliability;

import java.util.Locale;

/** What is done to a store, and counted. */
enum Activity {
    LOAD(2, 0),
    KILLS(6, 1_000),
    FAILOVERS(6, 100),
    /** Failovers in which the killed server is back before all sentinels know that it was replaced. */
    RETURNS(1, 20),
    CONSUMPTIONS(3, 1_000_000),
    ROTATIONS(2, 100_000),
    MODEL(3, 10_000_000),
    HOSTILE(1, 10_000);

    /** Its share of the time of a part. */
    final int weight;

    /** When it has been done often enough; 0 if there is no such number. */
    final long target;

    Activity(int weight, long target) {
        this.weight = weight;
        this.target = target;
    }

    /** The name of its count, and in the property {@code soak.activities}. */
    String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    boolean isFor(String store) {
        return switch (this) {
            case LOAD -> store.equals("memory");
            case KILLS -> !store.equals("memory");
            // What stands in for MongoDB has no replicas.
            case RETURNS -> store.equals("redis");
            case FAILOVERS -> store.equals("redis") || store.equals("postgresql");
            default -> true;
        };
    }
}
