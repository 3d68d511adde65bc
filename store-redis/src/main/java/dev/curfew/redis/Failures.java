package dev.curfew.redis;

import dev.curfew.TokenStoreException;
import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.RedisCommandTimeoutException;
import io.lettuce.core.RedisConnectionException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** What went wrong, in words that help and give nothing away: a server's message may quote a key or a user. */
final class Failures {
    /** By the first word of the server's error. */
    private static final List<Map.Entry<String, String>> ADVICE = List.of(
            Map.entry(
                    "OOM",
                    "it has reached its maxmemory, and takes no more. Raise maxmemory; checks still work meanwhile"),
            Map.entry("READONLY", "it is a read-only replica. Connect to the master, or by way of the sentinels"),
            Map.entry("LOADING", "it is loading its data. It will answer when that is done"),
            Map.entry("WRONGPASS", "it refused the user or the password. Check the URL, and the server's ACL"),
            Map.entry("NOAUTH", "it asks for a user and a password. Put them into the URL: redis://user:password@host"),
            Map.entry("NOPERM", "a right is missing. Give the user those of Curfew's page on Redis"),
            Map.entry(
                    "WRONGTYPE",
                    "a key in Curfew's place has another type, so that somebody else has written it. Look at the keys"
                            + " that begin with curfew: and give Curfew a database or a server of its own"),
            Map.entry("NOREPLICAS", "it has fewer replicas than its min-replicas-to-write asks for. Start them"),
            Map.entry("MISCONF", "it cannot write its data to disk, and takes no writes. Look at its log and its disk"),
            Map.entry("BUSY", "it is busy with a script that does not end. SCRIPT KILL ends it"),
            Map.entry("MASTERDOWN", "it is a replica that has lost its master"),
            Map.entry(
                    "CLUSTERDOWN",
                    "the cluster does not serve all slots. Look at CLUSTER INFO; a failover ends by itself"),
            Map.entry("TRYAGAIN", "a slot is being moved to another node. The next call may find it there"),
            Map.entry("ASK", "a slot is being moved to another node. The next call may find it there"),
            Map.entry("MOVED", "it is a node of a cluster. Open it by redis-cluster://, or by a RedisClusterClient"));

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

    /** @param several whether there were others in the same call, which may have been done */
    static TokenStoreException of(String domain, Throwable thrown, boolean several) {
        Throwable cause = cause(thrown);
        Throwable word = serversWord(cause);
        String what;
        boolean unknown = several;
        if (cause instanceof TimeoutException || cause instanceof RedisCommandTimeoutException) {
            what = "it did not answer within the call deadline";
            unknown = true;
        } else if (cause instanceof RedisCommandExecutionException) {
            String code = code(cause);
            String advice = ADVICE.stream()
                    .filter(entry -> entry.getKey().equals(code))
                    .map(Map.Entry::getValue)
                    .findFirst()
                    .orElse("it refused the command");
            what = advice + " (" + code + ")";
            // A script may have come as far as the command that it may not call.
            unknown |= code.equals("NOPERM");
        } else if (cause instanceof NotSentException) {
            what = String.valueOf(cause.getMessage());
        } else if (word != null) {
            return of(domain, word, several);
        } else if (cause instanceof RedisConnectionException) {
            what = "it could not be reached. Check the host and the port, that it runs and accepts, and its certificate"
                    + " where TLS is used";
        } else {
            what = "the connection failed. The next call takes a new one";
            unknown = true;
        }
        return new TokenStoreException(
                "Redis failed for domain '" + domain + "': " + what + ". "
                        + (unknown ? "Whether it applied the action is not known" : "Nothing was changed"),
                harmless(cause));
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

    static TokenStoreException interrupted(String domain) {
        return new TokenStoreException("The thread was interrupted while it waited for Redis, for domain '" + domain
                + "'. Whether it applied the action is not known");
    }

    /**
     * @param index whether it is about a subject's index, before anything is stored
     * @param who has it, as far as is known
     * @param cause why no more is known, or {@code null}
     */
    static TokenStoreException unreplicated(String domain, boolean index, String who, @Nullable Throwable cause) {
        boolean forbidden = cause != null && isRefusal(cause) && code(cause).equals("NOPERM");
        return new TokenStoreException(
                (index
                                ? "Nothing is stored in domain '" + domain + "': the subject's index is written"
                                : "The revocation is applied in domain '" + domain + "'")
                        + ", but not yet replicated: " + who + " replicas that minReplicas asks for have it. A failover"
                        + " now may lose it. Try again, and "
                        + (forbidden ? "grant the user +wait" : "look at the replicas"),
                cause == null ? null : harmless(cause));
    }

    static TokenStoreException lost(String domain) {
        return new TokenStoreException("What was done in domain '" + domain
                + "' is lost: another server has become the master meanwhile, without it. Try again");
    }

    /** The exception without its message, where that might quote what must not be shown. */
    private static Throwable harmless(Throwable thrown) {
        if (thrown instanceof TimeoutException || thrown instanceof NotSentException) {
            return thrown;
        }
        String said = thrown instanceof RedisCommandExecutionException ? ", " + code(thrown) : "";
        var harmless = new IllegalStateException(thrown.getClass().getName() + said);
        harmless.setStackTrace(thrown.getStackTrace());
        return harmless;
    }

    /** Nothing has gone out to the server. */
    static final class NotSentException extends RuntimeException {
        private static final long serialVersionUID = 1;

        NotSentException(String message) {
            super(message);
        }
    }
}
