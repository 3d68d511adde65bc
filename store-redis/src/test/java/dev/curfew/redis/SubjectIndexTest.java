package dev.curfew.redis;

import static dev.curfew.servers.Fixture.HOUR;
import static dev.curfew.servers.Fixture.NOW;
import static dev.curfew.servers.Fixture.SKEW;
import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.curfew.StoreOutcome;
import dev.curfew.SubjectMismatchException;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisConnection;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.TcpProxy;
import io.lettuce.core.RedisClient;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A subject's index: its end, its order, and what failures leave in it. */
class SubjectIndexTest {
    /** The resource's batch size. */
    private static final int BATCH = 1000;

    private static RedisServer server;
    private static RedisClient client;

    private final String domain = Fixture.newDomain();
    private final AtomicReference<Instant> now = new AtomicReference<>(NOW);
    private RedisTokenStore store;
    private TokenResource tokens;

    @BeforeAll
    static void start() {
        server = RedisServer.start(RedisServer.version(), Map.of("appendonly", "no"));
        client = RedisClient.create(server.url());
    }

    @AfterAll
    static void stop() {
        client.shutdown();
        server.close();
    }

    @BeforeEach
    void open() {
        store = RedisTokenStore.create(client);
        tokens = Fixture.builder(domain).store(store).clock(now::get).build();
    }

    @AfterEach
    void close() {
        tokens.close();
        store.close();
        Scan.clear(List.of(server));
    }

    private String index(String subject) {
        return Keys.of(Fixture.scope(domain)).index(subject);
    }

    private List<?> entries(String subject) {
        return (List<?>) server.command("ZRANGE", index(subject), "0", "-1");
    }

    private long left(String key) {
        return (Long) server.command("PTTL", key);
    }

    private static Token until(String jti, Instant expiry) {
        return Token.withoutIssuedAt(jti, "s", expiry);
    }

    @Test
    void itEndsWithItsLastRecord() {
        tokens.storeToken(until("long", NOW.plus(HOUR.multipliedBy(3))));
        tokens.storeToken(until("short", NOW.plus(HOUR)));
        long record = left(Keys.of(Fixture.scope(domain)).record("long"));
        assertThat(left(index("s"))).isBetween(record - 5_000, record);
    }

    @Test
    void everyStoreDropsAFewEntriesThatHaveEnded() {
        for (int i = 0; i < 25; i++) {
            tokens.storeToken(until("old" + i, NOW.plus(Duration.ofMinutes(1))));
        }
        // A skew past their retention end, and ten seconds: then no node takes them for live. And a day, since this
        // clock
        // is ahead of the server's by more than a day.
        now.set(NOW.plus(Duration.ofMinutes(1))
                .plus(Duration.ofDays(1))
                .plus(SKEW)
                .plus(SKEW)
                .plusSeconds(10)
                .minusMillis(1));
        tokens.storeToken(until("new0", now.get().plus(HOUR)));
        assertThat(entries("s")).hasSize(26);
        now.set(now.get().plusMillis(1));
        for (int i = 1; i < 4; i++) {
            tokens.storeToken(until("new" + i, now.get().plus(HOUR)));
        }
        assertThat(entries("s")).hasSize(4);
    }

    @Test
    void R4_1_aRecordWhoseExpiryWasShortenedAndThenExtendedIsStillFound() {
        tokens.storeToken(until("t", NOW.plus(HOUR)));
        tokens.storeToken(until("t", NOW.plus(Duration.ofMinutes(1))));
        tokens.storeToken(until("t", NOW.plus(HOUR)));
        now.set(NOW.plus(Duration.ofMinutes(30)));
        tokens.storeToken(until("another", now.get().plus(HOUR)));
        assertThat(tokens.revokeAllStoredForSubject("s")).isEqualTo(2);
    }

