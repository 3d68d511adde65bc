package dev.curfew;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * The revocations of a store, in the order in which they became visible: what a local replica reads (R12.6). A store
 * that has one answers it by {@link TokenStore#feed}.
 */
public interface RevocationFeed {
    /**
     * Tells the sink every revocation of the domain, of all tenants, that was acknowledged before this call began and is
     * not covered by {@code after}. It may tell more, repeat itself, and keep no order. It leaves nothing out, also
     * where transactions commit in another order than they began. It tells nothing that was rolled back. The memory that
     * it takes does not grow with the number of revocations.
     *
     * @param scope the domain; its tenant is of no matter. A call with a position ends by the scope's deadline
     * @param after a position that this method has answered, or {@code null} for all that is revoked now
     * @return the position from which to go on; {@code null} if {@code after} belongs to another history of the data,
     *     as after a failover. Then the caller begins again with {@code null}
     * @throws TokenStoreException if the store fails; {@code after} stays valid
     */
    @Nullable
    String follow(StoreScope scope, @Nullable String after, Sink sink, Instant now);

    /** Whether the caller of this thread's changes can still roll them back, so that others may never see them. */
    default boolean isInTransaction() {
        return false;
    }

    /** Hears of revocations. What it is told twice it takes for one. */
    interface Sink {
        /**
         * A record is revoked or used.
         *
         * @param expiresAt of the record
         */
        void revoked(String tenant, String jti, Instant expiresAt);

        /**
         * A session is revoked (R13.2).
         *
         * @param keptUntil the retention end itself, the skew included
         */
        void sessionRevoked(String tenant, String session, Instant keptUntil);

        /**
         * A subject has a watermark (R4.2).
         *
         * @param keptUntil the retention end itself, the skew included
         */
        void watermark(String tenant, String subject, Instant watermark, Instant keptUntil);
    }
}
