package dev.curfew.tck;

import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreProvider;
import java.time.Duration;
import java.util.Set;

/** Opens the broken store of the moment by {@code broken:}. */
public final class BrokenStoreProvider implements TokenStoreProvider {
    @Override
    public String name() {
        return "broken";
    }

    @Override
    public Set<String> schemes() {
        return Set.of("broken");
    }

    @Override
    public TokenStore open(String url, Duration callDeadline, Duration openDeadline) {
        BrokenStores broken = BrokenStoresTest.KitOfABrokenStore.broken;
        if (url.contains("?") && broken != BrokenStores.R11_5_TAKES_ANY_PARAMETER) {
            throw new TokenStoreException("The URL has a parameter that is not known");
        }
        return broken.newStores().get(0);
    }
}
