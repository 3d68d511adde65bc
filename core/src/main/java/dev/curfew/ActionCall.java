package dev.curfew;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** One call of an action, as an {@link ActionInterceptor} sees it. {@code toString} shows no argument. */
public final class ActionCall {
    private final TokenAction action;
    private final String name;
    private final StoreScope scope;
    private final List<Object> arguments;

    ActionCall(TokenAction action, String name, StoreScope scope, List<Object> arguments) {
        this.action = action;
        this.name = name;
        this.scope = scope;
        this.arguments = arguments;
    }

    /** The action. */
    public TokenAction action() {
        return action;
    }

    /** The action's name in this resource. */
    public String name() {
        return name;
    }

    /** The domain of the resource. */
    public String domain() {
        return scope.domain();
    }

    /** The tenant, "" by default. */
    public String tenant() {
        return scope.tenant();
    }

    /** The arguments, as the documentation of each {@link TokenAction} lists them; immutable. */
    public List<Object> arguments() {
        return arguments;
    }

    /** This call with other arguments, to proceed with. */
    public ActionCall withArguments(Object... others) {
        return new ActionCall(action, name, scope, List.of(others));
    }

    StoreScope scope() {
        return scope;
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
                    + "; see TokenAction." + action);
        }
        return type.cast(arguments.get(index));
    }

    @Override
    public String toString() {
        return "ActionCall[" + name + " in domain '" + domain() + "']";
    }
}
