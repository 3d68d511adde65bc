package dev.curfew.mongo;

import com.mongodb.MongoConnectionPoolClearedException;
import com.mongodb.MongoException;
import com.mongodb.MongoIncompatibleDriverException;
import com.mongodb.MongoOperationTimeoutException;
import com.mongodb.MongoSecurityException;
import com.mongodb.MongoSocketException;
import com.mongodb.MongoSocketOpenException;
import com.mongodb.MongoWriteConcernException;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.bson.BsonDocument;
import org.bson.BsonString;
import org.jspecify.annotations.Nullable;

/** Makes the store's exceptions. Their messages never quote a server's message, which may contain a key or a user. */
final class Failures {
    private static final int DUPLICATE_KEY = 11000;

    /** The advice for each code of the server's, and for each class of the driver's exceptions. */
    private static final Map<String, String> ADVICE = Documents.file("mongodb-failures.txt")
            .lines()
            .filter(line -> !line.startsWith("#"))
            .map(line -> line.split(" ", 2))
            .collect(Collectors.toUnmodifiableMap(line -> line[0], line -> line[1]));

    /** The codes of errors with which the server has certainly changed nothing. */
    private static final Set<Integer> UNDONE = Set.of(13, 18, 121, 123, 166, 14031);

    private Failures() {}

    static boolean isDuplicateKey(MongoException e) {
        return e.getCode() == DUPLICATE_KEY;
    }

    /** Whether the connection was lost, so that it is not known whether the command was executed. */
    static boolean isLostConnection(MongoException e) {
        return e instanceof MongoSocketException && !(e instanceof MongoSocketOpenException);
    }

    /** Whether the command that failed with this exception has certainly changed nothing. */
    static boolean isUndone(MongoException e) {
        if (e instanceof MongoWriteConcernException unreplicated) {
            return unreplicated.getWriteResult().getCount() == 0;
        }
        // Other codes prove nothing: a router also answers with them if a shard does not reply, and a server if the
        // driver repeats a command.
        return e instanceof MongoSecurityException
                || e instanceof MongoSocketOpenException
                || e instanceof MongoConnectionPoolClearedException
                || e instanceof MongoIncompatibleDriverException
                || UNDONE.contains(e.getCode());
    }

    /** @param outcome what is known of the action */
    static TokenStoreException of(String domain, MongoException e, Outcome outcome) {
        if (e instanceof MongoWriteConcernException) {
            return unconfirmed(domain, e, outcome);
        }
        return failure(outcome, "MongoDB failed for domain '" + domain + "': " + advice(e) + code(e), harmless(e));
    }

    private static String advice(MongoException e) {
        // The driver throws the same class, without a cause, if no server is found and if a server does not answer.
        // Only the text differs. If a later driver changes the text, the second advice is used, which fits both cases.
        String found = String.valueOf(e.getMessage()).contains("Client view of cluster state")
                        && e instanceof MongoOperationTimeoutException
                ? ADVICE.get("NoPrimary")
                : ADVICE.get(Integer.toString(e.getCode()));
        for (Class<?> type = e.getClass(); found == null; type = type.getSuperclass()) {
            found = ADVICE.get(type.getSimpleName());
        }
        return found;
    }

    /** For a change that the primary has applied, and that no majority has acknowledged. */
    static TokenStoreException unreplicated(String domain, MongoException e) {
        return failure(
                Outcome.APPLIED_NOT_REPLICATED,
                "MongoDB failed for domain '" + domain
                        + "': no majority of the replica set has acknowledged the action in time" + code(e)
                        + ". Try again, and look at rs.status()",
                harmless(e));
    }

    /** For a command that no majority has acknowledged, and that was to change no document or many documents. */
    static TokenStoreException unconfirmed(String domain, MongoException e, Outcome outcome) {
        return failure(
                outcome,
                "MongoDB failed for domain '" + domain
                        + "': no majority of the replica set has confirmed what is stored" + code(e)
                        + ". Try again, and look at rs.status()",
                harmless(e));
    }

    /** For a document that another program has written or changed. */
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

    /** @param command that creates the indexes */
    static TokenStoreException indexes(String domain, MongoException e, String command) {
        return failure(
                isUndone(e) ? Outcome.UNCHANGED : Outcome.UNKNOWN,
                "The indexes of domain '" + domain + "' could not be built: "
                        + advice(e) + code(e)
                        + ". Mend that, or have them made by " + command + ", and open the store again",
                harmless(e));
    }

    /** The message for a call whose commands had to be repeated until its deadline was over. */
    static String tooLate(String domain) {
        return "The call deadline of domain '" + domain + "' was over before the action was done. It may be too short:"
                + " raise callDeadline. Or others changed the same document again and again: try again. Or a unique index"
                + " that is not Curfew's refuses the document: drop that index";
    }

    /** Makes an exception, and appends the outcome to the message as its last sentence. */
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

    /** The exception without its message, if the message might quote what must not be shown. */
    static Throwable harmless(MongoException e) {
        boolean mayQuote = !(e instanceof MongoSocketException);
        var harmless =
                new IllegalStateException(e.getClass().getName() + (mayQuote ? code(e) : ": " + e.getMessage()), null);
        harmless.setStackTrace(e.getStackTrace());
        return harmless;
    }
}
