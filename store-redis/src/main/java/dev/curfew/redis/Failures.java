package dev.curfew.redis;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.RedisCommandTimeoutException;
import io.lettuce.core.RedisConnectionException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What went wrong, in words that help and give nothing away: a server's message may quote a key or a user. */
final class Failures {
    /** By the first word of the server's error. */
    private static final List<Map.Entry<String, String>> ADVICE = List.of(
            Map.entry(
                    "OOM",
                    "it has reached its maxmemory, and takes no more. Raise maxmemory; checks still work meanwhile"),
            Map.entry(
                    "READONLY",
                    "it is a read-only replica. After a failover the next call looks for the master. Else connect to the"
                            + " master, or by way of the sentinels"),
            Map.entry("LOADING", "it is loading its data. It will answer when that is done"),
            Map.entry("WRONGPASS", "it refused the user or the password. Check the URL, and the server's ACL"),
            Map.entry(
                    "NOAUTH",
                    "it asks for a user and a password. Put them into the URL, as in redis://user:password@host, or into your"
                            + " client's RedisURI"),
            Map.entry("NOPERM", "a right is missing. Give the user those of Curfew's page on Redis"),
            Map.entry(
                    "WRONGTYPE",
                    "a key in Curfew's place has another type, so that somebody else has written it. Look at the keys"
                            + " that begin with curfew: and give Curfew a database or a server of its own"),
            Map.entry("NOREPLICAS", "it has fewer replicas than its min-replicas-to-write asks for. Start them"),
            Map.entry("MISCONF", "it cannot write its data to disk, and takes no writes. Look at its log and its disk"),
            Map.entry("BUSY", "it is busy with a script that does not end. SCRIPT KILL ends one that has not written"),
            Map.entry(
                    "MASTERDOWN",
                    "it is a replica that has lost its master. Connect to the master, or by way of the sentinels"),
            Map.entry(
                    "CLUSTERDOWN",
                    "the cluster does not serve all slots. Look at CLUSTER INFO; a failover ends by itself"),
            Map.entry("TRYAGAIN", "a slot is being moved to another node. The next call may find it there"),
            Map.entry("ASK", "a slot is being moved to another node. The next call may find it there"),
            Map.entry(
                    "MOVED",
                    "it is a node of a cluster, and another node has the key. Open the cluster by redis-cluster://, or by a"
                            + " RedisClusterClient. Where it is opened so, the next call may find the node"));

    /** By a part of the server's error, where its first word is only {@code ERR}. */
    private static final List<Map.Entry<String, String>> ADVICE_BY_TEXT = List.of(
            Map.entry(
                    "max number of clients",
                    "it has as many clients as its maxclients allows. Raise maxclients, or look at CLIENT LIST"),
            Map.entry("DB index", "it has no such database. Check the number at the end of the URL"));

    private Failures() {}

    /** Whether the server answered so: by the first word of its error, or what a script says of it. */
    static boolean is(Throwable thrown, String code) {
        return thrown instanceof RedisCommandExecutionException && code.equals(code(thrown));
    }

    /** The first word of the server's error, where it is one that is known, or {@code ERR}. */
    private static String code(Throwable thrown) {
        String message = String.valueOf(thrown.getMessage());
        String word = message.substring(0, message.indexOf(' ') < 0 ? message.length() : message.indexOf(' '));
        if (word.matches("[A-Z]+") && !word.equals("ERR")) {
            return word;
        }
        // Redis 6 and 7.0 wrap what a command in a script was told.
        return ADVICE.stream()
                .map(Map.Entry::getKey)
                .filter(code -> message.matches("(?s).*(^|\\W)-?" + code + "\\W.*"))
                .findFirst()
                .orElse(lacksRight(message) ? "NOPERM" : "ERR");
    }

    /** Whether it is the server's own answer. */
    static boolean isRefusal(Throwable thrown) {
        return thrown instanceof RedisCommandExecutionException;
    }

    /** Also in the words of a script, which differ from version to version. */
    static boolean lacksRight(String message) {
        return message.contains("NOPERM")
                || message.contains("ACL failure")
                || message.contains("The user executing the script");
    }

    static Throwable cause(Throwable thrown) {
        Throwable cause = thrown.getCause();
        return cause != null && (thrown instanceof ExecutionException || thrown instanceof CompletionException)
                ? cause(cause)
                : thrown;
    }

    /**
     * @param changes whether it was asked to change anything
     * @param perhapsDone whether it may have been done all the same: by an earlier attempt, or others of the same call
     */
    static TokenStoreException of(String domain, Throwable thrown, boolean changes, boolean perhapsDone) {
        Throwable cause = cause(thrown);
        Throwable word = serversWord(cause);
        String what;
        boolean unknown = perhapsDone;
        if (cause instanceof TimeoutException || cause instanceof RedisCommandTimeoutException) {
            what = "it did not answer within the call deadline. Look at its load, its SLOWLOG and the network";
            unknown = true;
        } else if (cause instanceof RedisCommandExecutionException) {
            String code = code(cause);
            String said = String.valueOf(cause.getMessage());
            String advice = Stream.concat(
                            ADVICE.stream().filter(entry -> entry.getKey().equals(code)),
                            ADVICE_BY_TEXT.stream().filter(entry -> said.contains(entry.getKey())))
                    .map(Map.Entry::getValue)
                    .findFirst()
                    .orElse("it refused the command. Check that it is Redis 6.2 or later, and look at its log");
            what = advice + " (" + code + ")";
            // A script may have come as far as the command that failed.
            unknown |= saysScript(cause) && (code.equals("NOPERM") || code.equals("ERR"));
        } else if (cause instanceof NotSentException) {
            what = String.valueOf(cause.getMessage());
        } else if (word != null) {
            return of(domain, word, changes, perhapsDone);
        } else if (cause instanceof RedisConnectionException) {
            what = "it could not be reached. Check the host and the port, that it runs and accepts, and its certificate"
                    + " where TLS is used";
        } else {
            what = "the connection failed. The next call takes a new one";
            unknown = true;
        }
        return exception(changes && unknown ? Outcome.UNKNOWN : Outcome.UNCHANGED, domain, what, harmless(cause));
    }

