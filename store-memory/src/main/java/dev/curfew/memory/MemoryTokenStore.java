package dev.curfew.memory;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.Expiry;
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
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Records in the memory of one process, and gone with it: for tests, for development, for a single node whose tokens
 * end with it.
 *
 * <p>The layout. {@code records}: (domain, tenant, jti) to the record and the time when Caffeine drops it, one skew past
 * its retention end, so that a clock that is ahead drops nothing early (R1.4). {@code watermarks}: (domain, tenant,
 * subject) to the watermark and its end. {@code unrevoked}: (domain, tenant, subject) to the subject's unrevoked records
 * by (expiry, jti). Every verb that writes is one {@code compute} on the record's key; the index is changed inside it, in
 * one {@code compute} on the subject's, and by Caffeine's eviction inside the same lock, so that it always holds what the
 * cache holds. Nothing is ever evicted by size: to evict a revocation would make a revoked token valid.
 *
 * <p>There is no clock here. Caffeine's ticker is the latest {@code now} that was passed in, in units of 100 ns: fine
 * enough to drop an entry within two minutes of its end, and coarse enough for the year 9999 to fit.
 */
public final class MemoryTokenStore implements SelfExpiringTokenStore {
    private static final long TICKS_PER_MILLI = 10_000;

    /** The key of what is not in the store's first scope: there the jti or the subject is its own key. */
    private record Key(String domain, String tenant, String id) {}

    private record Entry(TokenRecord record, Instant keptUntil) {}

    private record Watermark(Instant at, Instant keptUntil) {}

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

    private final AtomicLong latest = new AtomicLong();
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

    private MemoryTokenStore(long maxRecords) {
        this.maxRecords = maxRecords;
        this.records = cache(Entry::keptUntil, (key, entry) -> {
            size.decrementAndGet();
            index(key, entry.record(), null);
        });
        this.watermarks = cache(Watermark::keptUntil, (key, watermark) -> {});
    }

    /** A store that holds as many records as there is memory for. */
    public static MemoryTokenStore create() {
        return new MemoryTokenStore(Long.MAX_VALUE);
    }

    /**
     * A store that refuses a new record with a {@link TokenStoreException} when it holds so many already; a revocation of
     * a stored token, which needs no new record, always succeeds.
     *
     * @throws IllegalArgumentException if {@code maxRecords} is not positive
     */
    public static MemoryTokenStore create(long maxRecords) {
        if (maxRecords < 1) {
            throw new IllegalArgumentException("maxRecords must be positive, not " + maxRecords);
        }
        return new MemoryTokenStore(maxRecords);
    }

    private interface Dropped<V> {
        void accept(Object key, V value);
    }

