package dev.curfew.mongo;

import com.mongodb.MongoClientException;
import com.mongodb.MongoConnectionPoolClearedException;
import com.mongodb.MongoException;
import com.mongodb.MongoIncompatibleDriverException;
import com.mongodb.MongoInterruptedException;
import com.mongodb.MongoNodeIsRecoveringException;
import com.mongodb.MongoNotPrimaryException;
import com.mongodb.MongoOperationTimeoutException;
import com.mongodb.MongoSecurityException;
import com.mongodb.MongoSocketException;
import com.mongodb.MongoSocketOpenException;
import com.mongodb.MongoTimeoutException;
import com.mongodb.MongoWriteConcernException;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.util.Map;
import java.util.Set;
import org.bson.BsonDocument;
import org.bson.BsonString;
import org.jspecify.annotations.Nullable;

/** What went wrong, in words that help and give nothing away: a server's message may quote a key or a user. */
final class Failures {
    private static final int UNAUTHORIZED = 13;
    private static final int AUTHENTICATION_FAILED = 18;
    private static final int UNSATISFIABLE_WRITE_CONCERN = 100;
    private static final int DOCUMENT_VALIDATION_FAILURE = 121;
    private static final int NOT_A_REPLICA_SET = 123;
    private static final int COMMAND_NOT_SUPPORTED_ON_VIEW = 166;
    private static final int DUPLICATE_KEY = 11000;
    private static final int OUT_OF_DISK_SPACE = 14031;

    /** By the server's error code. */
    private static final Map<Integer, String> ADVICE = Map.ofEntries(
            Map.entry(
                    UNAUTHORIZED,
                    "a right is missing. Grant the user the role readWrite on the database; to change an existing index"
                            + " also collMod"),
            Map.entry(AUTHENTICATION_FAILED, "it refused the user or the password. Check them, and authSource"),
            Map.entry(
                    UNSATISFIABLE_WRITE_CONCERN,
                    "no majority of the replica set bears data and votes, so that nothing can be acknowledged. Look at"
                            + " rs.status()"),
            Map.entry(
                    DOCUMENT_VALIDATION_FAILURE,
                    "the collection's validator refuses the document. Look at it by db.getCollectionInfos(), and let it"
                            + " allow what Curfew's page on MongoDB shows"),
            Map.entry(
                    COMMAND_NOT_SUPPORTED_ON_VIEW,
                    "the view or collection is not writable. Give Curfew a collection of its own"),
            Map.entry(OUT_OF_DISK_SPACE, "its disk is full. Make room; checks still work as long as it reads"),
            Map.entry(
                    NOT_A_REPLICA_SET,
                    "it is no member of a replica set, which linearizable reads need. Leave them out, or use a replica"
                            + " set"));

    /** With which the server has surely done nothing. */
    private static final Set<Integer> UNDONE = Set.of(
            UNAUTHORIZED,
            AUTHENTICATION_FAILED,
            DOCUMENT_VALIDATION_FAILURE,
            NOT_A_REPLICA_SET,
            COMMAND_NOT_SUPPORTED_ON_VIEW,
            OUT_OF_DISK_SPACE);

    private Failures() {}

    static boolean isDuplicateKey(MongoException e) {
        return e.getCode() == DUPLICATE_KEY;
    }

    /** Whether the connection was lost, so that what was sent may have been done or not. */
    static boolean isLostConnection(MongoException e) {
        return e instanceof MongoSocketException && !(e instanceof MongoSocketOpenException);
    }

    /** Whether it is sure that the command which failed so has changed nothing. */
    static boolean isUndone(MongoException e) {
        if (e instanceof MongoWriteConcernException unreplicated) {
            return unreplicated.getWriteResult().getCount() == 0;
        }
        // A router may say other codes of what it has not heard from a shard, and others of a repetition of the
        // driver's.
        return e instanceof MongoSecurityException
                || e instanceof MongoSocketOpenException
                || e instanceof MongoConnectionPoolClearedException
                || e instanceof MongoIncompatibleDriverException
                || UNDONE.contains(e.getCode());
    }

