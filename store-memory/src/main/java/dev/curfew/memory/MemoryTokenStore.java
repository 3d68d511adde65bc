package dev.curfew.memory;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.Expiry;
import com.github.benmanes.caffeine.cache.Ticker;
import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.RevokeOutcome;
import dev.curfew.SelfExpiringTokenStore;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.StoredState;
import dev.curfew.SubjectMismatchException;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStoreException;
import dev.curfew.Watermarked;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Records in the memory of one process, and gone with it: for tests, for development, for a single node whose tokens
 * end with it.
 *
 * <p>The layout. {@code records}: (domain, tenant, jti) to the record and the time when Caffeine drops it, one skew past
 * its retention end, so that a clock that is ahead drops nothing early (R1.4). {@code watermarks}: (domain, tenant,
 * subject) to the watermark and when it is dropped. {@code unrevoked}: (domain, tenant, subject) to the subject's
 * unrevoked records by (expiry, jti). Nothing is ever evicted by size: to evict a revocation would make a revoked token
 * valid.
 *
 * <p>Every verb that writes is one {@code compute} on the record's key. The index always holds every unrevoked record that
 * can be read: a store enters its record inside that {@code compute}, and a revocation takes it out after it. So
 * {@code revokeStored}, which meets the entry of a revocation that is under way, waits for it at the record. Caffeine's
 * eviction takes an entry out inside the lock of its record.
 *
 * <p>There is no clock here: see {@link RetentionTicker}.
 */
public final class MemoryTokenStore implements SelfExpiringTokenStore {
    // How much longer than it need be an entry is kept: a call may have been under way for so long.
    private static final Duration MARGIN = Duration.ofSeconds(10);
    // Longer than any process runs, and short enough for its nanoseconds to be added to any other time.
    private static final Duration LONGEST = Duration.ofDays(36_500);

    /**
     * The key of what is not in the store's first scope: there the jti or the subject is its own key. As strings do, keys
     * compare: so a map finds them in a tree where somebody has chosen ids of one hash.
     */
    private record Key(String domain, String tenant, String id) implements Comparable<Key> {
        private static final Comparator<Key> ORDER =
                Comparator.comparing(Key::id).thenComparing(Key::tenant).thenComparing(Key::domain);

        @Override
        public int compareTo(Key other) {
            return ORDER.compare(this, other);
        }
    }

    /** A value, and when it is dropped, by the ticker. */
    private interface Kept {
        long dropAt();
    }

    private record Entry(TokenRecord record, long dropAt) implements Kept {}

    private record Watermark(Instant at, long dropAt) implements Kept {}

    private record Position(Instant expiresAt, String jti) implements Comparable<Position> {
        @Override
        public int compareTo(Position other) {
            int byExpiry = expiresAt.compareTo(other.expiresAt);
            return byExpiry != 0 ? byExpiry : TokenRecord.JTI_ORDER.compare(jti, other.jti);
        }

        static Position of(TokenRecord record) {
            return new Position(record.expiresAt(), record.jti());
        }
    }

    private final RetentionTicker ticker;
    private final AtomicLong size = new AtomicLong();
    private final long maxRecords;
    private final Cache<Object, Entry> records;
    private final Cache<Object, Watermark> watermarks;
    // The maps are read and changed inside a computation on their key only.
    private final ConcurrentMap<Object, NavigableMap<Position, TokenRecord>> unrevoked = new ConcurrentHashMap<>();
    // By domain: how many were dropped since an expunge last said so, to say so once (R7.3).
    private final ConcurrentMap<String, AtomicLong> dropped = new ConcurrentHashMap<>();
    // Most stores serve one domain and one tenant: their keys need no more than the id, nor does a look-up make one.
    private final AtomicReference<@Nullable StoreScope> first = new AtomicReference<>();
    private volatile boolean closed;

    MemoryTokenStore(long maxRecords, Ticker nanoseconds) {
        this.maxRecords = maxRecords;
        this.ticker = new RetentionTicker(nanoseconds);
        this.records = cache((key, entry) -> {
            size.decrementAndGet();
            index(key, entry.record(), null);
        });
        this.watermarks = cache((key, watermark) -> {});
    }

    /** A store that holds as many records as there is memory for. */
    public static MemoryTokenStore create() {
        return new MemoryTokenStore(Long.MAX_VALUE, Ticker.systemTicker());
    }

