package dev.curfew.redis;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import io.lettuce.core.RedisCommandExecutionException;
import io.lettuce.core.RedisCommandTimeoutException;
import io.lettuce.core.RedisConnectionException;
import java.net.SocketTimeoutException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Makes the store's exceptions. Their messages never quote a server's message, which may contain a key or a user. */
final class Failures {
    private static final String ADVICE = Script.file("failures.txt");
    /** The first word of an error; or, if Redis 7.0 has wrapped the error of a command in a script, the word inside. */
    private static final Pattern CODE = Pattern.compile("(?s)(?!ERR\\b)([A-Z]{3,})\\b.*|.*\\W-?(OOM|READONLY|LOADING"
            + "|WRONGTYPE|NOREPLICAS|MISCONF|MASTERDOWN|CLUSTERDOWN|NOPERM|NOSCRIPT)\\W.*");
    /** A missing right, as a script reports it; the words differ between versions of Redis. */
    private static final Pattern LACKS_RIGHT = Pattern.compile("NOPERM|ACL failure|The user executing the script");

    private Failures() {}

    /** Whether the server answered with this error code, either itself or from a command in a script. */
    static boolean is(Throwable thrown, String code) {
        return isRefusal(thrown) && code.equals(code(thrown));
    }

    private static String code(Throwable refusal) {
        String message = String.valueOf(refusal.getMessage());
        Matcher code = CODE.matcher(message);
        return lacksRight(message)
                ? "NOPERM"
                : !code.matches() ? "ERR" : code.group(1) != null ? code.group(1) : code.group(2);
    }

    static boolean lacksRight(String message) {
        return LACKS_RIGHT.matcher(message).find();
    }

    /** Whether the server refused the command because a right is missing. */
    static boolean lacksRight(TokenStoreException failure) {
        return failure.getCause() instanceof DriverException cause && "NOPERM".equals(cause.code);
    }

    /** Whether the exception is an error that the server has answered. */
    static boolean isRefusal(Throwable thrown) {
        return thrown instanceof RedisCommandExecutionException;
    }

    /** Whether no answer came in time. */
    static boolean isSilence(Throwable thrown) {
        return causes(thrown)
                .anyMatch(cause -> cause instanceof TimeoutException
                        || cause instanceof RedisCommandTimeoutException
                        || cause instanceof SocketTimeoutException
                        || cause.getClass().getSimpleName().equals("ConnectTimeoutException"));
    }

    /** Whether the command was not sent, since there was no connection. */
    static boolean isNotSent(Throwable thrown) {
        return thrown instanceof NotSentException
                || thrown instanceof RedisConnectionException
                || String.valueOf(thrown.getMessage()).startsWith("Currently not connected");
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
            String code = code(refusal);
            String said = code + ' ' + refusal.getMessage();
            what = advice(said) + " (" + code + ")";
            // A script may have made changes before the command that failed.
            isHalfDone = refusal == cause && said.contains("script") && code.matches("NOPERM|ERR");
        } else {
            what = cause instanceof NotSentException
                    ? String.valueOf(cause.getMessage())
                    : advice(isSilence(cause) ? "SILENCE" : isNotSent(cause) ? "UNREACHABLE" : "DISCONNECTED");
        }
        return of(changes && (isUnsure || isHalfDone) ? Outcome.UNKNOWN : Outcome.UNCHANGED, domain, what, cause);
    }

    /** @param what the problem as a sentence, or one word that {@code failures.txt} has */
    static TokenStoreException of(Outcome outcome, String domain, String what, @Nullable Throwable cause) {
        String last = switch (outcome) {
            case UNCHANGED -> "Nothing was changed";
            case UNKNOWN -> "Whether it applied the action is not known";
            case APPLIED_NOT_REPLICATED -> "The action is applied, but not yet replicated: a failover now may lose it";
        };
        String text = what.indexOf(' ') < 0 ? advice(what) : what;
        return new TokenStoreException(
                outcome, "Redis failed for domain '" + domain + "': " + text + ". " + last, harmless(cause));
    }

    private static String advice(String said) {
        return ADVICE.lines()
                .map(line -> line.split(" ", 2))
                .filter(line -> Pattern.compile(line[0]).matcher(said).find())
                .map(line -> line[1])
                .findFirst()
                .orElseThrow();
    }

    /** The exception without its message, if the message might quote what must not be shown. */
    private static @Nullable Throwable harmless(@Nullable Throwable thrown) {
        return thrown == null
                        || thrown instanceof TokenStoreException
                        || thrown instanceof TimeoutException
                        || thrown instanceof NotSentException
                ? thrown
                : new DriverException(thrown);
    }

    /** Stands for an exception of the driver, with only its class name and the first word of the server's error. */
    private static final class DriverException extends RuntimeException {
        private static final long serialVersionUID = 1;

        final @Nullable String code;

        DriverException(Throwable thrown) {
            super(thrown.getClass().getName() + (isRefusal(thrown) ? ", " + Failures.code(thrown) : ""));
            code = isRefusal(thrown) ? Failures.code(thrown) : null;
            setStackTrace(thrown.getStackTrace());
        }
    }

    /** Says that nothing was sent to the server. */
    static final class NotSentException extends RuntimeException {
        private static final long serialVersionUID = 1;

        /** @param why a word that {@code failures.txt} has */
        NotSentException(String why) {
            super(advice(why));
        }
    }
}
