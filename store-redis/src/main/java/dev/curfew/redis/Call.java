package dev.curfew.redis;

import dev.curfew.Deadline;
import dev.curfew.StoreScope;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** One call of a verb of the store. Its requests share one deadline, and their repetitions share one mark (R8.7). */
final class Call {
    /** Added to the lifetime of each key, for a request that was delayed on its way to the server. */
    private static final Duration MARGIN = Duration.ofSeconds(10);

    private static final long LONGEST_RETRIES = TimeUnit.SECONDS.toNanos(1);

    final StoreScope scope;
    final Keys keys;
    private final Instant now;
    private final Deadline deadline;

    Call(StoreScope scope, Instant now) {
        this.scope = scope;
        this.keys = Keys.of(scope);
        this.now = now;
        this.deadline = Deadline.after(scope.deadline());
    }

    /** How many nanoseconds are left until the deadline; never negative. */
    long left() {
        return Math.max(0, deadline.remainingNanos());
    }

    /** Whether one more attempt may begin: in the first half of the call, and in its first second. */
    boolean mayRetry() {
        long all = scope.deadline().toNanos();
        return all - left() < Math.min(all / 2, LONGEST_RETRIES);
    }

    /** Whether at least half of the call's whole time has passed since {@code leftBefore} nanoseconds were left. */
    boolean isMostlyGoneSince(long leftBefore) {
        return leftBefore - left() >= scope.deadline().toNanos() / 2;
    }

    <T extends @Nullable Object> T await(Future<T> answer)
            throws ExecutionException, InterruptedException, TimeoutException {
        return answer.get(left(), TimeUnit.NANOSECONDS);
    }

    /**
     * A request to run a script. Its arguments are the time, the grace, the mark of this call, and {@code others}. The
     * grace is how long a key outlives the expiry of its record: a skew to the retention end, a second skew (R1.4), and
     * the margin. A watermark and the revocation of a session outlive their retention end by as much.
     */
    Request script(Script script, List<String> keys, @Nullable Object... others) {
        var arguments = new String[others.length + 3];
        arguments[0] = text(now);
        arguments[1] = Long.toString(scope.skew().multipliedBy(2).plus(MARGIN).toMillis());
        arguments[2] = Long.toString(ThreadLocalRandom.current().nextLong(), Character.MAX_RADIX);
        for (int i = 0; i < others.length; i++) {
            arguments[i + 3] = text(others[i]);
        }
        return Request.of(script, keys, arguments);
    }

    private static String text(@Nullable Object value) {
        return value instanceof Instant time ? Long.toString(time.toEpochMilli()) : Objects.toString(value, "");
    }
}
