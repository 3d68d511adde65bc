package dev.curfew.redis;

import io.lettuce.core.codec.Base16;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Objects;

/** The Lua scripts; each has a file of its own under {@code META-INF/curfew/redis}. */
enum Script {
    STORE("keep", "enter"),
    REVOKE("keep", "tell"),
    CONSUME("keep", "tell"),
    REVOKE_STORED("keep", "tell"),
    REVOKE_SUBJECT("keep", "tell"),
    REVOKE_SESSION("keep", "tell"),
    INDEX("keep", "enter"),
    DROP,
    HISTORY,
    PROBE;

    final String source;
    final String digest;

    /** @param before the files with the functions that the script calls, put before the script */
    Script(String... before) {
        var whole = new StringBuilder();
        for (String part : before) {
            whole.append(file(part + ".lua"));
        }
        source = whole.append(file(name().toLowerCase(Locale.ROOT) + ".lua")).toString();
        digest = Base16.digest(source.getBytes(StandardCharsets.UTF_8));
    }

    static String file(String name) {
        try (InputStream file = Script.class.getResourceAsStream("/META-INF/curfew/redis/" + name)) {
            Objects.requireNonNull(file, () -> "The jar of the Redis store is not complete: it has no " + name);
            return new String(file.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
