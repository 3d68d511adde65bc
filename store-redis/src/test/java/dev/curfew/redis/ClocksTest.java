package dev.curfew.redis;

import static dev.curfew.servers.Fixture.SKEW;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.curfew.RevokeOutcome;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisServer;
import io.lettuce.core.RedisClient;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Clocks that are off: the application's against the server's, and one application's against another's. */
class ClocksTest {
    private static final Duration HOUR = Duration.ofHours(1);
    /** How much later than a skew past its retention end a key ends, as the page on Redis says. */
    private static final Duration MARGIN = Duration.ofSeconds(10);
    /** The longest that a resource's tokens live. */
    private static final Duration LIFETIME = Duration.ofDays(1);

    private static RedisClient client;
    private static RedisTokenStore store;

    private final String domain = Fixture.newDomain();

    @BeforeAll
    static void connect() {
        client = RedisClient.create(RedisServer.shared(RedisServer.version()).url());
        store = RedisTokenStore.create(client);
    }

    @AfterAll
    static void disconnect() {
        store.close();
        client.shutdown();
    }

    /** An application whose clock differs from the server's clock by this much. */
    private static Instant applicationTime(Duration off) {
        List<?> time = (List<?>) RedisServer.shared(RedisServer.version()).command("TIME");
        return Instant.ofEpochSecond(Long.parseLong((String) time.get(0)))
                .plusMillis(Long.parseLong((String) time.get(1)) / 1000)
                .plus(off);
    }

    private TokenResource at(Instant now) {
        return Fixture.builder(domain).store(store).clock(() -> now).build();
    }

    /** When the server will remove the record, by the server's clock. */
    private Instant removal(String jti) {
        return removalOf(Keys.of(Fixture.scope(domain)).record(jti));
    }

    private static Instant removalOf(String key) {
        return Instant.ofEpochMilli(
                (Long) RedisServer.shared(RedisServer.version()).command("PEXPIRETIME", key));
    }

    /** How much a clock is ahead. */
    private static Duration ahead(Duration off) {
        return off.isNegative() ? Duration.ZERO : off;
    }

    @ParameterizedTest
    @ValueSource(longs = {-120, 0, 120})
    void R1_4_noRevocationLapsesEarlyNorStaysForLongWhateverTheServersClockSays(long seconds) {
        Duration off = Duration.ofSeconds(seconds);
        Instant now = applicationTime(off);
        Instant retentionEnd = now.plus(HOUR).plus(SKEW);
        try (TokenResource tokens = at(now)) {
            tokens.revokeToken(Token.withoutIssuedAt("revoked", "s", now.plus(HOUR)));
            tokens.storeToken(Token.withoutIssuedAt("stored", "s", now.plus(HOUR)));
            tokens.revokeJti("stored", now.plus(HOUR));
            tokens.storeToken(Token.withoutIssuedAt("used", "s", now.plus(HOUR)), "link");
            tokens.consume("used", "link");
            tokens.storeToken(Token.withoutIssuedAt("all", "s", now.plus(HOUR)));
            tokens.revokeAllStoredForSubject("s");
        }
        Duration took = Duration.between(now, applicationTime(off));
        for (String jti : List.of("revoked", "stored", "used", "all")) {
            // In the time of the application, which is what its verifiers go by.
            Instant removal = removal(jti).plus(off);
            assertThat(removal).as(jti).isAfterOrEqualTo(retentionEnd.plus(SKEW));
            // Later by as much as the application is ahead: its clock may be put right.
            assertThat(removal)
                    .as(jti)
                    .isBeforeOrEqualTo(retentionEnd
                            .plus(SKEW)
                            .plus(ahead(off))
                            .plus(MARGIN)
                            .plus(took));
        }
    }

