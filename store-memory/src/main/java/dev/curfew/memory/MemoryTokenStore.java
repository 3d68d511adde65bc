package dev.curfew.memory;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.Expiry;
import com.github.benmanes.caffeine.cache.Ticker;
import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.RevocationFeed;
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
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Records in the memory of one process, on Caffeine. They end with the process. The store is for tests, for development, and
 * for a single node whose tokens end with the process.
 *
 * <p>The layout. Nothing is ever evicted by size: to evict a revocation would make a revoked token valid.
 *
 * <pre>
 * records     (domain, tenant, jti) to the record and the time when Caffeine drops the record: one skew and ten seconds
 *             after its retention end, so that a clock that is ahead drops nothing early (R1.4)
 * watermarks  (domain, tenant, subject) to the watermark and the time when Caffeine drops it
 * sessions    (domain, tenant, session) of a revoked session to the time when Caffeine drops it
 * unrevoked   (domain, tenant, subject) to the subject's unrevoked records, sorted by expiry and jti
 * </pre>
 *
 * <p>Each write to a record is one {@code compute} on the record's key ({@link #change}). The index {@code unrevoked} always
 * holds every unrevoked record that can be read and has a subject: a new record comes into the index inside the {@code
 * compute}, and the old record leaves the index after the {@code compute}. So {@code revokeStored} may find a record in the
 * index that another call is revoking. It then waits for the lock on that record.
 *
 * <p>There is no clock here: see {@link RetentionTicker}.
 */
public final class MemoryTokenStore implements SelfExpiringTokenStore {
    // Every entry is kept this much longer than it must be: a call that began so long ago still finds it.
    private static final Duration MARGIN = Duration.ofSeconds(10);
    // Longer than any process runs. Added to a reading of the ticker it does not overflow a long.
    private static final Duration LONGEST = Duration.ofDays(36_500);

    /**
     * The key of a record, watermark or session outside the store's first scope. In the first scope the key is the plain id. Keys
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

    /** A value, and the reading of the ticker at which Caffeine drops the value. */
    private interface Kept {
        long dropAt();
    }

    private record Watermark(Instant at, long dropAt) implements Kept {}

    private record Session(long dropAt) implements Kept {}

    /**
     * The unrevoked records of a subject, sorted. Most subjects have few tokens, and many have one: that entry is its own
     * index. Changed only while the subject is locked in {@code unrevoked}; read without a lock.
     */
    private interface Index {
        Index with(Entry entry);

        /** Without this entry, but with another one that has come in its place; {@code null} if nothing is left. */
        @Nullable
        Index without(Entry entry);

        Collection<Entry> after(Entry place);
    }

    private static final class SeveralEntries implements Index {
        private final ConcurrentNavigableMap<Entry, Entry> entries = new ConcurrentSkipListMap<>(Entry.ORDER);

        @Override
        public Index with(Entry entry) {
            entries.put(entry, entry);
            return this;
        }

        @Override
        public @Nullable Index without(Entry entry) {
            entries.remove(entry, entry);
            return entries.isEmpty() ? null : this;
        }

        @Override
        public Collection<Entry> after(Entry place) {
            return entries.tailMap(place, false).values();
        }
    }

    /** A record in the store. Two entries are never equal, so that an old entry cannot stand for a newer one. */
    private static final class Entry implements Kept, Index {
        static final Comparator<Entry> ORDER = Comparator.comparing(entry -> entry.record, TokenRecord.BY_EXPIRY);

        final StoreScope scope;
        final TokenRecord record;
        private final long dropAt;

        Entry(StoreScope scope, TokenRecord record, long dropAt) {
            this.scope = scope;
            this.record = record;
            this.dropAt = dropAt;
        }

        @Override
        public long dropAt() {
            return dropAt;
        }

        @Override
        public Index with(Entry entry) {
            return ORDER.compare(this, entry) == 0
                    ? entry
                    : new SeveralEntries().with(this).with(entry);
        }

        @Override
        public @Nullable Index without(Entry entry) {
            return entry == this ? null : this;
        }

        @Override
        public Collection<Entry> after(Entry place) {
            return ORDER.compare(this, place) > 0 ? List.of(this) : List.of();
        }
    }

