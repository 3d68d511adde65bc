package dev.curfew;

import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Measures the calls of actions, and tells the listeners how each call ended (R11.6). */
final class Outcomes {
    private static final Logger LOG = LoggerFactory.getLogger(TokenResource.class);

    private final String domain;
    private final List<Consumer<ActionOutcome>> listeners;
    // Set where the failure policy answers, deep inside a call: DENY makes isRevoked answer "revoked" in an outage.
    private final ThreadLocal<Boolean> answeredByPolicy = new ThreadLocal<>();

    Outcomes(String domain, List<Consumer<ActionOutcome>> listeners) {
        this.domain = domain;
        this.listeners = List.copyOf(listeners);
    }

    /** Where nobody listens, nothing is measured. */
    boolean isHeard() {
        return !listeners.isEmpty();
    }

    void noteAnswerByPolicy() {
        if (isHeard()) {
            answeredByPolicy.set(true);
        }
    }

    /** An answer of {@code null} is told to nobody: the caller has to ask in another way. */
    <R extends @Nullable Object> R observed(TokenAction<?, ?> action, String name, Supplier<R> call) {
        // An interceptor may call another action within its own.
        Boolean outer = answeredByPolicy.get();
        answeredByPolicy.remove();
        long start = Deadline.reading();
        @Nullable R answer = null;
        @Nullable Throwable failure = null;
        try {
            answer = call.get();
            return answer;
        } catch (RuntimeException | Error e) {
            failure = e;
            throw e;
        } finally {
            Duration duration = Duration.ofNanos(Deadline.reading() - start);
            boolean isUnavailable = answeredByPolicy.get() != null || failure instanceof TokenStoreException;
            if (outer == null) {
                answeredByPolicy.remove();
            } else {
                answeredByPolicy.set(outer);
            }
            if (answer != null || failure != null) {
                tell(
                        listeners,
                        new ActionOutcome(action, name, domain, duration, answer, failure, isUnavailable),
                        domain,
                        name);
            }
        }
    }

    /** Tells each listener: the action is done, and its caller must hear so, whatever a listener throws. */
    static <E> void tell(List<Consumer<E>> listeners, E event, String domain, String action) {
        for (Consumer<E> listener : listeners) {
            try {
                listener.accept(event);
            } catch (Throwable e) {
                LOG.warn(
                        "A listener of domain '{}' failed on {} with {}; the action stands.",
                        domain,
                        action,
                        e.getClass().getName());
            }
        }
    }
}
