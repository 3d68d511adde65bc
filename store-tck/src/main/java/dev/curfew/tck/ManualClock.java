package dev.curfew.tck;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;

/** Time that stands still until a test moves it. */
public final class ManualClock implements InstantSource {
    private volatile Instant now;

    /** A clock that stands at {@code now}. */
    public ManualClock(Instant now) {
        this.now = now;
    }

    @Override
    public Instant instant() {
        return now;
    }

    /** Moves time to {@code to}, forwards or back. */
    public void set(Instant to) {
        now = to;
    }

    /** Moves time on. */
    public void advance(Duration by) {
        now = now.plus(by);
    }
}
