package dev.curfew;

import dev.curfew.TokenStoreException.Outcome;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Finds the one provider for a URL, or says why there is not one; never "the first that was found". */
final class Discovery {
    static final String PROPERTY = "curfew.store.url";
    static final String VARIABLE = "CURFEW_STORE_URL";

    private static final Map<String, String> KNOWN = Map.ofEntries(
            Map.entry("memory", "curfew-store-memory"),
            Map.entry("redis", "curfew-store-redis"),
            Map.entry("rediss", "curfew-store-redis"),
            Map.entry("redis-sentinel", "curfew-store-redis"),
            Map.entry("rediss-sentinel", "curfew-store-redis"),
            Map.entry("redis-cluster", "curfew-store-redis"),
            Map.entry("rediss-cluster", "curfew-store-redis"),
            Map.entry("mongodb", "curfew-store-mongo"),
            Map.entry("mongodb+srv", "curfew-store-mongo"),
            Map.entry("jdbc:postgresql", "curfew-store-jdbc"));

    // User and password before the @, and parameters that sound like secrets.
    private static final Pattern SECRETS = Pattern.compile(
            "//([^:@/]*):?([^@]*)@|[?&;][^=&;]*(?i:user|pass|pwd|secret|key|token|auth)[^=&;]*=([^&;]*)");

    private static final int MOST_BROKEN = 100;

    private final List<TokenStoreProvider> providers;
    // Why others could not be loaded; only of interest where the one that is asked for is not among the providers.
    private final List<ServiceConfigurationError> broken;

    Discovery(List<TokenStoreProvider> providers) {
        this(providers, List.of());
    }

    Discovery(Collection<TokenStoreProvider> providers, List<ServiceConfigurationError> broken) {
        this.providers = List.copyOf(providers);
        this.broken = List.copyOf(broken);
    }

    /** Opens a store, and makes it ready for the scope's domain. */
    static TokenStore open(@Nullable String url, StoreScope scope) {
        String named = url == null ? configured(System::getProperty, System::getenv) : url;
        return named == null ? installed().openEmbedded(scope) : installed().openNamed(named, scope);
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
        boolean more = true;
        while (more) {
            try {
                more = providers.hasNext();
                if (more) {
                    TokenStoreProvider provider = providers.next();
                    found.putIfAbsent(provider.getClass().getName(), provider);
                }
            } catch (ServiceConfigurationError e) {
                broken.add(e);
                more = broken.size() < MOST_BROKEN;
            }
        }
    }

    TokenStore openEmbedded(StoreScope scope) {
        List<TokenStoreProvider> embedded =
                providers.stream().filter(p -> p.embeddedUrl().isPresent()).toList();
        // With a server's store there, a URL was meant to be given, and has been lost.
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
        return openNamed(embedded.get(0).embeddedUrl().orElseThrow(), scope);
    }

