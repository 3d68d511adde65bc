package dev.curfew;

import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * How one call of an action ended, for metrics; see {@link TokenResource.Builder#onOutcome}. {@code toString} does not
 * show the answer, which may have jtis and subjects.
 *
 * @param action the action
 * @param name the action's name in this resource
 * @param domain the resource's domain
 * @param duration how long the call took, interceptors and the listeners of revocations included
 * @param answer the answer, or {@code null} where the call failed; of {@link TokenAction#EXPUNGE_EXPIRED} it is an
 *     {@link ExpungeReport}
 * @param failure the exception of a call that failed, or {@code null}
 * @param isUnavailable whether the store failed, or was not asked: also where the failure policy answered for it
 */
public record ActionOutcome(
        TokenAction<?, ?> action,
        String name,
        String domain,
        Duration duration,
        @Nullable Object answer,
        @Nullable Throwable failure,
        boolean isUnavailable) {

    /**
     * The outcome in one word, in lower case, from a small set of words: {@code unavailable} where the store failed or was
     * not asked; {@code error} for any other exception; the answer's own name, such as {@code active}, {@code revoked},
     * {@code already_revoked}, {@code stored}, {@code consumed}, {@code already_used}, {@code rotated}, {@code reused}; {@code found} or {@code missing} for
     * a record that was looked for; {@code revoked} or {@code not_revoked} for {@link TokenAction#IS_REVOKED}; else
     * {@code done}.
     */
    public String word() {
        if (isUnavailable) {
            return "unavailable";
        } else if (failure != null) {
            return "error";
        } else if (answer instanceof Enum<?> named) {
            return named.name().toLowerCase(Locale.ROOT);
        } else if (answer instanceof Consumption) {
            return "consumed";
        } else if (answer instanceof Rotation) {
            return answer instanceof Rotation.Rotated ? "rotated" : "reused";
        } else if (answer instanceof Optional<?> record) {
            return record.isPresent() ? "found" : "missing";
        } else if (answer instanceof Set<?> revoked) {
            return revoked.isEmpty() ? "not_revoked" : "revoked";
        }
        return "done";
    }

    @Override
    public String toString() {
        return "ActionOutcome[" + name + " in domain '" + domain + "': " + word() + " after " + duration + "]";
    }
}
