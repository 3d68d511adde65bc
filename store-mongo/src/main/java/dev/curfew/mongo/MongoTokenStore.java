package dev.curfew.mongo;

import static com.mongodb.client.model.Aggregates.limit;
import static com.mongodb.client.model.Filters.and;
import static com.mongodb.client.model.Filters.eq;
import static com.mongodb.client.model.Filters.exists;
import static com.mongodb.client.model.Filters.gt;
import static com.mongodb.client.model.Filters.gte;
import static com.mongodb.client.model.Filters.in;
import static com.mongodb.client.model.Filters.lt;
import static com.mongodb.client.model.Filters.lte;
import static com.mongodb.client.model.Filters.ne;
import static com.mongodb.client.model.Filters.not;
import static com.mongodb.client.model.Filters.or;
import static com.mongodb.client.model.Filters.type;
import static com.mongodb.client.model.Projections.exclude;
import static com.mongodb.client.model.Projections.include;
import static com.mongodb.client.model.Sorts.ascending;
import static com.mongodb.client.model.Updates.combine;
import static com.mongodb.client.model.Updates.max;
import static com.mongodb.client.model.Updates.set;
import static com.mongodb.client.model.Updates.setOnInsert;
import static com.mongodb.client.model.Updates.unset;

import com.mongodb.MongoClientSettings;
import com.mongodb.MongoCommandException;
import com.mongodb.MongoException;
import com.mongodb.MongoOperationTimeoutException;
import com.mongodb.MongoSocketReadTimeoutException;
import com.mongodb.MongoWriteConcernException;
import com.mongodb.ReadConcern;
import com.mongodb.ReadPreference;
import com.mongodb.WriteConcern;
import com.mongodb.client.FindIterable;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoCollection;
import com.mongodb.client.MongoDatabase;
import com.mongodb.client.model.FindOneAndUpdateOptions;
import com.mongodb.client.model.ReturnDocument;
import com.mongodb.client.model.UpdateOptions;
import com.mongodb.connection.ClusterConnectionMode;
import com.mongodb.connection.ClusterDescription;
import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.Deadline;
import dev.curfew.RecordField;
import dev.curfew.RevocationFeed;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.StoredState;
import dev.curfew.SubjectMismatchException;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.Watermarked;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bson.BsonDocument;
import org.bson.BsonInt64;
import org.bson.BsonInvalidOperationException;
import org.bson.BsonString;
import org.bson.BsonType;
import org.bson.BsonValue;
import org.bson.conversions.Bson;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A store in MongoDB 4.4 or later: a standalone server, a replica set or a sharded cluster.
 *
 * <p>The collection below is that of the domain {@code tokens}. It has three kinds of documents. All times are dates.
 *
 * <pre>
 * curfew_tokens
 *   { _id: "TENANT:JTI", tenant, subject, purpose, issued_at, expires_at, extra_data (JSON text),
 *     created_at, updated_at, revoked_at (null or absent while not revoked), attempt,
 *     session (absent if there is none), successor (absent unless the token was rotated) }
 *   { _id: "TENANT&#64;SUBJECT", watermark, expires_at }
 *   { _id: "TENANT#SESSION", session_revoked_at, expires_at, attempt }
 *
 *   { expires_at: 1 }, expireAfterSeconds: two skews    used by the TTL monitor and by expunge
 *   { tenant: 1, subject: 1, revoked_at: 1, expires_at: 1, _id: 1 }
 *   { tenant: 1, expires_at: 1, _id: 1 }
 * </pre>
 *
 * <p>Every verb that changes one record works in these steps:
 *
 * <ol>
 *   <li>It sends one update whose filter has all its conditions. If the document may be missing, the update is an
 *       upsert.
 *   <li>If no document fits the filter, which an upsert shows by a duplicate key, or if the connection is lost, the
 *       verb reads the document by a {@code findAndModify} that changes nothing. A majority has to confirm that
 *       command, as it has to confirm every write.
 *   <li>The verb answers from that document. If the document fits now, the verb begins again.
 * </ol>
 *
 * <p>The store always uses write concern majority with journal, and reads from the primary with read concern local,
 * whatever the settings of the client are.
 */
