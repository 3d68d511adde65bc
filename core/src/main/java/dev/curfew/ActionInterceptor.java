package dev.curfew;

/** Wraps or replaces an action (R11.2); see {@link TokenResource.Builder#intercept}. */
@FunctionalInterface
public interface ActionInterceptor {

    /**
     * Answers the call: by itself, or with what {@code next.proceed(call)} answers, before or after something else.
     *
     * @return what the action answers, of the type that its method in {@link TokenResource} has
     */
    Object intercept(ActionCall call, Next next);

    /** The next interceptor, or the action itself. */
    @FunctionalInterface
    interface Next {
        /** Goes on with the call, or with the same call and other arguments. */
        Object proceed(ActionCall call);
    }
}
