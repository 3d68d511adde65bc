package dev.curfew.benchmarks;

import dev.curfew.Token;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.UUID;

/**
 * The records that every store holds: every other one is revoked. Number {@code i} has the same jti everywhere: the MD5 of
 * {@code i} in digits, written as a UUID, which PostgreSQL can compute too.
 */
final class Data {
    /** How long a token lives. */
    static final Duration LIFETIME = Duration.ofDays(30);

    /** How long one may live. */
    static final Duration LONGEST = LIFETIME.plusDays(1);

    /** Above every number of a record. */
    static final long NEVER_STORED = 1_000_000_000L;

    private Data() {}

    static boolean isRevoked(long number) {
        return number % 2 == 0;
    }

    static String jti(long number) {
        try {
            byte[] digits = Long.toString(number).getBytes(StandardCharsets.US_ASCII);
            ByteBuffer hash = ByteBuffer.wrap(MessageDigest.getInstance("MD5").digest(digits));
            return new UUID(hash.getLong(), hash.getLong()).toString();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every JDK has it
        }
    }

    static String subject(long number) {
        return "subject-" + number / 10;
    }

    /** This second. */
    static Instant now() {
        return InstantSource.system().instant().truncatedTo(ChronoUnit.SECONDS);
    }

    static Token token(String jti, String subject, Instant now) {
        return Token.of(jti, subject, now, now.plus(LIFETIME));
    }

    /** Each store has a domain for each number of records. */
    static String domain(int records) {
        return "bench" + records;
    }
}
