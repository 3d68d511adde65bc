package dev.curfew;

import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/** Time as the contract has it (R1): milliseconds, one predicate, and a last day. */
final class Times {
    /** Until when a revocation is kept that nothing else limits (R3.5). */
    static final Instant FOREVER = Instant.parse("9999-12-31T00:00:00Z");

    private static final Instant FIRST = Instant.parse("0000-01-01T00:00:00Z");
    private static final Instant LAST = Instant.parse("9999-12-31T23:59:59.999Z");

    private Times() {}

    /** The one predicate: live while {@code now < expiresAt} (R1.1; RFC 7519 section 4.1.4). */
    static boolean isLive(Instant expiresAt, Instant now) {
        return now.isBefore(expiresAt);
    }

    static Instant roundedDown(String field, Instant instant) {
        return inRange(field, instant).truncatedTo(ChronoUnit.MILLIS);
    }

    static Instant roundedUp(String field, Instant instant) {
        Instant down = roundedDown(field, instant);
        return down.equals(instant) ? down : inRange(field, down.plusMillis(1));
    }

    /** The later end of a lifetime that starts now; a long one ends at {@link #FOREVER}. */
    static Instant after(Instant now, Duration lifetime) {
        // By seconds: Duration.between throws and catches what no nanoseconds can count, and takes 10 microseconds for
        // it.
        if (lifetime.toSeconds() >= FOREVER.getEpochSecond() - now.getEpochSecond()) {
            return FOREVER;
        }
        Instant end = roundedUp("now", now.plus(lifetime));
        return end.isAfter(FOREVER) ? FOREVER : end;
    }

    static Instant inRange(String field, Instant instant) {
        Limits.present(field, instant);
        if (instant.isBefore(FIRST) || instant.isAfter(LAST)) {
            throw new IllegalArgumentException(field + " must lie in the years 0 to 9999");
        }
        return instant;
    }
}
