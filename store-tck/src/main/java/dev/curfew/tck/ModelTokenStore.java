package dev.curfew.tck;

import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.RevocationFeed;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.StoredState;
import dev.curfew.SubjectMismatchException;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStore;
import dev.curfew.Watermarked;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The contract in its plainest form: three maps and one lock. What the model-based test compares a store with, and what
 * the kit's own deliberately broken stores are made from.
 */
class ModelTokenStore implements TokenStore {
    private static final Comparator<TokenRecord> BY_EXPIRY = TokenRecord.BY_EXPIRY;

    record Key(String domain, String tenant, String id) {
        static Key of(StoreScope scope, String id) {
            return new Key(scope.domain(), scope.tenant(), id);
        }
    }

    record Watermark(Instant at, Instant keptUntil) {}

    /** A kind of change that revokes something. */
    enum Change {
        REVOKED,
        REVOKED_WITH_OTHERS,
        USED,
        WATERMARK,
        SESSION
    }

    record Entry(Change change, Key key) {}

    final Map<Key, TokenRecord> records = new HashMap<>();
    final Map<Key, Watermark> watermarks = new HashMap<>();
    /** Until when a revoked session is kept. */
    final Map<Key, Instant> sessions = new HashMap<>();

    /** What was changed, in order. */
    private final List<Entry> log = new ArrayList<>();

    private boolean closed;

    /** The key of a record; a broken store has another idea of it. */
    Key key(StoreScope scope, String id) {
        return Key.of(scope, id);
    }

    private void ensureOpen() {
        if (closed) {
            throw new IllegalStateException("The model store is closed; make a new one");
        }
    }