    /** Three hours are more than any skew; two days are more than a clock is expected to be ahead. */
    @ParameterizedTest
    @ValueSource(longs = {-3, 0, 3, 48})
    void R1_6_aClockThatIsPutRightLosesNothing(long hours) {
        Duration off = Duration.ofHours(hours);
        Instant right = applicationTime(Duration.ZERO);
        Instant expiry = right.plus(off).plus(HOUR);
        String jti = "by its jti";
        try (TokenResource wrong = at(right.plus(off))) {
            wrong.revokeToken(Token.withoutIssuedAt("revoked", "s", expiry));
            wrong.storeToken(Token.withoutIssuedAt("live", "s", expiry));
            wrong.storeToken(Token.withoutIssuedAt(jti, "s", expiry));
            wrong.revokeJti(jti, expiry);
            wrong.storeToken(Token.withoutIssuedAt("used", "s", expiry), "link");
            wrong.consume("used", "link");
            wrong.storeToken(Token.withoutIssuedAt("all", "all", expiry));
            wrong.revokeAllStoredForSubject("all");
            wrong.revokeSubject("s");
            wrong.revokeSession("s");
        }
        Duration took = Duration.between(right, applicationTime(Duration.ZERO));
        var scope = Fixture.scope(domain);
        Duration counted = hours > 24 ? Duration.ofDays(1) : ahead(off);
        // Each node reckons with an hour to go; and with as much longer as that node is ahead.
        Instant end = right.plus(HOUR).plus(counted).plus(SKEW).plus(SKEW);
        for (String key : List.of(
                Keys.of(scope).record("revoked"),
                Keys.of(scope).record("live"),
                Keys.of(scope).record(jti),
                Keys.of(scope).record("used"),
                Keys.of(scope).record("all"),
                Keys.of(scope).index("s"))) {
            assertThat(removalOf(key)).as(key).isBetween(end, end.plus(MARGIN).plus(took));
        }
        Instant longest = right.plus(LIFETIME)
                .plus(counted)
                .plus(Duration.ofDays(1))
                .plus(SKEW)
                .plus(SKEW);
        for (String key : List.of(Keys.of(scope).watermark("s"), Keys.of(scope).session("s"))) {
            assertThat(removalOf(key))
                    .as(key)
                    .isBetween(longest, longest.plus(MARGIN).plus(took));
        }
    }

    /** To a node that is ahead, the entry of a live record has ended; to the others it has not. */
    @Test
    void R1_6_aNodeThatIsAheadTakesNoRecordOutOfItsSubjectsIndex() {
        Instant right = applicationTime(Duration.ZERO);
        Instant wrong = right.plus(HOUR.multipliedBy(3));
        try (TokenResource before = at(right);
                TokenResource during = at(wrong)) {
            before.storeToken(Token.withoutIssuedAt("before", "s", right.plus(HOUR)));
            during.storeToken(Token.withoutIssuedAt("during", "s", wrong.plus(HOUR)));
            assertThat(before.revokeAllStoredForSubject("s")).isEqualTo(2);
        }
    }

    @Test
    void R3_3_ofTwoNodesWithOtherClocksTheLaterEndStands() {
        Instant now = applicationTime(Duration.ZERO);
        Instant expiry = now.plus(HOUR);
        List<Duration> clocks = new ArrayList<>(List.of(Duration.ofMinutes(-2), Duration.ZERO, Duration.ofMinutes(2)));
        for (int order = 0; order < 3; order++) {
            String jti = "t" + order;
            Instant latest = Instant.EPOCH;
            for (Duration clock : clocks) {
                try (TokenResource node = at(now.plus(clock))) {
                    assertThat(node.revokeToken(Token.withoutIssuedAt(jti, "s", expiry)))
                            .isIn(RevokeOutcome.REVOKED, RevokeOutcome.ALREADY_REVOKED);
                }
                // Never shortened.
                assertThat(removal(jti)).isAfterOrEqualTo(latest);
                latest = removal(jti);
            }
            // The node that is two minutes behind keeps it for as much longer, and no more.
            assertThat(latest)
                    .isBetween(
                            expiry.plus(SKEW).plus(SKEW).plus(Duration.ofMinutes(2)),
                            expiry.plus(SKEW)
                                    .plus(SKEW)
                                    .plus(Duration.ofMinutes(2))
                                    .plus(MARGIN)
                                    .plusSeconds(5));
            clocks.add(clocks.remove(0));
        }
    }

    /** With real time, all the way to the end: there until its retention end, and gone a little later. */
    @ParameterizedTest
    @ValueSource(longs = {-120, 2})
    void R1_4_itIsThereUntilItsEndAndThenItGoes(long seconds) {
        Duration off = Duration.ofSeconds(seconds);
        Instant now = applicationTime(off);
        // The rest of a token's life is half a second and a skew, and there is no margin for so short a time.
        Instant expiry = now.plusMillis(500);
        Duration skew = Duration.ofMillis(500);
        try (TokenResource tokens = Fixture.builder(domain)
                .store(store)
                .clock(() -> now)
                .clockSkew(skew)
                .build()) {
            tokens.revokeToken(Token.withoutIssuedAt("t", "s", expiry));
            // The server counts from when it was asked, and a busy machine asks late.
            Duration late = Duration.between(now, applicationTime(off));
            Instant retentionEnd = expiry.plus(skew);
            await().pollDelay(Duration.ZERO)
                    .pollInterval(Duration.ofMillis(20))
                    .atMost(Duration.ofSeconds(30))
                    .until(() -> {
                        boolean revoked = tokens.isRevoked("t");
                        if (!revoked) {
                            assertThat(applicationTime(off)).isAfter(retentionEnd.plus(skew));
                        }
                        return !revoked;
                    });
            assertThat(applicationTime(off))
                    .isBefore(retentionEnd
                            .plus(skew)
                            .plus(ahead(off))
                            .plus(MARGIN)
                            .plus(late)
                            .plusSeconds(5));
        }
    }
}
