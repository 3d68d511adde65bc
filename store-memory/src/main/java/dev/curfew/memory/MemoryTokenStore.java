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
import java.util.List;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Records in the memory of one process, and gone with it: for tests, for development, for a single node whose tokens
 * end with it.
 *
 * <p>The layout. {@code records}: (domain, tenant, jti) to the record and the time when Caffeine drops it: one skew and
 * ten seconds past its retention end, so that a clock that is ahead drops nothing early (R1.4). {@code watermarks}:
 * (domain, tenant, subject) to the watermark and when it is dropped. {@code unrevoked}: (domain, tenant, subject) to the
 * subject's unrevoked records by (expiry, jti). Nothing is ever evicted by size: to evict a revocation would make a
 * revoked token valid.
 *
 * <p>Each write to a record is one {@code compute} on the record's key. The index {@code unrevoked} always holds every
 * unrevoked record that can be read. {@code store} adds a record to the index inside that {@code compute}. A revocation
 * removes the record from the index after its {@code compute}. So {@code revokeStored} may find a record in the index that
 * another call is revoking. It then waits for the lock on that record. When Caffeine evicts a record, it removes the record
 * from the index while it holds the record's lock.
 *
 * <p>There is no clock here: see {@link RetentionTicker}.
 */
public final class MemoryTokenStore implements SelfExpiringTokenStore {
    // Every entry is kept this much longer than it must be: a call that began so long ago still finds it.
    private static final Duration MARGIN = Duration.ofSeconds(10);
    // Longer than any process runs. Added to a reading of the ticker it does not overflow a long.
    private static final Duration LONGEST = Duration.ofDays(36_500);

    /**
     * The key of a record or watermark outside the store's first scope. In the first scope the key is the plain id. Keys
     * are comparable, as strings are: a hash map puts comparable keys whose hashes collide into a tree. So ids that somebody
     * chose to collide do not make look-ups slow.
     */
    private record Key(String domain, String tenant, String id) implements Comparable<Key> {
        private static final Comparator<Key> ORDER =
                Comparator.comparing(Key::id).thenComparing(Key::tenant).thenComparing(Key::domain);

        @Override
        public int compareTo(Key other) {
            return ORDER.compare(this, other);
        }
    }

    /** A value, and the reading of the ticker at which the value is dropped. */
    private interface Kept {
        long dropAt();
    }

    private record Watermark(Instant at, long dropAt) implements Kept {}

    /** A record in the store. Two entries are never equal, so that an old entry cannot stand for a newer one. */
    private static final class Entry implements Kept {
        final TokenRecord record;
        private final long dropAt;

        Entry(TokenRecord record, long dropAt) {
            this.record = record;
            this.dropAt = dropAt;
        }

        @Override
        public long dropAt() {
            return dropAt;
        }
    }

    private final RetentionTicker ticker;
    private final AtomicLong size = new AtomicLong();
    private final long maxRecords;
    private final Cache<Object, Entry> records;
    private final Cache<Object, Watermark> watermarks;
    // Each of these sorted maps is read and changed only inside a computation on its subject's key.
    private final ConcurrentMap<Object, NavigableMap<TokenRecord, Entry>> unrevoked = new ConcurrentHashMap<>();
    // Most stores serve one domain and one tenant. In that scope the id is the key, so that a look-up allocates no Key.
    private final AtomicReference<@Nullable StoreScope> first = new AtomicReference<>();
    private volatile boolean closed;

