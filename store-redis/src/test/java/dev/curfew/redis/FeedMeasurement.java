package dev.curfew.redis;

import static dev.curfew.servers.Fixture.HOUR;
import static dev.curfew.servers.Fixture.NOW;
import static dev.curfew.servers.Fixture.SKEW;
import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.RevocationFeed;
import dev.curfew.StoreScope;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisServer;
import io.lettuce.core.LettuceFutures;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.api.StatefulRedisConnection;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Measures the cost of the feed that the page on Redis tells of; run by its name. */
class FeedMeasurement {
    private static final Logger LOG = LoggerFactory.getLogger(FeedMeasurement.class);
    private static final int ROUNDS = 15;
    private static final int EACH = 2_000;

    private final Keys keys = Keys.of(Fixture.scope("tokens"));
    private final AtomicLong heard = new AtomicLong();
    private RedisServer server;
    private RedisClient client;
    private StatefulRedisConnection<String, String> connection;

    @BeforeEach
    void start() {
        server = RedisServer.start(RedisServer.version(), Map.of("appendonly", "no"));
        client = RedisClient.create(server.url());
        connection = client.connect();
    }

    @AfterEach
    void stop() {
        client.shutdown();
        server.close();
    }

    private RedisFuture<List<String>> revoke(String digest) {
        String key = keys.record(UUID.randomUUID().toString());
        return connection
                .async()
                .evalsha(
                        digest,
                        ScriptOutputType.MULTI,
                        Keys.withStream(key).toArray(String[]::new),
                        Long.toString(NOW.toEpochMilli()),
                        "130000",
                        Long.toString(ThreadLocalRandom.current().nextLong(), Character.MAX_RADIX),
                        "user-100000",
                        Long.toString(NOW.toEpochMilli()),
                        Long.toString(NOW.plus(HOUR).toEpochMilli()),
                        "",
                        Long.toString(NOW.plus(HOUR).toEpochMilli()));
    }

    private double micros(String digest, boolean isPipelined) {
        List<RedisFuture<?>> answers = new ArrayList<>();
        long begun = System.nanoTime();
        for (int i = 0; i < EACH; i++) {
            RedisFuture<?> answer = revoke(digest);
            answers.add(answer);
            if (!isPipelined || answers.size() == 100) {
                LettuceFutures.awaitAll(Duration.ofMinutes(1), answers.toArray(RedisFuture[]::new));
                answers.clear();
            }
        }
        return (System.nanoTime() - begun) / 1e3 / EACH;
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    @Test
    void aRevocationWithTheFeedAndWithout() {
        String with = connection.sync().scriptLoad(Script.REVOKE.source);
        String without = connection
                .sync()
                .scriptLoad(Script.file("keep.lua") + "local function tell() end\n" + Script.file("revoke.lua"));
        for (boolean isPipelined : new boolean[] {false, true}) {
            double[] ratios = new double[ROUNDS];
            double[] plain = new double[ROUNDS];
            for (int round = -5; round < ROUNDS; round++) {
                double one = micros(without, isPipelined);
                double other = micros(with, isPipelined);
                if (round >= 0) {
                    plain[round] = one;
                    ratios[round] = other / one;
                }
            }
            LOG.info(
                    "A revocation, {}: {} µs without the feed, {} times that with it",
                    isPipelined ? "100 pipelined" : "one after another",
                    median(plain),
                    median(ratios));
        }
        connection.sync().flushall();
        long before = Long.parseLong(server.info("used_memory"));
        for (int i = 0; i < 10; i++) {
            micros(without, true);
        }
        long records = Long.parseLong(server.info("used_memory")) - before;
        connection.sync().flushall();
        before = Long.parseLong(server.info("used_memory"));
        for (int i = 0; i < 10; i++) {
            micros(with, true);
        }
        long all = Long.parseLong(server.info("used_memory")) - before;
        LOG.info(
                "Bytes of used_memory for each revocation: {} without the feed, {} with it",
                records / 10 / EACH,
                all / 10 / EACH);
        assertThat(all).isGreaterThan(records);
    }

    private final RevocationFeed.Sink sink = new RevocationFeed.Sink() {
        @Override
        public void revoked(String tenant, String jti, Instant expiresAt) {
            heard.incrementAndGet();
        }

        @Override
        public void sessionRevoked(String tenant, String session, Instant keptUntil) {}

        @Override
        public void watermark(String tenant, String subject, Instant watermark, Instant keptUntil) {}
    };

    private static @Nullable String follow(RedisTokenStore store, @Nullable String after, RevocationFeed.Sink sink) {
        var scope = new StoreScope("tokens", "", SKEW, Duration.ofMinutes(5));
        return store.feed().follow(scope, after, sink, NOW);
    }

    @Test
    void aPollAndALoad() {
        String with = connection.sync().scriptLoad(Script.REVOKE.source);
        try (RedisTokenStore store = RedisTokenStore.create(client)) {
            for (int i = 0; i < 100; i++) {
                micros(with, true);
            }
            for (int i = 0; i < 5; i++) {
                heard.set(0);
                server.command("CONFIG", "RESETSTAT");
                long begun = System.nanoTime();
                follow(store, null, sink);
                LOG.info(
                        "A load of {} entries: {} ms; {}",
                        heard,
                        (System.nanoTime() - begun) / 1_000_000,
                        server.info("cmdstat_evalsha"));
            }
            String position = follow(store, null, sink);
            double[] polls = new double[ROUNDS];
            double[] pings = new double[ROUNDS];
            for (int round = -5; round < ROUNDS; round++) {
                server.command("CONFIG", "RESETSTAT");
                long begun = System.nanoTime();
                for (int i = 0; i < EACH; i++) {
                    position = follow(store, position, sink);
                }
                long between = System.nanoTime();
                for (int i = 0; i < EACH; i++) {
                    connection.sync().ping();
                }
                if (round >= 0) {
                    polls[round] = (between - begun) / 1e3 / EACH;
                    pings[round] = (System.nanoTime() - between) / 1e3 / EACH;
                }
            }
            LOG.info(
                    "A poll of nothing: {} µs; a PING: {} µs; {}",
                    median(polls),
                    median(pings),
                    server.info("cmdstat_evalsha"));
            assertThat(heard).hasPositiveValue();
        }
    }
}