    private final long maxRecords;
    private final RetentionTicker ticker;
    private final Cache<Object, Entry> records;
    private final Cache<Object, Watermark> watermarks;
    private final Cache<Object, Session> sessions;
    private final ConcurrentMap<Object, Index> unrevoked = new ConcurrentHashMap<>();
    // Most stores serve one domain and one tenant. In that scope the id is the key, so that a look-up allocates no Key.
    private final AtomicReference<@Nullable StoreScope> first = new AtomicReference<>();
    private volatile boolean closed;

    MemoryTokenStore(long maxRecords, Ticker nanoseconds) {
        this.maxRecords = maxRecords;
        this.ticker = new RetentionTicker(nanoseconds);
        this.records = this.<Entry>caffeine()
                .evictionListener((key, entry, cause) -> takeOut(entry))
                .build();
        this.watermarks = this.<Watermark>caffeine().build();
        this.sessions = this.<Session>caffeine().build();
    }

    /** A store that holds as many records as there is memory for. */
    public static MemoryTokenStore create() {
        return new MemoryTokenStore(Long.MAX_VALUE, Ticker.systemTicker());
    }

    /**
     * A store with a bound. It refuses a new record with a {@link TokenStoreException} when it holds {@code maxRecords}
     * records already, and likewise a new watermark or a newly revoked session. A revocation of a stored token needs no new
     * record, and always succeeds. Calls at the same moment may exceed the bound by one record each.
     *
     * @throws IllegalArgumentException if {@code maxRecords} is not positive
     */
    public static MemoryTokenStore create(long maxRecords) {
        if (maxRecords < 1) {
            throw new IllegalArgumentException("maxRecords must be positive, not " + maxRecords);
        }
        return new MemoryTokenStore(maxRecords, Ticker.systemTicker());
    }

    private <V extends Kept> Caffeine<Object, V> caffeine() {
        return Caffeine.newBuilder()
                .ticker(ticker)
                // Maintenance on the caller's thread: no thread of ours stays behind (R8.6).
                .executor(Runnable::run)
                .expireAfter(
                        Expiry.<Object, V>writing((key, value) -> Duration.ofNanos(value.dropAt() - ticker.read())));
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

    /** The reading of the ticker at which an entry is dropped that must be kept until {@code keptUntil}. */
    private long dropAt(Instant keptUntil, Instant now) {
        Duration left =
                Duration.ofMillis(keptUntil.toEpochMilli() - now.toEpochMilli()).plus(MARGIN);
        return ticker.read() + (left.compareTo(LONGEST) < 0 ? left : LONGEST).toNanos();
    }

    private void makeRoom(Cache<Object, ?> cache, Object key, String what) {
        if (cache.estimatedSize() < maxRecords || cache.getIfPresent(key) != null) {
            return;
        }
        cache.cleanUp();
        if (cache.estimatedSize() >= maxRecords) {
            throw new TokenStoreException(
                    TokenStoreException.Outcome.UNCHANGED,
                    "The memory store is full: it holds its maximum of " + maxRecords + " " + what
                            + " (maxRecords). It takes a new one when some have expired. Nothing was changed",
                    null);
        }
    }

    /**
     * Changes a record, in one computation on its key.
     *
     * @param change is given the stored record, or {@code null}, and answers what is stored from now on
     * @return the record before the change, or {@code null}
     */
    private @Nullable TokenRecord change(
            StoreScope scope, Object key, Instant now, UnaryOperator<@Nullable TokenRecord> change) {
        var before = new AtomicReference<@Nullable Entry>();
        Entry after = records.asMap().compute(key, (same, stored) -> {
            before.set(stored);
            TokenRecord changed = change.apply(stored == null ? null : stored.record);
            if (changed == null) {
                return null;
            }
            // One skew after the retention end (R1.4), and never earlier than before the change (R3.3).
            long dropAt = dropAt(scope.retentionEnd(changed.expiresAt()).plus(scope.skew()), now);
            // Not for a later end of less than a second, since a call's time is cut to milliseconds.
            if (stored != null
                    && changed.equals(stored.record)
                    && dropAt - stored.dropAt < TimeUnit.SECONDS.toNanos(1)) {
                return stored;
            }
            var entry = new Entry(scope, changed, stored == null ? dropAt : Math.max(dropAt, stored.dropAt));
            enter(entry);
            return entry;
        });
        Entry stored = before.get();
        if (stored != after) {
            takeOut(stored);
        }
        return stored == null ? null : stored.record;
    }

    private void enter(Entry entry) {
        String subject = entry.record.subject();
        if (subject != null && !entry.record.isRevoked()) {
            unrevoked.compute(key(entry.scope, subject), (key, index) -> index == null ? entry : index.with(entry));
        }
    }

    private void takeOut(@Nullable Entry entry) {
        String subject = entry == null ? null : entry.record.subject();
        if (entry != null && subject != null && !entry.record.isRevoked()) {
            unrevoked.computeIfPresent(key(entry.scope, subject), (key, index) -> index.without(entry));
        }
    }

    @Override
    public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        at(now);
        Object key = key(scope, record.jti());
        makeRoom(records, key, "records");
        TokenRecord before = change(scope, key, now, stored -> {
            if (stored == null) {
                return record;
            } else if (stored.subject() != null && !stored.subject().equals(record.subject())) {
                throw new SubjectMismatchException();
            }
            return stored.isRevoked() ? stored : record.withCreatedAt(stored.createdAt());
        });
        return before != null && before.isRevoked() ? StoreOutcome.REVOKED : StoreOutcome.STORED;
    }

