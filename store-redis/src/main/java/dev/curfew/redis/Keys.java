package dev.curfew.redis;

import dev.curfew.StoreScope;
import org.jspecify.annotations.Nullable;

/**
 * The names of a scope's keys. In each part of a name, a colon, a brace and a percent sign are percent-encoded. So the
 * keys of different domains, tenants and tokens never collide (R10.1). No key of a record has a hash tag either: a
 * cluster computes the slot from the whole key.
 */
final class Keys {
    private static volatile @Nullable Keys last;

    private final StoreScope scope;
    private final String prefix;

    private Keys(StoreScope scope) {
        this.scope = scope;
        this.prefix = "curfew:" + escape(scope.domain()) + ':' + escape(scope.tenant());
    }

    /** The names of the scope's keys. Most processes have one scope, so that its names are made once. */
    static Keys of(StoreScope scope) {
        Keys known = last;
        if (known == null || !known.scope.equals(scope)) {
            known = new Keys(scope);
            last = known;
        }
        return known;
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

    /** The revocation of a session. */
    String session(String session) {
        return prefix + ":session:" + escape(session);
    }

    String index(String subject) {
        return prefix + ":subject:" + escape(subject);
    }

    /** A temporary key, which is no record's. It is in the same slot of a cluster as {@code key}. */
    String temporary(String key) {
        return prefix + ":probe:{" + key + '}';
    }

    private static String escape(String name) {
        return name.replace("%", "%25").replace(":", "%3A").replace("{", "%7B").replace("}", "%7D");
    }
}