    private static TokenStoreException exception(
            Outcome outcome, String domain, String what, @Nullable Throwable cause) {
        return new TokenStoreException(
                outcome,
                "Redis failed for domain '" + domain + "': " + what + ". "
                        + switch (outcome) {
                            case UNCHANGED -> "Nothing was changed";
                            case UNKNOWN -> "Whether it applied the action is not known";
                            case APPLIED_NOT_REPLICATED ->
                                "The action is applied, but not yet replicated: a failover now may lose it";
                        },
                cause);
    }

    /** Whether it is about a command inside a script, and not about the script as a whole. */
    private static boolean saysScript(Throwable thrown) {
        return String.valueOf(thrown.getMessage()).contains("script");
    }

    /** That of a call which had revoked some of a subject's tokens before. */
    static TokenStoreException afterSome(String domain, TokenStoreException failure) {
        return failure.outcome() == Outcome.UNKNOWN
                ? failure
                : exception(
                        Outcome.UNKNOWN,
                        domain,
                        "some of the subject's tokens were revoked before it failed, as the cause says. Try again",
                        failure);
    }

    /** That of a call which had consumed the record before. */
    static TokenStoreException afterConsuming(String domain, TokenStoreException failure) {
        return exception(
                Outcome.UNKNOWN,
                domain,
                "the token was used, and then it could not be read whether its subject had been logged out everywhere."
                        + " Issue another token",
                failure);
    }

    /** What is in a record's place is not one. */
    static TokenStoreException spoiled(String domain, Outcome outcome) {
        return exception(
                outcome,
                domain,
                "a hash is not a record of Curfew's, so that somebody else has written to it. Look at the keys that begin"
                        + " with curfew: and give Curfew a database or a server of its own",
                null);
    }

    /** Whether the server refused the command for want of a right. */
    static boolean lacksRight(TokenStoreException failure) {
        return failure.getCause() instanceof RefusedException refused && refused.code.equals("NOPERM");
    }

    /** What the server said to the first words on a new connection, somewhere among the causes. */
    private static @Nullable Throwable serversWord(Throwable thrown) {
        for (Throwable cause = thrown.getCause(); cause != null; cause = cause.getCause()) {
            if (cause instanceof RedisCommandExecutionException) {
                return cause;
            }
        }
        return null;
    }

    /** @param changes whether it was asked to change anything */
    static TokenStoreException interrupted(String domain, boolean changes) {
        return exception(
                changes ? Outcome.UNKNOWN : Outcome.UNCHANGED,
                domain,
                "the thread was interrupted while it waited for the answer",
                null);
    }

    /**
     * @param index whether it is about a subject's index, before anything is stored
     * @param who has it, as far as is known
     * @param cause why no more is known, or {@code null}
     */
    static TokenStoreException unreplicated(String domain, boolean index, String who, @Nullable Throwable cause) {
        boolean forbidden = cause != null && is(cause, "NOPERM");
        String what =
                who + " replicas that minReplicas asks for have " + (index ? "the subject's index" : "the revocation")
                        + ". " + (forbidden ? "Grant the user +wait" : "Look at the replicas") + ", and try again";
        return exception(
                index ? Outcome.UNCHANGED : Outcome.APPLIED_NOT_REPLICATED,
                domain,
                what,
                cause == null ? null : harmless(cause));
    }

    /** @param index as above */
    static TokenStoreException lost(String domain, boolean index) {
        return exception(
                index ? Outcome.UNCHANGED : Outcome.UNKNOWN,
                domain,
                "the server does not have the change any more. Another one may have become the master without it. Try again",
                null);
    }

    /** The exception without its message, where that might quote what must not be shown. */
    private static Throwable harmless(Throwable thrown) {
        if (thrown instanceof TimeoutException || thrown instanceof NotSentException) {
            return thrown;
        }
        String name = thrown.getClass().getName();
        RuntimeException harmless = thrown instanceof RedisCommandExecutionException
                ? new RefusedException(name, code(thrown))
                : new IllegalStateException(name);
        harmless.setStackTrace(thrown.getStackTrace());
        return harmless;
    }

    /** The server's answer was an error, of which only the first word is told. */
    private static final class RefusedException extends RuntimeException {
        private static final long serialVersionUID = 1;

        final String code;

        RefusedException(String name, String code) {
            super(name + ", " + code);
            this.code = code;
        }
    }

    /** Nothing has gone out to the server. */
    static final class NotSentException extends RuntimeException {
        private static final long serialVersionUID = 1;

        NotSentException(String message) {
            super(message);
        }
    }
}
