package dev.curfew.redis;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.RedisConnectionException;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/** Makes the store's exceptions. Their messages never quote a server's message, which may contain a key or a user. */
final class Failures {
    private static final Map<Pattern, String> MESSAGES = new LinkedHashMap<>();
    /** The first word of an error; or, if Redis 7.0 has wrapped the error of a command in a script, the word inside. */
    private static final Pattern CODE = Pattern.compile("(?s)(?!ERR\\b)([A-Z]{3,})\\b.*|.*\\W-?(OOM|READONLY|LOADING"
            + "|WRONGTYPE|NOREPLICAS|MISCONF|MASTERDOWN|CLUSTERDOWN|NOPERM|NOSCRIPT)\\W.*");
    /** A missing right, as a script reports it; the words differ between versions of Redis. */
    private static final Pattern LACKS_RIGHT = Pattern.compile("NOPERM|ACL failure|The user executing the script");

    static {
        Script.file("messages.txt")
                .lines()
                .map(line -> line.split(" ", 2))
                .forEach(line -> MESSAGES.put(Pattern.compile(line[0]), line[1]));
    }

    private Failures() {}

    /** The message of this name, or for this error of a server. */
    static String text(String name) {
        return MESSAGES.entrySet().stream()
                .filter(message -> message.getKey().matcher(name).find())
                .findFirst()
                .orElseThrow()
                .getValue();
    }

    /** Whether the server answered with this error code, either itself or from a command in a script. */
    static boolean is(Throwable thrown, String code) {
        return isRefusal(thrown) && code.equals(code(String.valueOf(thrown.getMessage())));
    }

    /** The code of an error: its first word, in most cases. */
    static String code(String error) {
        Matcher code = CODE.matcher(error);
        return LACKS_RIGHT.matcher(error).find()
                ? "NOPERM"
                : !code.matches() ? "ERR" : code.group(1) != null ? code.group(1) : code.group(2);
    }

    /** Whether the exception is an error that the server has answered. */
    static boolean isRefusal(Throwable thrown) {
        return thrown instanceof RedisCommandExecutionException;
    }

    /**
     * Whether no answer came in time. The JDK, netty and the driver each have classes for that, with {@code Timeout} in
     * their names.
     */
    static boolean isSilence(Throwable thrown) {
        return causes(thrown).anyMatch(cause -> cause.getClass().getSimpleName().contains("Timeout"));
    }

    /** Whether the command was not sent, since there was no connection. */
    static boolean isNotSent(Throwable thrown) {
        return thrown instanceof RedisConnectionException
                || String.valueOf(thrown.getMessage()).startsWith("Currently not connected");
    }

    /** Whether a failed attempt to connect says why it failed. */
    static boolean isExplained(Throwable thrown) {
        return isSilence(thrown)
                || thrown instanceof NotSentException
                || causes(thrown)
                        .anyMatch(cause -> isRefusal(cause)
                                || cause instanceof SocketException
                                || cause instanceof UnknownHostException
                                || cause instanceof SSLException);
    }

    private static Stream<Throwable> causes(Throwable thrown) {
        return Stream.iterate(thrown, each -> each != null, Throwable::getCause);
    }

    static Throwable cause(Throwable thrown) {
        Throwable cause = thrown.getCause();
        return cause != null && (thrown instanceof ExecutionException || thrown instanceof CompletionException)
                ? cause(cause)
                : thrown;
    }

    /**
     * @param changes whether the failed request was a change
     * @param isUnsure whether a change may be done nevertheless, by an earlier attempt or another request of the call
     */
    static TokenStoreException of(String domain, Throwable cause, boolean changes, boolean isUnsure) {
        Throwable refusal =
                causes(cause).filter(Failures::isRefusal).findFirst().orElse(null);
        String what;
        boolean isHalfDone = false;
        if (refusal != null) {
            String error = String.valueOf(refusal.getMessage());
            String code = code(error);
            what = text(code + ' ' + error) + " (" + code + ")";
            // A script may have made changes before the command that failed.
            isHalfDone = refusal == cause && error.contains("script") && code.matches("NOPERM|ERR");
        } else if (cause instanceof NotSentException) {
            what = String.valueOf(cause.getMessage());
        } else if (cause instanceof InterruptedException) {
            what = "INTERRUPTED";
        } else {
            what = isSilence(cause) ? "SILENCE" : isNotSent(cause) ? "UNREACHABLE" : "DISCONNECTED";
        }
        return of(changes && (isUnsure || isHalfDone) ? Outcome.UNKNOWN : Outcome.UNCHANGED, domain, what, cause);
    }

    /** @param what the problem as a sentence, or the name of a message */
    static TokenStoreException of(Outcome outcome, String domain, String what, @Nullable Throwable cause) {
        String problem = what.indexOf(' ') < 0 ? text(what) : what;
        Throwable told = cause == null
                        || cause instanceof TokenStoreException
                        || cause instanceof TimeoutException
                        || cause instanceof NotSentException
                ? cause
                : new DriverException(cause);
        return new TokenStoreException(
                outcome, "Redis failed for domain '" + domain + "': " + problem + ". " + text(outcome.name()), told);
    }

    /** Stands for an exception of the driver, whose message might quote what must not be shown. */
    private static final class DriverException extends RuntimeException {
        private static final long serialVersionUID = 1;

        DriverException(Throwable thrown) {
            super(thrown.getClass().getName()
                    + (isRefusal(thrown) ? ", " + code(String.valueOf(thrown.getMessage())) : ""));
            setStackTrace(thrown.getStackTrace());
        }
    }

    /** Says that nothing was sent to the server. */
    static final class NotSentException extends RedisConnectionException {
        private static final long serialVersionUID = 1;

        /** @param why the name of a message */
        NotSentException(String why) {
            super(text(why));
        }
    }
}
