package dev.curfew.mongo;

import com.mongodb.MongoException;
import com.mongodb.MongoNamespace;
import com.mongodb.MongoOperationTimeoutException;
import com.mongodb.MongoSocketException;
import com.mongodb.MongoSocketOpenException;
import com.mongodb.MongoWriteConcernException;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import org.bson.BsonDocument;
import org.bson.BsonString;
import org.jspecify.annotations.Nullable;

/** Makes the store's exceptions. Their messages never quote a server's message, which may contain a key or a user. */
final class Failures {
    private static final int DUPLICATE_KEY = 11000;
    private static final Map<String, Failure> KNOWN = Documents.file("mongodb-failures.txt")
            .lines()
            .filter(line -> !line.startsWith("#"))
            .map(line -> line.split(" ", 3))
            .collect(Collectors.toUnmodifiableMap(
                    line -> line[0], line -> new Failure(Outcome.valueOf(line[1]), line[2])));

    private static final Map<Outcome, String> LAST_SENTENCES = Map.of(
            Outcome.UNCHANGED, ". Nothing was changed",
            Outcome.UNKNOWN, ". Whether MongoDB applied the action is not known",
            Outcome.APPLIED_NOT_REPLICATED,
                    ". The action is applied, but not yet replicated: a failover now may lose it");

    /** A line of the file: what is known of the command that failed, and what is wrong and what to do. */
    private record Failure(Outcome outcome, String advice) {}

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
        return e instanceof MongoWriteConcernException unreplicated
                ? unreplicated.getWriteResult().getCount() == 0
                : known(e).outcome == Outcome.UNCHANGED;
    }

    /** @param outcome what is known of the action */
    static TokenStoreException of(String domain, Outcome outcome, RuntimeException e) {
        Failure known = outcome == Outcome.APPLIED_NOT_REPLICATED ? known("NotReplicated") : known(e);
        return failure(outcome, "MongoDB failed for domain '" + domain + "': " + known.advice + code(e), harmless(e));
    }

    /** @param key of the advice, for a failure that no exception tells of */
    static TokenStoreException of(String domain, Outcome outcome, String key) {
        return failure(outcome, "MongoDB failed for domain '" + domain + "': " + known(key).advice, null);
    }

    /** @param key of the advice, for a URL that is refused before anything is opened */
    static TokenStoreException ofUrl(String key) {
        return new TokenStoreException(Outcome.UNCHANGED, known(key).advice, null);
    }

    private static Failure known(String key) {
        return Objects.requireNonNull(KNOWN.get(key), key);
    }

    private static Failure known(RuntimeException e) {
        // The driver throws the same class, without a cause, if no server is found and if a server does not answer.
        // Only the text differs. If a later driver changes the text, the second advice is used, which fits both cases.
        Failure found = String.valueOf(e.getMessage()).contains("Client view of cluster state")
                        && e instanceof MongoOperationTimeoutException
                ? known("NoPrimary")
                : KNOWN.get(Integer.toString(codeOf(e)));
        for (Class<?> type = e.getClass(); found == null; type = type.getSuperclass()) {
            found = KNOWN.get(type.getSimpleName());
        }
        return found;
    }

    /** For a document that another program has written or changed. */
    static TokenStoreException foreign(MongoNamespace collection, Documents names, Outcome outcome) {
        String name = collection.getCollectionName();
        BsonDocument find = new BsonDocument("find", new BsonString(name))
                .append("filter", names.foreign().toBsonDocument());
        return failure(
                outcome,
                "A document of collection '" + name + "' has an _id of Curfew's and is not"
                        + " as Curfew writes it, so that somebody else has written it. Find what is not Curfew's by "
                        + shell(find) + ", remove it, and give Curfew a collection of its own",
                null);
    }

    /**
     * For a collection that cannot keep a domain's records.
     *
     * @param command that corrects it, or {@code null} if none does
     * @param e with which MongoDB refused the command
     */
    static TokenStoreException unfit(
            MongoNamespace collection,
            String domain,
            String problem,
            @Nullable BsonDocument command,
            @Nullable MongoException e) {
        return failure(
                e == null || isUndone(e) ? Outcome.UNCHANGED : Outcome.UNKNOWN,
                "Collection '" + collection.getCollectionName() + "' does not fit domain '" + domain + "': " + problem
                        + (e == null ? ". " : ": " + known(e).advice + code(e) + ". ")
                        + (command == null
                                ? "Give Curfew another collection"
                                : "Run " + shell(command) + " in the database " + collection.getDatabaseName()
                                        + ", and open the store again"),
                e == null ? null : harmless(e));
    }

    /** Makes an exception, and appends the outcome to the message as its last sentence. */
    static TokenStoreException failure(Outcome outcome, String message, @Nullable Throwable cause) {
        return new TokenStoreException(outcome, message + LAST_SENTENCES.get(outcome), cause);
    }

    /** A command as it is typed into mongosh. */
    private static String shell(BsonDocument command) {
        return "db.runCommand(" + command.toJson() + ")";
    }

    private static int codeOf(RuntimeException e) {
        return e instanceof MongoException failure ? failure.getCode() : 0;
    }

    private static String code(RuntimeException e) {
        return codeOf(e) > 0 ? " (code " + codeOf(e) + ")" : "";
    }

    /** The exception without its message, if the message might quote what must not be shown. */
    private static Throwable harmless(RuntimeException e) {
        String shown = e instanceof MongoSocketException ? ": " + e.getMessage() : code(e);
        var harmless = new IllegalStateException(e.getClass().getName() + shown, null);
        harmless.setStackTrace(e.getStackTrace());
        return harmless;
    }
}