    TokenStore openNamed(String url, StoreScope scope) {
        List<TokenStoreProvider> claiming =
                providers.stream().filter(p -> claims(p, url)).toList();
        if (claiming.size() != 1) {
            throw new TokenStoreException(
                    (claiming.isEmpty() ? "No store" : "More than one store")
                            + " on the class path claims the URL " + redacted(url) + ". " + listed()
                            + (claiming.isEmpty() ? advice(url) : " Leave one of them out."),
                    cause());
        }
        TokenStoreProvider provider = claiming.get(0);
        TokenStore store = null;
        try {
            store = provider.open(url, scope.deadline());
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

    /** What a store says is passed on as it is; what a driver says gets advice that fits most servers. */
    private static TokenStoreException failed(TokenStoreProvider provider, String url, RuntimeException e) {
        List<Throwable> telling = telling(e, url);
        boolean ownWords = e instanceof CurfewException && !telling.contains(e);
        String what = ownWords
                ? String.valueOf(e.getMessage())
                : Actions.described(e, telling.stream().noneMatch(CurfewException.class::isInstance))
                        + ". Check that the server runs there and that the URL's credentials are right.";
        return new TokenStoreException(
                e instanceof TokenStoreException thrown ? thrown.outcome() : Outcome.UNKNOWN,
                "The " + provider.name() + " store at " + redacted(url) + " could not be opened: " + what,
                telling.isEmpty() ? e : null);
    }

    private @Nullable Throwable cause() {
        return broken.isEmpty() ? null : broken.get(0);
    }

    private static boolean claims(TokenStoreProvider provider, String url) {
        String lower = url.toLowerCase(Locale.ROOT);
        return provider.schemes().stream().anyMatch(scheme -> lower.startsWith(scheme + ":"));
    }

    private String listed() {
        String unusable = broken.isEmpty()
                ? ""
                : " Another provider could not be loaded: " + broken.get(0).getMessage()
                        + ". Take its jar and curfew-core's of the same version, and put both where one class loader has them.";
        return loaded() + unusable;
    }

    private String loaded() {
        return providers.isEmpty()
                ? "There is no store on the class path."
                : "On the class path: "
                        + String.join(
                                ", ",
                                providers.stream()
                                        .map(p -> p.name() + " (" + p.getClass().getName() + ", "
                                                + p.schemes().stream().sorted().toList() + ")")
                                        .sorted()
                                        .toList())
                        + ".";
    }

    private static String advice(String url) {
        String lower = url.toLowerCase(Locale.ROOT);
        return KNOWN.entrySet().stream()
                .filter(known -> lower.startsWith(known.getKey() + ":"))
                .map(known -> " Add dev.curfew:" + known.getValue() + ".")
                .findFirst()
                .orElse(" Known are " + KNOWN.keySet().stream().sorted().toList() + ".");
    }

    /** What may be shown of a URL: its scheme and host. User, password, path and parameters may be secrets. */
    static String redacted(String url) {
        String scheme = KNOWN.keySet().stream()
                .filter(known -> url.toLowerCase(Locale.ROOT).startsWith(known + ":"))
                .findFirst()
                .orElseGet(() -> {
                    int colon = url.indexOf(':');
                    String start = colon < 1 ? "" : url.substring(0, colon);
                    return start.matches("[A-Za-z][A-Za-z0-9+.-]{0,31}") ? start : "without a scheme";
                });
        try {
            // What follows a jdbc: is a URL of its own.
            String host = new URI(url.startsWith("jdbc:") ? url.substring(5) : url).getHost();
            return scheme + ":" + (host == null ? "…" : "//" + host);
        } catch (URISyntaxException e) {
            return scheme + ":…";
        }
    }

    /** What of a chain repeats, as a word, the URL's user or password, or a parameter that sounds like a secret. */
    private static List<Throwable> telling(Throwable e, String url) {
        List<Pattern> secrets = new ArrayList<>();
        Matcher matcher = SECRETS.matcher(url);
        while (matcher.find()) {
            for (int group = 1; group <= matcher.groupCount(); group++) {
                String secret = matcher.group(group);
                if (secret != null && !secret.isEmpty()) {
                    secrets.add(word(secret));
                    secrets.add(word(decoded(secret)));
                }
            }
        }
        Set<Throwable> chain = Collections.newSetFromMap(new IdentityHashMap<>());
        collect(e, chain);
        return chain.stream()
                .filter(t -> secrets.stream()
                        .anyMatch(secret ->
                                secret.matcher(String.valueOf(t.getMessage())).find()))
                .toList();
    }

    /** Not in the middle of one: a user named app is not told by "applied", nor one named curfew by "curfew_tokens". */
    private static Pattern word(String secret) {
        return Pattern.compile("(?<![\\p{L}\\p{N}_])" + Pattern.quote(secret) + "(?![\\p{L}\\p{N}_])");
    }

    private static String decoded(String secret) {
        try {
            return URLDecoder.decode(secret.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            return secret;
        }
    }

    private static void collect(@Nullable Throwable e, Set<Throwable> chain) {
        if (e != null && chain.add(e)) {
            collect(e.getCause(), chain);
            for (Throwable suppressed : e.getSuppressed()) {
                collect(suppressed, chain);
            }
        }
    }
}
