package dev.curfew;

import dev.curfew.TokenStoreException.Outcome;
import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Finds the one provider for a URL, or says why there is not one; never "the first that was found". */
final class Discovery {
    static final String PROPERTY = "curfew.store.url";
    static final String VARIABLE = "CURFEW_STORE_URL";

    private static final Pattern SCHEME =
            Pattern.compile("((?:jdbc:)?[A-Za-z][A-Za-z0-9+.-]{0,31}):.*", Pattern.DOTALL);
    private static final int MOST_BROKEN = 100;

    private final List<TokenStoreProvider> providers;
    // Why other providers could not be loaded.
    private final List<ServiceConfigurationError> broken;

    Discovery(List<TokenStoreProvider> providers) {
        this(providers, List.of());
    }

    Discovery(Collection<TokenStoreProvider> providers, List<ServiceConfigurationError> broken) {
        this.providers = List.copyOf(providers);
        this.broken = List.copyOf(broken);
    }

    /**
     * Opens a store, and makes it ready for the scope's domain.
     *
     * @param deadline that of the calls to come; the scope's is that of opening
     */
    static TokenStore open(@Nullable String url, Duration deadline, StoreScope scope) {
        String named = url == null ? configured(System::getProperty, System::getenv) : url;
        return named == null
                ? installed().openEmbedded(deadline, scope)
                : installed().openNamed(named, deadline, scope);
    }

    static @Nullable String configured(
            UnaryOperator<@Nullable String> properties, UnaryOperator<@Nullable String> environment) {
        String url = properties.apply(PROPERTY);
        if (url == null || url.isBlank()) {
            url = environment.apply(VARIABLE);
        }
        return url == null || url.isBlank() ? null : url;
    }

    /**
     * Looks by the thread's context class loader, which is the application's in a servlet container, and by the one that
     * loaded this library: a thread of a common pool may have no context class loader, or one that knows of no store.
     */
    private static Discovery installed() {
        Map<String, TokenStoreProvider> found = new LinkedHashMap<>();
        List<ServiceConfigurationError> broken = new ArrayList<>();
        ClassLoader context = Thread.currentThread().getContextClassLoader();
        ClassLoader own = TokenStoreProvider.class.getClassLoader();
        if (context != null) {
            collect(context, found, broken);
        }
        if (own != context) {
            collect(own, found, broken);
        }
        return new Discovery(found.values(), broken);
    }

    /** A provider that cannot be loaded, or belongs to another application's copy of this library, hides no other. */
    private static void collect(
            @Nullable ClassLoader loader,
            Map<String, TokenStoreProvider> found,
            List<ServiceConfigurationError> broken) {
        Iterator<TokenStoreProvider> providers =
                ServiceLoader.load(TokenStoreProvider.class, loader).iterator();
        boolean isMore = true;
        while (isMore) {
            try {
                isMore = providers.hasNext();
                if (isMore) {
                    TokenStoreProvider provider = providers.next();
                    found.putIfAbsent(provider.getClass().getName(), provider);
                }
            } catch (ServiceConfigurationError e) {
                broken.add(e);
                isMore = broken.size() < MOST_BROKEN;
            }
        }
    }

    TokenStore openEmbedded(Duration deadline, StoreScope scope) {
        List<TokenStoreProvider> embedded =
                providers.stream().filter(p -> p.embeddedUrl().isPresent()).toList();
        // Where a store with a server is there, a URL was meant to be given, and has been lost.
        if (embedded.size() != 1 || providers.size() > 1 || !broken.isEmpty()) {
            String why = embedded.isEmpty()
                    ? "none on the class path works without a server"
                    : embedded.size() < providers.size() || !broken.isEmpty()
                            ? "one on the class path needs a server, so that the memory of this process may not be what was meant"
                            : "more than one on the class path works without a server";
            throw new TokenStoreException(
                    "No store is named, and " + why + ". Name one: TokenResource.open(url), the system property "
                            + PROPERTY + ", or the environment variable " + VARIABLE + ". " + listed(),
                    cause());
        }
        return openNamed(embedded.get(0).embeddedUrl().orElseThrow(), deadline, scope);
    }

