package dev.curfew.memory;

import com.github.benmanes.caffeine.cache.Ticker;
import java.time.Instant;
import java.util.concurrent.TimeUnit;

/**
 * The time by which Caffeine drops entries. It is a count of nanoseconds that goes on by itself, and not the clock of the
 * calls. The time that an entry is kept is counted from the {@code now} of the call that makes the entry. So a clock that
 * jumps drops nothing (R1.6).
 *
 * <p>An entry that is made while the clock is ahead would be kept for too short a time. When the clock is put right, this
 * time is set back by as much as the clock was ahead. Every entry is then kept for so much longer, which does no harm.
 */
final class RetentionTicker implements Ticker {
    private final Ticker nanoseconds;
    private volatile long seen = Long.MIN_VALUE;
    private volatile long setBackNanos;
    private long furthestAhead = Long.MIN_VALUE;

    RetentionTicker(Ticker nanoseconds) {
        this.nanoseconds = nanoseconds;
    }

    @Override
    public long read() {
        return nanoseconds.read() - setBackNanos;
    }

    /** Learns what the clock of a call says. */
    void observe(Instant now) {
        long millis = now.toEpochMilli();
        if (millis != seen) {
            compare(millis);
        }
    }

    private synchronized void compare(long millis) {
        seen = millis;
        long ahead = millis - TimeUnit.NANOSECONDS.toMillis(nanoseconds.read());
        furthestAhead = Math.max(furthestAhead, ahead);
        setBackNanos = Math.max(setBackNanos, TimeUnit.MILLISECONDS.toNanos(furthestAhead - ahead));
    }
}
