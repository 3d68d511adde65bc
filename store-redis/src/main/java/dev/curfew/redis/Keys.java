package dev.curfew.redis;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import dev.curfew.StoreScope;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The names of a scope's keys. In each part of a name, a colon, a brace and a percent sign are percent-encoded. So the
 * keys of different domains, tenants and tokens never collide (R10.1). The hash tag of a key is its domain and the
 * partition of its last part.
 */
final class Keys {
    private static final int PARTITIONS = 16;
    private static volatile @Nullable Keys last;

    private final StoreScope scope;
    private final String domain;
    private final String tenant;

    private Keys(StoreScope scope) {
        this.scope = scope;
        this.domain = "curfew:{" + escape(scope.domain()) + ':';
        this.tenant = ':' + escape(scope.tenant());
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
        return key(":token:", jti);
    }

    String watermark(String subject) {
        return key(":watermark:", subject);
    }

    /** The revocation of a session. */
    String session(String session) {
        return key(":session:", session);
    }

    String index(String subject) {
        return key(":subject:", subject);
    }

    private String key(String kind, String name) {
        return partition(partitionOf(name)) + tenant + kind + escape(name);
    }

    /**
     * The prefix of a partition's keys. With a letter as the last but one character of the hash tag, the sixteen slots lie
     * in the sixteen equal parts of a cluster's slots, whatever the domain. So every master gets as many as the others.
     */
    private String partition(int number) {
        return domain + (char) ('a' + number) + ".}";
    }

    /** The polynomial of {@link String#hashCode} over the bytes of UTF-8, which {@code consume.lua} computes, too. */
    private static int partitionOf(String name) {
        int hash = new String(name.getBytes(UTF_8), ISO_8859_1).hashCode();
        return Integer.remainderUnsigned(hash, 997) % PARTITIONS;
    }

    /** The streams of all partitions. */
    List<String> streams() {
        return IntStream.range(0, PARTITIONS)
                .mapToObj(number -> partition(number) + ":feed")
                .toList();
    }

    /** A key, and the stream of its partition. */
    static List<String> withStream(String key) {
        return List.of(key, prefix(key) + ":feed");
    }

    /** A temporary key, which is no record's. It is in the same slot of a cluster as {@code key}. */
    static String temporary(String key) {
        return prefix(key) + ":wait";
    }

    /** A key that nothing else uses. */
    String unused(String unique) {
        return partition(0) + ":probe:" + unique;
    }

    private static String prefix(String key) {
        return key.substring(0, key.indexOf('}') + 1);
    }

    private static String escape(String name) {
        return name.replace("%", "%25").replace(":", "%3A").replace("{", "%7B").replace("}", "%7D");
    }

    static String unescape(String name) {
        return name.indexOf('%') < 0
                ? name
                : name.replace("%7D", "}")
                        .replace("%7B", "{")
                        .replace("%3A", ":")
                        .replace("%25", "%");
    }
}
