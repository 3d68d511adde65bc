package dev.curfew.mongo;

import com.mongodb.MongoClientSettings;
import com.mongodb.MongoException;
import com.mongodb.WriteConcern;
import com.mongodb.client.MongoCollection;
import com.mongodb.client.MongoDatabase;
import com.mongodb.client.model.IndexModel;
import com.mongodb.client.model.IndexOptions;
import com.mongodb.client.model.Updates;
import dev.curfew.StoreScope;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.bson.BsonArray;
import org.bson.BsonBoolean;
import org.bson.BsonDocument;
import org.bson.BsonInt32;
import org.bson.BsonInt64;
import org.bson.BsonString;
import org.bson.BsonValue;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Prepares a domain's collection: creates missing indexes, and refuses a collection or an index that would lose or
 * confuse records. The exception has the command that corrects it.
 */
final class Preparation {
    private static final Logger LOG = LoggerFactory.getLogger(Preparation.class);
    // For building indexes: that takes long on a large collection, and no action waits for it.
    private static final long MINUTES = 1;
    private static final String EXPIRE_AFTER = "expireAfterSeconds";
    private static final List<String> UNFIT =
            List.of("unique", "prepareUnique", "sparse", "partialFilterExpression", "collation", "hidden");

    private final StoreScope scope;
    private final String name;
    private final MongoCollection<BsonDocument> collection;
    private final @Nullable MongoDatabase database;
    private final BsonDocument expiry;
    private final long twoSkews;
    private final List<BsonDocument> needed;

    /** @param database of the collection, or {@code null} if only the collection is known */
    Preparation(
            StoreScope scope,
            MongoCollection<BsonDocument> collection,
            @Nullable MongoDatabase database,
            Documents names) {
        this.scope = scope;
        this.name = collection.getNamespace().getCollectionName();
        this.collection = collection.withTimeout(scope.deadline().toMillis(), TimeUnit.MILLISECONDS);
        this.database = database == null
                ? null
                : database.withCodecRegistry(MongoClientSettings.getDefaultCodecRegistry())
                        .withTimeout(scope.deadline().toMillis(), TimeUnit.MILLISECONDS);
        this.expiry = keys(names.expiresAt);
        // The TTL ends a skew past the retention end (R1.4), in whole seconds, rounded up.
        this.twoSkews = scope.skew().multipliedBy(2).plusMillis(999).toSeconds();
        this.needed = List.of(
                index(expiry).append(EXPIRE_AFTER, new BsonInt64(twoSkews)),
                index(keys(names.tenant, names.subject, names.revokedAt, names.expiresAt, Documents.ID)),
                index(keys(names.tenant, names.expiresAt, Documents.ID)));
    }

    private static BsonDocument keys(String... fields) {
        var keys = new BsonDocument();
        for (String field : fields) {
            keys.append(field, new BsonInt32(1));
        }
        return keys;
    }

    private static BsonDocument index(BsonDocument keys) {
        return new BsonDocument("key", keys).append("name", new BsonString(String.join("_1_", keys.keySet()) + "_1"));
    }

    void run() {
        if (database != null) {
            checkOptions(database);
        }
        // No document has this _id, so that nothing is changed. It succeeds only on a primary, with a majority and the
        // right to write.
        BsonDocument unused = collection.findOneAndUpdate(
                new BsonDocument(Documents.ID, new BsonString("")), Updates.unset(Documents.ATTEMPT));
        List<BsonDocument> missing = missing();
        if (missing.isEmpty()) {
            return;
        }
        try {
            collection
                    .withTimeout(MINUTES, TimeUnit.MINUTES)
                    .createIndexes(missing.stream().map(this::model).toList());
            LOG.info("Created {} indexes for domain '{}'", missing.size(), scope.domain());
        } catch (MongoException e) {
            // Another node may have created some or all of them meanwhile.
            if (isStillMissing()) {
                BsonDocument command = new BsonDocument("createIndexes", new BsonString(name))
                        .append("indexes", new BsonArray(missing));
                throw Failures.indexes(scope.domain(), e, Failures.shell(command));
            }
        }
    }

    private boolean isStillMissing() {
        try {
            return !missing().isEmpty();
        } catch (MongoException e) {
            return true; // it is not known, so the exception is thrown
        }
    }

    private IndexModel model(BsonDocument index) {
        var options = new IndexOptions().name(index.getString("name").getValue());
        return new IndexModel(
                index.getDocument("key"),
                index.containsKey(EXPIRE_AFTER) ? options.expireAfter(twoSkews, TimeUnit.SECONDS) : options);
    }

