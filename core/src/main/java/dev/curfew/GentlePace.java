package dev.curfew;

/**
 * How large the next batch of a clean-up is, and how long the clean-up rests before it, so that nobody notices (R7.2). A
 * pace belongs to one run. All times are in nanoseconds, and were measured by {@link Deadline#reading}.
 */
final class GentlePace {
    private static final long MILLISECOND = 1_000_000;
    private static final int FIRST_SIZE = 100;
    private static final long BATCH_GOAL = 2 * MILLISECOND;
    // The store spends a fifth of its time on the clean-up.
    private static final int RESTS_PER_BATCH = 4;
    private static final long FIRST_EXTRA = 10 * MILLISECOND;
    private static final long LONGEST_EXTRA = 1_000 * MILLISECOND;

    private final int smallest;
    private final int largest;
    private int size;
    private long usualCheck = -1;
    private long fastestCheck;
    private long extraRest;

    /** Begins with small batches. The largest of all has so many records. */
    GentlePace(int largest) {
        this.largest = largest;
        this.smallest = Math.min(FIRST_SIZE, largest);
        this.size = smallest;
    }

    /** How many records the next batch has at most. */
    int size() {
        return size;
    }

    /**
     * How long to rest after a full batch that took so long: four times as long as the store worked on it. That is less than
     * the call took, by about as much as the fastest check took: the way to the store. The next batch is at most twice as large, or half as large.
     */
    long restAfterBatch(long took) {
        long work = Math.max(took / 4, took - fastestCheck);
        double factor = Math.min(2, Math.max(0.5, (double) BATCH_GOAL / Math.max(1, work)));
        size = (int) Math.min(largest, Math.max(smallest, Math.round(size * factor)));
        return work * RESTS_PER_BATCH;
    }

    /**
     * How long to rest in addition, after a check that took so long: nothing, or longer with each slow check in a row. What is
     * usual follows the checks, and sinks faster than it rises. So a load that stays becomes usual, and does not stop the
     * clean-up for ever.
     */
    long restAfterCheck(long took) {
        if (usualCheck < 0) {
            usualCheck = took;
            fastestCheck = took;
        }
        fastestCheck = Math.min(fastestCheck, took);
        boolean isSlow = took > 2 * usualCheck + MILLISECOND;
        usualCheck += (took - usualCheck) / (took < usualCheck ? 4 : 64);
        extraRest = isSlow ? Math.min(LONGEST_EXTRA, Math.max(FIRST_EXTRA, 2 * extraRest)) : 0;
        return extraRest;
    }
}
