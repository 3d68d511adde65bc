package dev.curfew.mongo;

import static com.mongodb.client.model.Filters.eq;
import static com.mongodb.client.model.Indexes.ascending;
import static com.mongodb.client.model.Updates.unset;

import com.mongodb.MongoException;
import com.mongodb.WriteConcern;
import com.mongodb.client.MongoCollection;
import com.mongodb.client.MongoDatabase;
import com.mongodb.client.model.IndexModel;
import com.mongodb.client.model.IndexOptions;
import dev.curfew.StoreScope;
import dev.curfew.TokenStoreException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.bson.BsonArray;
import org.bson.BsonBoolean;
import org.bson.BsonDocument;
import org.bson.BsonInt32;
import org.bson.BsonInt64;
import org.bson.BsonString;
import org.bson.BsonValue;
import org.bson.conversions.Bson;
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

    private final String domain;
    private final MongoCollection<BsonDocument> collection;
    private final @Nullable MongoDatabase database;
    private final BsonString name;
    private final long twoSkews;
    private final BsonDocument ttl;
    private final List<BsonDocument> needed;

    /** @param database of the collection, or {@code null} if only the collection is known */
    Preparation(
            StoreScope scope,
            MongoCollection<BsonDocument> collection,
            @Nullable MongoDatabase database,
            Documents names) {
        long millis = scope.deadline().toMillis();
        this.domain = scope.domain();
        this.collection = collection.withTimeout(millis, TimeUnit.MILLISECONDS);
        this.database = database == null ? null : database.withTimeout(millis, TimeUnit.MILLISECONDS);
        this.name = new BsonString(collection.getNamespace().getCollectionName());
        // The TTL ends a skew past the retention end (R1.4), in whole seconds, rounded up.
        this.twoSkews = scope.skew().multipliedBy(2).plusMillis(999).toSeconds();
        this.ttl = index(ascending(names.expiresAt)).append(EXPIRE_AFTER, new BsonInt64(twoSkews));
        this.needed = List.of(
                ttl,
                index(ascending(names.tenant, names.subject, names.revokedAt, names.expiresAt, Documents.ID)),
                index(ascending(names.tenant, names.expiresAt, Documents.ID)));
    }

    /** An index as the command {@code createIndexes} describes it. */
    private static BsonDocument index(Bson ascending) {
        BsonDocument keys = ascending.toBsonDocument();
        return new BsonDocument("key", keys).append("name", new BsonString(String.join("_1_", keys.keySet()) + "_1"));
    }

    void run() {
        if (database != null) {
            checkOptions(database);
        }
        // No document has this _id, so that nothing is changed. It succeeds only on a primary, with a majority and the
        // right to write.
        BsonDocument unused = collection.findOneAndUpdate(eq(""), unset(Documents.ATTEMPT));
        List<BsonDocument> missing = missing();
        if (missing.isEmpty()) {
            return;
        }
        try {
            collection
                    .withTimeout(MINUTES, TimeUnit.MINUTES)
                    .createIndexes(missing.stream().map(this::model).toList());
            LOG.info("Created {} indexes for domain '{}'", missing.size(), domain);
        } catch (MongoException e) {
            // Another node may have created some or all of them meanwhile.
            if (isStillMissing()) {
                BsonDocument command =
                        new BsonDocument("createIndexes", name).append("indexes", new BsonArray(missing));
                throw unfit("its indexes could not be built", command, e);
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
        Long seconds = index.equals(ttl) ? twoSkews : null;
        return new IndexModel(index.getDocument("key"), new IndexOptions().expireAfter(seconds, TimeUnit.SECONDS));
    }

    private void checkOptions(MongoDatabase database) {
        BsonDocument found = database.listCollections(BsonDocument.class)
                .filter(eq("name", name))
                .first();
        BsonDocument options = found == null ? new BsonDocument() : found.getDocument("options", new BsonDocument());
        for (String option : List.of("capped", "viewOn", "timeseries")) {
            if (isSet(options, option)) {
                throw unfit("it has the option '" + option + "', with which records get lost", null, null);
            }
        }
    }

    /** The needed indexes that do not exist. */
    private List<BsonDocument> missing() {
        List<BsonDocument> missing = new ArrayList<>(needed);
        for (BsonDocument index : collection.listIndexes(BsonDocument.class)) {
            String keys = keysOf(index);
            if (keys.equals("{\"_id\": 1}")) {
                if (isSet(index, "collation")) {
                    throw unfit("it has a collation, by which different tokens are the same", null, null);
                }
                continue;
            }
            boolean ours = missing.removeIf(each -> keysOf(each).equals(keys));
            for (String option : ours ? UNFIT : List.of("unique", "prepareUnique", EXPIRE_AFTER)) {
                if (isSet(index, option)) {
                    throw unfit(index, "has the option '" + option + "'");
                }
            }
            if (keys.equals(keysOf(ttl))) {
                if (!index.isNumber(EXPIRE_AFTER)) {
                    throw unfit(index, "lacks the option '" + EXPIRE_AFTER + "'");
                } else if (index.getNumber(EXPIRE_AFTER).longValue() < twoSkews) {
                    keepLonger(twoSkews);
                }
            }
        }
        return missing;
    }

    /** Raises the TTL. It is never lowered, since another node or a stored document may need the longer one. */
    private void keepLonger(long seconds) {
        BsonDocument keys = ttl.getDocument("key");
        BsonDocument command = new BsonDocument("collMod", name)
                .append("index", new BsonDocument("keyPattern", keys).append(EXPIRE_AFTER, new BsonInt64(seconds)))
                .append("writeConcern", WriteConcern.MAJORITY.asDocument());
        String problem = "its index on " + keys.toJson() + " has to keep documents for twice the clock skew, " + seconds
                + " seconds, and keeps them for less";
        if (database == null) {
            throw unfit(problem, command, null);
        }
        BsonDocument done;
        try {
            done = database.withTimeout(MINUTES, TimeUnit.MINUTES).runCommand(command, BsonDocument.class);
        } catch (MongoException e) {
            throw unfit(problem, command, e);
        }
        LOG.info("The documents of domain '{}' are now kept for {} seconds past their expiry", domain, seconds);
        BsonValue before = done.get(EXPIRE_AFTER + "_old");
        if (before != null && before.isNumber() && before.asNumber().longValue() > seconds) {
            keepLonger(before.asNumber().longValue()); // another node had raised it further meanwhile
        }
    }

    /** The keys of an index as text, since documents are equal whatever the order; with all numbers of one BSON type. */
    private static String keysOf(BsonDocument index) {
        var keys = new BsonDocument();
        index.getDocument("key")
                .forEach((field, order) -> keys.append(
                        field, order.isNumber() ? new BsonInt32(order.asNumber().intValue()) : order));
        return keys.toJson();
    }

    private static boolean isSet(BsonDocument options, String option) {
        return !options.get(option, BsonBoolean.FALSE).equals(BsonBoolean.FALSE);
    }

    private TokenStoreException unfit(BsonDocument index, String problem) {
        BsonDocument drop = new BsonDocument("dropIndexes", name).append("index", index.getString("name"));
        return unfit("its index '" + index.getString("name").getValue() + "' " + problem, drop, null);
    }

    private TokenStoreException unfit(String problem, @Nullable BsonDocument command, @Nullable MongoException e) {
        return Failures.unfit(collection.getNamespace(), domain, problem, command, e);
    }
}
