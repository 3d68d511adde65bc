package dev.curfew.mongo;

import static com.mongodb.client.model.Aggregates.facet;
import static com.mongodb.client.model.Aggregates.limit;
import static com.mongodb.client.model.Aggregates.match;
import static com.mongodb.client.model.Aggregates.project;
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
import com.mongodb.client.model.Facet;
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
import java.util.HashSet;
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
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.bson.BsonDocument;
import org.bson.BsonInt32;
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
 * Records in MongoDB, 4.4 or later: a standalone server, a replica set or a sharded cluster.
 *
 * <p>The layout, for the domain {@code tokens}. All times are dates; one collection has two kinds of documents:
 *
 * <pre>
 * curfew_tokens
 *   { _id: "TENANT:JTI", tenant, subject, purpose, issued_at, expires_at, extra_data (JSON text),
 *     created_at, updated_at, revoked_at (null or absent while not revoked), attempt }
 *   { _id: "TENANT&#64;SUBJECT", watermark, expires_at }
 *
 *   { expires_at: 1 }, expireAfterSeconds: two skews    what the TTL monitor and expunge go by
 *   { tenant: 1, subject: 1, revoked_at: 1, expires_at: 1, _id: 1 }
 *   { tenant: 1, expires_at: 1, _id: 1 }
 * </pre>
 *
 * <p>Every verb that changes one record
 *
 * <ol>
 *   <li>is one update whose filter holds all of its conditions, an upsert where there may be nothing yet;
 *   <li>where that met a document which does not fit, seen by a duplicate key or by no answer, or lost its connection,
 *       reads the document by an update that changes nothing, and which therefore a majority has to confirm like any
 *       other;
 *   <li>answers from that, or begins again, if the document fits now.
 * </ol>
 *
 * <p>Pinned, whatever the client says: write concern majority with journal, reads from the primary with read concern
 * local.
 */
public final class MongoTokenStore implements TokenStore {
    static final String DATABASE = "curfew";

    private static final Logger LOG = LoggerFactory.getLogger(MongoTokenStore.class);

    // What needs no thought in a shell, and cannot be taken for a name that is made of a hash.
    private static final Pattern PLAIN = Pattern.compile("[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?");
    // A request has 48 MB at most, a document in it 16 MB, and a jti with its tenant less than a kilobyte.
    private static final int CHUNK = 10_000;
    // Each follows a change by another node, between two commands of this one.
    private static final int MOST_ATTEMPTS = 50;

    // For which the right to find is enough, also on a collection alone. A facet has one answer, also of no documents.
    private static final List<Bson> SERVER_TIME = List.of(
            match(eq("")),
            facet(new Facet("none", List.of(limit(1)))),
            project(new BsonDocument(Documents.SERVER_TIME, new BsonString("$$NOW"))));

    private final @Nullable MongoDatabase database;
    private final @Nullable MongoCollection<BsonDocument> collection;
    private final ReadConcern readConcern;
    private final Documents names;
    // What tells whether a record is revoked, and whether it is one.
    private final BsonDocument ends;
    private final @Nullable MongoClient client;
    // The domain of a collection that was passed in: there is one.
    private final AtomicReference<@Nullable String> claimant = new AtomicReference<>();
    private final Map<String, MongoCollection<BsonDocument>> domains = new ConcurrentHashMap<>();
    private final Map<String, Timed> timed = new ConcurrentHashMap<>();
    private volatile boolean closed;

    private record Timed(long millis, MongoCollection<BsonDocument> collection) {}

