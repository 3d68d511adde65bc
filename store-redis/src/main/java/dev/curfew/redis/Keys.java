package dev.curfew.redis;

import dev.curfew.StoreScope;

/**
 * The names of a scope's keys. In each part of a name, a colon, a brace and a percent sign are percent-encoded. So the
 * keys of different domains, tenants and tokens never collide (R10.1). No key has a hash tag either: a cluster computes
 * the slot from the whole key.
 */
final class Keys {
    final StoreScope scope;
    private final String prefix;

    Keys(StoreScope scope) {
        this.scope = scope;
        this.prefix = "curfew:" + escape(scope.domain()) + ':' + escape(scope.tenant());
    }

    String record(String jti) {
        return prefix + ":token:" + escape(jti);
    }

    String watermark(String subject) {
        return watermarks() + escape(subject);
    }

    /** The beginning of the keys of all watermarks. */
    String watermarks() {
        return prefix + ":watermark:";
    }

    String index(String subject) {
        return prefix + ":subject:" + escape(subject);
    }

    /** A temporary key, which is no record's. */
    String probe(String name) {
        return prefix + ":probe:" + escape(name);
    }

    /** A temporary key in the same slot of a cluster as {@code key}. */
    String neighbour(String key) {
        return prefix + ":probe:{" + key + '}';
    }

    private static String escape(String name) {
        StringBuilder escaped = null;
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            boolean isSpecial = c == ':' || c == '{' || c == '}' || c == '%';
            if (isSpecial && escaped == null) {
                escaped = new StringBuilder(name.length() + 16).append(name, 0, i);
            }
            if (escaped != null) {
                escaped.append(isSpecial ? "%" + Integer.toHexString(c).toUpperCase(java.util.Locale.ROOT) : c);
            }
        }
        return escaped == null ? name : escaped.toString();
    }
}
