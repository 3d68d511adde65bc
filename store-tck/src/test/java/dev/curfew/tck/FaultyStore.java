package dev.curfew.tck;

import dev.curfew.RevocationFeed;
import dev.curfew.StoreScope;
import dev.curfew.TokenStore;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.UnaryOperator;

/** A real store that fails when it is told to: before a verb, or after it was applied, so that only the reply is lost. */
final class FaultyStore {
    /** The verbs that were called, by name, in order. */
    final List<String> calls = new CopyOnWriteArrayList<>();

    volatile RuntimeException failure;
    volatile RuntimeException lostReply;
    volatile UnaryOperator<Object> answer = UnaryOperator.identity();
    /** What each poll of the feed does first: it may throw, or wait. */
    volatile Runnable poll = () -> {};

    volatile boolean isPositionLost;
    /** What time each poll was told. */
    final Set<Instant> polledAt = ConcurrentHashMap.newKeySet();

    volatile boolean isInTransaction;
    final TokenStore store;

    FaultyStore() {
        var model = new ModelTokenStore();
        store = (TokenStore) Proxy.newProxyInstance(
                getClass().getClassLoader(), new Class<?>[] {TokenStore.class}, (proxy, verb, arguments) -> {
                    if (verb.getDeclaringClass() == Object.class
                            || verb.getName().equals("close")) {
                        return call(model, verb, arguments);
                    }
                    if (verb.getName().equals("feed")) {
                        return feed(model.feed());
                    }
                    calls.add(verb.getName());
                    if (failure != null && !verb.getName().equals("prepare")) {
                        throw failure;
                    }
                    Object result = call(model, verb, arguments);
                    if (lostReply != null) {
                        throw lostReply;
                    }
                    return answer.apply(result);
                });
    }

    private RevocationFeed feed(RevocationFeed feed) {
        return new RevocationFeed() {
            @Override
            public String follow(StoreScope scope, String after, Sink sink, Instant now) {
                poll.run();
                polledAt.add(now);
                if (isPositionLost && after != null) {
                    isPositionLost = false;
                    return null;
                }
                return feed.follow(scope, after, sink, now);
            }

            @Override
            public boolean isInTransaction() {
                return isInTransaction;
            }
        };
    }

    private static Object call(TokenStore store, Method verb, Object[] arguments) throws Throwable {
        try {
            return verb.invoke(store, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }
}
