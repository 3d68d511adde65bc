package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.TokenResource;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisConnection;
import dev.curfew.servers.RedisServer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Examines all keys of servers. */
final class Scan {
    private static final int COUNT = 1000;

    // Each without its partition.
    private final Set<String> records = new HashSet<>();
    private final Map<String, List<String>> indexes = new HashMap<>();

    private Scan() {}

    /** Asserts that every key but a feed ends by itself, and that every entry of an index has its record. */
    static void assertClean(List<RedisServer> nodes) {
        var scan = new Scan();
        scan.read(nodes);
        scan.indexes.forEach((index, jtis) -> {
            // The subject's name may have the word in it, but no colon.
            String prefix = withoutPartition(index).replaceFirst(":subject:[^:]*$", ":token:");
            for (String jti : jtis) {
                if (!jti.isEmpty()) {
                    String escaped = jti.replace("%", "%25")
                            .replace(":", "%3A")
                            .replace("{", "%7B")
                            .replace("}", "%7D");
                    assertThat(scan.records).as("an entry of " + index).contains(prefix + escaped);
                }
            }
        });
    }

    /**
     * The same after a server has failed. A store that failed may have left its entry without a record: a revocation of
     * all that the subject has takes it away.
     */
    static void assertCleanAfterFaults(List<RedisServer> nodes, RedisTokenStore.Builder builder, String domain) {
        String prefix = "curfew:{" + domain + "}::subject:";
        var scan = new Scan();
        scan.read(nodes);
        try (RedisTokenStore store = builder.build();
                TokenResource tokens = Fixture.resource(store, domain)) {
            for (String key : scan.indexes.keySet()) {
                String index = withoutPartition(key);
                if (index.startsWith(prefix)) {
                    tokens.revokeAllStoredForSubject(index.substring(prefix.length()));
                }
            }
        }
        assertClean(nodes);
        clear(nodes);
    }

    private static String withoutPartition(String key) {
        return key.replaceFirst(":[a-p]\\.}", "}");
    }

    private void read(List<RedisServer> nodes) {
        for (RedisServer node : nodes) {
            if (node.info("role").equals("master")) {
                try (RedisConnection connection = node.connect()) {
                    read(connection);
                }
            }
        }
    }

    private void read(RedisConnection connection) {
        String cursor = "0";
        do {
            List<?> page = (List<?>) connection.command("SCAN", cursor, "COUNT", Integer.toString(COUNT));
            cursor = (String) page.get(0);
            List<String> keys = new ArrayList<>();
            for (Object key : (List<?>) page.get(1)) {
                keys.add((String) key);
                connection.send("PTTL", (String) key);
            }
            for (String key : keys) {
                assertThat(key).startsWith("curfew:{");
                // -2: it has ended meanwhile; -1: it never ends, which is right of a feed alone.
                boolean isFeed = key.matches("(?s)curfew:\\{[^:]*:[a-p]\\.}:feed");
                assertThat((Long) connection.reply() == -1)
                        .as(key + " never ends")
                        .isEqualTo(isFeed);
                if (key.matches("(?s)curfew:[^:]*:[^:]*:[^:]*:subject:.*")) {
                    List<String> jtis = new ArrayList<>();
                    indexes.put(key, jtis);
                } else if (key.matches("(?s)curfew:[^:]*:[^:]*:[^:]*:token:.*")) {
                    records.add(withoutPartition(key));
                }
            }
        } while (!cursor.equals("0"));
        indexes.forEach((key, jtis) -> {
            if (jtis.isEmpty()) {
                // Only the keys that a master has itself.
                try {
                    for (Object jti : (List<?>) connection.command("ZRANGE", key, "0", "-1")) {
                        jtis.add((String) jti);
                    }
                } catch (IllegalStateException e) {
                    assertThat(e).hasMessageStartingWith("MOVED");
                }
            }
        });
    }

    /** Removes everything, so that the next test's scan is short. */
    static void clear(List<RedisServer> nodes) {
        for (RedisServer node : nodes) {
            if (node.info("role").equals("master")) {
                node.command("FLUSHALL");
            }
        }
    }
}