    @Override
    public synchronized StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        ensureOpen();
        TokenRecord stored = records.get(key(scope, record.jti()));
        if (stored == null) {
            records.put(key(scope, record.jti()), record);
            return StoreOutcome.STORED;
        }
        if (stored.subject() != null && !stored.subject().equals(record.subject())) {
            throw new SubjectMismatchException();
        }
        if (stored.isRevoked()) {
            return StoreOutcome.REVOKED;
        }
        records.put(key(scope, record.jti()), record.withCreatedAt(stored.createdAt()));
        return StoreOutcome.STORED;
    }

    @Override
    public synchronized StoredState find(StoreScope scope, String jti, Instant now) {
        TokenRecord found = found(scope, jti, now);
        return new StoredState(found, found == null ? null : watermark(scope, found.subject()), false);
    }

    /** The record, or null; a broken store has another one. */
    synchronized @Nullable TokenRecord found(StoreScope scope, String jti, Instant now) {
        ensureOpen();
        return records.get(key(scope, jti));
    }

    synchronized @Nullable Instant watermark(StoreScope scope, @Nullable String subject) {
        Watermark watermark = subject == null ? null : watermarks.get(key(scope, subject));
        return watermark == null ? null : watermark.at();
    }

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        TokenRecord record = found(scope, jti, now);
        return record != null && record.isRevoked();
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        return jtis.stream().filter(jti -> isRevoked(scope, jti, now)).collect(Collectors.toSet());
    }

    @Override
    public synchronized StoredState state(
            StoreScope scope, String jti, String subject, @Nullable String session, Instant now) {
        return new StoredState(
                found(scope, jti, now),
                watermark(scope, subject),
                session != null && !revokedSessions(scope, Set.of(session), now).isEmpty());
    }

    @Override
    public synchronized RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        ensureOpen();
        TokenRecord stored = records.get(key(scope, revocation.jti()));
        records.put(key(scope, revocation.jti()), stored == null ? revocation : stored.revoked(now, keepUntil));
        log(Change.REVOKED, scope, revocation.jti());
        return stored != null && stored.isRevoked() ? RevokeOutcome.ALREADY_REVOKED : RevokeOutcome.REVOKED;
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope,
            String jti,
            @Nullable String subject,
            String purpose,
            @Nullable String successor,
            Instant now) {
        Consumption answer = use(scope, jti, subject, purpose, successor, now);
        return new Watermarked<>(
                answer,
                answer instanceof Consumed consumed
                        ? watermark(scope, consumed.record().subject())
                        : null);
    }

    /** Consumes; a broken store does so in another way. */
    synchronized Consumption use(
            StoreScope scope,
            String jti,
            @Nullable String subject,
            String purpose,
            @Nullable String successor,
            Instant now) {
        TokenRecord stored = found(scope, jti, now);
        if (stored == null
                || !stored.purpose().equals(purpose)
                || (subject != null && !subject.equals(stored.subject()))) {
            return Refused.UNKNOWN;
        } else if (stored.isRevoked()) {
            return Refused.ALREADY_USED;
        } else if (!stored.isLive(now)) {
            return Refused.EXPIRED;
        }
        TokenRecord used = stored.used(now, successor);
        records.put(key(scope, jti), used);
        log(Change.USED, scope, jti);
        return new Consumed(used);
    }

    @Override
    public synchronized void revokeSubject(
            StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        ensureOpen();
        watermarks.merge(
                key(scope, subject),
                new Watermark(watermark, keepUntil),
                (a, b) -> new Watermark(later(a.at(), b.at()), later(a.keptUntil(), b.keptUntil())));
        log(Change.WATERMARK, scope, subject);
    }

    @Override
    public synchronized RevokeOutcome revokeSession(StoreScope scope, String session, Instant keepUntil, Instant now) {
        ensureOpen();
        boolean isFirst = !sessions.containsKey(key(scope, session));
        sessions.merge(key(scope, session), keepUntil, ModelTokenStore::later);
        log(Change.SESSION, scope, session);
        return isFirst ? RevokeOutcome.REVOKED : RevokeOutcome.ALREADY_REVOKED;
    }

    @Override
    public synchronized Set<String> revokedSessions(StoreScope scope, Collection<String> asked, Instant now) {
        ensureOpen();
        return asked.stream()
                .filter(session -> sessions.containsKey(key(scope, session)))
                .collect(Collectors.toSet());
    }

    static Instant later(Instant a, Instant b) {
        return a.isAfter(b) ? a : b;
    }

    @Override
    public synchronized int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        List<TokenRecord> batch = listed(scope, subject, null, limit, now);
        for (TokenRecord record : batch) {
            records.put(key(scope, record.jti()), record.revoked(now, record.expiresAt()));
            log(Change.REVOKED_WITH_OTHERS, scope, record.jti());
        }
        return batch.size();
    }

    @Override
    public synchronized Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        return new Watermarked<>(listed(scope, subject, after, limit, now), watermark(scope, subject));
    }

    /** The page; a broken store has another one. */
    synchronized List<TokenRecord> listed(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        return page(
                tenant(scope).filter(r -> subject.equals(r.subject()) && r.isLive(now) && !r.isRevoked()),
                after,
                limit);
    }

    @Override
    public synchronized List<TokenRecord> readExpired(
            StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        return page(tenant(scope).filter(r -> scope.isPastRetention(r.expiresAt(), now)), after, limit);
    }

    private Stream<TokenRecord> tenant(StoreScope scope) {
        ensureOpen();
        return records.entrySet().stream()
                .filter(e -> e.getKey().equals(key(scope, e.getKey().id())))
                .map(Map.Entry::getValue);
    }

    private static List<TokenRecord> page(Stream<TokenRecord> records, @Nullable TokenRecord after, int limit) {
        return records.filter(r -> after == null || BY_EXPIRY.compare(r, after) > 0)
                .sorted(BY_EXPIRY)
                .limit(limit)
                .toList();
    }

    @Override
    public synchronized int expunge(StoreScope scope, int limit, Instant now) {
        ensureOpen();
        List<Key> garbage = records.entrySet().stream()
                .filter(e -> e.getKey().domain().equals(scope.domain()))
                .filter(e -> scope.isPastRetention(e.getValue().expiresAt(), now))
                .sorted(Map.Entry.comparingByValue(BY_EXPIRY))
                .limit(limit)
                .map(Map.Entry::getKey)
                .toList();
        garbage.forEach(records::remove);
        int removed = garbage.size();
        removed += removeEnded(watermarks, Watermark::keptUntil, scope, limit - removed, now);
        return removed + removeEnded(sessions, Function.identity(), scope, limit - removed, now);
    }

    private static <T> int removeEnded(
            Map<Key, T> entries, Function<T, Instant> keptUntil, StoreScope scope, int limit, Instant now) {
        List<Key> ended = entries.entrySet().stream()
                .filter(e -> e.getKey().domain().equals(scope.domain()))
                .filter(e -> !now.isBefore(keptUntil.apply(e.getValue())))
                .limit(limit)
                .map(Map.Entry::getKey)
                .toList();
        ended.forEach(entries::remove);
        return ended.size();
    }

    /** Notes a change for the feed; a broken store forgets some. */
    void log(Change change, StoreScope scope, String id) {
        log.add(new Entry(change, key(scope, id)));
    }

    @Override
    public RevocationFeed feed() {
        return this::follow;
    }

    /** The place in the log where a poll ends. */
    synchronized int end() {
        return log.size();
    }

    /** What a poll tells; a broken store leaves something out. */
    synchronized List<Entry> entries(StoreScope scope, @Nullable String after) {
        ensureOpen();
        return log.subList(after == null ? 0 : Integer.parseInt(after), log.size()).stream()
                .filter(entry -> entry.key().domain().equals(scope.domain()))
                .toList();
    }

    /** A poll; a broken store takes its steps in another order. */
    String follow(StoreScope scope, @Nullable String after, RevocationFeed.Sink sink, Instant now) {
        int end = end();
        entries(scope, after).forEach(entry -> tell(sink, entry));
        return Integer.toString(end);
    }

    /** Tells how it is now; a broken store tells something else. */
    synchronized void tell(RevocationFeed.Sink sink, Entry entry) {
        Key key = entry.key();
        TokenRecord record = records.get(key);
        Watermark watermark = watermarks.get(key);
        Instant session = sessions.get(key);
        switch (entry.change()) {
            case WATERMARK -> {
                if (watermark != null) {
                    sink.watermark(key.tenant(), key.id(), watermark.at(), watermark.keptUntil());
                }
            }
            case SESSION -> {
                if (session != null) {
                    sink.sessionRevoked(key.tenant(), key.id(), session);
                }
            }
            default -> {
                if (record != null) {
                    sink.revoked(key.tenant(), key.id(), record.expiresAt());
                }
            }
        }
    }

    @Override
    public synchronized void close() {
        closed = true;
        records.clear();
        watermarks.clear();
        sessions.clear();
    }
}
