package dev.curfew;

import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A record, a watermark and whether a session is revoked: facts, read at one moment or in one round trip; the core decides.
 *
 * @param record the record, or {@code null}; its extra data may be left out
 * @param watermark the subject's watermark (R4.2), or {@code null}
 * @param isSessionRevoked whether the session that was asked for is revoked (R13.2); false where none was
 */
public record StoredState(
        @Nullable TokenRecord record, @Nullable Instant watermark, boolean isSessionRevoked) {

    /** No record, no watermark, and no revoked session. */
    public static final StoredState NOTHING = new StoredState(null, null, false);

    /** Whether a token is revoked, by its record, its session or its subject's watermark. */
    boolean isRevoked(Token token, Instant now, Duration issuerSkew, Duration clockSkew) {
        return isSessionRevoked
                || (record != null && record.isRevoked())
                || isCovered(watermark, issuedAt(token), now, issuerSkew, clockSkew);
    }

    /** The record's time of issue, if the token has a whole second, and the record a finer time within it (R4.4). */
    private @Nullable Instant issuedAt(Token token) {
        Instant told = token.issuedAt();
        Instant stored = record != null && token.subject().equals(record.subject()) ? record.issuedAt() : null;
        boolean isFiner = told != null
                && told.getNano() == 0
                && stored != null
                && stored.getEpochSecond() == told.getEpochSecond();
        return isFiner ? stored : told;
    }

    /** Whether a record with a finer time of issue may show that a covered token was issued after the watermark (R4.4). */
    static boolean mayRecordDecide(Instant watermark, @Nullable Instant issuedAt, Duration issuerSkew) {
        return issuedAt != null
                && issuedAt.getNano() == 0
                && issuedAt.getEpochSecond() == watermark.plus(issuerSkew).getEpochSecond();
    }

    /**
     * Whether a watermark revokes a token that was issued at this time (R4.2 to R4.4). A whole second may stand for any time
     * within it, and the issuer's clock may be ahead. In doubt the token is revoked.
     */
    static boolean isCovered(
            @Nullable Instant watermark,
            @Nullable Instant issuedAt,
            Instant now,
            Duration issuerSkew,
            Duration clockSkew) {
        if (watermark == null) {
            return false;
        }
        // A time of issue in the future says nothing (R4.3): any watermark could be put behind it.
        Duration ahead = issuerSkew.compareTo(clockSkew) > 0 ? issuerSkew : clockSkew;
        if (issuedAt == null || issuedAt.isAfter(now.plus(ahead))) {
            return true;
        }
        Instant latest = watermark.plus(issuerSkew);
        return issuedAt.getNano() == 0
                ? issuedAt.getEpochSecond() <= latest.getEpochSecond()
                : !issuedAt.isAfter(latest);
    }
}
