package dev.curfew;

import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Finds the one provider for a URL, or says why there is not one; never "the first that was found". */
final class Discovery {
    static final String PROPERTY = "curfew.store.url";
    static final String VARIABLE = "CURFEW_STORE_URL";

    private static final Map<String, String> KNOWN = Map.of(
            "memory", "curfew-store-memory",
            "redis", "curfew-store-redis",
            "rediss", "curfew-store-redis",
            "redis-sentinel", "curfew-store-redis",
            "mongodb", "curfew-store-mongo",
            "mongodb+srv", "curfew-store-mongo",
            "jdbc:postgresql", "curfew-store-jdbc");

    // User and password before the @, and parameters that sound like secrets.
    private static final Pattern SECRETS =
            Pattern.compile("//([^:@/]*):?([^@]*)@|[?&;][^=&;]*(?i:user|pass|secret|key|token)[^=&;]*=([^&;]*)");

    private final List<TokenStoreProvider> providers;

    Discovery(List<TokenStoreProvider> providers) {
        this.providers = List.copyOf(providers);
    }

    static TokenStore open(@Nullable String url, Duration deadline) {
        String named = url == null ? configured(System::getProperty, System::getenv) : url;
        return named == null ? installed().openEmbedded(deadline) : installed().openNamed(named, deadline);
    }

    static @Nullable String configured(
            UnaryOperator<@Nullable String> properties, UnaryOperator<@Nullable String> environment) {
        String url = properties.apply(PROPERTY);
        if (url == null || url.isBlank()) {
            url = environment.apply(VARIABLE);
        }
        return url == null || url.isBlank() ? null : url;
    }

    private static Discovery installed() {
        List<TokenStoreProvider> found = new ArrayList<>();
        try {
            ServiceLoader.load(TokenStoreProvider.class).forEach(found::add);
        } catch (ServiceConfigurationError e) {
            throw new TokenStoreException(
                    "A token store provider on the class path cannot be loaded: take its jar, and curfew-core's, of the"
                            + " same version",
                    e);
        }
        return new Discovery(found);
    }

    TokenStore openEmbedded(Duration deadline) {
        List<TokenStoreProvider> embedded =
                providers.stream().filter(p -> p.embeddedUrl().isPresent()).toList();
        if (embedded.size() != 1) {
            throw new TokenStoreException("No store is named, and "
                    + (embedded.isEmpty() ? "none" : "more than one")
                    + " on the class path works without a server. Name one: TokenResource.open(url), the system property "
                    + PROPERTY + ", or the environment variable " + VARIABLE + ". " + listed());
        }
        return openNamed(embedded.get(0).embeddedUrl().orElseThrow(), deadline);
    }

    TokenStore openNamed(String url, Duration deadline) {
        List<TokenStoreProvider> claiming =
                providers.stream().filter(p -> claims(p, url)).toList();
        if (claiming.size() != 1) {
            throw new TokenStoreException((claiming.isEmpty() ? "No store" : "More than one store")
                    + " on the class path claims the URL " + redacted(url) + ". " + listed()
                    + (claiming.isEmpty() ? advice(url) : " Leave one of them out."));
        }
        TokenStoreProvider provider = claiming.get(0);
        try {
            return provider.open(url, deadline);
        } catch (RuntimeException e) {
            boolean tells = tells(e, url);
            throw new TokenStoreException(
                    "The " + provider.name() + " store at " + redacted(url) + " could not be opened: "
                            + Actions.described(e, !tells)
                            + ". Check that the server runs there and that the URL's credentials are right.",
                    tells ? null : e);
        }
    }

    private static boolean claims(TokenStoreProvider provider, String url) {
        String lower = url.toLowerCase(Locale.ROOT);
        return provider.schemes().stream().anyMatch(scheme -> lower.startsWith(scheme + ":"));
    }

    private String listed() {
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

    /** Whether a message in the chain repeats the URL's user or password, or a parameter that sounds like a secret. */
    private static boolean tells(Throwable e, String url) {
        Matcher secrets = SECRETS.matcher(url);
        while (secrets.find()) {
            for (int group = 1; group <= secrets.groupCount(); group++) {
                String secret = secrets.group(group);
                int depth = 0;
                for (Throwable t = e; t != null && depth < 10; t = t.getCause(), depth++) {
                    if (secret != null
                            && !secret.isEmpty()
                            && String.valueOf(t.getMessage()).contains(secret)) {
                        return true;
                    }
                }
            }
        }
        return false;
    }
}