    /**
     * A store that refuses a new record with a {@link TokenStoreException} when it holds so many already, and a new
     * watermark when it holds so many of these; a revocation of a stored token, which needs no new record, always succeeds.
     *
     * @throws IllegalArgumentException if {@code maxRecords} is not positive
     */
    public static MemoryTokenStore create(long maxRecords) {
        if (maxRecords < 1) {
            throw new IllegalArgumentException("maxRecords must be positive, not " + maxRecords);
        }
        return new MemoryTokenStore(maxRecords, Ticker.systemTicker());
    }

    private interface Dropped<V> {
        void accept(Object key, V value);
    }

    private <V extends Kept> Cache<Object, V> cache(Dropped<V> listener) {
        return Caffeine.newBuilder()
                .ticker(ticker)
                // Maintenance on the caller's thread: no thread of ours stays behind (R8.6).
                .executor(Runnable::run)
                .expireAfter(new Expiry<Object, V>() {
                    @Override
                    public long expireAfterCreate(Object key, V value, long now) {
                        return value.dropAt() - now;
                    }

                    @Override
                    public long expireAfterUpdate(Object key, V value, long now, long duration) {
                        return value.dropAt() - now;
                    }

                    @Override
                    public long expireAfterRead(Object key, V value, long now, long duration) {
                        return duration;
                    }
                })
                .evictionListener((key, value, cause) -> {
                    if (key != null && value != null) {
                        dropped.computeIfAbsent(domain(key), d -> new AtomicLong())
                                .incrementAndGet();
                        listener.accept(key, value);
                    }
                })
                .build();
    }

    Object key(StoreScope scope, String id) {
        StoreScope own = first.get();
        if (own == null) {
            first.compareAndSet(null, scope);
            return key(scope, id);
        }
        boolean same = own.tenant().equals(scope.tenant()) && own.domain().equals(scope.domain());
        return same ? id : new Key(scope.domain(), scope.tenant(), id);
    }

    private String domain(Object key) {
        return key instanceof Key other
                ? other.domain()
                : Objects.requireNonNull(first.get()).domain();
    }

    /** Before every verb. */
    private void at(Instant now) {
        if (closed) {
            throw new IllegalStateException("The memory store is closed; open a new one");
        }
        ticker.observe(now);
    }

    /** When an entry is dropped that must be kept until then, as seen from {@code now}. */
    private long dropAt(Instant keptUntil, Instant now) {
        Duration left =
                Duration.ofMillis(keptUntil.toEpochMilli() - now.toEpochMilli()).plus(MARGIN);
        return ticker.read() + (left.compareTo(LONGEST) < 0 ? left : LONGEST).toNanos();
    }

    /** The same of a record: a skew past its retention end (R1.4). */
    private long dropAt(StoreScope scope, TokenRecord record, Instant now) {
        return dropAt(scope.retentionEnd(record.expiresAt()).plus(scope.skew()), now);
    }