    MemoryTokenStore(long maxRecords, Ticker nanoseconds) {
        this.maxRecords = maxRecords;
        this.ticker = new RetentionTicker(nanoseconds);
        this.records = cache((key, entry) -> {
            size.decrementAndGet();
            takeOut(key, entry);
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

    private <V extends Kept> Cache<Object, V> cache(BiConsumer<Object, V> onDrop) {
        return Caffeine.newBuilder()
                .ticker(ticker)
                // Maintenance on the caller's thread: no thread of ours stays behind (R8.6).
                .executor(Runnable::run)
                .expireAfter(
                        Expiry.<Object, V>writing((key, value) -> Duration.ofNanos(value.dropAt() - ticker.read())))
                .evictionListener((key, value, cause) -> {
                    if (key != null && value != null) {
                        onDrop.accept(key, value);
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
        boolean isFirst = own.tenant().equals(scope.tenant()) && own.domain().equals(scope.domain());
        return isFirst ? id : new Key(scope.domain(), scope.tenant(), id);
    }

    /** Each verb begins with this: refuses a closed store, and tells the ticker the time of the call. */
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

    /**
     * The entry of a record. It is dropped one skew and the margin after the record's retention end (R1.4).
     *
     * @param notBefore the earliest time to drop the entry: that of the entry which it replaces
     */
    private Entry entry(StoreScope scope, TokenRecord record, long notBefore, Instant now) {
        Instant end = scope.retentionEnd(record.expiresAt()).plus(scope.skew());
        return new Entry(record, Math.max(dropAt(end, now), notBefore));
    }

    @Override
    public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        at(now);
        makeRoom();
        Entry kept = records.asMap().compute(key(scope, record.jti()), (key, stored) -> {
            if (stored == null) {
                count();
                return index(key, null, entry(scope, record, Long.MIN_VALUE, now));
            }
            TokenRecord before = stored.record;
            if (before.subject() != null && !before.subject().equals(record.subject())) {
                throw new SubjectMismatchException();
            }
            return before.isRevoked()
                    ? stored
                    : index(key, before, entry(scope, record.withCreatedAt(before.createdAt()), Long.MIN_VALUE, now));
        });
        return kept.record.isRevoked() ? StoreOutcome.REVOKED : StoreOutcome.STORED;
    }

    @Override
    public StoredState find(StoreScope scope, String jti, Instant now) {
        at(now);
        Entry entry = records.getIfPresent(key(scope, jti));
        return entry == null
                ? StoredState.NOTHING
                : new StoredState(entry.record, watermark(scope, entry.record.subject()));
    }

    private @Nullable Instant watermark(StoreScope scope, @Nullable String subject) {
        Watermark watermark = subject == null ? null : watermarks.getIfPresent(key(scope, subject));
        return watermark == null ? null : watermark.at();
    }

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        at(now);
        Entry entry = records.getIfPresent(key(scope, jti));
        return entry != null && entry.record.isRevoked();
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        return jtis.stream().filter(jti -> isRevoked(scope, jti, now)).collect(Collectors.toSet());
    }

    @Override
    public StoredState state(StoreScope scope, String jti, String subject, Instant now) {
        at(now);
        Entry entry = records.getIfPresent(key(scope, jti));
        Instant watermark = watermark(scope, subject);
        return entry == null && watermark == null
                ? StoredState.NOTHING
                : new StoredState(entry == null ? null : entry.record, watermark);
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        at(now);
        makeRoom();
        var before = new Before();
        Object key = key(scope, revocation.jti());
        records.asMap().compute(key, (same, stored) -> {
            before.entry = stored;
            if (stored == null) {
                count();
                return entry(scope, revocation, Long.MIN_VALUE, now);
            }
            return revoked(scope, stored, keepUntil, now);
        });
        if (before.entry == null) {
            return RevokeOutcome.REVOKED;
        }
        takeOut(key, before.entry);
        return before.entry.record.isRevoked() ? RevokeOutcome.ALREADY_REVOKED : RevokeOutcome.REVOKED;
    }

    private Entry revoked(StoreScope scope, Entry stored, Instant keepUntil, Instant now) {
        return entry(scope, stored.record.revoked(now, keepUntil), stored.dropAt, now);
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope, String jti, @Nullable String subject, String purpose, Instant now) {
        at(now);
        var before = new Before();
        Object key = key(scope, jti);
        Entry after = records.asMap().computeIfPresent(key, (same, stored) -> {
            before.entry = stored;
            return refusal(stored.record, subject, purpose, now) == null
                    ? revoked(scope, stored, stored.record.expiresAt(), now)
                    : stored;
        });
        if (before.entry == null || after == null) {
            return new Watermarked<>(Refused.UNKNOWN, null);
        }
        Refused refusal = refusal(before.entry.record, subject, purpose, now);
        if (refusal != null) {
            return new Watermarked<>(refusal, null);
        }
        takeOut(key, before.entry);
        return new Watermarked<>(new Consumed(after.record), watermark(scope, after.record.subject()));
    }

    /** Why the record is not consumed, or {@code null}. */
    private static @Nullable Refused refusal(
            TokenRecord record, @Nullable String subject, String purpose, Instant now) {
        if (!record.purpose().equals(purpose) || (subject != null && !subject.equals(record.subject()))) {
            return Refused.UNKNOWN;
        }
        return record.isRevoked() ? Refused.ALREADY_USED : record.isLive(now) ? null : Refused.EXPIRED;
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        at(now);
        Object key = key(scope, subject);
        if (watermarks.estimatedSize() >= maxRecords && watermarks.getIfPresent(key) == null) {
            watermarks.cleanUp();
            if (watermarks.estimatedSize() >= maxRecords) {
                throw full("watermarks");
            }
        }
        watermarks
                .asMap()
                .merge(
                        key,
                        new Watermark(watermark, dropAt(keepUntil, now)),
                        (a, b) -> new Watermark(
                                a.at().isAfter(b.at()) ? a.at() : b.at(), Math.max(a.dropAt(), b.dropAt())));
    }

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        at(now);
        int revoked = 0;
        // A pass may miss a token that is stored again with an earlier expiry: its entry moves behind the pass. So
        // passes
        // are repeated until two in a row revoke nothing.
        for (int idle = 0; idle < 2 && revoked < limit; idle++) {
            List<Entry> batch = indexed(scope, subject, null, limit - revoked, now);
            while (!batch.isEmpty()) {
                for (Entry found : batch) {
                    if (revokeFound(scope, found.record.jti(), subject, now)) {
                        revoked++;
                        idle = -1;
                    }
                }
                TokenRecord last = batch.get(batch.size() - 1).record;
                batch = revoked < limit ? indexed(scope, subject, last, limit - revoked, now) : List.of();
            }
        }
        return revoked;
    }

    private boolean revokeFound(StoreScope scope, String jti, String subject, Instant now) {
        var before = new Before();
        Object key = key(scope, jti);
        records.asMap().computeIfPresent(key, (same, stored) -> {
            TokenRecord record = stored.record;
            if (record.isRevoked() || !record.isLive(now) || !subject.equals(record.subject())) {
                return stored;
            }
            before.entry = stored;
            return revoked(scope, stored, record.expiresAt(), now);
        });
        if (before.entry != null) {
            takeOut(key, before.entry);
        }
        return before.entry != null;
    }

    @Override
    public Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        at(now);
        List<TokenRecord> page = new ArrayList<>();
        TokenRecord last = after;
        List<Entry> indexed;
        do {
            indexed = indexed(scope, subject, last, limit - page.size(), now);
            for (Entry found : indexed) {
                last = found.record;
                // The index may still have what was revoked just now, and have already what is just being stored.
                Entry stored = records.getIfPresent(key(scope, last.jti()));
                if (stored != null && !stored.record.isRevoked()) {
                    page.add(last);
                }
            }
        } while (page.size() < limit && !indexed.isEmpty());
        return new Watermarked<>(page, watermark(scope, subject));
    }

    /** A page of the subject's index. */
    private List<Entry> indexed(StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        // Before the first that can be live: it expires one millisecond from now, whatever its jti.
        TokenRecord from = after != null && after.isLive(now)
                ? after
                : new TokenRecord("", subject, "", null, now.plusMillis(1), null, now, now, null);
        List<Entry> page = new ArrayList<>();
        unrevoked.computeIfPresent(key(scope, subject), (key, entries) -> {
            entries.tailMap(from, false).values().stream().limit(limit).forEach(page::add);
            return entries;
        });
        return page;
    }

    /** Nothing: Caffeine has dropped what is past its retention end (R7.7). */
    @Override
    public List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        at(now);
        return List.of();
    }

    /** Gives back the memory of what Caffeine has found past its end, and removes nothing else (R7.7). */
    @Override
    public int expunge(StoreScope scope, int limit, Instant now) {
        at(now);
        records.cleanUp();
        watermarks.cleanUp();
        return 0;
    }

    /** When the record is dropped; for the compatibility kit. */
    @Nullable
    Instant removalTime(StoreScope scope, String jti, Instant now) {
        return removalTime(records.getIfPresent(key(scope, jti)), now);
    }

    /** When the watermark is dropped; for the compatibility kit. */
    @Nullable
    Instant watermarkRemovalTime(StoreScope scope, String subject, Instant now) {
        return removalTime(watermarks.getIfPresent(key(scope, subject)), now);
    }

    private @Nullable Instant removalTime(@Nullable Kept kept, Instant now) {
        at(now);
        return kept == null ? null : now.plusNanos(kept.dropAt() - ticker.read());
    }

    /** How many records there are; those past their end may be among them. */
    long size() {
        return size.get();
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
            throw full("records");
        }
    }