public final class MongoTokenStore implements TokenStore {
    static final String DATABASE = "curfew";

    private static final Logger LOG = LoggerFactory.getLogger(MongoTokenStore.class);

    // A name that needs no quotes in a shell, and that cannot equal a name with a hash.
    private static final Pattern PLAIN = Pattern.compile("[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?");
    // A request has 48 MB at most, a document in it 16 MB, and a jti with its tenant is shorter than a kilobyte.
    private static final int CHUNK = 10_000;
    // A further attempt is only needed if another node has changed the document between two commands.
    private static final int MOST_ATTEMPTS = 50;

    // Needs only the right to find, also on a single collection. A facet has one result even without documents.
    private static final List<BsonDocument> SERVER_TIME = Stream.of(
                    "{$match: {_id: ''}}", "{$facet: {none: [{$limit: 1}]}}", "{$project: {now: '$$NOW'}}")
            .map(BsonDocument::parse)
            .toList();
    private static final BsonDocument EMPTY = new BsonDocument();
    private static final UpdateOptions UPSERT = new UpdateOptions().upsert(true);

    private final @Nullable MongoDatabase database;
    private final Function<String, MongoCollection<BsonDocument>> collections;
    private final ReadConcern readConcern;
    private final Documents names;
    // The fields that show whether a record is revoked, and whether the document is a record.
    private final Bson ends;
    private final @Nullable MongoClient client;
    private final Map<String, MongoCollection<BsonDocument>> domains = new ConcurrentHashMap<>();
    private volatile boolean closed;

    private MongoTokenStore(Builder settings) {
        this.database = settings.database;
        this.collections = settings.collections;
        this.readConcern = settings.readConcern;
        this.names = new Documents(settings.names);
        this.ends = include(names.revokedAt, names.expiresAt).toBsonDocument();
        this.client = settings.client;
    }

    /** A store in a database of the application's own client, with a collection for each domain. */
    public static MongoTokenStore create(MongoDatabase database) {
        return builder(database).build();
    }

    /** A store of one domain in a collection of the application's own client, which should hold nothing else. */
    public static MongoTokenStore create(MongoCollection<?> collection) {
        return builder(collection).build();
    }

    /** A store in a database of the application's own client; a domain's collection is {@code curfew_} and its name. */
    public static Builder builder(MongoDatabase database) {
        MongoDatabase ours =
                required(database, "database").withCodecRegistry(MongoClientSettings.getDefaultCodecRegistry());
        return new Builder(ours, domain -> ours.getCollection(collection(domain), BsonDocument.class));
    }

    /** A store of one domain in a collection of the application's own client. */
    public static Builder builder(MongoCollection<?> collection) {
        MongoCollection<BsonDocument> ours = required(collection, "collection").withDocumentClass(BsonDocument.class);
        var only = new AtomicReference<@Nullable String>();
        return new Builder(null, domain -> {
            if (!only.compareAndSet(null, domain) && !domain.equals(only.get())) {
                throw Failures.failure(
                        Outcome.UNCHANGED,
                        "The collection serves domain '" + only.get() + "', and not also '" + domain
                                + "': build a MongoTokenStore with another collection for that",
                        null);
            }
            return ours;
        });
    }

    private static <T> T required(@Nullable T argument, String name) {
        if (argument == null) {
            throw new IllegalArgumentException(name + " must not be null");
        }
        return argument;
    }

    /** The settings of a store; made by {@link MongoTokenStore#builder}. */
    public static final class Builder {
        private final @Nullable MongoDatabase database;
        private final Function<String, MongoCollection<BsonDocument>> collections;
        private final Map<RecordField, String> names = new EnumMap<>(RecordField.class);
        private ReadConcern readConcern = ReadConcern.LOCAL;
        private @Nullable MongoClient client;

        private Builder(@Nullable MongoDatabase database, Function<String, MongoCollection<BsonDocument>> collections) {
            this.database = database;
            this.collections = collections;
        }

