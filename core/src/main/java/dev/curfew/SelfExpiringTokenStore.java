package dev.curfew;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A store whose server removes records past their retention end by itself. Its {@link #readExpired} may answer an empty
 * page and its {@link #expunge} may have nothing to do (R7.7); the kit then looks at the server's own deadlines.
 */
public interface SelfExpiringTokenStore extends TokenStore {

    /**
     * When the server will remove the record by itself: at its retention end or later, never before.
     *
     * @return the time by the clock that {@code now} was read from, or {@code null} if there is no such record
     */
    @Nullable
    Instant removalTime(StoreScope scope, String jti, Instant now);
}
