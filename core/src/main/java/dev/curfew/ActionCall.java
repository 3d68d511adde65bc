package dev.curfew;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One call of an action, as an {@link ActionInterceptor} sees it. {@code toString} shows no argument.
 *
 * @param action the action
 * @param name the action's name in this resource
 * @param scope domain and tenant
 * @param arguments as the documentation of each {@link TokenAction} lists them; immutable
 */
public record ActionCall(TokenAction action, String name, StoreScope scope, List<Object> arguments) {

    /**
     * Copies the arguments.
     *
     * @throws IllegalArgumentException if one of them is null; the message names it
     */
    public ActionCall {
        Limits.present("arguments", arguments);
        for (int i = 0; i < arguments.size(); i++) {
            if (arguments.get(i) == null) {
                throw new IllegalArgumentException(action.argument(i) + " must not be null, in " + name);
            }
        }
        arguments = List.copyOf(arguments);
    }

    /**
     * This call with other arguments, to proceed with.
     *
     * @throws IllegalArgumentException if one of them is null; the message names it
     */
    public ActionCall withArguments(Object... others) {
        return new ActionCall(action, name, scope, Arrays.asList(others));
    }

    boolean has(int index) {
        return index < arguments.size();
    }

    /** The first argument, where it is a token and not just a jti. */
    @Nullable
    Token token() {
        return has(0) && arguments.get(0) instanceof Token token ? token : null;
    }

    <T> T argument(int index, Class<T> type) {
        if (!has(index) || !type.isInstance(arguments.get(index))) {
            throw new IllegalArgumentException(name + " takes a " + type.getSimpleName() + " as argument " + (index + 1)
                    + ", " + action.argument(index) + "; see TokenAction." + action);
        }
        return type.cast(arguments.get(index));
    }

    @Override
    public String toString() {
        return "ActionCall[" + name + " in domain '" + scope.domain() + "']";
    }
}