    private MongoTokenStore(Builder settings) {
        this.database = settings.database;
        this.collection = settings.collection;
        this.readConcern = settings.readConcern;
        this.names = new Documents(settings.names);
        this.ends = new BsonDocument(names.revokedAt, new BsonInt32(1)).append(names.expiresAt, new BsonInt32(1));
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

    /** A store in a database of the application's own client, with a collection {@code curfew_} and its name for each domain. */
    public static Builder builder(MongoDatabase database) {
        return new Builder(required(database, "database"), null);
    }

    /** A store of one domain in a collection of the application's own client. */
    public static Builder builder(MongoCollection<?> collection) {
        return new Builder(null, required(collection, "collection").withDocumentClass(BsonDocument.class));
    }

    private static <T> T required(@Nullable T argument, String name) {
        if (argument == null) {
            throw new IllegalArgumentException(name + " must not be null");
        }
        return argument;
    }

    /** How the store reads, and under which names it finds its fields; made by {@link MongoTokenStore#builder}. */
    public static final class Builder {
        private final @Nullable MongoDatabase database;
        private final @Nullable MongoCollection<BsonDocument> collection;
        private final Map<RecordField, String> names = new EnumMap<>(RecordField.class);
        private ReadConcern readConcern = ReadConcern.LOCAL;
        private @Nullable MongoClient client;

        private Builder(@Nullable MongoDatabase database, @Nullable MongoCollection<BsonDocument> collection) {
            this.database = database;
            this.collection = collection;
        }

        /**
         * The name of a field; by default {@link RecordField#defaultName}. The jti has none: it is a part of {@code _id}.
         *
         * @throws IllegalArgumentException if it is the jti, or a name that MongoDB or this store gives a meaning to, or
         *     {@code null}
         */
        public Builder field(RecordField field, String name) {
            names.put(required(field, "field"), Documents.checked(field, required(name, "name")));
            return this;
        }

        /**
         * Lets whatever is looked up by its jti wait until a majority confirms that the primary is still the primary, so
         * that not even one that was deposed and does not know it yet can miss a revocation. It costs what a write costs,
         * and takes a replica set.
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
         * The store.
         *
         * @throws IllegalArgumentException if two fields have the same name
         */
        public MongoTokenStore build() {
            return new MongoTokenStore(this);
        }
    }

    /** The collection of a domain where none is named: {@code curfew_} and the domain, or a hash of it. */
    static String collection(String domain) {
        return PLAIN.matcher(domain).matches()
                ? "curfew_" + domain
                : "curfew__" + UUID.nameUUIDFromBytes(domain.getBytes(StandardCharsets.UTF_8));
    }

    private MongoCollection<BsonDocument> domain(String name) {
        MongoCollection<BsonDocument> domain = domains.get(name);
        if (domain != null) {
            return domain;
        }
        if (database == null && !claimant.compareAndSet(null, name) && !name.equals(claimant.get())) {
            throw Failures.failure(
                    Outcome.UNCHANGED,
                    "The collection serves domain '" + claimant.get() + "', and not also '" + name
                            + "': build a MongoTokenStore with another collection for that",
                    null);
        }
        MongoCollection<BsonDocument> found =
                database == null ? collection : database.getCollection(collection(name), BsonDocument.class);
        return domains.computeIfAbsent(
                name,
                d -> Objects.requireNonNull(found)
                        .withCodecRegistry(MongoClientSettings.getDefaultCodecRegistry())
                        .withWriteConcern(WriteConcern.MAJORITY.withJournal(true))
                        .withReadPreference(ReadPreference.primary())
                        .withReadConcern(ReadConcern.LOCAL));
    }

    /**
     * Looks at the domain's collection, and creates the indexes that are missing; any number of nodes may do so at once.
     *
     * @throws TokenStoreException if the collection or an index is not as it must be; the message has the command that
     *     mends it
     */
    @Override
    public void prepare(StoreScope scope) {
        new Call(scope).run(() -> {
            new Preparation(scope, domain(scope.domain()), database, names).run();
            return true;
        });
        if (client != null && isDirectToAMember(client.getClusterDescription())) {
            LOG.warn(
                    "Domain '{}' is kept with one member of a replica set, without the others: when another one becomes"
                            + " the primary, checks would miss what is revoked there. Name the hosts, or replicaSet, and"
                            + " leave out directConnection.",
                    scope.domain());
        }
    }

    /**
     * The time by the clock of the primary, or of the router; {@code null} where the server refuses to tell it, as one that
     * is no MongoDB may.
     */
    @Override
    public @Nullable Instant serverTime(StoreScope scope) {
        return new Call(scope).read(collection -> {
            try {
                BsonDocument answer = collection.aggregate(SERVER_TIME).first();
                return answer == null ? null : Documents.serverTime(answer);
            } catch (MongoCommandException e) {
                return null;
            }
        });
    }

    private static boolean isDirectToAMember(ClusterDescription cluster) {
        return cluster.getConnectionMode() == ClusterConnectionMode.SINGLE
                && cluster.getServerDescriptions().stream().anyMatch(server -> server.isReplicaSetMember());
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
                set(names.updatedAt, Documents.date(now)),
                setOnInsert(names.createdAt, Documents.date(now)));
        var call = new Call(scope);
        while (call.attempt(collection -> collection.updateOne(filter, update, upsert())) == null) {
            BsonDocument found = call.confirmed(id);
            TokenRecord stored = call.record(found);
            if (stored != null && stored.subject() != null && !stored.subject().equals(record.subject())) {
                throw new SubjectMismatchException();
            } else if (stored != null && stored.isRevoked()) {
                return StoreOutcome.REVOKED;
            }
        }
        return StoreOutcome.STORED;
    }