    @Test
    void R2_7_theOrderIsThatOfTheExpiriesAlsoWhereTheyWereShortened() {
        for (int i = 0; i < 300; i++) {
            tokens.storeToken(until("t" + i, NOW.plus(HOUR).plusSeconds(i)));
        }
        // The last one becomes the first, and two end up in the middle.
        tokens.storeToken(until("t299", NOW.plusSeconds(10)));
        tokens.storeToken(until("t250", NOW.plus(HOUR).plusMillis(10_500)));
        tokens.storeToken(until("t10", NOW.plus(HOUR).plusMillis(200_500)));
        List<TokenRecord> all = new java.util.ArrayList<>();
        List<TokenRecord> page = tokens.listTokens("s", 7);
        while (!page.isEmpty()) {
            all.addAll(page);
            page = tokens.listTokens("s", 7, page.get(page.size() - 1));
        }
        assertThat(all).hasSize(300).doesNotHaveDuplicates();
        assertThat(all.stream().map(TokenRecord::expiresAt).toList()).isSorted();
        assertThat(all.get(0).jti()).isEqualTo("t299");
    }

    /** A store has ended between its two commands: there is an entry without a record, which may still come. */
    @Test
    void R4_1_aStoreThatIsOnItsWayIsRevokedToo() {
        tokens.storeToken(token("t0", "s"));
        server.command("ZADD", index("s"), Long.toString(NOW.plus(HOUR).toEpochMilli()), "underway");
        assertThat(tokens.listTokens("s")).hasSize(1);
        assertThat(tokens.revokeAllStoredForSubject("s")).isEqualTo(1);
        assertThat(entries("s")).isEmpty();
        // The second command comes late, or the application tries again.
        assertThat(tokens.storeToken(token("underway", "s"))).isEqualTo(StoreOutcome.REVOKED);
        assertThat(tokens.isRevoked("underway")).isTrue();
        Scan.assertClean(List.of(server));
    }

    /** A store was to extend a record, and has failed between its two commands: the store marks the index. */
    @Test
    void R2_7_aRecordWhoseExtensionFailedIsNotLeftOut() {
        for (int i = 0; i < 10; i++) {
            tokens.storeToken(until("t" + i, NOW.plus(HOUR).plusSeconds(i)));
        }
        String record = Keys.of(Fixture.scope(domain)).record("t0");
        server.command("RENAME", record, record + ":kept");
        server.command("SET", record, "somebody else's", "EX", "100");
        assertThat(catchThrowable(() -> tokens.storeToken(until("t0", NOW.plus(HOUR.multipliedBy(2))))))
                .isInstanceOf(TokenStoreException.class);
        server.command("RENAME", record + ":kept", record);
        List<TokenRecord> all = new java.util.ArrayList<>();
        for (List<TokenRecord> page = tokens.listTokens("s", 2); !page.isEmpty(); ) {
            all.addAll(page);
            page = tokens.listTokens("s", 2, page.get(page.size() - 1));
        }
        assertThat(all.stream().map(TokenRecord::jti)).hasSize(10).startsWith("t0", "t1");
    }

    @Test
    void R4_1_whatIsStoredAgainMeanwhileIsCountedOnceAndAForeignKeyStopsNothing() {
        try (TcpProxy proxy = TcpProxy.to("localhost", server.port())) {
            var slow = RedisClient.create(RedisServer.url(proxy.port()));
            try (RedisTokenStore behind = RedisTokenStore.create(slow)) {
                tokens.storeToken(token("a", "s"));
                tokens.storeToken(token("b", "s"));
                tokens.storeToken(token("c", "s"));
                String foreign = Keys.of(Fixture.scope(domain)).record("b");
                server.command("DEL", foreign);
                server.command("SET", foreign, "somebody else's", "EX", "100");
                var looks = new AtomicInteger();
                proxy.onRequest((connection, bytes) -> {
                    if (new String(bytes, StandardCharsets.UTF_8).contains("ZRANGEBYSCORE")
                            && looks.incrementAndGet() == 2) {
                        tokens.storeToken(token("a", "s"));
                    }
                });
                assertThat(behind.revokeStored(Fixture.scope(domain), "s", 10, NOW))
                        .isEqualTo(2);
                assertThat(tokens.isRevoked("a")).isTrue();
                assertThat(tokens.isRevoked("c")).isTrue();
            }
            slow.shutdown();
        }
    }

