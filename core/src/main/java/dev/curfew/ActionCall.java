package dev.curfew;

/**
 * One call of an action, as an {@link ActionInterceptor} sees it. {@code toString} does not show the argument.
 *
 * @param action the action
 * @param name the action's name in this resource
 * @param scope domain and tenant
 * @param argument the argument
 */
public record ActionCall<A>(TokenAction<A, ?> action, String name, StoreScope scope, A argument) {

    @Override
    public String toString() {
        return "ActionCall[" + name + " in domain '" + scope.domain() + "']";
    }
}
