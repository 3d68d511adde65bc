package dev.curfew.examples;

import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.lang.reflect.Proxy;

/** A store that can be opened and closed, and fails in between. */
final class StoreThatIsDown {
    private StoreThatIsDown() {}

    static TokenStore create() {
        return (TokenStore) Proxy.newProxyInstance(
                StoreThatIsDown.class.getClassLoader(), new Class<?>[] {TokenStore.class}, (proxy, verb, arguments) -> {
                    if (verb.getName().equals("prepare") || verb.getName().equals("close")) {
                        return null;
                    }
                    throw new TokenStoreException(Outcome.UNCHANGED, "The store is down. Nothing was changed", null);
                });
    }
}