    /** The script reads the subject from the record, and finds the subject's partition itself. */
    @Test
    void R4_5_aConsumeSeesTheWatermarkOfAnySubject() {
        int i = 0;
        for (String subject :
                List.of("s", "{a}:50%", "m\u00fcller", "\u4e16\u754c", "\ud83d\ude00", "\u00fc".repeat(512))) {
            String jti = "t" + i++;
            tokens.storeToken(Token.of(jti, subject, NOW, NOW.plus(HOUR)), "p");
            store.revokeSubject(Fixture.scope(domain), subject, NOW, NOW.plus(HOUR), NOW);
            assertThat(store.consume(Fixture.scope(domain), jti, null, "p", null, NOW)
                            .watermark())
                    .isEqualTo(NOW);
        }
    }

    /** A key can still be extended in its last millisecond. */
    @Test
    void R3_3_aRevocationIsExtendedInTheLastMillisecondOfTheOldOne() {
        int met = 0;
        try (RedisConnection connection = server.connect()) {
            for (int i = 0; i < 20_000 && met < 20; i++) {
                tokens.revokeToken(token("k" + i, "s"));
                String key = Keys.of(Fixture.scope(domain)).record("k" + i);
                connection.command("PEXPIRE", key, "2");
                long left = (Long) connection.command("PTTL", key);
                while (left > 0) {
                    left = (Long) connection.command("PTTL", key);
                }
                if (left == 0) {
                    met++;
                }
                tokens.revokeToken(until("k" + i, NOW.plus(HOUR.multipliedBy(2))));
                assertThat(tokens.isRevoked("k" + i))
                        .as("after the %dth that was met", met)
                        .isTrue();
            }
        }
    }

    @Test
    void R2_3_anotherSubjectsTokenIsNeverRevokedByAnEntryThatShouldNotBe() {
        tokens.storeToken(token("t", "owner"));
        assertThat(catchThrowable(() -> tokens.storeToken(token("t", "other"))))
                .isInstanceOf(SubjectMismatchException.class);
        tokens.storeToken(token("own", "other"));
        assertThat(tokens.listTokens("other")).hasSize(1);
        assertThat(tokens.revokeAllStoredForSubject("other")).isEqualTo(1);
        assertThat(tokens.isRevoked("t")).isFalse();
        assertThat(tokens.revokeAllStoredForSubject("owner")).isEqualTo(1);
    }

    @Test
    void R8_2_aKeyOfTheWrongTypeInItsPlaceIsToldOf() {
        server.command("SET", index("s"), "somebody else's", "EX", "100");
        assertThat(catchThrowable(() -> tokens.storeToken(token("t", "s"))))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("another type")
                .hasMessageContaining("Nothing was changed");
        // The index comes first: there is no record without an entry.
        assertThat(tokens.inspect("t")).isEmpty();
    }

    /** A million tokens, in batches: the server is never busy with one command for long. */
    @Test
    void R4_1_aMillionTokensAreRevokedWithoutBlockingTheServer() {
        int many = Integer.getInteger("curfew.test.tokens", 30_000);
        IntStream.range(0, 8).parallel().forEach(part -> {
            for (int i = part; i < many; i += 8) {
                tokens.storeToken(until("t" + i, NOW.plus(HOUR).plusMillis(i)));
            }
        });
        server.command("CONFIG", "SET", "slowlog-max-len", "50000");
        server.command("CONFIG", "SET", "slowlog-log-slower-than", "0");
        server.command("SLOWLOG", "RESET");
        assertThat(tokens.revokeAllStoredForSubject("s")).isEqualTo(many);
        server.command("CONFIG", "SET", "slowlog-log-slower-than", "-1");
        assertThat(entries("s")).isEmpty();
        try (RedisConnection connection = server.connect()) {
            List<?> commands = (List<?>) connection.command("SLOWLOG", "GET", "-1");
            // A command's size depends on the batch, and not on the number of tokens.
            assertThat(commands).isNotEmpty();
            assertThat(commands)
                    .allSatisfy(command -> assertThat(words((List<?>) ((List<?>) command).get(3)))
                            .isLessThanOrEqualTo(2 * BATCH + 10));
        }
        assertThat(tokens.isRevoked("t" + (many - 1))).isTrue();
    }

    /** How many words a command has, of which the log shows 32 at the most. */
    private static int words(List<?> command) {
        Matcher more = Pattern.compile("\\.\\.\\. \\((\\d+) more arguments\\)")
                .matcher(String.valueOf(command.get(command.size() - 1)));
        return more.matches() ? command.size() - 1 + Integer.parseInt(more.group(1)) : command.size();
    }
}
