package dev.curfew;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A store whose server removes records past their retention end by itself. Its {@link #readExpired} may answer an empty
 * page and its {@link #expunge} may have nothing to do (R7.7); the kit then looks at the server's own deadlines.
 */
public interface SelfExpiringTokenStore extends TokenStore {

    /**
     * When the server will remove the record by itself: later than its retention end by the skew at the least, so that a
     * clock that is ahead by as much removes nothing early (R1.4).
     *
     * @return the time by the clock that {@code now} was read from, or {@code null} if there is no such record
     */
    @Nullable
    Instant removalTime(StoreScope scope, String jti, Instant now);

    /**
     * When the server will remove the subject's watermark by itself: at the time that it is kept until, or later.
     *
     * @return the time by the clock that {@code now} was read from, or {@code null} if there is no watermark
     */
    @Nullable
    Instant watermarkRemovalTime(StoreScope scope, String subject, Instant now);
}
