package dev.curfew;

import java.time.Duration;
import java.util.Optional;
import java.util.Set;

/**
 * Opens stores by URL; found by {@link java.util.ServiceLoader}. A jar names its provider in its module descriptor and
 * in {@code META-INF/services}.
 */
public interface TokenStoreProvider {

    /** The store's name in messages: {@code memory}, {@code redis}. */
    String name();

    /** The URL schemes that it claims, in lower case, without a colon at the end: {@code redis}, {@code jdbc:postgresql}. */
    Set<String> schemes();

    /**
     * Opens a store, which then owns its client and closes it.
     *
     * @param url as the user wrote it, in one of the {@link #schemes}
     * @param callDeadline how long a call will have, also where it has to connect
     * @param openDeadline how long opening may take, with {@link TokenStore#prepare}, which has its scope's deadline
     * @throws TokenStoreException if it cannot be opened; the message says what to do, without the URL's credentials
     */
    TokenStore open(String url, Duration callDeadline, Duration openDeadline);

    /** The URL of a store that needs no server and no settings, for {@link TokenResource#open()}; empty by default. */
    default Optional<String> embeddedUrl() {
        return Optional.empty();
    }
}
