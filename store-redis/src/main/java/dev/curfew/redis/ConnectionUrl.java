package dev.curfew.redis;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.util.StringJoiner;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A user's URL, split into Curfew's parameters and a URL for Lettuce. Lettuce silently ignores a parameter that it does
 * not know, so that a misspelt {@code strictDurability} would protect nothing. So a URL with an unknown parameter is
 * refused.
 */
final class ConnectionUrl {
    private static final Pattern OF_LETTUCE = Pattern.compile(
            "db|(?i:timeout|database|clientName|libraryName|libraryVersion|verifyPeer|sentinelMasterId)");

    private final String plain;
    private @Nullable Boolean strictDurability;
    private @Nullable Integer minReplicas;

    /** @throws TokenStoreException if a parameter or its value is not known; the message quotes nothing of the URL */
    ConnectionUrl(String url) {
        int question = url.indexOf('?');
        var ofLettuce = new StringJoiner("&", "?", "").setEmptyValue("");
        // Lettuce also accepts ; as the separator.
        for (String parameter : (question < 0 ? "" : url.substring(question + 1)).split("[&;]", -1)) {
            int equals = parameter.indexOf('=');
            String name = equals < 0 ? parameter : parameter.substring(0, equals);
            String value = equals < 0 ? "" : parameter.substring(equals + 1);
            if (name.equalsIgnoreCase("strictDurability")) {
                require(strictDurability == null, "has the parameter strictDurability more than once");
                require(value.matches("(?i)true|false"), "has a strictDurability that is neither true nor false");
                strictDurability = Boolean.valueOf(value);
            } else if (name.equalsIgnoreCase("minReplicas")) {
                require(minReplicas == null, "has the parameter minReplicas more than once");
                require(value.matches("\\d{1,4}"), "has a minReplicas that is not a whole number from 0 to 9999");
                minReplicas = Integer.valueOf(value);
            } else if (!parameter.isEmpty()) {
                require(
                        equals > 0 && OF_LETTUCE.matcher(name).matches(),
                        "has a parameter that neither Curfew nor Lettuce knows");
                ofLettuce.add(parameter);
            }
        }
        plain = (question < 0 ? url : url.substring(0, question)) + ofLettuce;
    }

    /** The URL with Lettuce's parameters only. */
    String plain() {
        return plain;
    }

    boolean strictDurability() {
        return Boolean.TRUE.equals(strictDurability);
    }

    int minReplicas() {
        return minReplicas == null ? 0 : minReplicas;
    }

    private static void require(boolean right, String otherwise) {
        if (!right) {
            throw new TokenStoreException(
                    Outcome.UNCHANGED,
                    "The URL " + otherwise + ". Curfew's are strictDurability=true or strictDurability=false, and"
                            + " minReplicas=1 or another number; Lettuce's are verifyPeer, sentinelMasterId, database,"
                            + " db, clientName, libraryName, libraryVersion and timeout",
                    null);
        }
    }
}