    private void checkOptions(MongoDatabase database) {
        var named = new BsonDocument("name", new BsonString(name));
        BsonDocument found =
                database.listCollections(BsonDocument.class).filter(named).first();
        BsonDocument options = found == null ? new BsonDocument() : found.getDocument("options", new BsonDocument());
        for (String option : List.of("capped", "viewOn", "timeseries")) {
            if (isSet(options.get(option))) {
                throw unfit("it has the option '" + option + "', with which records get lost", "");
            }
        }
    }

    /** The needed indexes that do not exist. */
    private List<BsonDocument> missing() {
        Set<BsonDocument> found = new HashSet<>();
        for (BsonDocument index : collection.listIndexes(BsonDocument.class)) {
            BsonDocument keys = keysOf(index);
            String indexName = index.getString("name").getValue();
            if (keys.equals(keys(Documents.ID))) {
                if (isSet(index.get("collation"))) {
                    throw unfit("it has a collation, by which different tokens are the same", "");
                }
                continue;
            }
            boolean ours = needed.stream().anyMatch(each -> keys.equals(each.getDocument("key")));
            for (String option : ours ? UNFIT : List.of("unique", "prepareUnique", EXPIRE_AFTER)) {
                if (isSet(index.get(option))) {
                    throw unfit("its index '" + indexName + "' has the option '" + option + "'", drop(indexName));
                }
            }
            if (keys.equals(expiry)) {
                if (!index.isNumber(EXPIRE_AFTER)) {
                    throw unfit(
                            "its index '" + indexName + "' lacks the option '" + EXPIRE_AFTER + "'", drop(indexName));
                } else if (index.getNumber(EXPIRE_AFTER).longValue() < twoSkews) {
                    keepLonger(twoSkews);
                }
            }
            found.add(keys);
        }
        return needed.stream()
                .filter(index -> !found.contains(index.getDocument("key")))
                .toList();
    }

    /** Raises the TTL. It is never lowered, since another node or a stored document may need the longer one. */
    private void keepLonger(long seconds) {
        BsonDocument command = new BsonDocument("collMod", new BsonString(name))
                .append("index", new BsonDocument("keyPattern", expiry).append(EXPIRE_AFTER, new BsonInt64(seconds)))
                .append("writeConcern", WriteConcern.MAJORITY.asDocument());
        String problem = "its index on " + expiry.toJson() + " has to keep documents for twice the clock skew, "
                + seconds + " seconds, and keeps them for less";
        if (database == null) {
            throw unfit(problem, Failures.shell(command));
        }
        BsonDocument done;
        try {
            done = database.withTimeout(MINUTES, TimeUnit.MINUTES).runCommand(command, BsonDocument.class);
        } catch (MongoException e) {
            throw unfit(
                    Failures.isUndone(e) ? Outcome.UNCHANGED : Outcome.UNKNOWN,
                    problem,
                    Failures.shell(command),
                    Failures.harmless(e));
        }
        LOG.info("The documents of domain '{}' are now kept for {} seconds past their expiry", scope.domain(), seconds);
        BsonValue before = done.get(EXPIRE_AFTER + "_old");
        if (before != null && before.isNumber() && before.asNumber().longValue() > seconds) {
            keepLonger(before.asNumber().longValue()); // another node had raised it further meanwhile
        }
    }

    /** The keys of an index, with all numbers as the same BSON type. */
    private static BsonDocument keysOf(BsonDocument index) {
        var keys = new BsonDocument();
        index.getDocument("key")
                .forEach((field, order) -> keys.append(
                        field, order.isNumber() ? new BsonInt32(order.asNumber().intValue()) : order));
        return keys;
    }

    private static boolean isSet(@Nullable BsonValue option) {
        return option != null && !option.equals(BsonBoolean.FALSE);
    }

    private String drop(String index) {
        return Failures.shell(
                new BsonDocument("dropIndexes", new BsonString(name)).append("index", new BsonString(index)));
    }

    private TokenStoreException unfit(String problem, String command) {
        return unfit(Outcome.UNCHANGED, problem, command, null);
    }

    private TokenStoreException unfit(Outcome outcome, String problem, String command, @Nullable Throwable cause) {
        return Failures.failure(
                outcome,
                "Collection '" + name + "' does not fit domain '" + scope.domain() + "': "
                        + problem + ". "
                        + (command.isEmpty()
                                ? "Give Curfew another collection"
                                : "Run " + command + " in the database "
                                        + collection.getNamespace().getDatabaseName() + ", and open the store again"),
                cause);
    }
}
