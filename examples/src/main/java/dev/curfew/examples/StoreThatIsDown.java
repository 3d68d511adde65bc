package dev.curfew.examples;

import dev.curfew.StoredState;
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
                    // It went down when it was open.
                    if (verb.getName().equals("state") && arguments[1].equals("")) {
                        return StoredState.NOTHING;
                    }
                    if (verb.getName().equals("revokeSubject") && arguments[1].equals("")) {
                        return null;
                    }
                    throw new TokenStoreException(Outcome.UNCHANGED, "The store is down. Nothing was changed", null);
                });
    }
}
