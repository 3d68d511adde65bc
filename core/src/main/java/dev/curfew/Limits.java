package dev.curfew;

import static java.nio.charset.StandardCharsets.UTF_8;

import org.jspecify.annotations.Nullable;

/**
 * What may reach a store (R9.1): lengths in UTF-8 bytes, no NUL, no unpaired surrogate, and no control character in the names
 * of domains and tenants.
 */
final class Limits {
    static final int EXTRA_DATA_BYTES = 64 * 1024;
    static final int EXTRA_DATA_DEPTH = 100;

    private Limits() {}

    static String jti(@Nullable String jti) {
        return text("jti", jti, 1, 512);
    }

    static String subject(@Nullable String subject) {
        return text("subject", subject, 1, 1024);
    }

    static String session(@Nullable String session) {
        return text("session", session, 1, 512);
    }

    static String purpose(@Nullable String purpose) {
        return text("purpose", purpose, 1, 64);
    }

    static String tenant(String tenant) {
        return name("tenant", tenant, 0, 128);
    }

    static String domain(String domain) {
        return name("domain", domain, 1, 64);
    }

    /** A name that the application has chosen: it is seen in logs, and in the names of tables and keys. */
    private static String name(String field, String name, int least, int most) {
        text(field, name, least, most);
        if (name.chars().anyMatch(Character::isISOControl)) {
            throw new IllegalArgumentException(field + " must not contain control characters");
        }
        return name;
    }

    /** Answers the argument itself, or throws where it is null; the message names it. */
    static <T> T present(String name, @Nullable T argument) {
        if (argument == null) {
            throw new IllegalArgumentException(name + " must not be null");
        }
        return argument;
    }

    /** Answers the text itself, or throws; the message names the field and the limit, never the text. */
    static String text(String field, @Nullable String text, int least, int most) {
        text = present(field, text);
        int length = text.length();
        int bytes = length;
        for (int i = 0; i < length; i++) {
            char c = text.charAt(i);
            // One comparison for nearly every character: 1 to 127 is one byte and needs no further look.
            if ((char) (c - 1) >= 0x7F) {
                bytes += more(field, text, i, c);
            }
        }
        if (bytes < least || bytes > most) {
            throw new IllegalArgumentException(
                    field + " must have " + least + " to " + most + " bytes in UTF-8, not " + bytes);
        }
        return text;
    }

    /** How many bytes more than one this char takes; a surrogate pair takes four, two for each half. */
    private static int more(String field, String text, int i, char c) {
        if (c == 0) {
            throw new IllegalArgumentException(field + " must not contain the character NUL");
        }
        if (c < 0x800) {
            return 1;
        }
        if (!Character.isSurrogate(c)) {
            return 2;
        }
        boolean paired = Character.isHighSurrogate(c)
                ? i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))
                : i > 0 && Character.isHighSurrogate(text.charAt(i - 1));
        if (!paired) {
            throw new IllegalArgumentException(field + " must not contain an unpaired surrogate");
        }
        return 1;
    }

    static String extraData(String json) {
        int bytes = json.getBytes(UTF_8).length;
        if (bytes > EXTRA_DATA_BYTES) {
            throw new IllegalArgumentException(
                    "extraData must have at most " + EXTRA_DATA_BYTES + " bytes as JSON, not " + bytes);
        }
        return json;
    }
}
