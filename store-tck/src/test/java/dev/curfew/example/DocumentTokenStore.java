package dev.curfew.example;

import static dev.curfew.RecordField.CREATED_AT;
import static dev.curfew.RecordField.EXPIRES_AT;
import static dev.curfew.RecordField.EXTRA_DATA;
import static dev.curfew.RecordField.ISSUED_AT;
import static dev.curfew.RecordField.JTI;
import static dev.curfew.RecordField.PURPOSE;
import static dev.curfew.RecordField.REVOKED_AT;
import static dev.curfew.RecordField.SESSION;
import static dev.curfew.RecordField.SUBJECT;
import static dev.curfew.RecordField.SUCCESSOR;
import static dev.curfew.RecordField.UPDATED_AT;

import dev.curfew.Consumption;
import dev.curfew.ExtraData;
import dev.curfew.RecordField;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.StoredState;
import dev.curfew.SubjectMismatchException;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStore;
import dev.curfew.Watermarked;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The example of docs/writing-a-store.md: a store on a database of documents that can do one thing atomically, replace
 * the document of a key.
 *
 * <p>The layout. {@code documents}: [domain, tenant, jti] to {jti, subject, purpose, issued_at, expires_at, extra_data,
 * created_at, updated_at, revoked_at, session, successor}; times in milliseconds, extra data as JSON text, what is absent
 * left out. {@code watermarks}: [domain, tenant, subject] to [watermark, kept until]. {@code sessions}: [domain, tenant,
 * session] of a revoked session to the time until when it is kept.
 */
final class DocumentTokenStore implements TokenStore {
    private final ConcurrentMap<List<String>, Map<String, Object>> documents = new ConcurrentHashMap<>();
    private final ConcurrentMap<List<String>, List<Instant>> watermarks = new ConcurrentHashMap<>();
    private final ConcurrentMap<List<String>, Instant> sessions = new ConcurrentHashMap<>();
    private final Map<RecordField, String> names;
    private volatile boolean closed;

    /** A store whose documents have these names for their fields, and the usual ones for the rest. */
    DocumentTokenStore(Map<RecordField, String> names) {
        this.names = RecordField.names(names);
    }

    /** A list, since it cannot be confused with another one, whatever its strings contain. */
    private List<String> key(StoreScope scope, String id) {
        if (closed) {
            throw new IllegalStateException("The document store is closed; open a new one");
        }
        return List.of(scope.domain(), scope.tenant(), id);
    }

