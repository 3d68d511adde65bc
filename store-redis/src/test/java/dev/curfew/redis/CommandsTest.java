package dev.curfew.redis;

import static dev.curfew.servers.Fixture.HOUR;
import static dev.curfew.servers.Fixture.NOW;
import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.RevocationFeed;
import dev.curfew.RevokeOutcome;
import dev.curfew.Rotation.Rotated;
import dev.curfew.StoreScope;
import dev.curfew.SubjectMismatchException;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisCluster;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.TcpProxy;
import io.lettuce.core.RedisClient;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Counts the commands: in the server's statistics, and on the wire. */
class CommandsTest {
    private static final Pattern CALLS = Pattern.compile("(?m)^cmdstat_([^:]+):calls=(\\d+)");
    private static final Set<String> OTHERS =
            Set.of("info", "config|resetstat", "ping", "replconf", "keys", "del", "xrange", "xlen", "xtrim");

    private static RedisServer server;

    private final String domain = Fixture.newDomain();

    @BeforeAll
    static void start() {
        server = RedisServer.start(RedisServer.version(), Map.of("appendonly", "no"));
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    /** The commands of a client and of its scripts, without the commands of this test. */
    private static Map<String, Integer> commands(RedisServer of, Runnable action) {
        return commands(List.of(of), action);
    }

    private static Map<String, Integer> commands(List<RedisServer> of, Runnable action) {
        for (RedisServer each : of) {
            // One revocation of 36 looks at the oldest entries of a feed. So there are none.
            for (Object feed : (List<?>) each.command("KEYS", "curfew:*:feed")) {
                each.command("DEL", (String) feed);
            }
            each.command("CONFIG", "RESETSTAT");
        }
        action.run();
        Map<String, Integer> commands = new TreeMap<>();
        for (RedisServer each : of) {
            Matcher calls = CALLS.matcher(String.valueOf(each.command("INFO", "commandstats")));
            while (calls.find()) {
                if (!OTHERS.contains(calls.group(1))) {
                    commands.merge(calls.group(1), Integer.parseInt(calls.group(2)), Integer::sum);
                }
            }
        }
        return commands;
    }

    @Test
    void R3_8_everyActionIsAFewCommands() {
        StoreScope scope = Fixture.scope(domain);
        var client = RedisClient.create(server.url());
        try (RedisTokenStore store = RedisTokenStore.create(client);
                TokenResource tokens = Fixture.resource(store, domain)) {
            // Once, so that the server knows the scripts.
            tokens.storeToken(token("warm", "s"), "p");
            tokens.consume("warm", "p");
            tokens.revokeToken(token("warm too", "s"));
            tokens.revokeSubject("s2");
            tokens.storeToken(token("stored", "s"), "p", Map.of("k", 1));
            Token longer = Token.of("unknown", "s", NOW, NOW.plus(HOUR.multipliedBy(2)));

            // One plain command each, two with a watermark.
            Map<String, Runnable> checks = new LinkedHashMap<>();
            checks.put("is revoked", () -> tokens.isRevoked("warm"));
            checks.put("is not revoked", () -> tokens.isRevoked("nothing"));
            checks.forEach((name, check) ->
                    assertThat(commands(server, check)).as(name).isEqualTo(Map.of("hexists", 1)));
            assertThat(commands(server, () -> tokens.check(token("stored", "s"))))
                    .isEqualTo(Map.of("hmget", 2));
            assertThat(commands(server, () -> tokens.isRevoked(token("stored", "s2"))))
                    .isEqualTo(Map.of("hmget", 2));
            // One more command for the watermark of the record's subject, if the watermark may decide.
            assertThat(commands(server, () -> tokens.getToken("stored"))).isEqualTo(Map.of("hgetall", 1, "hmget", 1));
            assertThat(commands(server, () -> tokens.getToken("warm"))).isEqualTo(Map.of("hgetall", 1));
            Set<String> hundred = IntStream.range(0, 100).mapToObj(i -> "t" + i).collect(Collectors.toSet());
            assertThat(commands(server, () -> tokens.isRevoked(hundred))).isEqualTo(Map.of("hexists", 100));

            // One script each.
            Map<String, Runnable> changes = new LinkedHashMap<>();
            changes.put("revoke unknown", () -> tokens.revokeToken(token("unknown", "s")));
            changes.put("revoke again", () -> tokens.revokeToken(token("unknown", "s")));
            changes.put("revoke again, for longer", () -> tokens.revokeToken(longer));
            changes.put("revoke stored", () -> tokens.revokeJti("stored"));
            changes.put("revoke subject", () -> tokens.revokeSubject("s3"));
            changes.put("consume for another purpose", () -> tokens.consume("warm", "other"));
            changes.put("consume again", () -> tokens.consume("warm", "p"));
            changes.put("consume unknown", () -> tokens.consume("nothing", "p"));
            changes.forEach((name, change) ->
                    assertThat(commands(server, change)).as(name).containsEntry("evalsha", 1));
            Map<String, Runnable> stores = new LinkedHashMap<>();
            stores.put("store", () -> tokens.storeToken(longer("t", 2), "p", Map.of("k", 1)));
            stores.put("store again", () -> tokens.storeToken(longer("t", 2), "p"));
            stores.put("store for longer", () -> tokens.storeToken(longer("t", 3), "p"));
            stores.put("store for shorter", () -> tokens.storeToken(longer("t", 1), "p"));
            stores.put("store revoked", () -> tokens.storeToken(token("unknown", "s"), "p"));
            stores.put("store for another subject", () -> {
                try {
                    tokens.storeToken(token("t", "other"));
                } catch (SubjectMismatchException e) {
                    return;
                }
                throw new AssertionError();
            });
            stores.forEach((name, change) ->
                    assertThat(commands(server, change)).as(name).containsEntry("evalsha", 1));
            // With the watermark of the record's subject, in one round trip.
            assertThat(commands(server, () -> tokens.consume("t", "p"))).containsEntry("evalsha", 1);

            // Nothing else is asked of the server, and scripts do little.
            assertThat(commands(server, () -> tokens.revokeToken(token("new", "s"))))
                    .isEqualTo(Map.of("evalsha", 1, "time", 1, "hmget", 1, "xadd", 1, "hset", 1, "pexpire", 1));
            assertThat(commands(server, () -> tokens.storeToken(token("new too", "s"), "p")))
                    .isEqualTo(Map.of(
                            "evalsha",
                            1,
                            "hmget",
                            1,
                            "hset",
                            1,
                            "pexpire",
                            3,
                            "time",
                            1,
                            "zadd",
                            1,
                            "zrangebyscore",
                            1));
            // The subject's index is there, and is to live longer.
            assertThat(commands(server, () -> tokens.storeToken(longer("new and longer", 9), "p")))
                    .isEqualTo(Map.of(
                            "evalsha",
                            1,
                            "hmget",
                            1,
                            "hset",
                            1,
                            "pexpire",
                            2,
                            "time",
                            1,
                            "zadd",
                            1,
                            "zrangebyscore",
                            1));
            assertThat(commands(server, () -> tokens.consume("new too", "p")))
                    .isEqualTo(Map.of(
                            "evalsha", 1, "time", 1, "xadd", 1, "hset", 1, "pexpire", 1, "hgetall", 1, "hmget", 1));
            assertThat(commands(server, () -> store.expunge(scope, 10, NOW))).isEmpty();
            assertThat(commands(server, () -> tokens.readExpired(10))).isEmpty();
        }
        client.shutdown();
    }

    @Test
    void R13_3_aSessionIsOneMoreCommandOfACheck() {
        var client = RedisClient.create(server.url());
        try (RedisTokenStore store = RedisTokenStore.create(client);
                TokenResource tokens = Fixture.resource(store, domain)) {
            // Once, so that the server knows the scripts.
            storeAndRotate(tokens, "warm");
            tokens.revokeToken(ofSession("warm"));
            tokens.revokeSession("warm");

            Token stored = ofSession("stored");
            tokens.storeToken(stored, "p");
            assertThat(commands(server, () -> tokens.check(stored))).isEqualTo(Map.of("hmget", 2, "hexists", 1));
            // The token does not name the session of its record.
            assertThat(commands(server, () -> tokens.check(token("stored", "s"))))
                    .isEqualTo(Map.of("hmget", 2, "hexists", 1));
            assertThat(commands(server, () -> tokens.getToken("stored")))
                    .isEqualTo(Map.of("hgetall", 1, "hmget", 1, "hexists", 1));

            assertThat(commands(server, () -> tokens.revokeSession("laptop")))
                    .isEqualTo(Map.of("evalsha", 1, "time", 1, "hmget", 1, "xadd", 1, "hset", 1, "pexpire", 1));
            assertThat(commands(server, () -> tokens.revokeSession("laptop")))
                    .isEqualTo(Map.of("evalsha", 1, "time", 1, "hmget", 1, "pexpire", 1));

            // One look, one script that stores the successor, and one that uses the presented token.
            tokens.storeToken(ofSession("r"), "p");
            assertThat(commands(server, () -> rotate(tokens, "r")))
                    .containsAllEntriesOf(Map.of("evalsha", 2, "hmget", 4, "hgetall", 1, "xadd", 1, "hexists", 1))
                    .containsAllEntriesOf(Map.of("time", 2, "hset", 2, "zadd", 1, "zrangebyscore", 1))
                    .hasSize(10);
            // A revocation that finds the token revoked reads the record, and ends the session of a rotated one
            // (R14.6).
            Token used = ofSession("r");
            assertThat(commands(server, () -> tokens.revokeToken(used)))
                    .containsAllEntriesOf(Map.of("evalsha", 2, "time", 2, "hmget", 2, "hset", 1, "pexpire", 2))
                    .containsAllEntriesOf(Map.of("hgetall", 1, "xadd", 1))
                    .hasSize(7);
        }
        client.shutdown();
    }

    private static Token ofSession(String jti) {
        return token(jti, "s").withSession("phone of " + jti.replace("-next", ""));
    }

    private static void storeAndRotate(TokenResource tokens, String jti) {
        tokens.storeToken(ofSession(jti), "p");
        rotate(tokens, jti);
    }

    private static void rotate(TokenResource tokens, String jti) {
        assertThat(tokens.rotate(ofSession(jti), "p", ofSession(jti + "-next"))).isInstanceOf(Rotated.class);
    }

    private static Token longer(String jti, int hours) {
        return Token.of(jti, "s", NOW, NOW.plus(HOUR.multipliedBy(hours)));
    }

    @Test
    void scriptsAreLoadedAgainWhereverTheyAreNotKnown() {
        var client = RedisClient.create(server.url());
        try (RedisTokenStore store = RedisTokenStore.create(client);
                TokenResource tokens = Fixture.resource(store, domain)) {
            for (int round = 0; round < 3; round++) {
                server.command("SCRIPT", "FLUSH");
                String n = Integer.toString(round);
                tokens.storeToken(token("a" + n, "s"), "p");
                tokens.storeToken(token("b" + n, "s"), "p");
                assertThat(tokens.consume("a" + n, "p")).isInstanceOf(dev.curfew.Consumption.Consumed.class);
                tokens.revokeToken(token("c" + n, "s"));
                tokens.revokeSubject("s2");
                assertThat(tokens.revokeSession("d" + n)).isEqualTo(RevokeOutcome.REVOKED);
                server.command("SCRIPT", "FLUSH");
                assertThat(tokens.revokeAllStoredForSubject("s")).isEqualTo(1);
            }
            // The whole script is sent once; then its digest is enough.
            assertThat(commands(server, () -> tokens.revokeToken(token("d", "s"))))
                    .containsEntry("eval", 1);
            assertThat(commands(server, () -> tokens.revokeToken(token("e", "s"))))
                    .doesNotContainKey("eval");
        }
        client.shutdown();
    }

    /** All requests are sent in one piece: no request waits for the answer to another. */
    @Test
    void R3_9_aBulkCheckIsOneRoundTrip() {
        try (TcpProxy proxy = TcpProxy.to("localhost", server.port())) {
            List<String> pieces = new ArrayList<>();
            proxy.onRequest((connection, bytes) -> {
                synchronized (pieces) {
                    pieces.add(new String(bytes, StandardCharsets.UTF_8));
                }
            });
            var client = RedisClient.create(RedisServer.url(proxy.port()));
            try (RedisTokenStore store = RedisTokenStore.create(client);
                    TokenResource tokens = Fixture.resource(store, domain)) {
                tokens.isRevoked("warm");
                RevocationFeed feed = store.feed();
                var nobody = new FeedTest.Heard();
                var position = new AtomicReference<>(feed.follow(Fixture.scope(domain), null, nobody, NOW));
                for (Runnable check : List.<Runnable>of(
                        () -> tokens.isRevoked(Set.of("t1", "t2", "t3", "t4", "t5", "t6")),
                        () -> tokens.check(token("t1", "s")),
                        () -> tokens.check(ofSession("t1")),
                        () -> store.revokedSessions(Fixture.scope(domain), Set.of("a", "b", "c"), NOW),
                        () -> position.set(feed.follow(Fixture.scope(domain), position.get(), nobody, NOW)))) {
                    synchronized (pieces) {
                        pieces.clear();
                    }
                    check.run();
                    synchronized (pieces) {
                        assertThat(pieces).hasSize(1);
                    }
                }
            }
            client.shutdown();
        }
    }

    @Test
    void R13_3_inAClusterASessionIsOneMoreCommandToo() {
        try (RedisCluster cluster = RedisCluster.start(RedisServer.version(), Map.of("appendonly", "no"))) {
            var client = Servers.clusterClient(cluster);
            try (RedisTokenStore store = RedisTokenStore.create(client);
                    TokenResource tokens = Fixture.resource(store, domain)) {
                List<RedisServer> masters = cluster.masters();
                // So that every server knows the scripts, and the driver is connected to all of them.
                for (int i = 0; i < 30; i++) {
                    storeAndRotate(tokens, "warm" + i);
                    tokens.revokeSession("warm" + i);
                }
                Token stored = ofSession("r");
                tokens.storeToken(stored, "p");
                assertThat(commands(masters, () -> tokens.check(stored))).isEqualTo(Map.of("hmget", 2, "hexists", 1));
                assertThat(commands(masters, () -> tokens.revokeSession("laptop")))
                        .isEqualTo(Map.of("evalsha", 1, "time", 1, "hmget", 1, "xadd", 1, "hset", 1, "pexpire", 1));
                // One more script for the index.
                assertThat(commands(masters, () -> rotate(tokens, "r")))
                        .containsAllEntriesOf(Map.of("evalsha", 3, "hmget", 4, "hgetall", 1, "hexists", 1));
            }
            client.shutdown();
        }
    }

    @Test
    void R3_9_inAClusterABulkCheckAsksEveryNodeForItsOwn() {
        try (RedisCluster cluster = RedisCluster.start(RedisServer.version(), Map.of("appendonly", "no"))) {
            var client = Servers.clusterClient(cluster);
            try (RedisTokenStore store = RedisTokenStore.create(client);
                    TokenResource tokens = Fixture.resource(store, domain)) {
                Set<String> many = IntStream.range(0, 3000)
                        .mapToObj(i -> UUID.nameUUIDFromBytes(new byte[] {(byte) i, (byte) (i >> 8)})
                                .toString())
                        .collect(Collectors.toSet());
                tokens.isRevoked(many);
                List<RedisServer> masters = cluster.masters();
                masters.forEach(master -> master.command("CONFIG", "RESETSTAT"));
                tokens.isRevoked(many);
                var sum = new AtomicInteger();
                for (RedisServer master : masters) {
                    Matcher calls = CALLS.matcher(String.valueOf(master.command("INFO", "commandstats")));
                    int asked = 0;
                    while (calls.find()) {
                        if (calls.group(1).equals("hexists")) {
                            asked = Integer.parseInt(calls.group(2));
                        }
                    }
                    // Evenly: four to six of the sixteen partitions.
                    assertThat(asked).isBetween(600, 1350);
                    sum.addAndGet(asked);
                }
                assertThat(sum).hasValue(3000);
            }
            client.shutdown();
        }
    }
}