    private @Nullable TokenRecord record(StoreScope scope, String jti) {
        Entry entry = records.getIfPresent(key(scope, jti));
        return entry == null ? null : entry.record;
    }

    private @Nullable Instant watermark(StoreScope scope, @Nullable String subject) {
        Watermark watermark = subject == null ? null : watermarks.getIfPresent(key(scope, subject));
        return watermark == null ? null : watermark.at;
    }

    @Override
    public StoredState find(StoreScope scope, String jti, Instant now) {
        at(now);
        TokenRecord record = record(scope, jti);
        return new StoredState(record, watermark(scope, record == null ? null : record.subject()), false);
    }

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        at(now);
        TokenRecord record = record(scope, jti);
        return record != null && record.isRevoked();
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        return jtis.stream().filter(jti -> isRevoked(scope, jti, now)).collect(Collectors.toSet());
    }

    @Override
    public StoredState state(StoreScope scope, String jti, String subject, @Nullable String session, Instant now) {
        at(now);
        TokenRecord record = record(scope, jti);
        Instant watermark = watermark(scope, subject);
        boolean isSessionRevoked = session != null && sessions.getIfPresent(key(scope, session)) != null;
        return record == null && watermark == null && !isSessionRevoked
                ? StoredState.NOTHING
                : new StoredState(record, watermark, isSessionRevoked);
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        at(now);
        Object key = key(scope, revocation.jti());
        makeRoom(records, key, "records");
        TokenRecord before =
                change(scope, key, now, stored -> stored == null ? revocation : stored.revoked(now, keepUntil));
        return before != null && before.isRevoked() ? RevokeOutcome.ALREADY_REVOKED : RevokeOutcome.REVOKED;
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope,
            String jti,
            @Nullable String subject,
            String purpose,
            @Nullable String successor,
            Instant now) {
        at(now);
        TokenRecord before = change(
                scope,
                key(scope, jti),
                now,
                stored -> consumption(stored, subject, purpose, successor, now) instanceof Consumed used
                        ? used.record()
                        : stored);
        Consumption answer = consumption(before, subject, purpose, successor, now);
        Instant watermark =
                answer instanceof Consumed used ? watermark(scope, used.record().subject()) : null;
        return new Watermarked<>(answer, watermark);
    }

    private static Consumption consumption(
            @Nullable TokenRecord stored,
            @Nullable String subject,
            String purpose,
            @Nullable String successor,
            Instant now) {
        if (stored == null
                || !stored.purpose().equals(purpose)
                || (subject != null && !subject.equals(stored.subject()))) {
            return Refused.UNKNOWN;
        } else if (stored.isRevoked()) {
            return Refused.ALREADY_USED;
        }
        return stored.isLive(now) ? new Consumed(stored.used(now, successor)) : Refused.EXPIRED;
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        at(now);
        Object key = key(scope, subject);
        makeRoom(watermarks, key, "watermarks");
        var given = new Watermark(watermark, dropAt(keepUntil, now));
        watermarks
                .asMap()
                .merge(
                        key,
                        given,
                        (a, b) -> new Watermark(a.at.isAfter(b.at) ? a.at : b.at, Math.max(a.dropAt, b.dropAt)));
    }

    @Override
    public RevokeOutcome revokeSession(StoreScope scope, String session, Instant keepUntil, Instant now) {
        at(now);
        Object key = key(scope, session);
        makeRoom(sessions, key, "revoked sessions");
        var before = new AtomicReference<@Nullable Session>();
        sessions.asMap().compute(key, (same, kept) -> {
            before.set(kept);
            long dropAt = dropAt(keepUntil, now);
            return new Session(kept == null ? dropAt : Math.max(dropAt, kept.dropAt));
        });
        return before.get() == null ? RevokeOutcome.REVOKED : RevokeOutcome.ALREADY_REVOKED;
    }

    @Override
    public Set<String> revokedSessions(StoreScope scope, Collection<String> asked, Instant now) {
        at(now);
        return asked.stream()
                .filter(session -> sessions.getIfPresent(key(scope, session)) != null)
                .collect(Collectors.toSet());
    }

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        at(now);
        int revoked = 0;
        // A pass may miss a token that is stored again with an earlier expiry: its entry moves behind the pass.
        // So passes are repeated until two in a row revoke nothing.
        for (int idle = 0; idle < 2; idle++) {
            for (Entry found : indexed(scope, subject, null, now)) {
                if (revoked == limit) {
                    return revoked;
                }
                Object key = key(scope, found.record.jti());
                TokenRecord before = change(
                        scope,
                        key,
                        now,
                        stored -> stored != null && isLiveOf(subject, stored, now)
                                ? stored.revoked(now, stored.expiresAt())
                                : stored);
                if (before != null && isLiveOf(subject, before, now)) {
                    revoked++;
                    idle = -1;
                }
            }
        }
        return revoked;
    }

    private static boolean isLiveOf(String subject, TokenRecord record, Instant now) {
        return !record.isRevoked() && record.isLive(now) && subject.equals(record.subject());
    }

    @Override
    public Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        at(now);
        List<TokenRecord> page = indexed(scope, subject, after, now).stream()
                .flatMap(entry -> readable(scope, entry))
                .limit(limit)
                .toList();
        return new Watermarked<>(page, watermark(scope, subject));
    }

    /**
     * The record that can be read in the place of an entry of the index. The index may still hold a record that was revoked
     * just now, and may already hold one that is being stored.
     */
    private Stream<TokenRecord> readable(StoreScope scope, Entry indexed) {
        Entry entry = records.getIfPresent(key(scope, indexed.record.jti()));
        return entry != null && !entry.record.isRevoked() && Entry.ORDER.compare(entry, indexed) == 0
                ? Stream.of(entry.record)
                : Stream.empty();
    }

    /** The subject's records in the index that are live, soonest expiry first, after the given one. */
    private Collection<Entry> indexed(StoreScope scope, String subject, @Nullable TokenRecord after, Instant now) {
        // The first page begins with the first record that can be live. It expires one millisecond from now or later.
        TokenRecord from = after != null && after.isLive(now) ? after : before(now.plusMillis(1));
        Index index = unrevoked.get(key(scope, subject));
        return index == null ? List.of() : index.after(new Entry(scope, from, 0));
    }

    /** Stands in the index before all records that expire then. */
    private static TokenRecord before(Instant expiresAt) {
        return new TokenRecord("", null, "", null, expiresAt, null, expiresAt, expiresAt, null, null, null);
    }

    /** An empty page: Caffeine drops the records that are past their retention end (R7.7). */
    @Override
    public List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        at(now);
        return List.of();
    }

    /** Gives back the memory of entries that are past their end, and removes nothing else (R7.7). */
    @Override
    public int expunge(StoreScope scope, int limit, Instant now) {
        at(now);
        records.cleanUp();
        watermarks.cleanUp();
        sessions.cleanUp();
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

    /** When the revocation of the session is dropped; for the compatibility kit. */
    @Nullable
    Instant sessionRemovalTime(StoreScope scope, String session, Instant now) {
        return removalTime(sessions.getIfPresent(key(scope, session)), now);
    }

    private @Nullable Instant removalTime(@Nullable Kept kept, Instant now) {
        at(now);
        return kept == null ? null : now.plusNanos(kept.dropAt() - ticker.read());
    }

    /** How many records there are. Records past their end may be among them. */
    long size() {
        return records.estimatedSize();
    }

    /** Refuses: a check of this store is local already (R12.13). */
    @Override
    public RevocationFeed feed() {
        throw new IllegalArgumentException(
                "The memory store needs no local replica: its checks are local already, and no other node shares it."
                        + " Leave localReplica out");
    }

    @Override
    public void close() {
        closed = true;
        records.invalidateAll();
        watermarks.invalidateAll();
        sessions.invalidateAll();
        unrevoked.clear();
    }
}
