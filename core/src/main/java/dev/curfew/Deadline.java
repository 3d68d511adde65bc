package dev.curfew;

import java.time.Duration;

/**
 * The end of the time that a call may take (R8.3), for stores. A deadline measures how much time has passed. It does not
 * say what time it is, and no change of a clock moves it (R1.2).
 */
public final class Deadline {
    private final long end;

    private Deadline(long end) {
        this.end = end;
    }

    /** A deadline that begins now. A length of more than 146 years counts as 146 years. */
    public static Deadline after(Duration length) {
        long nanos;
        try {
            nanos = length.toNanos();
        } catch (ArithmeticException e) {
            nanos = Long.MAX_VALUE;
        }
        // Half of the range of a long, so that a difference of two readings cannot overflow.
        return new Deadline(System.nanoTime() + Math.min(nanos, Long.MAX_VALUE / 2));
    }

    /** A reading in nanoseconds, which means something only beside another one: the difference is the time that passed. */
    static long reading() {
        return System.nanoTime();
    }

    /** How many nanoseconds are left; zero or negative once the deadline has passed. */
    public long remainingNanos() {
        return end - System.nanoTime();
    }

    /** How many milliseconds are left, rounded up; zero or negative once the deadline has passed. */
    public long remainingMillis() {
        return -Math.floorDiv(-remainingNanos(), 1_000_000L);
    }

    /** Whether the deadline has passed. */
    public boolean isOver() {
        return remainingNanos() <= 0;
    }
}
