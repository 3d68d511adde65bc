package dev.curfew.examples;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;

/** A clock that stands still until somebody moves it: a quarter of an hour passes without anybody waiting. */
final class HandClock implements InstantSource {
    private volatile Instant now;

    HandClock(Instant start) {
        now = start;
    }

    @Override
    public Instant instant() {
        return now;
    }

    void moveTo(Instant instant) {
        now = instant;
    }

    void moveBy(Duration duration) {
        now = now.plus(duration);
    }
}
