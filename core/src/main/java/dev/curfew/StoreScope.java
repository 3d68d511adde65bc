package dev.curfew;

import java.time.Duration;
import java.time.Instant;

/**
 * Where a record lives and by what terms: the first argument of every verb of a {@link TokenStore}. There is one for
 * each tenant of a {@link TokenResource}, made once.
 *
 * @param domain the token resource: its own table, collection or key prefix; 1 to 64 bytes without control characters
 * @param tenant the partition inside the domain, "" by default; at most 128 bytes without control characters
 * @param skew the greatest leeway that any verifier grants: records are kept so much longer than they are live
 * @param deadline how long a call may take, from the call to its answer or its {@link TokenStoreException}
 */
public record StoreScope(String domain, String tenant, Duration skew, Duration deadline) {
    static final Duration LONGEST = Duration.ofDays(1);

    /**
     * Checks the limits, and rounds the skew up to milliseconds.
     *
     * @throws IllegalArgumentException if a name is outside its limits, or the skew or the deadline negative or longer
     *     than a day
     */
    public StoreScope {
        Limits.domain(domain);
        Limits.tenant(tenant);
        if (Limits.present("skew", skew).isNegative() || skew.compareTo(LONGEST) > 0) {
            throw new IllegalArgumentException("clockSkew must not be negative, nor longer than a day");
        }
        skew = Duration.ofMillis(skew.plusNanos(999_999).toMillis());
        if (isOutOfRange(Limits.present("deadline", deadline))) {
            throw new IllegalArgumentException("callDeadline must be at least a millisecond, and at most a day");
        }
    }

    /** From when on a record may be removed: {@code expiresAt + skew} (R1.4). */
    public Instant retentionEnd(Instant expiresAt) {
        return Limits.present("expiresAt", expiresAt).plus(skew);
    }

    /** Whether what expires then may be removed: {@code now} is at its retention end or past it. */
    public boolean isPastRetention(Instant expiresAt, Instant now) {
        return !Times.isLive(retentionEnd(expiresAt), Limits.present("now", now));
    }

    static boolean isOutOfRange(Duration deadline) {
        return deadline.compareTo(Duration.ofMillis(1)) < 0 || deadline.compareTo(LONGEST) > 0;
    }

    StoreScope withDeadline(Duration other) {
        return new StoreScope(domain, tenant, skew, other);
    }

    StoreScope forTenant(String other) {
        return new StoreScope(domain, other, skew, deadline);
    }
}