    @Override
    public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        var outcome = new StoreOutcome[] {StoreOutcome.STORED};
        documents.compute(key(scope, record.jti()), (key, document) -> {
            if (document == null) {
                return write(record);
            }
            TokenRecord stored = read(document);
            if (stored.subject() != null && !stored.subject().equals(record.subject())) {
                throw new SubjectMismatchException();
            }
            if (stored.isRevoked()) {
                outcome[0] = StoreOutcome.REVOKED;
                return document;
            }
            return write(record.withCreatedAt(stored.createdAt()));
        });
        return outcome[0];
    }

    @Override
    public StoredState find(StoreScope scope, String jti, Instant now) {
        Map<String, Object> document = documents.get(key(scope, jti));
        TokenRecord record = document == null ? null : read(document);
        return new StoredState(record, record == null ? null : watermark(scope, record.subject()), false);
    }

    private @Nullable Instant watermark(StoreScope scope, @Nullable String subject) {
        List<Instant> watermark = subject == null ? null : watermarks.get(key(scope, subject));
        return watermark == null ? null : watermark.get(0);
    }

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        Map<String, Object> document = documents.get(key(scope, jti));
        return document != null && document.containsKey(names.get(REVOKED_AT));
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        Set<String> revoked = new HashSet<>(jtis);
        revoked.removeIf(jti -> !isRevoked(scope, jti, now));
        return revoked;
    }

    @Override
    public StoredState state(StoreScope scope, String jti, String subject, @Nullable String session, Instant now) {
        return new StoredState(
                find(scope, jti, now).record(),
                watermark(scope, subject),
                session != null && sessions.containsKey(key(scope, session)));
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        var outcome = new RevokeOutcome[] {RevokeOutcome.REVOKED};
        documents.compute(key(scope, revocation.jti()), (key, document) -> {
            if (document == null) {
                return write(revocation);
            }
            TokenRecord stored = read(document);
            if (stored.isRevoked()) {
                outcome[0] = RevokeOutcome.ALREADY_REVOKED;
            }
            return write(stored.revoked(now, keepUntil));
        });
        return outcome[0];
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope,
            String jti,
            @Nullable String subject,
            String purpose,
            @Nullable String successor,
            Instant now) {
        var answer = new Consumption[] {Consumption.Refused.UNKNOWN};
        documents.computeIfPresent(key(scope, jti), (key, document) -> {
            TokenRecord stored = read(document);
            if (!stored.purpose().equals(purpose) || (subject != null && !subject.equals(stored.subject()))) {
                return document;
            }
            if (stored.isRevoked() || !stored.isLive(now)) {
                answer[0] = stored.isRevoked() ? Consumption.Refused.ALREADY_USED : Consumption.Refused.EXPIRED;
                return document;
            }
            TokenRecord used = stored.used(now, successor);
            answer[0] = new Consumption.Consumed(used);
            return write(used);
        });
        return new Watermarked<>(
                answer[0],
                answer[0] instanceof Consumption.Consumed consumed
                        ? watermark(scope, consumed.record().subject())
                        : null);
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        watermarks.merge(
                key(scope, subject),
                List.of(watermark, keepUntil),
                (a, b) -> List.of(later(a.get(0), b.get(0)), later(a.get(1), b.get(1))));
    }

    @Override
    public RevokeOutcome revokeSession(StoreScope scope, String session, Instant keepUntil, Instant now) {
        var outcome = new RevokeOutcome[] {RevokeOutcome.ALREADY_REVOKED};
        sessions.compute(key(scope, session), (key, until) -> {
            if (until == null) {
                outcome[0] = RevokeOutcome.REVOKED;
                return keepUntil;
            }
            return later(until, keepUntil);
        });
        return outcome[0];
    }

    @Override
    public Set<String> revokedSessions(StoreScope scope, Collection<String> asked, Instant now) {
        Set<String> revoked = new HashSet<>(asked);
        revoked.removeIf(session -> !sessions.containsKey(key(scope, session)));
        return revoked;
    }

    private static Instant later(Instant a, Instant b) {
        return a.isAfter(b) ? a : b;
    }

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        int revoked = 0;
        List<TokenRecord> batch;
        do {
            batch = list(scope, subject, null, limit - revoked, now).answer();
            for (TokenRecord found : batch) {
                var done = new boolean[1];
                documents.computeIfPresent(key(scope, found.jti()), (key, document) -> {
                    TokenRecord stored = read(document);
                    done[0] = !stored.isRevoked() && stored.isLive(now) && subject.equals(stored.subject());
                    return done[0] ? write(stored.revoked(now, stored.expiresAt())) : document;
                });
                revoked += done[0] ? 1 : 0;
            }
            // Somebody else may have been faster with one of them: fewer than asked for must mean that there are no
            // more.
        } while (revoked < limit && !batch.isEmpty());
        return revoked;
    }

    @Override
    public Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        return new Watermarked<>(
                page(scope, r -> subject.equals(r.subject()) && r.isLive(now) && !r.isRevoked(), after, limit),
                watermark(scope, subject));
    }

    @Override
    public List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        return page(scope, r -> scope.isPastRetention(r.expiresAt(), now), after, limit);
    }

    /** A real database has an index for each of the two. */
    private List<TokenRecord> page(
            StoreScope scope, Predicate<TokenRecord> wanted, @Nullable TokenRecord after, int limit) {
        List<String> tenant = key(scope, "").subList(0, 2);
        return documents.entrySet().stream()
                .filter(entry -> entry.getKey().subList(0, 2).equals(tenant))
                .map(entry -> read(entry.getValue()))
                .filter(record ->
                        wanted.test(record) && (after == null || TokenRecord.BY_EXPIRY.compare(record, after) > 0))
                .sorted(TokenRecord.BY_EXPIRY)
                .limit(limit)
                .toList();
    }

    @Override
    public int expunge(StoreScope scope, int limit, Instant now) {
        String domain = key(scope, "").get(0);
        List<List<String>> garbage = documents.entrySet().stream()
                .filter(entry -> entry.getKey().get(0).equals(domain) && isGarbage(scope, entry.getValue(), now))
                .sorted(Comparator.comparing(entry -> instant(entry.getValue(), EXPIRES_AT)))
                .map(Map.Entry::getKey)
                .toList();
        int removed = 0;
        for (List<String> key : garbage) {
            if (removed == limit) {
                return removed;
            }
            // Looked at again inside: it may have been revoked until later meanwhile, or removed by another node.
            var done = new boolean[1];
            documents.computeIfPresent(key, (k, document) -> {
                done[0] = isGarbage(scope, document, now);
                return done[0] ? null : document;
            });
            removed += done[0] ? 1 : 0;
        }
        for (Map.Entry<List<String>, List<Instant>> entry : watermarks.entrySet()) {
            boolean ended = entry.getKey().get(0).equals(domain)
                    && !now.isBefore(entry.getValue().get(1));
            if (removed < limit && ended && watermarks.remove(entry.getKey(), entry.getValue())) {
                removed++;
            }
        }
        for (Map.Entry<List<String>, Instant> entry : sessions.entrySet()) {
            boolean ended = entry.getKey().get(0).equals(domain) && !now.isBefore(entry.getValue());
            if (removed < limit && ended && sessions.remove(entry.getKey(), entry.getValue())) {
                removed++;
            }
        }
        return removed;
    }

    private boolean isGarbage(StoreScope scope, Map<String, Object> document, Instant now) {
        return scope.isPastRetention(instant(document, EXPIRES_AT), now);
    }

    @Override
    public void close() {
        closed = true;
    }

    private Map<String, Object> write(TokenRecord record) {
        Map<String, Object> document = new HashMap<>();
        put(document, JTI, record.jti());
        put(document, SUBJECT, record.subject());
        put(document, PURPOSE, record.purpose());
        put(document, ISSUED_AT, millis(record.issuedAt()));
        put(document, EXPIRES_AT, millis(record.expiresAt()));
        put(
                document,
                EXTRA_DATA,
                record.extraData() == null ? null : record.extraData().json());
        put(document, CREATED_AT, millis(record.createdAt()));
        put(document, UPDATED_AT, millis(record.updatedAt()));
        put(document, REVOKED_AT, millis(record.revokedAt()));
        put(document, SESSION, record.session());
        put(document, SUCCESSOR, record.successor());
        return Map.copyOf(document);
    }

    private void put(Map<String, Object> document, RecordField field, @Nullable Object value) {
        if (value != null) {
            document.put(names.get(field), value);
        }
    }

    private static @Nullable Long millis(@Nullable Instant instant) {
        return instant == null ? null : instant.toEpochMilli();
    }

    private TokenRecord read(Map<String, Object> document) {
        String extraData = (String) document.get(names.get(EXTRA_DATA));
        return new TokenRecord(
                (String) document.get(names.get(JTI)),
                (String) document.get(names.get(SUBJECT)),
                (String) document.get(names.get(PURPOSE)),
                instant(document, ISSUED_AT),
                instant(document, EXPIRES_AT),
                extraData == null ? null : ExtraData.ofJson(extraData),
                instant(document, CREATED_AT),
                instant(document, UPDATED_AT),
                instant(document, REVOKED_AT),
                (String) document.get(names.get(SESSION)),
                (String) document.get(names.get(SUCCESSOR)));
    }

    private @Nullable Instant instant(Map<String, Object> document, RecordField field) {
        Long millis = (Long) document.get(names.get(field));
        return millis == null ? null : Instant.ofEpochMilli(millis);
    }
}
