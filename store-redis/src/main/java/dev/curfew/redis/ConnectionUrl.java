package dev.curfew.redis;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.util.Map;
import java.util.StringJoiner;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * A user's URL, split into Curfew's parameters and a URL for Lettuce. Lettuce silently ignores a parameter that it does
 * not know, so that a misspelt {@code strictDurability} would protect nothing. So a URL with an unknown parameter is
 * refused.
 */
final class ConnectionUrl {
    private static final Pattern OF_CURFEW =
            Pattern.compile("(?i)strictDurability=(true|false)|minReplicas=[0-9]{1,4}");
    private static final Pattern OF_LETTUCE = Pattern.compile(
            "(db|(?i:timeout|database|clientName|libraryName|libraryVersion|verifyPeer|sentinelMasterId))=.*");

    private final String plain;
    private final Map<String, String> ofCurfew = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);

    /** @throws TokenStoreException if a parameter or its value is not known; the message quotes nothing of the URL */
    ConnectionUrl(String url) {
        String[] parts = url.split("\\?", 2);
        var ofLettuce = new StringJoiner("&", "?", "").setEmptyValue("");
        // Lettuce also accepts ; as the separator.
        for (String parameter : parts.length == 1 ? new String[0] : parts[1].split("[&;]")) {
            String[] pair = parameter.split("=", 2);
            if (OF_LETTUCE.matcher(parameter).matches()) {
                ofLettuce.add(parameter);
            } else if (!parameter.isEmpty()
                    && !(OF_CURFEW.matcher(parameter).matches() && ofCurfew.putIfAbsent(pair[0], pair[1]) == null)) {
                throw new TokenStoreException(Outcome.UNCHANGED, Failures.text("PARAMETER"), null);
            }
        }
        plain = parts[0] + ofLettuce;
    }

    /** The URL with Lettuce's parameters only. */
    String plain() {
        return plain;
    }

    boolean strictDurability() {
        return Boolean.parseBoolean(ofCurfew.get("strictDurability"));
    }

    int minReplicas() {
        return Integer.parseInt(ofCurfew.getOrDefault("minReplicas", "0"));
    }
}
