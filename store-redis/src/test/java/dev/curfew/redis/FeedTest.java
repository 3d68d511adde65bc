package dev.curfew.redis;

import static dev.curfew.servers.Fixture.HOUR;
import static dev.curfew.servers.Fixture.NOW;
import static dev.curfew.servers.Fixture.SKEW;
import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.curfew.RevocationFeed;
import dev.curfew.RevokeOutcome;
import dev.curfew.Rotation.Rotated;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisCluster;
import dev.curfew.servers.RedisConnection;
import dev.curfew.servers.RedisSentinels;
import dev.curfew.servers.RedisServer;
import io.lettuce.core.RedisClient;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The feed, on real servers. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class FeedTest {
    /** The resource's longest lifetime, and the longest skew that there is. */
    private static final Duration KEPT = Duration.ofDays(2);

    private static final Duration LONG = Duration.ofSeconds(60);

    private final String domain = Fixture.newDomain();
    private final ExecutorService threads = Executors.newCachedThreadPool();

    @AfterEach
    void stop() {
        threads.shutdownNow();
    }

    enum Kind {
        STANDALONE_7_0,
        STANDALONE_7_4,
        SENTINELS_7_4,
        CLUSTER_7_0,
        CLUSTER_7_4;

        Servers.Topology start() {
            String version = name().substring(name().length() - 3).replace('_', '.');
            return switch (this) {
                case STANDALONE_7_0, STANDALONE_7_4 -> Servers.standalone(version);
                case SENTINELS_7_4 -> Servers.sentinels(version);
                case CLUSTER_7_0, CLUSTER_7_4 -> Servers.cluster(version);
            };
        }
    }

    /** Keeps what it hears: the kind, the tenant and the name of a revocation, and its end. */
    static final class Heard implements RevocationFeed.Sink {
        final Map<String, Instant> ends = new HashMap<>();

        private void put(String what, Instant end) {
            ends.merge(what, end, (one, other) -> one.isAfter(other) ? one : other);
        }

        @Override
        public void revoked(String tenant, String jti, Instant expiresAt) {
            put("token " + tenant + ' ' + jti, expiresAt);
        }

        @Override
        public void sessionRevoked(String tenant, String session, Instant keptUntil) {
            put("session " + tenant + ' ' + session, keptUntil);
        }

        @Override
        public void watermark(String tenant, String subject, Instant watermark, Instant keptUntil) {
            put("watermark " + tenant + ' ' + subject + ' ' + watermark, keptUntil);
        }

        boolean hasHeard(String jti) {
            return ends.containsKey("token  " + jti);
        }
    }

    private StoreScope scope() {
        return new StoreScope(domain, "", SKEW, Duration.ofSeconds(5));
    }

    private @Nullable String follow(RedisTokenStore store, @Nullable String after, RevocationFeed.Sink sink) {
        return follow(store, after, sink, NOW);
    }

    private @Nullable String follow(
            RedisTokenStore store, @Nullable String after, RevocationFeed.Sink sink, Instant now) {
        return store.feed().follow(scope(), after, sink, now);
    }

    private static Token of(String jti, Duration lifetime) {
        return Token.of(jti, "s " + jti, NOW, NOW.plus(lifetime));
    }

    /** What was told before may be told again: one revocation of 36 appends the oldest entries again. */
    private static void assertNews(Heard heard, Map<String, Instant> news, Map<String, Instant> all) {
        assertThat(heard.ends).containsAllEntriesOf(news);
        heard.ends.keySet().removeIf(what -> what.startsWith("watermark   ")); // the skew of the domain
        assertThat(all).containsAllEntriesOf(heard.ends);
    }

    @ParameterizedTest
    @EnumSource(Kind.class)
    void R12_6_everyRevocationOfEveryTenantIsToldFromTheBeginningAndFromAPosition(Kind kind) {
        Servers.Topology topology = kind.start();
        try (RedisTokenStore store = topology.builder().build();
                RedisTokenStore reader = topology.builderOfAnotherNode().build();
                TokenResource tokens = Fixture.resource(store, domain);
                TokenResource others = Fixture.resource(store, domain + ":x")) {
            String position = follow(reader, null, new Heard());
            var all = new HashMap<String, Instant>();
            for (String tenant : List.of("", "acme", "t:%3A{x}\u00fc")) {
                TokenResource of = tokens.forTenant(tenant);
                var expected = new HashMap<String, Instant>();
                of.revokeToken(of("a:{b}%\u4e16", HOUR));
                expected.put("token " + tenant + " a:{b}%\u4e16", NOW.plus(HOUR));
                of.storeToken(of("stored", HOUR));
                of.revokeJti("stored", NOW.plus(HOUR));
                expected.put("token " + tenant + " stored", NOW.plus(HOUR));
                of.storeToken(of("used", HOUR), "link");
                of.consume("used", "link");
                expected.put("token " + tenant + " used", NOW.plus(HOUR));
                of.storeToken(token("all 1", "all"));
                of.storeToken(token("all 2", "all"));
                assertThat(of.revokeAllStoredForSubject("all")).isEqualTo(2);
                expected.put("token " + tenant + " all 1", NOW.plus(HOUR));
                expected.put("token " + tenant + " all 2", NOW.plus(HOUR));
                Token refresh = of("refresh", HOUR).withSession("phone");
                of.storeToken(refresh, "p");
                Token next =
                        Token.of("next", refresh.subject(), NOW, NOW.plus(HOUR)).withSession("phone");
                assertThat(of.rotate(refresh, "p", next)).isInstanceOf(Rotated.class);
                expected.put("token " + tenant + " refresh", NOW.plus(HOUR));
                of.revokeSession("laptop:\u00fc");
                expected.put("session " + tenant + " laptop:\u00fc", NOW.plus(KEPT));
                of.revokeSubject("stored");
                expected.put("watermark " + tenant + " stored " + NOW, NOW.plus(KEPT));
                of.storeToken(of("live", HOUR));
                others.forTenant(tenant).revokeToken(of("of another domain", HOUR));

                var heard = new Heard();
                position = follow(reader, position, heard);
                all.putAll(expected);
                assertNews(heard, expected, all);

                // A repetition is no news, an extension is.
                of.revokeToken(of("a:{b}%\u4e16", HOUR));
                of.revokeSession("laptop:\u00fc");
                heard = new Heard();
                position = follow(reader, position, heard);
                assertNews(heard, Map.of(), all);
                of.revokeToken(of("a:{b}%\u4e16", HOUR.multipliedBy(2)));
                of.revokeToken(of("used", HOUR.multipliedBy(2)));
                var scope = new StoreScope(domain, tenant, SKEW, Fixture.DEADLINE);
                store.revokeSession(scope, "laptop:\u00fc", NOW.plus(KEPT).plusMillis(1), NOW);
                store.revokeSubject(
                        scope, "stored", NOW.minusMillis(1), NOW.plus(KEPT).plusMillis(1), NOW);
                Map<String, Instant> longer = Map.of(
                        "token " + tenant + " a:{b}%\u4e16", NOW.plus(HOUR.multipliedBy(2)),
                        "token " + tenant + " used", NOW.plus(HOUR.multipliedBy(2)),
                        "session " + tenant + " laptop:\u00fc", NOW.plus(KEPT).plusMillis(1),
                        "watermark " + tenant + " stored " + NOW, NOW.plus(KEPT).plusMillis(1));
                heard = new Heard();
                position = follow(reader, position, heard);
                all.putAll(longer);
                assertNews(heard, longer, all);
            }
            var heard = new Heard();
            follow(reader, null, heard);
            assertNews(heard, all, all);
            // What is past its retention end need not be told.
            heard = new Heard();
            reader.feed()
                    .follow(Fixture.scope(domain), null, heard, NOW.plus(HOUR).plus(SKEW));
            assertThat(heard.ends).doesNotContainKey("token  stored").containsKey("session  laptop:\u00fc");
        }
    }

    /** What is written where an entry of an index has no record yet is a revocation as well. */
    @Test
    void R12_6_aRevocationOfATokenThatIsOnItsWayIsTold() {
        RedisServer server = RedisServer.shared(RedisServer.version());
        try (RedisTokenStore store =
                        Servers.standalone(RedisServer.version()).builder().build();
                TokenResource tokens = Fixture.resource(store, domain)) {
            String index = Keys.of(Fixture.scope(domain)).index("s");
            server.command("ZADD", index, Long.toString(NOW.plus(HOUR).toEpochMilli()), "underway");
            server.command("EXPIRE", index, "1000");
            tokens.revokeAllStoredForSubject("s");
            var heard = new Heard();
            follow(store, null, heard);
            assertThat(heard.ends).containsEntry("token  underway", NOW.plus(HOUR));
        }
    }

    /** Each poll has told what was acknowledged before the poll began; while streams are trimmed, too. */
    @ParameterizedTest
    @EnumSource(
            value = Kind.class,
            names = {"STANDALONE_7_4", "CLUSTER_7_4"})
    void R12_6_aFollowerMissesNothingThatWasAcknowledged(Kind kind) throws Exception {
        Servers.Topology topology = kind.start();
        int writers = 4;
        int many = 1_500;
        try (RedisTokenStore store = topology.builder().build();
                RedisTokenStore reader = topology.builderOfAnotherNode().build();
                TokenResource tokens = Fixture.resource(store, domain)) {
            List<AtomicInteger> acknowledged = new ArrayList<>();
            List<Future<?>> writing = new ArrayList<>();
            for (int writer = 0; writer < writers; writer++) {
                String prefix = writer + "-";
                var done = new AtomicInteger();
                acknowledged.add(done);
                writing.add(threads.submit(() -> {
                    for (int i = 0; i < many; i++) {
                        tokens.revokeToken(of(prefix + i, HOUR));
                        done.set(i + 1);
                        // The first entry of this token is over now.
                        tokens.revokeToken(of(prefix + i / 2, HOUR.plusMillis(i)));
                    }
                }));
            }
            var heard = new Heard();
            String position = null;
            int[] checked = new int[writers];
            int polls = 0;
            boolean isOver;
            do {
                isOver = writing.stream().allMatch(Future::isDone);
                int[] before =
                        acknowledged.stream().mapToInt(AtomicInteger::get).toArray();
                position = follow(reader, position, heard);
                assertThat(position).isNotNull();
                polls++;
                for (int writer = 0; writer < writers; writer++) {
                    for (; checked[writer] < before[writer]; checked[writer]++) {
                        assertThat(heard.hasHeard(writer + "-" + checked[writer]))
                                .as("poll " + polls)
                                .isTrue();
                    }
                }
            } while (!isOver);
            for (Future<?> each : writing) {
                each.get();
            }
            assertThat(checked).containsOnly(many);
            assertThat(polls).isGreaterThan(10);
            // In several pages.
            var loaded = new Heard();
            follow(reader, null, loaded);
            assertThat(loaded.ends).isEqualTo(heard.ends).hasSizeGreaterThan(writers * many - 1);
        }
    }

    private void inParallel(int from, int to, IntConsumer action) throws Exception {
        List<Future<?>> running = new ArrayList<>();
        for (int part = 0; part < 4; part++) {
            int first = from + part;
            running.add(threads.submit(() -> {
                for (int i = first; i < to; i += 4) {
                    action.accept(i);
                }
            }));
        }
        for (Future<?> each : running) {
            each.get();
        }
    }

    /** One token of 20 lives long. Where a slow reader stands is trimmed away long before it reads on. */
    @Test
    void R12_6_trimmingLosesNothingThatStillCountsAndKeepsTheStreamsShort() throws Exception {
        RedisServer server = RedisServer.shared(RedisServer.version());
        int many = 20_000;
        // The server's clock decides when an entry without its key has ended.
        Instant past = Instant.now().minus(Duration.ofMinutes(10));
        try (RedisTokenStore store =
                        Servers.standalone(RedisServer.version()).builder().build();
                TokenResource tokens =
                        Fixture.builder(domain).store(store).clock(() -> past).build();
                RedisConnection connection = server.connect()) {
            var keys = Keys.of(Fixture.scope(domain));
            List<String> positions = new ArrayList<>();
            for (int from = 0; from < many; from += 1_000) {
                positions.add(follow(store, null, new Heard(), past));
                inParallel(
                        from,
                        from + 1_000,
                        i -> tokens.revokeToken(
                                Token.of("t" + i, "s", past, past.plus(i % 20 == 0 ? HOUR : Duration.ofMinutes(1)))));
                for (int i = from; i < from + 1_000; i++) {
                    if (i % 20 != 0) {
                        // It ends.
                        connection.command("UNLINK", keys.record("t" + i));
                    }
                }
            }
            for (int read = 0; read < positions.size(); read++) {
                var heard = new Heard();
                assertThat(follow(store, positions.get(read), heard, past)).isNotNull();
                for (int i = read * 1_000; i < many; i += 20) {
                    assertThat(heard.hasHeard("t" + i))
                            .as("token %s from position %s", i, read)
                            .isTrue();
                }
            }
            var heard = new Heard();
            follow(store, null, heard, past);
            assertThat(IntStream.range(0, many / 20)).allMatch(i -> heard.hasHeard("t" + i * 20));
            long entries = keys.streams().stream()
                    .mapToLong(stream -> (Long) connection.command("XLEN", stream))
                    .sum();
            // 1,000 count, and up to 1,000 have just ended.
            assertThat(entries).isBetween(1_000L, 6_000L);
        }
    }

    /** One subject logs out everywhere again and again: only the last entry counts. */
    @Test
    void aRevocationThatIsRepeatedForLongerDoesNotFillTheStream() {
        RedisServer server = RedisServer.shared(RedisServer.version());
        try (RedisTokenStore store =
                Servers.standalone(RedisServer.version()).builder().build()) {
            var scope = Fixture.scope(domain);
            for (int i = 0; i < 5_000; i++) {
                store.revokeSession(scope, "x", NOW.plusMillis(i), NOW);
                store.revokeSubject(scope, "x", NOW.plusMillis(i), NOW.plusMillis(i), NOW);
            }
            String stream = Keys.withStream(Keys.of(scope).session("x")).get(1);
            assertThat((Long) server.command("XLEN", stream)).isLessThan(1_000L);
            var heard = new Heard();
            follow(store, null, heard);
            assertThat(heard.ends)
                    .containsEntry("session  x", NOW.plusMillis(4_999))
                    .containsEntry("watermark  x " + NOW.plusMillis(4_999), NOW.plusMillis(4_999));
        }
    }

    /** After a failure a position is of another history. Then all that was acknowledged is told from the beginning. */
    private void assertLost(RedisTokenStore store, @Nullable String position) {
        await().atMost(LONG)
                .ignoreException(TokenStoreException.class)
                .until(() -> follow(store, position, new Heard()) == null);
        var heard = new Heard();
        assertThat(await().atMost(LONG)
                        .ignoreException(TokenStoreException.class)
                        .until(() -> follow(store, null, heard), next -> true))
                .isNotNull();
        assertThat(IntStream.range(0, 200)).allMatch(i -> heard.hasHeard("t" + i));
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.0", "7.4"})
    void R12_7_afterAFailoverBySentinelsAPositionIsLost(String version) {
        try (RedisSentinels sentinels = RedisSentinels.start(version, Map.of())) {
            var client = RedisClient.create(sentinels.url());
            try (RedisTokenStore store =
                            RedisTokenStore.builder(client).minReplicas(1).build();
                    TokenResource tokens =
                            Fixture.opened(Fixture.builder(domain).store(store))) {
                IntStream.range(0, 200).forEach(i -> tokens.revokeToken(token("t" + i, "s")));
                String position = follow(store, null, new Heard());
                RedisServer master = sentinels.master();
                master.kill();
                assertLost(store, position);
                assertThat(sentinels.master().port()).isNotEqualTo(master.port());
            }
            client.shutdown();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.0", "7.4"})
    void R12_7_afterAFailoverInAClusterAPositionIsLost(String version) {
        try (RedisCluster cluster = RedisCluster.start(version, Map.of())) {
            var client = Servers.clusterClient(cluster);
            try (RedisTokenStore store =
                            RedisTokenStore.builder(client).minReplicas(1).build();
                    TokenResource tokens =
                            Fixture.opened(Fixture.builder(domain).store(store))) {
                IntStream.range(0, 200).forEach(i -> tokens.revokeToken(token("t" + i, "s")));
                String position = follow(store, null, new Heard());
                cluster.masters().get(0).kill();
                assertLost(store, position);
            }
            client.shutdown();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.0", "7.4"})
    void R12_7_afterARestartAPositionIsLostAndTheFeedIsWhole(String version) {
        for (Map<String, String> settings :
                List.of(Map.<String, String>of(), Map.of("appendonly", "no", "save", "3600 1"))) {
            try (RedisServer server = RedisServer.start(version, settings)) {
                var client = RedisClient.create(server.url());
                try (RedisTokenStore store = RedisTokenStore.create(client);
                        TokenResource tokens = Fixture.resource(store, domain)) {
                    IntStream.range(0, 200).forEach(i -> tokens.revokeToken(token("t" + i, "s")));
                    String position = follow(store, null, new Heard());
                    if (server.setting("appendonly").equals("no")) {
                        server.command("SAVE");
                    }
                    server.kill();
                    server.restart();
                    assertLost(store, position);
                }
                client.shutdown();
            }
        }
    }

    /** Ids are times of the server: what comes after a deletion comes after the position. */
    @Test
    void R12_6_aStreamThatSomebodyHasDeletedHidesNothingNew() {
        RedisServer server = RedisServer.shared(RedisServer.version());
        try (RedisTokenStore store =
                        Servers.standalone(RedisServer.version()).builder().build();
                TokenResource tokens = Fixture.resource(store, domain)) {
            tokens.revokeToken(token("t", "s"));
            String position = follow(store, null, new Heard());
            assertThat(follow(store, position, new Heard())).isEqualTo(position);
            for (String stream : Keys.of(Fixture.scope(domain)).streams()) {
                server.command("DEL", stream);
            }
            assertThat(follow(store, position, new Heard())).isEqualTo(position);
            tokens.revokeSession("later");
            var heard = new Heard();
            assertThat(follow(store, position, heard)).isNotEqualTo(position);
            assertThat(heard.ends.keySet()).anyMatch(what -> what.contains("later"));
        }
    }

    @Test
    void R9_2_anEntryOfSomebodyElsesIsToldWithoutItsText() {
        RedisServer server = RedisServer.shared(RedisServer.version());
        try (RedisTokenStore store =
                Servers.standalone(RedisServer.version()).builder().build()) {
            String stream = Keys.withStream(Keys.of(scope()).session("x")).get(1);
            Instant end = NOW;
            for (String[] entry : new String[][] {
                {"XADD", stream, "*", "secret", "x"},
                {"XADD", stream, "*", "k", "secret:::token:x"},
                {"XADD", stream, "*", "k", NOW.toEpochMilli() + ":secret"},
                {"XADD", stream, "*", "k", NOW.toEpochMilli() + "::secret"},
                {"XADD", stream, "*", "k", NOW.toEpochMilli() + ":::token:x", "e", "secret"}
            }) {
                server.command(entry);
                assertThatThrownBy(() -> follow(store, null, new Heard()))
                        .isInstanceOf(TokenStoreException.class)
                        .hasMessageContaining("is not Curfew's")
                        .hasMessageNotContaining("secret")
                        .hasNoCause();
                // It is in nobody's way, and goes when the stream is trimmed.
                for (int i = 0; i < 1_000; i++) {
                    end = end.plusMillis(1);
                    store.revokeSession(scope(), "x", end, NOW);
                }
                follow(store, null, new Heard());
                server.command("DEL", stream);
            }
        }
    }

    @Test
    void R8_8_aReplicaIsRefused() {
        try (RedisServer master = RedisServer.start(RedisServer.version(), Map.of());
                RedisServer replica =
                        RedisServer.start(RedisServer.version(), Map.of("replicaof", "127.0.0.1 " + master.port()))) {
            await().atMost(LONG).until(() -> replica.info("master_link_status").equals("up"));
            var client = RedisClient.create(replica.url());
            try (RedisTokenStore store = RedisTokenStore.create(client)) {
                assertThatThrownBy(() -> follow(store, null, new Heard()))
                        .isInstanceOf(TokenStoreException.class)
                        .hasMessageContaining("read-only replica")
                        .hasMessageContaining("Nothing was changed");
            }
            client.shutdown();
        }
    }

    /** Each stream is read, and each server is asked for its history; all of that is sent at once. */
    @ParameterizedTest
    @EnumSource(
            value = Kind.class,
            names = {"STANDALONE_7_4", "CLUSTER_7_4"})
    void aPollIsAFewCommands(Kind kind) {
        Servers.Topology topology = kind.start();
        try (RedisTokenStore store = topology.builder().build();
                TokenResource tokens = Fixture.resource(store, domain)) {
            assertThat(tokens.revokeToken(token("t", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            String position = follow(store, null, new Heard());
            List<RedisServer> masters = topology.nodes().stream()
                    .filter(node -> node.info("role").equals("master"))
                    .toList();
            masters.forEach(node -> node.command("CONFIG", "RESETSTAT"));
            assertThat(follow(store, position, new Heard())).isEqualTo(position);
            int scripts = 0;
            int reads = 0;
            for (RedisServer node : masters) {
                Matcher calls = Pattern.compile("(?m)^cmdstat_(evalsha|xread):calls=(\\d+)")
                        .matcher(String.valueOf(node.command("INFO", "commandstats")));
                while (calls.find()) {
                    scripts += calls.group(1).equals("evalsha") ? Integer.parseInt(calls.group(2)) : 0;
                    reads += calls.group(1).equals("xread") ? Integer.parseInt(calls.group(2)) : 0;
                }
            }
            assertThat(scripts).isEqualTo(kind == Kind.STANDALONE_7_4 ? 1 : 16);
            assertThat(reads).isEqualTo(scripts);
        }
    }
}
