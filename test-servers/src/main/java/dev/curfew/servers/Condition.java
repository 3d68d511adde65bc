package dev.curfew.servers;

import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/** What has to come true before a server is of use. */
final class Condition {
    private static final long MINUTE = 60_000_000_000L;

    private Condition() {}

    /** Waits for it, for a minute at most. */
    static void await(String what, BooleanSupplier condition) {
        long end = System.nanoTime() + MINUTE;
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() - end > 0) {
                throw new IllegalStateException("This did not come true within a minute: " + what);
            }
            LockSupport.parkNanos(20_000_000);
        }
    }
}