    @Override
    public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        at(now);
        makeRoom();
        var outcome = new Answer<>(StoreOutcome.STORED);
        records.asMap().compute(key(scope, record.jti()), (key, entry) -> {
            if (entry == null) {
                count();
                index(key, null, record);
                return new Entry(record, dropAt(scope, record, now));
            }
            TokenRecord stored = entry.record();
            if (stored.subject() != null && !stored.subject().equals(record.subject())) {
                throw new SubjectMismatchException();
            }
            if (stored.isRevoked()) {
                outcome.is = StoreOutcome.REVOKED;
                return entry;
            }
            TokenRecord update = record.withCreatedAt(stored.createdAt());
            index(key, stored, update);
            return new Entry(update, dropAt(scope, update, now));
        });
        return outcome.is;
    }

    @Override
    public StoredState find(StoreScope scope, String jti, Instant now) {
        TokenRecord record = record(scope, jti, now);
        return new StoredState(record, record == null ? null : watermark(scope, record.subject()));
    }

    private @Nullable TokenRecord record(StoreScope scope, String jti, Instant now) {
        at(now);
        Entry entry = records.getIfPresent(key(scope, jti));
        return entry == null ? null : entry.record();
    }

    private @Nullable Instant watermark(StoreScope scope, @Nullable String subject) {
        Watermark watermark = subject == null ? null : watermarks.getIfPresent(key(scope, subject));
        return watermark == null ? null : watermark.at();
    }

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        at(now);
        Entry entry = records.getIfPresent(key(scope, jti));
        return entry != null && entry.record().isRevoked();
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        Set<String> revoked = new HashSet<>();
        for (String jti : jtis) {
            if (isRevoked(scope, jti, now)) {
                revoked.add(jti);
            }
        }
        return revoked;
    }

    @Override
    public StoredState state(StoreScope scope, String jti, String subject, Instant now) {
        return new StoredState(record(scope, jti, now), watermark(scope, subject));
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        at(now);
        makeRoom();
        var outcome = new Answer<>(RevokeOutcome.REVOKED);
        var before = new Answer<@Nullable TokenRecord>(null);
        Object key = key(scope, revocation.jti());
        records.asMap().compute(key, (same, entry) -> {
            if (entry == null) {
                count();
                return new Entry(revocation, dropAt(scope, revocation, now));
            }
            if (entry.record().isRevoked()) {
                outcome.is = RevokeOutcome.ALREADY_REVOKED;
            } else {
                before.is = entry.record();
            }
            return revoked(scope, entry, keepUntil, now);
        });
        takeOut(key, before.is);
        return outcome.is;
    }

    private Entry revoked(StoreScope scope, Entry entry, Instant keepUntil, Instant now) {
        TokenRecord revoked = entry.record().revoked(now, keepUntil);
        return new Entry(revoked, Math.max(dropAt(scope, revoked, now), entry.dropAt()));
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope, String jti, @Nullable String subject, String purpose, Instant now) {
        at(now);
        var answer = new Answer<Consumption>(Refused.UNKNOWN);
        var before = new Answer<@Nullable TokenRecord>(null);
        Object key = key(scope, jti);
        records.asMap().computeIfPresent(key, (same, entry) -> {
            TokenRecord record = entry.record();
            if (!record.purpose().equals(purpose) || (subject != null && !subject.equals(record.subject()))) {
                return entry;
            } else if (record.isRevoked()) {
                answer.is = Refused.ALREADY_USED;
                return entry;
            } else if (!record.isLive(now)) {
                answer.is = Refused.EXPIRED;
                return entry;
            }
            before.is = record;
            Entry used = revoked(scope, entry, record.expiresAt(), now);
            answer.is = new Consumed(used.record());
            return used;
        });
        takeOut(key, before.is);
        return new Watermarked<>(answer.is, before.is == null ? null : watermark(scope, before.is.subject()));
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        at(now);
        Object key = key(scope, subject);
        if (watermarks.estimatedSize() >= maxRecords && watermarks.getIfPresent(key) == null) {
            watermarks.cleanUp();
            if (watermarks.estimatedSize() >= maxRecords) {
                throw new TokenStoreException(
                        "The memory store is full: it holds as many watermarks as its maxRecords of " + maxRecords
                                + " and takes no new one until some have ended; nothing was revoked");
            }
        }
        watermarks
                .asMap()
                .merge(
                        key,
                        new Watermark(watermark, dropAt(keepUntil, now)),
                        (a, b) -> new Watermark(later(a.at(), b.at()), Math.max(a.dropAt(), b.dropAt())));
    }

    private static Instant later(Instant a, Instant b) {
        return a.isAfter(b) ? a : b;
    }

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        at(now);
        int revoked = 0;
        // A token that is stored again for a shorter time moves to where a look has been already: so the last look must
        // find
        // nothing, twice.
        for (int idle = 0; idle < 2 && revoked < limit; idle++) {
            TokenRecord after = null;
            List<TokenRecord> batch = indexed(scope, subject, after, limit - revoked, now);
            while (!batch.isEmpty()) {
                for (TokenRecord found : batch) {
                    if (revokeFound(scope, subject, found, now)) {
                        revoked++;
                        idle = -1;
                    }
                    after = found;
                }
                batch = revoked < limit ? indexed(scope, subject, after, limit - revoked, now) : List.of();
            }
        }
        return revoked;
    }

    private boolean revokeFound(StoreScope scope, String subject, TokenRecord found, Instant now) {
        var before = new Answer<@Nullable TokenRecord>(null);
        Object key = key(scope, found.jti());
        records.asMap().computeIfPresent(key, (same, entry) -> {
            TokenRecord record = entry.record();
            if (record.isRevoked() || !record.isLive(now) || !subject.equals(record.subject())) {
                return entry;
            }
            before.is = record;
            return revoked(scope, entry, record.expiresAt(), now);
        });
        takeOut(key, before.is);
        return before.is != null;
    }

    @Override
    public Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        at(now);
        List<TokenRecord> page = new ArrayList<>();
        TokenRecord last = after;
        List<TokenRecord> indexed;
        do {
            indexed = indexed(scope, subject, last, limit - page.size(), now);
            for (TokenRecord record : indexed) {
                // The index may still have what was revoked just now, and have already what is just being stored.
                Entry entry = records.getIfPresent(key(scope, record.jti()));
                if (entry != null && !entry.record().isRevoked()) {
                    page.add(record);
                }
                last = record;
            }
        } while (page.size() < limit && !indexed.isEmpty());
        return new Watermarked<>(page, watermark(scope, subject));
    }

    /** A page of the subject's index. */
    private List<TokenRecord> indexed(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        List<TokenRecord> page = new ArrayList<>();
        // The first that can be live: expiring one millisecond from now, whatever its jti.
        Position first = after != null && after.isLive(now) ? Position.of(after) : new Position(now.plusMillis(1), "");
        unrevoked.computeIfPresent(key(scope, subject), (key, positions) -> {
            for (TokenRecord record : positions.tailMap(first, false).values()) {
                if (page.size() == limit) {
                    break;
                }
                page.add(record);
            }
            return positions;
        });
        return page;
    }

    /** Nothing: Caffeine has dropped what is past its retention end (R7.7). */
    @Override
    public List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        at(now);
        return List.of();
    }

    /** Gives back the memory of what is past its end, and answers how many were dropped since this was last asked. */
    @Override
    public int expunge(StoreScope scope, int limit, Instant now) {
        at(now);
        records.cleanUp();
        watermarks.cleanUp();
        AtomicLong count = dropped.get(scope.domain());
        return count == null ? 0 : (int) Math.min(count.getAndSet(0), Integer.MAX_VALUE);
    }

    @Override
    public @Nullable Instant removalTime(StoreScope scope, String jti, Instant now) {
        at(now);
        return removalTime(records.getIfPresent(key(scope, jti)), now);
    }

    @Override
    public @Nullable Instant watermarkRemovalTime(StoreScope scope, String subject, Instant now) {
        at(now);
        return removalTime(watermarks.getIfPresent(key(scope, subject)), now);
    }

    private @Nullable Instant removalTime(@Nullable Kept kept, Instant now) {
        return kept == null ? null : now.plusNanos(kept.dropAt() - ticker.read());
    }

    @Override
    public void close() {
        closed = true;
        records.invalidateAll();
        watermarks.invalidateAll();
        unrevoked.clear();
    }

    private void makeRoom() {
        if (size.get() >= maxRecords) {
            records.cleanUp();
        }
    }

    /** Inside the computation that inserts a record. */
    private void count() {
        if (size.incrementAndGet() > maxRecords) {
            size.decrementAndGet();
            throw new TokenStoreException("The memory store is full: it holds its maxRecords of " + maxRecords
                    + " and takes no new record until some have expired; nothing was stored");
        }
    }

    /** Inside the computation on the record's key: what was indexed of it goes, and what is unrevoked comes, at once. */
    private void index(Object key, @Nullable TokenRecord before, @Nullable TokenRecord after) {
        TokenRecord either = after == null ? before : after;
        if (either == null || either.subject() == null) {
            return; // revoked by its jti alone, and never indexed
        }
        unrevoked.compute(bySubject(key, either.subject()), (subject, indexed) -> {
            NavigableMap<Position, TokenRecord> positions = indexed == null ? new TreeMap<>() : indexed;
            if (before != null) {
                positions.remove(Position.of(before));
            }
            if (after != null) {
                positions.put(Position.of(after), after);
            }
            return positions.isEmpty() ? null : positions;
        });
    }

    /** After the computation that revoked a record: takes that out of the index, and nothing that was stored since. */
    private void takeOut(Object key, @Nullable TokenRecord revoked) {
        if (revoked == null || revoked.subject() == null) {
            return;
        }
        unrevoked.computeIfPresent(bySubject(key, revoked.subject()), (subject, positions) -> {
            positions.remove(Position.of(revoked), revoked);
            return positions.isEmpty() ? null : positions;
        });
    }

    private static Object bySubject(Object key, String subject) {
        return key instanceof Key other ? new Key(other.domain(), other.tenant(), subject) : subject;
    }

    /** Where a computation leaves its answer. */
    private static final class Answer<T extends @Nullable Object> {
        T is;

        Answer(T is) {
            this.is = is;
        }
    }
}
