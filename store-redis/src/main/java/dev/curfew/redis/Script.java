package dev.curfew.redis;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;

/** The Lua scripts; each has a file of its own under {@code META-INF/curfew/redis}. */
enum Script {
    STORE("keep", "enter"),
    REVOKE("keep"),
    CONSUME("keep"),
    REVOKE_STORED("keep"),
    REVOKE_SUBJECT("keep"),
    INDEX("keep", "enter"),
    DROP,
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
        try {
            byte[] digested = MessageDigest.getInstance("SHA-1").digest(source.getBytes(StandardCharsets.UTF_8));
            digest = HexFormat.of().formatHex(digested);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every JDK has it
        }
    }

    static String file(String name) {
        try (InputStream file = Script.class.getResourceAsStream("/META-INF/curfew/redis/" + name)) {
            if (file == null) {
                throw new IllegalStateException("The jar of the Redis store is not complete: it has no " + name);
            }
            return new String(file.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
