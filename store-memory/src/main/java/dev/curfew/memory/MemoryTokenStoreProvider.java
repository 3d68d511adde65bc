package dev.curfew.memory;

import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreProvider;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Opens {@code memory:}, which holds 1,000,000 records at most, and {@code memory:?maxRecords=N}. This is the store that is
 * opened if the application names no store.
 */
public final class MemoryTokenStoreProvider implements TokenStoreProvider {
    private static final Logger LOG = LoggerFactory.getLogger(MemoryTokenStore.class);
    private static final long DEFAULT_BOUND = 1_000_000;
    private static final Pattern URL = Pattern.compile("(?i)memory:(\\?maxRecords=(?<bound>[1-9][0-9]{0,17}))?");

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
        Matcher parts = URL.matcher(url);
        if (!parts.matches()) {
            throw new TokenStoreException("Write memory: or memory:?maxRecords=N, with a whole number above zero");
        }
        long maxRecords = parts.group("bound") == null ? DEFAULT_BOUND : Long.parseLong(parts.group("bound"));
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