        /**
         * Sets the name of a field; by default {@link RecordField#defaultName}. The jti has no field of its own, since
         * it is a part of {@code _id}.
         *
         * @throws IllegalArgumentException if the field is the jti, if MongoDB or this store uses the name itself, or
         *     if an argument is {@code null}
         */
        public Builder field(RecordField field, String name) {
            names.put(required(field, "field"), Documents.checked(field, required(name, "name")));
            return this;
        }

        /**
         * Makes every read by jti wait until a majority confirms that the primary is still the primary. So a former
         * primary that does not know yet that it was deposed cannot answer a check. Such a read takes as long as a
         * write, and needs a replica set.
         */
        public Builder linearizableReads() {
            this.readConcern = ReadConcern.LINEARIZABLE;
            return this;
        }

        Builder owning(MongoClient client) {
            this.client = client;
            return this;
        }

        /**
         * Makes the store.
         *
         * @throws IllegalArgumentException if two fields have the same name
         */
        public MongoTokenStore build() {
            return new MongoTokenStore(this);
        }
    }

    /** The name of a domain's collection in a database: {@code curfew_} and the domain's name, or a hash of that. */
    static String collection(String domain) {
        return PLAIN.matcher(domain).matches()
                ? "curfew_" + domain
                : "curfew__" + UUID.nameUUIDFromBytes(domain.getBytes(StandardCharsets.UTF_8));
    }

    /** The collection of a domain, with the timeout of the last command. */
    private MongoCollection<BsonDocument> domain(String name) {
        return domains.computeIfAbsent(
                name,
                domain -> collections
                        .apply(domain)
                        .withCodecRegistry(MongoClientSettings.getDefaultCodecRegistry())
                        .withWriteConcern(WriteConcern.MAJORITY.withJournal(true))
                        .withReadPreference(ReadPreference.primary())
                        .withReadConcern(ReadConcern.LOCAL));
    }

    /**
     * Checks the domain's collection, and creates missing indexes. Any number of nodes may do so at once.
     *
     * @throws TokenStoreException if the collection or an index does not fit; the message has the command that corrects
     *     it
     */
    @Override
    public void prepare(StoreScope scope) {
        run(scope, call -> {
            new Preparation(scope, domain(scope.domain()), database, names).run();
            return true;
        });
        ClusterDescription cluster = client == null ? null : client.getClusterDescription();
        if (cluster != null
                && cluster.getConnectionMode() == ClusterConnectionMode.SINGLE
                && cluster.getServerDescriptions().stream().anyMatch(server -> server.isReplicaSetMember())) {
            LOG.warn(
                    "Domain '{}' is kept with one member of a replica set, without the others: when another one becomes"
                            + " the primary, checks would miss what is revoked there. Name the hosts, or replicaSet, and"
                            + " leave out directConnection.",
                    scope.domain());
        }
    }

    /**
     * The time by the clock of the primary or of the router; {@code null} if the server refuses the query, as a server
     * that is only compatible with MongoDB may do.
     */
    @Override
    public @Nullable Instant serverTime(StoreScope scope) {
        return run(scope, call -> {
            try {
                return call.read(
                        c -> c.aggregate(SERVER_TIME).map(Documents::serverTime).first());
            } catch (MongoCommandException e) {
                return null;
            }
        });
    }

    // The verbs