    @Override
    public StoredState find(StoreScope scope, String jti, Instant now) {
        var call = new Call(scope);
        TokenRecord record = call.record(
                call.look(c -> c.find(eq(Documents.recordId(scope, jti))).first()));
        return new StoredState(
                record,
                record != null && record.isLive(now) && !record.isRevoked() ? call.watermark(record.subject()) : null);
    }

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        var call = new Call(scope);
        BsonDocument found = call.look(c -> c.find(new BsonDocument(Documents.ID, Documents.recordId(scope, jti)))
                .projection(ends)
                .first());
        return found != null && call.parsed(() -> names.isRevoked(found));
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        List<BsonString> ids =
                jtis.stream().map(jti -> Documents.recordId(scope, jti)).toList();
        Set<String> revoked = new HashSet<>();
        var call = new Call(scope);
        for (int from = 0; from < ids.size(); from += CHUNK) {
            List<BsonString> chunk = ids.subList(from, Math.min(ids.size(), from + CHUNK));
            // And what is not ours, which must not pass for unrevoked.
            Bson filter = all(
                    in(Documents.ID, chunk),
                    or(ne(names.revokedAt, null), not(type(names.expiresAt, BsonType.DATE_TIME))));
            Function<MongoCollection<BsonDocument>, List<BsonDocument>> find =
                    c -> all(c.find(filter).projection(ends), chunk.size() + 1);
            for (BsonDocument found : call.look(find)) {
                if (call.parsed(() -> names.isRevoked(found))) {
                    revoked.add(Documents.jti(found));
                }
            }
        }
        return revoked;
    }

    @Override
    public StoredState state(StoreScope scope, String jti, String subject, Instant now) {
        BsonString id = Documents.recordId(scope, jti);
        Bson both = in(Documents.ID, id, Documents.watermarkId(scope, subject));
        var call = new Call(scope);
        TokenRecord record = null;
        Instant watermark = null;
        for (BsonDocument found : call.look(c -> all(c.find(both).projection(exclude(names.extraData)), 3))) {
            if (id.equals(found.get(Documents.ID))) {
                record = call.record(found);
            } else {
                watermark = call.parsed(() -> Documents.watermark(found));
            }
        }
        return new StoredState(record, watermark);
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        BsonString id = Documents.recordId(scope, revocation.jti());
        var attempt = new BsonInt64(ThreadLocalRandom.current().nextLong());
        List<Bson> changes = new ArrayList<>(List.of(
                revocation(now, attempt),
                setOnInsert(names.tenant, scope.tenant()),
                setOnInsert(names.purpose, revocation.purpose()),
                setOnInsert(names.createdAt, Documents.date(now)),
                // One field, one operator: what is kept for longer is kept so, whether it was there or not.
                keepUntil.isBefore(revocation.expiresAt())
                        ? setOnInsert(names.expiresAt, Documents.date(revocation.expiresAt()))
                        : max(names.expiresAt, Documents.date(keepUntil))));
        if (revocation.subject() != null) {
            changes.add(setOnInsert(names.subject, revocation.subject()));
        }
        if (revocation.issuedAt() != null) {
            changes.add(setOnInsert(names.issuedAt, Documents.date(revocation.issuedAt())));
        }
        Bson filter = all(eq(id), eq(names.revokedAt, null), type(names.expiresAt, BsonType.DATE_TIME));
        var call = new Call(scope);
        while (call.attempt(id, attempt, c -> c.updateOne(filter, combine(changes), upsert())) == null) {
            BsonDocument found = call.confirmed(id);
            TokenRecord stored = call.record(found);
            if (stored != null && stored.isRevoked()) {
                if (Documents.isBy(attempt, found)) {
                    break;
                } else if (keepUntil.isAfter(stored.expiresAt())) {
                    Bson shorter =
                            all(eq(id), ne(names.revokedAt, null), lt(names.expiresAt, Documents.date(keepUntil)));
                    Bson longer = combine(
                            set(names.expiresAt, Documents.date(keepUntil)), set(names.updatedAt, Documents.date(now)));
                    Object done = null;
                    while (done == null) {
                        done = call.attempt(c -> c.updateOne(shorter, longer));
                    }
                }
                return RevokeOutcome.ALREADY_REVOKED;
            }
        }
        return RevokeOutcome.REVOKED;
    }

    private Bson revocation(Instant now, BsonInt64 attempt) {
        return combine(
                set(names.revokedAt, Documents.date(now)),
                set(names.updatedAt, Documents.date(now)),
                set(Documents.ATTEMPT, attempt));
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope, String jti, @Nullable String subject, String purpose, Instant now) {
        BsonString id = Documents.recordId(scope, jti);
        var attempt = new BsonInt64(ThreadLocalRandom.current().nextLong());
        Bson filter = all(
                eq(id),
                eq(names.purpose, purpose),
                eq(names.revokedAt, null),
                gt(names.expiresAt, Documents.date(now)));
        Bson mine = subject == null ? filter : all(filter, eq(names.subject, subject));
        var options = new FindOneAndUpdateOptions().returnDocument(ReturnDocument.AFTER);
        var call = new Call(scope);
        while (true) {
            BsonDocument used =
                    call.attempt(id, attempt, c -> c.findOneAndUpdate(mine, revocation(now, attempt), options));
            BsonDocument found = used == null ? call.confirmed(id) : used;
            TokenRecord stored = call.record(found);
            if (stored == null
                    || !stored.purpose().equals(purpose)
                    || (subject != null && !subject.equals(stored.subject()))) {
                return new Watermarked<>(Refused.UNKNOWN, null);
            } else if (stored.isRevoked()) {
                if (!Documents.isBy(attempt, found)) {
                    return new Watermarked<>(Refused.ALREADY_USED, null);
                }
                call.unsure = true; // what fails from here on comes after the token was used
                return new Watermarked<>(new Consumed(stored), call.watermark(stored.subject()));
            } else if (!stored.isLive(now)) {
                return new Watermarked<>(Refused.EXPIRED, null);
            }
        }
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        BsonString id = Documents.watermarkId(scope, subject);
        Bson filter = and(eq(id), type(Documents.WATERMARK, BsonType.DATE_TIME));
        Bson update = combine(
                max(Documents.WATERMARK, Documents.date(watermark)),
                // So that its end is where a record's would be that expires then.
                max(names.expiresAt, Documents.date(keepUntil.minus(scope.skew()))));
        var call = new Call(scope);
        while (call.attempt(c -> c.updateOne(filter, update, upsert())) == null) {
            BsonDocument found = call.confirmed(id);
            if (found != null) {
                call.parsed(() -> Documents.watermark(found));
            }
        }
    }

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        Bson live = live(scope, subject, now.plusMillis(1));
        Bson update = combine(set(names.revokedAt, Documents.date(now)), set(names.updatedAt, Documents.date(now)));
        var call = new Call(scope);
        int revoked = 0;
        boolean secondLook = false;
        boolean done = false;
        while (revoked < limit && !done) {
            int room = limit - revoked;
            List<BsonValue> ids =
                    call.read(c -> ids(c.find(live).sort(ascending(names.expiresAt, Documents.ID)), room));
            if (ids.isEmpty()) {
                // None is left, and that is what a majority has to confirm: others may just have revoked them (R8.5).
                call.many(c -> c.updateMany(and(live, exists(Documents.ATTEMPT)), update));
                break;
            }
            revoked += (int) call.many(c -> c.updateMany(and(in(Documents.ID, ids), live), update))
                    .getModifiedCount();
            // What is stored again for a shorter time moves to where this look had been: so there is a second one.
            done = ids.size() < room && secondLook;
            secondLook = ids.size() < room;
        }
        return revoked;
    }

    /** The subject's unrevoked records that expire then or later. */
    private Bson live(StoreScope scope, String subject, Instant from) {
        return all(
                eq(names.tenant, scope.tenant()),
                eq(names.subject, subject),
                eq(names.revokedAt, null),
                gte(names.expiresAt, Documents.date(from)));
    }

    @Override
    public Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        var call = new Call(scope);
        TokenRecord place = after != null && after.isLive(now) ? after : null;
        Bson live = live(scope, subject, place == null ? now.plusMillis(1) : place.expiresAt());
        List<TokenRecord> page = page(call, place == null ? live : and(live, beyond(scope, place)), limit);
        return new Watermarked<>(page, call.watermark(subject));
    }

    @Override
    public List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        Bson due = and(eq(names.tenant, scope.tenant()), lte(names.expiresAt, Documents.date(now.minus(scope.skew()))));
        return page(
                new Call(scope),
                after == null
                        ? due
                        : and(due, gte(names.expiresAt, Documents.date(after.expiresAt())), beyond(scope, after)),
                limit);
    }

    private Bson beyond(StoreScope scope, TokenRecord after) {
        return or(
                gt(names.expiresAt, Documents.date(after.expiresAt())),
                gt(Documents.ID, Documents.recordId(scope, after.jti())));
    }

    /** Two commands at the most: what is left of a page that is too large for one reply is given up by one of its own. */
    private List<TokenRecord> page(Call call, Bson filter, int limit) {
        List<BsonDocument> found = call.read(c -> all(
                c.find(filter).sort(ascending(names.expiresAt, Documents.ID)).limit(limit), limit));
        return found.stream()
                .map(document -> call.parsed(() -> names.record(document)))
                .toList();
    }

    /** One batch: what another node has removed meanwhile is left to that, and to the server's TTL monitor. */
    @Override
    public int expunge(StoreScope scope, int limit, Instant now) {
        Bson due = lte(names.expiresAt, Documents.date(now.minus(scope.skew())));
        var call = new Call(scope);
        List<BsonValue> ids = call.read(c -> ids(c.find(due).sort(ascending(names.expiresAt)), limit));
        return ids.isEmpty()
                ? 0
                : (int) call.many(c -> c.deleteMany(and(in(Documents.ID, ids), due)))
                        .getDeletedCount();
    }

    private static List<BsonValue> ids(FindIterable<BsonDocument> found, int limit) {
        List<BsonDocument> documents =
                all(found.projection(include(Documents.ID)).limit(limit), limit);
        return documents.stream()
                .map(document -> Objects.requireNonNull(document.get(Documents.ID)))
                .toList();
    }

    private static List<BsonDocument> all(FindIterable<BsonDocument> found, int atOnce) {
        return found.batchSize(atOnce).into(new ArrayList<>());
    }

    /** One document of conditions, each on a field of its own: what a server finds its way by without taking it apart. */
    private static BsonDocument all(Bson... conditions) {
        var all = new BsonDocument();
        for (Bson condition : conditions) {
            condition.toBsonDocument().forEach((field, value) -> {
                if (all.put(field, value) != null) {
                    throw new IllegalStateException("Two conditions on " + field);
                }
            });
        }
        return all;
    }

    private static UpdateOptions upsert() {
        return new UpdateOptions().upsert(true);
    }

    // Commands

    /** The commands of one call: they share its deadline (R8.3). */
    private final class Call {
        private final StoreScope scope;
        private final Deadline deadline;
        // Whether something may have been done that was not acknowledged.
        private boolean unsure;
        private int attempts;

        Call(StoreScope scope) {
            this.scope = scope;
            this.deadline = Deadline.after(scope.deadline());
        }

        /**
         * One that changes nothing. Where no reply comes on a connection, which a
         * firewall may have dropped while it was idle, it is asked once more on another one.
         */
        <T extends @Nullable Object> T read(Function<MongoCollection<BsonDocument>, T> command) {
            return run(() -> {
                try {
                    return command.apply(timed());
                } catch (MongoOperationTimeoutException e) {
                    if (e.getCause() instanceof MongoSocketReadTimeoutException) {
                        return command.apply(timed());
                    }
                    throw e;
                }
            });
        }

        /** The same, where that may be made to wait for a majority: what is looked up by its {@code _id}. */
        <T extends @Nullable Object> T look(Function<MongoCollection<BsonDocument>, T> command) {
            return readConcern.equals(ReadConcern.LOCAL)
                    ? read(command)
                    : read(collection -> command.apply(collection.withReadConcern(readConcern)));
        }

        @Nullable
        Instant watermark(@Nullable String subject) {
            if (subject == null) {
                return null;
            }
            BsonDocument found =
                    look(c -> c.find(eq(Documents.watermarkId(scope, subject))).first());
            return found == null ? null : parsed(() -> Documents.watermark(found));
        }

        private Outcome outcome() {
            return unsure ? Outcome.UNKNOWN : Outcome.UNCHANGED;
        }

        /** One that changes many documents, and may be cut off in the middle. */
        <T> T many(Function<MongoCollection<BsonDocument>, T> command) {
            unsure = true;
            return run(() -> command.apply(timed()));
        }

        /** One that changes a document; {@code null} where it did not fit, or where that is not known. */
        <T extends @Nullable Object> @Nullable T attempt(Function<MongoCollection<BsonDocument>, T> command) {
            attempts++;
            return run(() -> {
                try {
                    return command.apply(timed());
                } catch (MongoException | IllegalStateException e) {
                    if (e instanceof MongoWriteConcernException unreplicated && !Failures.isUndone(unreplicated)) {
                        throw Failures.unreplicated(scope.domain(), unreplicated);
                    }
                    boolean again = e instanceof MongoException failure
                            && (Failures.isDuplicateKey(failure) || (Failures.isLostConnection(failure) && !unsure));
                    unsure |= !(e instanceof MongoException failure
                            && (Failures.isUndone(failure) || Failures.isDuplicateKey(failure)));
                    if (again) {
                        return null;
                    }
                    throw e;
                }
            });
        }

        /** The same for a revocation, of which one look shows whether it is applied when no majority answers in time (R8.5). */
        <T extends @Nullable Object> @Nullable T attempt(
                BsonString id, BsonInt64 attempt, Function<MongoCollection<BsonDocument>, T> command) {
            return attempt(collection -> {
                try {
                    return command.apply(collection);
                } catch (MongoOperationTimeoutException e) {
                    unsure = true;
                    if (isApplied(id, attempt)) {
                        throw Failures.unreplicated(scope.domain(), e);
                    }
                    throw e;
                }
            });
        }

        private boolean isApplied(BsonString id, BsonInt64 attempt) {
            try {
                return Documents.isBy(attempt, timed().find(eq(id)).first());
            } catch (MongoException | TokenStoreException e) {
                return false; // and not known
            }
        }

        /** The document as a majority has it: an update that changes nothing is acknowledged like any other. */
        @Nullable
        BsonDocument confirmed(BsonString id) {
            return run(() -> {
                try {
                    return timed().findOneAndUpdate(eq(id), setOnInsert(Documents.ATTEMPT, 0L));
                } catch (MongoWriteConcernException e) {
                    throw Failures.unconfirmed(scope.domain(), e, outcome());
                }
            });
        }

        @Nullable
        TokenRecord record(@Nullable BsonDocument document) {
            return document == null ? null : parsed(() -> names.record(document));
        }

        /** What is in a document. */
        <T> T parsed(Supplier<T> parsing) {
            try {
                return parsing.get();
            } catch (BsonInvalidOperationException | IllegalArgumentException e) {
                throw Failures.foreign(domain(scope.domain()).getNamespace().getCollectionName(), names, outcome());
            }
        }

        /** Three quarters of the time that is left, so that there is some for the next command, or for a look at what was done. */
        private MongoCollection<BsonDocument> timed() {
            long millis = Math.min(deadline.remainingMillis(), scope.deadline().toMillis()) * 3 / 4;
            // Before so little is left that a server in good health would pass for one that does not answer.
            if (millis <= scope.deadline().toMillis() / 64 || attempts > MOST_ATTEMPTS) {
                throw Failures.failure(outcome(), Failures.tooLate(scope.domain()), null);
            }
            // The first command of each call has the same time as the one of the call before.
            Timed last = timed.get(scope.domain());
            if (last == null || last.millis != millis) {
                last = new Timed(millis, domain(scope.domain()).withTimeout(millis, TimeUnit.MILLISECONDS));
                timed.put(scope.domain(), last);
            }
            return last.collection;
        }

        <T extends @Nullable Object> T run(Supplier<T> command) {
            if (!closed) {
                try {
                    return command.get();
                } catch (MongoException e) {
                    throw Failures.of(scope.domain(), e, outcome());
                } catch (IllegalStateException e) {
                    if (!closed) {
                        throw Failures.failure(
                                outcome(),
                                "The application has closed the MongoClient that domain '" + scope.domain()
                                        + "' is kept with. Close it after the TokenResource",
                                e);
                    }
                }
            }
            if (unsure) {
                throw Failures.failure(
                        Outcome.UNKNOWN,
                        "The MongoDB store was closed while it was asked for domain '" + scope.domain() + "'",
                        null);
            }
            throw new IllegalStateException("The MongoDB store is closed; open a new one");
        }
    }

    @Override
    public synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (client != null) {
            client.close();
        }
    }
}
