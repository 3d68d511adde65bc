package dev.curfew.benchmarks;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.ReplicaStatus;
import dev.curfew.RevocationFeed;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStore;
import dev.curfew.jdbc.JdbcTokenStore;
import dev.curfew.redis.RedisTokenStore;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.RedisServer;
import io.lettuce.core.RedisClient;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/**
 * What a local replica costs on real servers, and how fast it learns. Prints lines for docs/benchmarks/replica.md; the
 * look-ups are measured by {@link ReplicaBenchmark}. Not a test: its command is in CONTRIBUTING.
 */
class ReplicaMeasurement {
    private static final int MANY = Integer.getInteger("curfew.replica.entries", 1_000_000);
    private static final int ROUNDS = Integer.getInteger("curfew.replica.rounds", 3_000);
    private static final Duration LIFETIME = Duration.ofDays(1);

    private interface Work {
        void run() throws Exception;
    }

    @Test
    void onPostgres() throws Exception {
        try (PostgresServer server = PostgresServer.start(Map.of("shared_buffers", "1GB"))) {
            var config = new HikariConfig();
            config.setJdbcUrl(server.url());
            try (HikariDataSource pool = new HikariDataSource(config);
                    JdbcTokenStore store = JdbcTokenStore.create(pool);
                    Connection bare = pool.getConnection();
                    PreparedStatement one = bare.prepareStatement("SELECT 1")) {
                store.createSchema("replica");
                fill(bare);
                measure("PostgreSQL", store, () -> query(one));
            }
        }
    }

    private static void query(PreparedStatement statement) throws SQLException {
        try (ResultSet row = statement.executeQuery()) {
            row.next();
        }
    }

    private static void fill(Connection connection) throws SQLException {
        try (var statement = connection.createStatement()) {
            statement.execute("INSERT INTO curfew_replica (tenant, jti, purpose, expires_at, created_at, updated_at,"
                    + " revoked_at, change) SELECT '', gen_random_uuid()::text, 'revocation', now() + interval '1 day', now(),"
                    + " now(), now(), pg_current_xact_id() FROM generate_series(1, " + MANY + ")");
            statement.execute("VACUUM ANALYZE curfew_replica");
        }
    }

    @Test
    void onRedis() throws Exception {
        try (RedisServer server = RedisServer.start(RedisServer.version(), Map.of("appendfsync", "everysec"))) {
            RedisClient client = RedisClient.create(server.url());
            try (RedisTokenStore store = RedisTokenStore.create(client);
                    var connection = client.connect()) {
                fill(store);
                measure("Redis", store, () -> connection.sync().ping());
            } finally {
                client.shutdown();
            }
        }
    }

    private static void fill(TokenStore store) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(32);
        try (TokenResource tokens = builder(store).build()) {
            List<Future<?>> work = new ArrayList<>();
            for (int i = 0; i < 32; i++) {
                work.add(threads.submit(() -> {
                    for (int n = 0; n < MANY / 32; n++) {
                        tokens.revokeToken(token());
                    }
                }));
            }
            for (Future<?> each : work) {
                each.get();
            }
        } finally {
            threads.shutdown();
        }
    }

    private static Token token() {
        Instant now = Data.now();
        return Token.of(UUID.randomUUID().toString(), "subject", now, now.plus(LIFETIME));
    }

    private static TokenResource.Builder builder(TokenStore store) {
        return TokenResource.builder().store(store).domain("replica").maxTokenLifetime(LIFETIME);
    }

    private static void measure(String name, TokenStore store, Work bare) throws Exception {
        long begun = System.nanoTime();
        try (TokenResource reader = builder(store)
                        .localReplica(Duration.ofSeconds(1))
                        .replicaPollInterval(Duration.ofMillis(250))
                        .build();
                TokenResource writer = builder(store).build()) {
            while (!reader.replicaStatus().map(ReplicaStatus::isServing).orElse(false)) {
                LockSupport.parkNanos(1_000_000);
            }
            ReplicaStatus status = reader.replicaStatus().orElseThrow();
            print(
                    "%s: load of %,d in %.2f s, %.1f bytes an entry, heap at most %d MB",
                    name,
                    status.entries(),
                    (System.nanoTime() - begun) / 1e9,
                    (double) status.bytes() / status.entries(),
                    Runtime.getRuntime().maxMemory() >> 20);
            propagation(name, reader, writer);
            poll(name, store, bare);
            long[] local = new long[ROUNDS];
            long[] asked = new long[ROUNDS];
            Token token = token();
            for (int i = 0; i < ROUNDS; i++) {
                local[i] = nanos(() -> reader.check(token));
                asked[i] = nanos(() -> writer.check(token));
            }
            print("%s: a check by the store %,d ns", name, median(asked));
        }
    }

    /** From the end of the revocation on one node to its refusal on another, in one process. */
    private static void propagation(String name, TokenResource reader, TokenResource writer) {
        long[] times = new long[Math.min(ROUNDS, 400)];
        for (int i = 0; i < times.length; i++) {
            Token token = token();
            reader.checkLocally(token);
            writer.revokeToken(token);
            long begun = System.nanoTime();
            while (reader.checkLocally(token).orElse(TokenStatus.ACTIVE) != TokenStatus.REVOKED) {
                LockSupport.parkNanos(200_000);
            }
            times[i] = System.nanoTime() - begun;
        }
        Arrays.sort(times);
        print(
                "%s: revoked on one node, refused on another: median %d ms, p99 %d ms, longest %d ms (poll 250 ms)",
                name,
                median(times) / 1_000_000,
                times[times.length * 99 / 100] / 1_000_000,
                times[times.length - 1] / 1_000_000);
    }

    private static void poll(String name, TokenStore store, Work bare) throws Exception {
        var scope = new StoreScope("replica", "", Duration.ofSeconds(60), Duration.ofMinutes(5));
        RevocationFeed.Sink nobody = new RevocationFeed.Sink() {
            @Override
            public void revoked(String tenant, String jti, Instant expiresAt) {}

            @Override
            public void sessionRevoked(String tenant, String session, Instant keptUntil) {}

            @Override
            public void watermark(String tenant, String subject, Instant watermark, Instant keptUntil) {}
        };
        String position = store.feed().follow(scope, null, nobody, Data.now());
        long[] polls = new long[ROUNDS];
        long[] bares = new long[ROUNDS];
        for (int i = -ROUNDS; i < ROUNDS; i++) { // the first half warms up
            int at = Math.max(i, 0);
            bares[at] = nanos(bare);
            polls[at] = nanos(() -> store.feed().follow(scope, position, nobody, Data.now()));
        }
        print(
                "%s: a poll with nothing new %,d ns, the bare client's smallest request %,d ns: %.2f ×",
                name, median(polls), median(bares), (double) median(polls) / median(bares));
    }

    private static long nanos(Work work) throws Exception {
        long begun = System.nanoTime();
        work.run();
        return System.nanoTime() - begun;
    }

    private static long median(long[] times) {
        long[] sorted = times.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    private static void print(String format, Object... arguments) {
        System.out.println("Replica, " + String.format(Locale.ROOT, format, arguments));
    }
}
