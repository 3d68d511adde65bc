package dev.curfew.redis;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;

/** The scripts, one file each, under {@code META-INF/curfew/redis}. */
enum Script {
    STORE("keep", "enter"),
    REVOKE("keep"),
    CONSUME("keep"),
    REVOKE_STORED("keep"),
    REVOKE_SUBJECT("keep"),
    INDEX("keep", "enter"),
    DROP,
    TOUCH,
    PROBE;

    final String source;
    final String digest;

    /** @param before the files with the functions that it calls */
    Script(String... before) {
        var whole = new StringBuilder();
        for (String part : before) {
            whole.append(read(part));
        }
        source = whole.append(read(name().toLowerCase(Locale.ROOT))).toString();
        digest = digest(source);
    }

    private static String read(String name) {
        try (InputStream file = Script.class.getResourceAsStream("/META-INF/curfew/redis/" + name + ".lua")) {
            if (file == null) {
                throw new IllegalStateException("The jar of the Redis store is not whole: it has no " + name + ".lua");
            }
            return new String(file.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String digest(String source) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-1").digest(source.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every JDK has it
        }
    }
}
