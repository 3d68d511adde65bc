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
 * A store in MongoDB 4.4 or later: a standalone server, a replica set or a sharded cluster.
 *
 * <p>The collection below is that of the domain {@code tokens}. It has two kinds of documents. All times are dates.
 *
 * <pre>
 * curfew_tokens
 *   { _id: "TENANT:JTI", tenant, subject, purpose, issued_at, expires_at, extra_data (JSON text),
 *     created_at, updated_at, revoked_at (null or absent while not revoked), attempt }
 *   { _id: "TENANT&#64;SUBJECT", watermark, expires_at }
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
    private static final List<Bson> SERVER_TIME = List.of(
            match(eq("")),
            facet(new Facet("none", List.of(limit(1)))),
            project(new BsonDocument(Documents.SERVER_TIME, new BsonString("$$NOW"))));

    private final @Nullable MongoDatabase database;
    private final @Nullable MongoCollection<BsonDocument> collection;
    private final ReadConcern readConcern;
    private final Documents names;
    // The fields that show whether a record is revoked, and whether the document is a record.
    private final BsonDocument ends;
    private final @Nullable MongoClient client;
    // The only domain of a collection that the application has passed.
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

    /** A store in a database of the application's own client; a domain's collection is {@code curfew_} and its name. */
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

    /** The settings of a store; made by {@link MongoTokenStore#builder}. */
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
     * Checks the domain's collection, and creates missing indexes. Any number of nodes may do so at once.
     *
     * @throws TokenStoreException if the collection or an index does not fit; the message has the command that corrects
     *     it
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
     * The time by the clock of the primary or of the router; {@code null} if the server refuses the query, as a server
     * that is only compatible with MongoDB may do.
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
            // Also documents of other programs: they must not count as not revoked.
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
                // An update allows one operator for a field. If keepUntil is not the earlier one, max fits both cases.
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
                call.unsure = true; // a failure from here on comes after the token was used
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
                // The TTL and expunge add the skew to expires_at, and keepUntil includes it already.
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
                // None is left. A majority has to confirm that, since another node may just have revoked them (R8.5).
                call.many(c -> c.updateMany(and(live, exists(Documents.ATTEMPT)), update));
                break;
            }
            revoked += (int) call.many(c -> c.updateMany(and(in(Documents.ID, ids), live), update))
                    .getModifiedCount();
            // A token that is stored again with an earlier expiry may move behind this query: so there is a second one.
            done = ids.size() < room && secondLook;
            secondLook = ids.size() < room;
        }
        return revoked;
    }

    /** The subject's unrevoked records that expire at {@code from} or later. */
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

    /** Reads a page. If the page is too large for one reply, the driver fetches the rest by further commands. */
    private List<TokenRecord> page(Call call, Bson filter, int limit) {
        List<BsonDocument> found = call.read(c -> all(
                c.find(filter).sort(ascending(names.expiresAt, Documents.ID)).limit(limit), limit));
        return found.stream()
                .map(document -> call.parsed(() -> names.record(document)))
                .toList();
    }

    /** Removes one batch. A record that another node has removed meanwhile is not counted. */
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

    /** Joins conditions on different fields into one document, without an {@code $and} that the server must resolve. */
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

    /** One call of a verb, whose commands share its deadline (R8.3). */
    private final class Call {
        private final StoreScope scope;
        private final Deadline deadline;
        // Whether a change may have been made that was not acknowledged.
        private boolean unsure;
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

        /** Runs a read by {@code _id}, which {@link Builder#linearizableReads} makes wait for a majority. */
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

        /** Runs a command that changes many documents, and that may fail when some of them are changed. */
        <T> T many(Function<MongoCollection<BsonDocument>, T> command) {
            unsure = true;
            return run(() -> command.apply(timed()));
        }

        /** Runs a change of one document; {@code null} if the document did not fit, or if that is not known. */
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

        /** Runs a revocation. If no majority answers in time, one read shows whether it is applied (R8.5). */
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
                return false; // it is not known
            }
        }

        /** The document as a majority has it: read by an update that changes nothing, which a majority acknowledges. */
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

        /** Runs code that reads a document, and tells of a document that Curfew has not written. */
        <T> T parsed(Supplier<T> parsing) {
            try {
                return parsing.get();
            } catch (BsonInvalidOperationException | IllegalArgumentException e) {
                throw Failures.foreign(domain(scope.domain()).getNamespace().getCollectionName(), names, outcome());
            }
        }

        /**
         * The collection, with three quarters of the time that is left as its timeout. So some time remains for the
         * next command, or for a read that shows whether the change was applied.
         */
        private MongoCollection<BsonDocument> timed() {
            long millis = Math.min(deadline.remainingMillis(), scope.deadline().toMillis()) * 3 / 4;
            // With less time than this, even a healthy server would seem not to answer.
            if (millis <= scope.deadline().toMillis() / 64 || attempts > MOST_ATTEMPTS) {
                throw Failures.failure(outcome(), Failures.tooLate(scope.domain()), null);
            }
            // Kept, since the first command of each call has the same timeout as that of the call before.
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
