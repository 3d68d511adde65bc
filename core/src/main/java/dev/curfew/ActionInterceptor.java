package dev.curfew;

/**
 * Wraps or replaces an action (R11.2); see {@link TokenResource.Builder#intercept}.
 *
 * @param <A> the type of the action's argument
 * @param <R> the type of the action's answer
 */
@FunctionalInterface
public interface ActionInterceptor<A, R> {

    /** Answers the call: by itself, or with the answer of {@code next.proceed(call.argument())}. */
    R intercept(ActionCall<A> call, Next<A, R> next);

    /** The next interceptor, or the action itself. */
    @FunctionalInterface
    interface Next<A, R> {
        /** Goes on with this argument, which may be another one. */
        R proceed(A argument);
    }
}