    private <V> Cache<Object, V> cache(Function<V, Instant> keptUntil, Dropped<V> listener) {
        ToLongFunction<V> end = value -> ticks(keptUntil.apply(value).toEpochMilli());
        return Caffeine.newBuilder()
                .ticker(() -> ticks(latest.get()))
                // Maintenance on the caller's thread: no thread of ours stays behind (R8.6).
                .executor(Runnable::run)
                .expireAfter(new Expiry<Object, V>() {
                    @Override
                    public long expireAfterCreate(Object key, V value, long now) {
                        return end.applyAsLong(value) - now;
                    }

                    @Override
                    public long expireAfterUpdate(Object key, V value, long now, long duration) {
                        return end.applyAsLong(value) - now;
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

    private Object key(StoreScope scope, String id) {
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

    private static long ticks(long millis) {
        return millis * TICKS_PER_MILLI;
    }

    /** Before every verb: time goes on to {@code now}, and never back. */
    private void at(Instant now) {
        if (closed) {
            throw new IllegalStateException("The memory store is closed; open a new one");
        }
        long millis = now.toEpochMilli();
        if (millis > latest.get()) {
            latest.accumulateAndGet(millis, Math::max);
        }
    }

    @Override
    public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        at(now);
        makeRoom();
        var outcome = new Answer<>(StoreOutcome.STORED);
        Instant keptUntil = keptUntil(scope, record);
        records.asMap().compute(key(scope, record.jti()), (key, entry) -> {
            if (entry == null) {
                count();
                index(key, null, record);
                return new Entry(record, keptUntil);
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
            return new Entry(update, keptUntil);
        });
        return outcome.is;
    }

    @Override
    public @Nullable TokenRecord find(StoreScope scope, String jti, Instant now) {
        at(now);
        Entry entry = records.getIfPresent(key(scope, jti));
        return entry == null ? null : entry.record();
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
        TokenRecord record = find(scope, jti, now);
        Watermark watermark = watermarks.getIfPresent(key(scope, subject));
        return new StoredState(record, watermark == null ? null : watermark.at());
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        at(now);
        makeRoom();
        var outcome = new Answer<>(RevokeOutcome.REVOKED);
        records.asMap().compute(key(scope, revocation.jti()), (key, entry) -> {
            if (entry == null) {
                count();
                return new Entry(revocation, keptUntil(scope, revocation));
            }
            if (entry.record().isRevoked()) {
                outcome.is = RevokeOutcome.ALREADY_REVOKED;
            }
            return revoked(scope, key, entry, keepUntil, now);
        });
        return outcome.is;
    }

    private Entry revoked(StoreScope scope, Object key, Entry entry, Instant keepUntil, Instant now) {
        index(key, entry.record(), null);
        TokenRecord revoked = entry.record().revoked(now, keepUntil);
        return new Entry(revoked, later(keptUntil(scope, revoked), entry.keptUntil()));
    }

    private static Instant keptUntil(StoreScope scope, TokenRecord record) {
        return scope.retentionEnd(record.expiresAt()).plus(scope.skew());
    }

    @Override
    public Consumption consume(StoreScope scope, String jti, @Nullable String subject, String purpose, Instant now) {
        at(now);
        var answer = new Answer<Consumption>(Refused.UNKNOWN);
        records.asMap().computeIfPresent(key(scope, jti), (key, entry) -> {
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
            Entry used = revoked(scope, key, entry, record.expiresAt(), now);
            answer.is = new Consumed(used.record());
            return used;
        });
        return answer.is;
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        at(now);
        watermarks
                .asMap()
                .merge(
                        key(scope, subject),
                        new Watermark(watermark, keepUntil),
                        (a, b) -> new Watermark(later(a.at(), b.at()), later(a.keptUntil(), b.keptUntil())));
    }

    private static Instant later(Instant a, Instant b) {
        return a.isAfter(b) ? a : b;
    }

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        int revoked = 0;
        List<TokenRecord> batch;
        do {
            batch = list(scope, subject, null, limit - revoked, now);
            for (TokenRecord found : batch) {
                var done = new Answer<>(false);
                records.asMap().computeIfPresent(key(scope, found.jti()), (key, entry) -> {
                    TokenRecord record = entry.record();
                    if (record.isRevoked() || !record.isLive(now) || !subject.equals(record.subject())) {
                        return entry;
                    }
                    done.is = true;
                    return revoked(scope, key, entry, record.expiresAt(), now);
                });
                revoked += done.is ? 1 : 0;
            }
            // Others may have been faster with some of them: fewer than asked for must mean that there are no more.
        } while (revoked < limit && !batch.isEmpty());
        return revoked;
    }

    @Override
    public List<TokenRecord> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        at(now);
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
        return removalTime(records, key(scope, jti));
    }

    @Override
    public @Nullable Instant watermarkRemovalTime(StoreScope scope, String subject, Instant now) {
        at(now);
        return removalTime(watermarks, key(scope, subject));
    }

    private @Nullable Instant removalTime(Cache<Object, ?> cache, Object key) {
        OptionalLong ticks = cache.policy().expireVariably().orElseThrow().getExpiresAfter(key, TimeUnit.NANOSECONDS);
        return ticks.isEmpty() ? null : Instant.ofEpochMilli(latest.get() + ticks.getAsLong() / TICKS_PER_MILLI);
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
        Object bySubject =
                key instanceof Key other ? new Key(other.domain(), other.tenant(), either.subject()) : either.subject();
        unrevoked.compute(bySubject, (subject, indexed) -> {
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

    /** Where a computation leaves its answer. */
    private static final class Answer<T> {
        T is;

        Answer(T is) {
            this.is = is;
        }
    }
}
