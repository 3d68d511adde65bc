package dev.curfew.redis;

import dev.curfew.StoreScope;

/**
 * The names of keys. In each part of one a colon, a brace and a percent sign are written as in a URL, so that no name
 * reaches into another's keys (R10.1), and none has a hash tag in it: a cluster spreads them by all that they are.
 */
final class Keys {
    private Keys() {}

    static String record(StoreScope scope, String jti) {
        return key(scope, ":token:", jti);
    }

    static String watermark(StoreScope scope, String subject) {
        return key(scope, ":watermark:", subject);
    }

    static String index(StoreScope scope, String subject) {
        return key(scope, ":subject:", subject);
    }

    /** One that nobody uses, whatever the names. */
    static String probe(StoreScope scope, String attempt) {
        return key(scope, ":probe:", attempt);
    }

    private static String key(StoreScope scope, String kind, String name) {
        var key = new StringBuilder(64).append("curfew:");
        append(key, scope.domain());
        key.append(':');
        append(key, scope.tenant());
        key.append(kind);
        append(key, name);
        return key.toString();
    }

    private static void append(StringBuilder key, String name) {
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            switch (c) {
                case ':' -> key.append("%3A");
                case '{' -> key.append("%7B");
                case '%' -> key.append("%25");
                default -> key.append(c);
            }
        }
    }
}