    @Override
    public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        BsonString id = Documents.recordId(scope, record.jti());
        var extraData = record.extraData();
        Bson filter = all(
                eq(id),
                eq(names.revokedAt, null),
                type(names.expiresAt, BsonType.DATE_TIME),
                in(names.subject, Documents.text(record.subject()), Documents.text(null)));
        Bson update = combine(
                set(names.tenant, scope.tenant()),
                set(names.subject, record.subject()),
                set(names.purpose, record.purpose()),
                set(names.issuedAt, Documents.date(record.issuedAt())),
                set(names.expiresAt, Documents.date(record.expiresAt())),
                set(names.extraData, Documents.text(extraData == null ? null : extraData.json())),
                record.session() == null ? unset(names.session) : set(names.session, record.session()),
                set(names.updatedAt, Documents.date(now)),
                setOnInsert(names.createdAt, Documents.date(now)));
        return run(scope, call -> {
            while (call.attempt(c -> c.updateOne(filter, update, UPSERT)) == null) {
                BsonDocument found = call.confirmed(id);
                TokenRecord stored = found == null ? null : names.record(found);
                if (stored != null
                        && stored.subject() != null
                        && !stored.subject().equals(record.subject())) {
                    throw new SubjectMismatchException();
                } else if (stored != null && stored.isRevoked()) {
                    return StoreOutcome.REVOKED;
                }
            }
            return StoreOutcome.STORED;
        });
    }

    @Override
    public StoredState find(StoreScope scope, String jti, Instant now) {
        Bson byId = eq(Documents.recordId(scope, jti));
        return run(scope, call -> {
            TokenRecord record = call.look(c -> c.find(byId).map(names::record).first());
            return record == null || record.isRevoked() || !record.isLive(now)
                    ? new StoredState(record, null, false)
                    : new StoredState(record, call.watermark(record.subject()), false);
        });
    }

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        var byId = new BsonDocument(Documents.ID, Documents.recordId(scope, jti));
        return run(scope, call -> {
            BsonDocument found = call.look(c -> c.find(byId).projection(ends).first());
            return found != null && names.isRevoked(found);
        });
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        List<BsonString> ids =
                jtis.stream().map(jti -> Documents.recordId(scope, jti)).toList();
        // Also documents of other programs: they must not count as not revoked.
        Bson filter = or(ne(names.revokedAt, null), not(type(names.expiresAt, BsonType.DATE_TIME)));
        return run(
                scope,
                call -> call.look(ids, filter, ends)
                        .filter(names::isRevoked)
                        .map(found -> Documents.name(found, ':'))
                        .collect(Collectors.toSet()));
    }

    @Override
    public StoredState state(StoreScope scope, String jti, String subject, @Nullable String session, Instant now) {
        BsonString id = Documents.recordId(scope, jti);
        BsonString watermarkId = Documents.watermarkId(scope, subject);
        List<BsonString> ids = session == null
                ? List.of(id, watermarkId)
                : List.of(id, watermarkId, Documents.sessionId(scope, session));
        Bson byIds = in(Documents.ID, ids);
        return run(scope, call -> {
            TokenRecord record = null;
            Instant watermark = null;
            boolean isSessionRevoked = false;
            for (BsonDocument found :
                    call.look(c -> all(c.find(byIds).projection(exclude(names.extraData)), ids.size() + 1))) {
                if (id.equals(found.get(Documents.ID))) {
                    record = names.record(found);
                } else if (watermarkId.equals(found.get(Documents.ID))) {
                    watermark = Documents.watermark(found);
                } else {
                    isSessionRevoked = Documents.isSessionRevoked(found);
                }
            }
            return new StoredState(record, watermark, isSessionRevoked);
        });
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        BsonString id = Documents.recordId(scope, revocation.jti());
        Bson filter = all(eq(id), eq(names.revokedAt, null), type(names.expiresAt, BsonType.DATE_TIME));
        Bson insertion = combine(
                setOnInsert(names.tenant, scope.tenant()),
                setOnInsert(names.subject, Documents.text(revocation.subject())),
                setOnInsert(names.purpose, revocation.purpose()),
                setOnInsert(names.issuedAt, Documents.date(revocation.issuedAt())),
                setOnInsert(names.createdAt, Documents.date(now)),
                revocation.session() == null ? EMPTY : setOnInsert(names.session, revocation.session()),
                // An update allows one operator for a field. If keepUntil is not the earlier one, max fits both cases.
                keepUntil.isBefore(revocation.expiresAt())
                        ? setOnInsert(names.expiresAt, Documents.date(revocation.expiresAt()))
                        : max(names.expiresAt, Documents.date(keepUntil)));
        Bson shorter = all(eq(id), ne(names.revokedAt, null), lt(names.expiresAt, Documents.date(keepUntil)));
        Bson extension =
                combine(set(names.expiresAt, Documents.date(keepUntil)), set(names.updatedAt, Documents.date(now)));
        return run(scope, call -> {
            Bson update = combine(call.revocation(now), insertion);
            while (call.revoke(id, c -> c.updateOne(filter, update, UPSERT)) == null) {
                BsonDocument found = call.confirmed(id);
                TokenRecord stored = found == null ? null : names.record(found);
                if (stored != null && stored.isRevoked()) {
                    if (call.isRevokedBy(found)) {
                        break;
                    }
                    boolean isKept = !keepUntil.isAfter(stored.expiresAt());
                    while (!isKept) {
                        isKept = call.attempt(c -> c.updateOne(shorter, extension)) != null;
                    }
                    return RevokeOutcome.ALREADY_REVOKED;
                }
            }
            return RevokeOutcome.REVOKED;
        });
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope,
            String jti,
            @Nullable String subject,
            String purpose,
            @Nullable String successor,
            Instant now) {
        BsonString id = Documents.recordId(scope, jti);
        Bson anySubject = all(
                eq(id),
                eq(names.purpose, purpose),
                eq(names.revokedAt, null),
                gt(names.expiresAt, Documents.date(now)));
        Bson filter = subject == null ? anySubject : all(anySubject, eq(names.subject, subject));
        Bson rotation = successor == null ? EMPTY : set(names.successor, successor);
        var options = new FindOneAndUpdateOptions().returnDocument(ReturnDocument.AFTER);
        return run(scope, call -> {
            Bson update = combine(call.revocation(now), rotation);
            while (true) {
                BsonDocument used = call.revoke(id, c -> c.findOneAndUpdate(filter, update, options));
                BsonDocument found = used == null ? call.confirmed(id) : used;
                TokenRecord stored = found == null ? null : names.record(found);
                if (stored == null
                        || !stored.purpose().equals(purpose)
                        || (subject != null && !subject.equals(stored.subject()))) {
                    return new Watermarked<>(Refused.UNKNOWN, null);
                } else if (stored.isRevoked() && call.isRevokedBy(found)) {
                    call.outcome = Outcome.UNKNOWN; // a failure from here on comes after the token was used
                    return new Watermarked<>(new Consumed(stored), call.watermark(stored.subject()));
                } else if (stored.isRevoked()) {
                    return new Watermarked<>(Refused.ALREADY_USED, null);
                } else if (!stored.isLive(now)) {
                    return new Watermarked<>(Refused.EXPIRED, null);
                }
            }
        });
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        BsonString id = Documents.watermarkId(scope, subject);
        Bson filter = all(eq(id), type(Documents.WATERMARK, BsonType.DATE_TIME));
        Bson update = combine(
                max(Documents.WATERMARK, Documents.date(watermark)),
                // The TTL and expunge add the skew to expires_at, and keepUntil includes it already.
                max(names.expiresAt, Documents.date(keepUntil.minus(scope.skew()))));
        run(scope, call -> {
            while (call.attempt(c -> c.updateOne(filter, update, UPSERT)) == null) {
                BsonDocument found = call.confirmed(id);
                if (found != null) {
                    Documents.watermark(found); // fails if the document is not Curfew's: then no attempt succeeds
                }
            }
            return true;
        });
    }

    @Override
    public RevokeOutcome revokeSession(StoreScope scope, String session, Instant keepUntil, Instant now) {
        BsonString id = Documents.sessionId(scope, session);
        Bson filter = all(eq(id), type(Documents.SESSION_REVOKED_AT, BsonType.DATE_TIME));
        var options = new FindOneAndUpdateOptions().upsert(true).returnDocument(ReturnDocument.AFTER);
        return run(scope, call -> {
            Bson update = combine(
                    setOnInsert(Documents.SESSION_REVOKED_AT, Documents.date(now)),
                    setOnInsert(Documents.ATTEMPT, call.mark),
                    max(names.expiresAt, Documents.date(keepUntil.minus(scope.skew()))));
            while (true) {
                BsonDocument revoked = call.revoke(id, c -> c.findOneAndUpdate(filter, update, options));
                if (revoked != null) {
                    return call.isRevokedBy(revoked) ? RevokeOutcome.REVOKED : RevokeOutcome.ALREADY_REVOKED;
                }
                BsonDocument found = call.confirmed(id);
                if (found != null) {
                    Documents.isSessionRevoked(found); // fails if the document is not Curfew's
                }
            }
        });
    }

    @Override
    public Set<String> revokedSessions(StoreScope scope, Collection<String> sessions, Instant now) {
        List<BsonString> ids = sessions.stream()
                .map(session -> Documents.sessionId(scope, session))
                .toList();
        Bson fields = include(Documents.SESSION_REVOKED_AT);
        return run(
                scope,
                call -> call.look(ids, EMPTY, fields)
                        .filter(Documents::isSessionRevoked)
                        .map(found -> Documents.name(found, '#'))
                        .collect(Collectors.toSet()));
    }

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        Bson live = live(scope, subject, now);
        Bson update = combine(set(names.revokedAt, Documents.date(now)), set(names.updatedAt, Documents.date(now)));
        return run(scope, call -> {
            int revoked = 0;
            boolean wasShort = false;
            while (true) {
                int room = limit - revoked;
                List<BsonValue> ids = ids(call, live, room);
                if (ids.isEmpty()) {
                    // None is left. A majority has to confirm that: another node may just have revoked them (R8.5).
                    call.many(c -> c.updateMany(all(live, exists(Documents.ATTEMPT)), update));
                    return revoked;
                }
                revoked += (int) call.many(c -> c.updateMany(all(in(Documents.ID, ids), live), update))
                        .getModifiedCount();
                // A token that is stored again with an earlier expiry may move to where this call has already looked:
                // so it looks twice.
                boolean isShort = ids.size() < room;
                if (revoked == limit || (isShort && wasShort)) {
                    return revoked;
                }
                wasShort = isShort;
            }
        });
    }

    /** The subject's live and unrevoked records. */
    private Bson live(StoreScope scope, String subject, Instant now) {
        return all(
                eq(names.tenant, scope.tenant()),
                eq(names.subject, subject),
                eq(names.revokedAt, null),
                gt(names.expiresAt, Documents.date(now)));
    }

    /** The domain's records, watermarks and revoked sessions that are past their retention end. */
    private Bson due(StoreScope scope, Instant now) {
        return lte(names.expiresAt, Documents.date(now.minus(scope.skew())));
    }

    @Override
    public Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        return run(scope, call -> {
            List<TokenRecord> page = page(call, live(scope, subject, now), after, limit);
            return new Watermarked<>(page, call.watermark(subject));
        });
    }

    @Override
    public List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        Bson ofTenant = all(eq(names.tenant, scope.tenant()), due(scope, now));
        return run(scope, call -> page(call, ofTenant, after, limit));
    }

    /** Reads a page. If the page is too large for one reply, the driver fetches the rest by further commands. */
    private List<TokenRecord> page(Call call, Bson filter, @Nullable TokenRecord after, int limit) {
        Bson page = after == null ? filter : and(filter, behind(after, Documents.recordId(call.scope, after.jti())));
        return call.read(c -> c.find(page)
                .sort(ascending(names.expiresAt, Documents.ID))
                .limit(limit)
                .batchSize(limit)
                .map(names::record)
                .into(new ArrayList<>()));
    }

    private Bson behind(TokenRecord after, BsonString id) {
        BsonValue expiresAt = Documents.date(after.expiresAt());
        // The first condition says where the server begins in the index.
        return and(gte(names.expiresAt, expiresAt), or(gt(names.expiresAt, expiresAt), gt(Documents.ID, id)));
    }

    /** Removes one batch. A record that another node has removed meanwhile is not counted. */
    @Override
    public int expunge(StoreScope scope, int limit, Instant now) {
        Bson due = due(scope, now);
        return run(scope, call -> {
            List<BsonValue> ids = ids(call, due, limit);
            return ids.isEmpty()
                    ? 0
                    : (int) call.many(c -> c.deleteMany(all(in(Documents.ID, ids), due)))
                            .getDeletedCount();
        });
    }

    /** The ids of those documents that expire first. */
    private List<BsonValue> ids(Call call, Bson filter, int limit) {
        return call.read(c -> c.find(filter)
                .sort(ascending(names.expiresAt))
                .projection(include(Documents.ID))
                .limit(limit)
                .batchSize(limit)
                .map(Documents::id)
                .into(new ArrayList<>()));
    }

    private static List<BsonDocument> all(FindIterable<BsonDocument> found, int atOnce) {
        return found.batchSize(atOnce).into(new ArrayList<>());
    }

    /** Joins conditions on different fields into one document, without an {@code $and} that the server must resolve. */
    private static BsonDocument all(Bson... conditions) {
        var all = new BsonDocument();
        for (Bson condition : conditions) {
            all.putAll(condition.toBsonDocument());
        }
        return all;
    }

    // Commands

    /** Runs a verb, and makes the store's exceptions of the driver's. */
    private <T extends @Nullable Object> T run(StoreScope scope, Function<Call, T> verb) {
        var call = new Call(scope);
        try {
            if (!closed) {
                return verb.apply(call);
            }
        } catch (BsonInvalidOperationException e) {
            throw Failures.foreign(domain(scope.domain()).getNamespace(), names, call.outcome);
        } catch (MongoException | IllegalStateException e) {
            if (!closed) {
                throw Failures.of(scope.domain(), call.outcome, e);
            }
        }
        if (call.outcome != Outcome.UNCHANGED) {
            throw Failures.of(scope.domain(), call.outcome, "StoreClosed");
        }
        throw new IllegalStateException("The MongoDB store is closed; open a new one");
    }

    /** One call of a verb, whose commands share its deadline (R8.3). */
    private final class Call {
        private final StoreScope scope;
        private final Deadline deadline;
        // The mark of the revocation that this call makes, by which a repetition recognises it (R8.7).
        private final BsonInt64 mark = new BsonInt64(ThreadLocalRandom.current().nextLong());
        // What is known of the changes of this call, if its next command fails and changes nothing.
        private Outcome outcome = Outcome.UNCHANGED;
        private int attempts;

        Call(StoreScope scope) {
            this.scope = scope;
            this.deadline = Deadline.after(scope.deadline());
        }

        /**
         * Runs a command that changes nothing. If no reply comes, the command is sent once more on another connection,
         * since a firewall may have dropped the first one while it was idle.
         */
        <T extends @Nullable Object> T read(Function<MongoCollection<BsonDocument>, T> command) {
            try {
                return command.apply(timed());
            } catch (MongoOperationTimeoutException e) {
                if (e.getCause() instanceof MongoSocketReadTimeoutException) {
                    return command.apply(timed());
                }
                throw e;
            }
        }

        /** Runs a read by {@code _id}, which {@link Builder#linearizableReads} makes wait for a majority. */
        <T extends @Nullable Object> T look(Function<MongoCollection<BsonDocument>, T> command) {
            return readConcern.equals(ReadConcern.LOCAL)
                    ? read(command)
                    : read(collection -> command.apply(collection.withReadConcern(readConcern)));
        }

        /** Looks for the documents with these ids that also fit the filter; one command for each chunk of ids. */
        Stream<BsonDocument> look(List<BsonString> ids, Bson filter, Bson fields) {
            return IntStream.iterate(0, from -> from < ids.size(), from -> from + CHUNK)
                    .mapToObj(from -> ids.subList(from, Math.min(ids.size(), from + CHUNK)))
                    .flatMap(chunk -> {
                        Bson both = all(in(Documents.ID, chunk), filter);
                        return look(c -> all(c.find(both).projection(fields), chunk.size() + 1)).stream();
                    });
        }

        @Nullable
        Instant watermark(@Nullable String subject) {
            return subject == null
                    ? null
                    : look(c -> c.find(eq(Documents.watermarkId(scope, subject)))
                            .map(Documents::watermark)
                            .first());
        }

        /** Runs a command that changes many documents, and that may fail when some of them are changed. */
        <T> T many(Function<MongoCollection<BsonDocument>, T> command) {
            outcome = Outcome.UNKNOWN;
            return command.apply(timed());
        }

        /** Runs a change of one document; {@code null} if the document did not fit, or if that is not known. */
        <T extends @Nullable Object> @Nullable T attempt(Function<MongoCollection<BsonDocument>, T> command) {
            attempts++;
            MongoCollection<BsonDocument> collection = timed();
            Outcome before = outcome;
            outcome = Outcome.UNKNOWN;
            try {
                T done = command.apply(collection);
                outcome = before;
                return done;
            } catch (MongoException e) {
                if (Failures.isUndone(e)) {
                    outcome = before;
                } else if (e instanceof MongoWriteConcernException) {
                    outcome = Outcome.APPLIED_NOT_REPLICATED;
                }
                if (Failures.isDuplicateKey(e) || (Failures.isLostConnection(e) && before == Outcome.UNCHANGED)) {
                    return null;
                }
                throw e;
            }
        }

        /** Runs an attempt to revoke. If no majority answers in time, one read shows whether it is applied (R8.5). */
        <T extends @Nullable Object> @Nullable T revoke(
                BsonString id, Function<MongoCollection<BsonDocument>, T> command) {
            return attempt(collection -> {
                try {
                    return command.apply(collection);
                } catch (MongoOperationTimeoutException e) {
                    // At once, since little time is left.
                    if (isApplied(id)) {
                        throw Failures.of(scope.domain(), Outcome.APPLIED_NOT_REPLICATED, e);
                    }
                    throw e;
                }
            });
        }

        private boolean isApplied(BsonString id) {
            try {
                return isRevokedBy(timed().find(eq(id)).first());
            } catch (MongoException | TokenStoreException e) {
                return false; // it is not known
            }
        }

        Bson revocation(Instant now) {
            return combine(
                    set(names.revokedAt, Documents.date(now)),
                    set(names.updatedAt, Documents.date(now)),
                    set(Documents.ATTEMPT, mark));
        }

        /** Whether this call has revoked the record. */
        boolean isRevokedBy(@Nullable BsonDocument record) {
            return record != null && mark.equals(record.get(Documents.ATTEMPT));
        }

        /** The document as a majority has it: read by an update that changes nothing, which a majority acknowledges. */
        @Nullable
        BsonDocument confirmed(BsonString id) {
            return timed().findOneAndUpdate(eq(id), setOnInsert(Documents.ATTEMPT, 0L));
        }

        /**
         * The collection, with three quarters of the time that is left as its timeout. So some time remains for the
         * next command, or for a read that shows whether the change was applied.
         */
        private MongoCollection<BsonDocument> timed() {
            long millis = Math.min(deadline.remainingMillis(), scope.deadline().toMillis()) * 3 / 4;
            // With less time than this, even a healthy server would seem not to answer.
            if (millis <= scope.deadline().toMillis() / 64 || attempts > MOST_ATTEMPTS) {
                throw Failures.of(scope.domain(), outcome, "TooLate");
            }
            // Kept, since the first command of each call has the same timeout as that of the call before.
            MongoCollection<BsonDocument> last = domain(scope.domain());
            if (!Objects.equals(last.getTimeout(TimeUnit.MILLISECONDS), millis)) {
                last = last.withTimeout(millis, TimeUnit.MILLISECONDS);
                domains.put(scope.domain(), last);
            }
            return last;
        }
    }

    /** Refuses: only a change stream would leave nothing out, and none has been tested yet (R12.13). */
    @Override
    public RevocationFeed feed() {
        throw new IllegalArgumentException(
                "The MongoDB store has no feed of its revocations yet, so there is no local replica of it. Leave"
                        + " localReplica out, or take PostgreSQL or Redis");
    }

    @Override
    public void close() {
        closed = true;
        if (client != null) {
            client.close(); // a second time does nothing
        }
    }
}
