package dev.curfew.memory;

import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreProvider;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Opens {@code memory:}, which holds 1,000,000 records at most, and {@code memory:?maxRecords=N}; the store where no other
 * is named.
 */
public final class MemoryTokenStoreProvider implements TokenStoreProvider {
    private static final Logger LOG = LoggerFactory.getLogger(MemoryTokenStore.class);
    private static final long DEFAULT_BOUND = 1_000_000;
    private static final String BOUND = "memory:?maxrecords=";

    /** Called by {@link java.util.ServiceLoader}. */
    public MemoryTokenStoreProvider() {}

    @Override
    public String name() {
        return "memory";
    }

    @Override
    public Set<String> schemes() {
        return Set.of("memory");
    }

    @Override
    public TokenStore open(String url, Duration callDeadline, Duration openDeadline) {
        String lower = url.toLowerCase(Locale.ROOT);
        long maxRecords;
        if (lower.equals("memory:")) {
            maxRecords = DEFAULT_BOUND;
        } else if (lower.startsWith(BOUND) && lower.substring(BOUND.length()).matches("[1-9][0-9]{0,17}")) {
            maxRecords = Long.parseLong(lower.substring(BOUND.length()));
        } else {
            throw new TokenStoreException("Write memory: or memory:?maxRecords=N, with a whole number above zero");
        }
        LOG.warn(
                "Tokens are kept in memory, {} at most: what is revoked here is known to this process alone, and forgotten"
                        + " with it.",
                maxRecords);
        return MemoryTokenStore.create(maxRecords);
    }

    @Override
    public Optional<String> embeddedUrl() {
        return Optional.of("memory:");
    }
}
