package dev.curfew;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TokenRecordTest {
    private static final int[] BOUNDARIES = {'a', 'b', 0x7f, 0x80, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x10ffff};

    @Test
    void R2_7_jtisAreOrderedByTheirBytesInUtf8() {
        var random = new Random(7);
        for (int i = 0; i < 20_000; i++) {
            String a = text(random);
            String b = text(random);
            assertThat(Integer.signum(TokenRecord.JTI_ORDER.compare(a, b)))
                    .isEqualTo(Integer.signum(Arrays.compareUnsigned(a.getBytes(UTF_8), b.getBytes(UTF_8))));
        }
    }

    private static String text(Random random) {
        int[] codePoints = random.ints(random.nextInt(4), 0, BOUNDARIES.length)
                .map(i -> BOUNDARIES[i])
                .toArray();
        return new String(codePoints, 0, codePoints.length);
    }

    @Test
    void R2_7_theExpiryGoesBeforeTheJti() {
        assertThat(TokenRecord.BY_EXPIRY.compare(record("b", 1), record("a", 2)))
                .isNegative();
        assertThat(TokenRecord.BY_EXPIRY.compare(record("b", 1), record("a", 1)))
                .isPositive();
        assertThat(TokenRecord.BY_EXPIRY.compare(record("a", 1), record("a", 1)))
                .isZero();
    }

    private static TokenRecord record(String jti, long expiresAt) {
        Instant now = Instant.EPOCH;
        return new TokenRecord(jti, "s", "p", null, Instant.ofEpochMilli(expiresAt), null, now, now, null, null, null);
    }
}