    private TokenStoreException full(String what) {
        return new TokenStoreException(
                TokenStoreException.Outcome.UNCHANGED,
                "The memory store is full: it holds its maximum of " + maxRecords + " " + what
                        + " (maxRecords). It takes a new one when some have expired. Nothing was changed",
                null);
    }

    /** Inside the computation on the record's key: the entry comes into the index, in the place of the former record. */
    private Entry index(Object key, @Nullable TokenRecord before, Entry entry) {
        unrevoked.compute(bySubject(key, entry.record), (subject, indexed) -> {
            NavigableMap<TokenRecord, Entry> entries = indexed == null ? new TreeMap<>(TokenRecord.BY_EXPIRY) : indexed;
            if (before != null) {
                entries.remove(before);
            }
            entries.put(entry.record, entry);
            return entries;
        });
        return entry;
    }

    /** Takes an entry out of the index, and none that was stored since. */
    private void takeOut(Object key, Entry entry) {
        if (entry.record.subject() != null) { // else it was revoked by its jti alone, and never indexed
            unrevoked.computeIfPresent(bySubject(key, entry.record), (subject, entries) -> {
                entries.remove(entry.record, entry);
                return entries.isEmpty() ? null : entries;
            });
        }
    }

    private static Object bySubject(Object key, TokenRecord record) {
        String subject = String.valueOf(record.subject());
        return key instanceof Key other ? new Key(other.domain(), other.tenant(), subject) : subject;
    }

    /** Where a computation leaves the entry that it met. */
    private static final class Before {
        @Nullable
        Entry entry;
    }
}