    TokenStore openNamed(String url, Duration deadline, StoreScope scope) {
        List<TokenStoreProvider> claiming =
                providers.stream().filter(p -> claims(p, url)).toList();
        if (claiming.size() != 1) {
            throw new TokenStoreException(
                    (claiming.isEmpty() ? "No store" : "More than one store")
                            + " on the class path claims the URL " + redacted(url) + ". " + listed()
                            + (claiming.isEmpty()
                                    ? " Add the store of this URL's scheme, such as dev.curfew:curfew-store-redis, or"
                                            + " correct the URL."
                                    : " Leave one of them out."),
                    cause());
        }
        TokenStoreProvider provider = claiming.get(0);
        TokenStore store = null;
        try {
            store = provider.open(url, deadline, scope.deadline());
            store.prepare(scope);
            return store;
        } catch (RuntimeException e) {
            if (store != null) {
                store.close();
            }
            throw failed(provider, url, e);
        } catch (LinkageError e) {
            throw new TokenStoreException(
                    Outcome.UNCHANGED,
                    "The " + provider.name() + " store could not be opened: the class " + e.getMessage()
                            + " is missing, or of another version than it needs. Put its driver on the class path, in the"
                            + " version that the bom of Curfew's version was made with",
                    e);
        }
    }

    /**
     * A store's own message is passed on as it is; what a driver throws gets advice that fits most servers. Where the URL may
     * have credentials, an exception of a driver's is no cause: it may tell them.
     */
    private static TokenStoreException failed(TokenStoreProvider provider, String url, RuntimeException e) {
        boolean hasCredentials = url.indexOf('@') >= 0 || url.indexOf('=') >= 0;
        String what = e instanceof CurfewException
                ? String.valueOf(e.getMessage())
                : Outage.described(e, !hasCredentials)
                        + ". Check that the server runs there and that the URL's credentials are right.";
        return new TokenStoreException(
                e instanceof TokenStoreException thrown ? thrown.outcome() : Outcome.UNKNOWN,
                "The " + provider.name() + " store at " + redacted(url) + " could not be opened: " + what,
                hasCredentials && !isOurs(e) ? null : e);
    }

    private static boolean isOurs(@Nullable Throwable e) {
        return e == null || (e instanceof CurfewException && e.getSuppressed().length == 0 && isOurs(e.getCause()));
    }

    private @Nullable Throwable cause() {
        return broken.isEmpty() ? null : broken.get(0);
    }

    private static boolean claims(TokenStoreProvider provider, String url) {
        String lower = url.toLowerCase(Locale.ROOT);
        return provider.schemes().stream().anyMatch(scheme -> lower.startsWith(scheme + ":"));
    }

    private String listed() {
        String loaded = providers.isEmpty()
                ? "There is no store on the class path."
                : providers.stream()
                        .map(p -> p.name() + " (" + p.getClass().getName() + ", "
                                + p.schemes().stream().sorted().toList() + ")")
                        .sorted()
                        .collect(Collectors.joining(", ", "On the class path: ", "."));
        return broken.isEmpty()
                ? loaded
                : loaded + " Another provider could not be loaded: "
                        + broken.get(0).getMessage()
                        + ". Take its jar and curfew-core's of the same version, and put both where one class loader has them.";
    }

    /** What may be shown of a URL: its scheme and host. User, password, path and parameters may be secrets. */
    static String redacted(String url) {
        Matcher matcher = SCHEME.matcher(url);
        String scheme = matcher.matches() ? matcher.group(1) : "without a scheme";
        try {
            // What follows a jdbc: is a URL of its own.
            String host = new URI(url.startsWith("jdbc:") ? url.substring(5) : url).getHost();
            return scheme + ":" + (host == null ? "…" : "//" + host);
        } catch (URISyntaxException e) {
            return scheme + ":…";
        }
    }
}
