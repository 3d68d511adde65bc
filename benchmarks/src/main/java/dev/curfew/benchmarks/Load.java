package dev.curfew.benchmarks;

import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.mongodb.client.MongoCollection;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.jdbc.JdbcTokenStore;
import dev.curfew.mongo.MongoTokenStore;
import dev.curfew.redis.RedisTokenStore;
import io.lettuce.core.LettuceFutures;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.api.StatefulRedisConnection;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.bson.BsonDateTime;
import org.bson.BsonDocument;

/** Fills a server with the records of {@link Data}, once for each number of them. */
final class Load {
    /** How the keys begin of the deny-list that is no hash. */
    static final String DENY_LIST = "denied:";

    private static final int BATCH = 10_000;
    private static final int THREADS = 16;
    private static final Set<String> DONE = new HashSet<>();
    private static final Map<Integer, Long> REDIS_BYTES = new HashMap<>();

    private Load() {}

    static synchronized void once(String store, int records) {
        if (!DONE.add(store + records)) {
            return;
        }
        switch (store) {
            case "postgresql" -> postgres(records);
            case "redis" -> redis(records);
            case "mongodb" -> mongo(records);
            default -> {} // in memory, who measures fills it
        }
    }

    /** What the peer keeps on the store's server. */
    static synchronized void peer(String store, String who, int records) {
        if (!DONE.add(store + who + records)) {
            return;
        }
        switch (store + " " + who) {
            case "redis setex" -> denyList(records);
            case "redis session" -> SpringPeers.fillRedis(records);
            case "memory map" -> {} // fills itself
            default -> SpringPeers.fill(who, records);
        }
    }

    /** A minute ago, so that everything else is later. */
    static void watermarks(TokenStore store, int records) {
        Instant then = Data.now().minusSeconds(60);
        try (TokenResource tokens =
                CurfewTarget.builder(records).store(store).clock(() -> then).build()) {
            for (int i = 0; i < Data.WATERMARKS; i++) {
                tokens.revokeSubject(Data.watermarked(i));
            }
        }
    }

    /** Stores and revokes through Curfew itself. */
    static void through(TokenResource tokens, int from, int to, Instant now) {
        for (int i = from; i < to; i++) {
            var token = Data.token(Data.jti(i), Data.subject(i), now);
            if (Data.isRevoked(i)) {
                tokens.revokeToken(token);
            } else {
                tokens.storeToken(token);
            }
        }
    }

    private static void postgres(int records) {
        try (HikariDataSource pool = PostgresTargets.pool(1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(Data.domain(records));
            watermarks(store, records);
            String table = PostgresTargets.table(Data.domain(records));
            PostgresTargets.run(pool, """
                    INSERT INTO %s (tenant, jti, subject, purpose, issued_at, expires_at, created_at, updated_at, revoked_at)
                    SELECT '', md5(i::text)::uuid::text,
                        CASE WHEN i %% 4 = 3 THEN 'watermark-' || i / 4 %% %d ELSE 'subject-' || i / 10 END,
                        CASE WHEN i %% 2 = 0 THEN 'revocation' ELSE 'user' END,
                        date_trunc('second', now()), now() + interval '30 days', now(), now(),
                        CASE WHEN i %% 2 = 0 THEN now() END
                    FROM generate_series(0, %d) i ORDER BY 2
                    """.formatted(table, Data.WATERMARKS, records - 1));
            PostgresTargets.run(pool, "VACUUM ANALYZE " + table);
            PostgresTargets.run(pool, "CHECKPOINT");
        }
    }

    private static void redis(int records) {
        RedisClient client = RedisClient.create(Servers.redis());
        long before = usedMemory(client);
        try (RedisTokenStore store = RedisTokenStore.create(client);
                TokenResource tokens = CurfewTarget.resource(store, records)) {
            watermarks(store, records);
            Instant now = Data.now();
            IntStream.range(0, THREADS).parallel().forEach(part -> {
                int from = (int) ((long) records * part / THREADS);
                int to = (int) ((long) records * (part + 1) / THREADS);
                through(tokens, from, to, now);
            });
            REDIS_BYTES.put(records, usedMemory(client) - before);
        } finally {
            client.shutdown();
        }
    }

    private static long usedMemory(RedisClient client) {
        try (StatefulRedisConnection<String, String> connection = client.connect()) {
            return connection
                    .sync()
                    .info("memory")
                    .lines()
                    .filter(line -> line.startsWith("used_memory:"))
                    .mapToLong(line -> Long.parseLong(line.substring(line.indexOf(':') + 1)))
                    .findFirst()
                    .orElseThrow();
        }
    }

    /** By how much the server's memory grew with so many records. */
    static synchronized long redisBytes(int records) {
        return Objects.requireNonNull(REDIS_BYTES.get(records));
    }

    /** The keys of the deny-list that is no hash. */
    @SuppressWarnings("deprecation") // as it is often written
    private static void denyList(int records) {
        RedisClient client = RedisClient.create(Servers.redis());
        try (StatefulRedisConnection<String, String> connection = client.connect()) {
            for (int from = 0; from < records; from += BATCH) {
                List<RedisFuture<String>> sent = new ArrayList<>();
                for (int i = from; i < Math.min(records, from + BATCH); i++) {
                    if (Data.isRevoked(i)) {
                        sent.add(connection.async().setex(DENY_LIST + Data.jti(i), Data.LIFETIME.toSeconds(), "1"));
                    }
                }
                LettuceFutures.awaitAll(1, TimeUnit.MINUTES, sent.toArray(RedisFuture[]::new));
            }
        } finally {
            client.shutdown();
        }
    }

    private static void mongo(int records) {
        try (MongoClient client = MongoClients.create(Servers.mongo())) {
            try (MongoTokenStore store = MongoTokenStore.create(client.getDatabase("curfew"))) {
                watermarks(store, records);
            }
            MongoCollection<BsonDocument> collection = MongoTargets.collection(client, records);
            var now = new BsonDateTime(Data.now().toEpochMilli());
            var end = new BsonDateTime(Data.now().plus(Data.LIFETIME).toEpochMilli());
            for (int from = 0; from < records; from += BATCH) {
                collection.insertMany(IntStream.range(from, Math.min(records, from + BATCH))
                        .mapToObj(i -> MongoTargets.document(Data.jti(i), Data.subject(i), Data.isRevoked(i), now, end))
                        .toList());
            }
        }
    }
}
