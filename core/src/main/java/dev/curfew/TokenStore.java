package dev.curfew;

import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Where records live: the SPI that a store's author implements, and tests with the compatibility kit.
 *
 * <p>Every verb is atomic: one statement, one script, one map operation. None asks a clock: {@code now} is an argument,
 * in whole milliseconds. Every verb ends within {@link StoreScope#deadline}, by the driver's own means. What fails
 * throws {@link TokenStoreException} and has done nothing or all of it; it tells no jti, subject or extra data. An
 * {@link IllegalStateException} says that the store is closed, and nothing else.
 * Arguments have been checked (R9.1). A record past its retention end is garbage: a verb treats it as it finds it,
 * there or gone. A store is safe for use by many threads, and serves any number of domains and tenants, which never see
 * each other's records.
 */
public interface TokenStore extends AutoCloseable {

    /**
     * Makes ready for a domain, when a resource for it is built: checks a schema, probes a server. Does nothing by
     * default.
     *
     * @throws TokenStoreException if the store cannot serve this domain; the message says what to do
     */
    default void prepare(StoreScope scope) {}

    /**
     * The time by the clock of the store's server, read no earlier than this call; {@code null}, the default, where there is
     * no server, or where no clock but the server's own removes a record. The core asks for it before a clean-up by the
     * system's clock: a node that is ahead of the server by more than the skew removes nothing (R7.8).
     *
     * @throws TokenStoreException if the server cannot be asked
     */
    default @Nullable Instant serverTime(StoreScope scope) {
        return null;
    }

    /**
     * Inserts a record, or replaces all of an unrevoked one but its {@code createdAt} (R2.1).
     *
     * @param record {@code createdAt} and {@code updatedAt} are {@code now}, {@code revokedAt} is null
     * @return STORED, or REVOKED where the stored record is revoked and stays as it is (R2.2)
     * @throws SubjectMismatchException if the stored record, revoked or not, has another subject; a record without
     *     a subject has no other (R2.3)
     */
    StoreOutcome store(StoreScope scope, TokenRecord record, Instant now);

    /**
     * The record, whatever its state, with its extra data (R2.7), and the watermark of its subject. The watermark may be left
     * out where the record is expired or revoked.
     */
    StoredState find(StoreScope scope, String jti, Instant now);

    /** Whether a revoked record is there, expired or not (R3.6): the hottest path, with nothing else looked up. */
    boolean isRevoked(StoreScope scope, String jti, Instant now);

    /** Those of the jtis that {@link #isRevoked}, in one round trip to each server (R3.9). */
    Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now);

    /**
     * What bears on a check of a token of this jti, subject and session, in one round trip (R3.8, R13.3).
     *
     * @param session the token's session, or {@code null}; without one the call costs no more than if there were no sessions
     */
    StoredState state(StoreScope scope, String jti, String subject, @Nullable String session, Instant now);

    /**
     * Revokes: inserts {@code revocation} where nothing is stored; else sets {@code revokedAt} of the stored record, if
     * it has none, and raises its {@code expiresAt} to {@code keepUntil}, if it is earlier. The rest of a stored record
     * stays, also its subject and its successor (R3.1 to R3.5, R3.10). What {@link TokenRecord#revoked} does.
     *
     * @param keepUntil until when the revocation must be kept, whatever is stored; {@code EPOCH} keeps the stored expiry
     * @return REVOKED to exactly one of all concurrent callers, ALREADY_REVOKED to the others
     */
    RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now);

    /**
     * Sets {@code revokedAt} of a live, unrevoked record of this purpose, and answers it to exactly one caller (R5.1).
     * A record of another purpose, or of another subject than one that is given, is UNKNOWN, whatever its state (R5.2);
     * a used or revoked one is ALREADY_USED, before and after its expiry; an expired one EXPIRED.
     *
     * @param subject whose record it must be, or {@code null} where only the jti is known
     * @param successor kept as {@link TokenRecord#successor} of the record that is used; or {@code null}
     * @return with the watermark of the record's subject, read no earlier than this call, where the record was consumed
     */
    Watermarked<Consumption> consume(
            StoreScope scope,
            String jti,
            @Nullable String subject,
            String purpose,
            @Nullable String successor,
            Instant now);

    /**
     * Sets the subject's watermark, in O(1) writes, unless a later one stands; it stays until {@code keepUntil} at the
     * least, and an earlier end never shortens a later one (R4.2). The latest watermark and the latest end win, each by
     * itself: an earlier watermark with a later end raises the end alone.
     *
     * @param subject also the empty one, under which the core keeps the domain's largest skew (R1.7)
     * @param keepUntil the end itself, to the millisecond, the skew included: from then on the watermark is garbage
     */
    void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now);

    /**
     * Revokes a session, in O(1) writes: from now on {@link #state} and {@link #revokedSessions} say so, until
     * {@code keepUntil} at the least. A later end that was given before stays (R13.2). Sessions are apart from jtis and
     * subjects of the same name.
     *
     * @param keepUntil the end itself, to the millisecond, the skew included: from then on the revocation is garbage
     * @return REVOKED to exactly one of all concurrent callers, ALREADY_REVOKED to the others
     */
    RevokeOutcome revokeSession(StoreScope scope, String session, Instant keepUntil, Instant now);

    /** Those of the sessions that are revoked, in one round trip to each server. */
    Set<String> revokedSessions(StoreScope scope, Collection<String> sessions, Instant now);

    /**
     * Revokes at most {@code limit} live, unrevoked records of the subject, and answers how many: fewer only when there
     * were no more (R4.1).
     */
    int revokeStored(StoreScope scope, String subject, int limit, Instant now);

    /**
     * A page of the subject's live, unrevoked records, in the order of {@link TokenRecord#BY_EXPIRY} (R2.7): {@code limit}
     * of them, or fewer where there are no more; whether the subject's watermark covers them or not.
     *
     * @param after the last record of the page before, or {@code null} for the first page
     * @return with the subject's watermark
     */
    Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now);

    /**
     * A page of the tenant's records past their retention end, in the order of {@link TokenRecord#BY_EXPIRY} (R7.1):
     * {@code limit} of them, or fewer where there are no more.
     *
     * @param after the last record of the page before, or {@code null} for the first page
     */
    List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now);

    /**
     * Removes at most {@code limit} records, watermarks and revoked sessions of the domain, of all its tenants, that are past their
     * retention end, earliest first, in a transaction of its own, and answers how many (R7.2). Any number of nodes may
     * do so at once (R7.3): one that finds another at it may leave it to that, and answer 0.
     */
    int expunge(StoreScope scope, int limit, Instant now);

    /**
     * The store's revocations as a feed, for a local replica of them (R12).
     *
     * @throws IllegalArgumentException if the store has none; the message says why
     */
    default RevocationFeed feed() {
        throw new IllegalArgumentException(
                getClass().getSimpleName() + " has no feed of its revocations: leave localReplica out");
    }

    /**
     * Lets go of what the store itself opened, and of nothing that was passed in. A second call does nothing; a verb
     * after it is an {@link IllegalStateException} (R8.6).
     */
    @Override
    void close();
}