    /** @param outcome what is known of the action */
    static TokenStoreException of(String domain, MongoException e, Outcome outcome) {
        String what;
        if (e instanceof MongoWriteConcernException) {
            return unconfirmed(domain, e, outcome);
        } else if (e instanceof MongoOperationTimeoutException) {
            // The driver has one type, without a cause, for a server that is not found and for one that does not
            // answer.
            // Only its text tells them apart. Where the text changes, the second advice stands, which is true of both.
            what = String.valueOf(e.getMessage()).contains("Client view of cluster state")
                    ? "no primary was found within the call deadline. Check the hosts, that they run and accept, their"
                            + " certificates where TLS is used, replicaSet, and the SRV record of a mongodb+srv URL"
                    : "it did not answer within the call deadline. Look at the server and at the network";
        } else if (e instanceof MongoTimeoutException) {
            what = "no connection was to be had in time. Make the client's pool larger, or look at the server";
        } else if (e instanceof MongoSecurityException) {
            what = ADVICE.get(AUTHENTICATION_FAILED);
        } else if (e instanceof MongoSocketOpenException || e instanceof MongoConnectionPoolClearedException) {
            what = "it could not be reached. Check the host and the port, that it runs and accepts, and its certificate"
                    + " where TLS is used";
        } else if (e instanceof MongoSocketException) {
            what = "the connection failed. The next call takes a new one";
        } else if (e instanceof MongoNotPrimaryException || e instanceof MongoNodeIsRecoveringException) {
            what = "it is not the primary, or no longer. The next call looks for the new one";
        } else if (e instanceof MongoInterruptedException) {
            what = "the application interrupted the thread while it waited";
        } else if (e instanceof MongoIncompatibleDriverException) {
            what = "the server is too old for this driver, or the driver for this server. Update the older one";
        } else if (e instanceof MongoClientException) {
            what = "the driver could not ask it, as the class of the cause tells";
        } else {
            what = ADVICE.getOrDefault(e.getCode(), "it refused the command. The server's log has the reason");
        }
        return failure(outcome, "MongoDB failed for domain '" + domain + "': " + what + code(e), harmless(e));
    }

    /** Of a change that the primary has applied. */
    static TokenStoreException unreplicated(String domain, MongoException e) {
        return failure(
                Outcome.APPLIED_NOT_REPLICATED,
                "MongoDB failed for domain '" + domain
                        + "': no majority of the replica set has acknowledged the action in time" + code(e)
                        + ". Try again, and look at rs.status()",
                harmless(e));
    }

    /** Of a command that has changed nothing or many documents, and is acknowledged like one that changes one. */
    static TokenStoreException unconfirmed(String domain, MongoException e, Outcome outcome) {
        return failure(
                outcome,
                "MongoDB failed for domain '" + domain
                        + "': no majority of the replica set has confirmed what is stored" + code(e)
                        + ". Try again, and look at rs.status()",
                harmless(e));
    }

    /** A document that this store has not written, or not so. */
    static TokenStoreException foreign(String collection, Documents names, Outcome outcome) {
        BsonDocument find = new BsonDocument("find", new BsonString(collection))
                .append("filter", names.foreign().toBsonDocument());
        return failure(
                outcome,
                "A document of collection '" + collection + "' has an _id of Curfew's and is not"
                        + " as Curfew writes it, so that somebody else has written it. Find what is not Curfew's by "
                        + shell(find) + ", remove it, and give Curfew a collection of its own",
                null);
    }

    /** @param command what would have made the indexes */
    static TokenStoreException indexes(String domain, MongoException e, String command) {
        return failure(
                isUndone(e) ? Outcome.UNCHANGED : Outcome.UNKNOWN,
                "The indexes of domain '" + domain + "' could not be built: "
                        + ADVICE.getOrDefault(e.getCode(), "the server refused or failed") + code(e)
                        + ". Mend that, or have them made by " + command + ", and open the store again",
                harmless(e));
    }

    /** Commands had to be repeated until the time of the call was over. */
    static String tooLate(String domain) {
        return "The call deadline of domain '" + domain + "' was over before the action was done. It may be too short:"
                + " raise callDeadline. Or others changed the same document again and again: try again. Or a unique index"
                + " that is not Curfew's refuses the document: drop that index";
    }

    /** The last sentence of the message is the outcome in words. */
    static TokenStoreException failure(Outcome outcome, String message, @Nullable Throwable cause) {
        String last = switch (outcome) {
            case UNCHANGED -> ". Nothing was changed";
            case UNKNOWN -> ". Whether MongoDB applied the action is not known";
            case APPLIED_NOT_REPLICATED ->
                ". The action is applied, but not yet replicated: a failover now may lose it";
        };
        return new TokenStoreException(outcome, message + last, cause);
    }

    /** A command as it is typed into mongosh. */
    static String shell(BsonDocument command) {
        return "db.runCommand(" + command.toJson() + ")";
    }

    private static String code(MongoException e) {
        return e.getCode() > 0 ? " (code " + e.getCode() + ")" : "";
    }

    /** The exception without its message, where that might quote what must not be shown. */
    static Throwable harmless(MongoException e) {
        boolean mayQuote = !(e instanceof MongoSocketException);
        var harmless =
                new IllegalStateException(e.getClass().getName() + (mayQuote ? code(e) : ": " + e.getMessage()), null);
        harmless.setStackTrace(e.getStackTrace());
        return harmless;
    }
}
