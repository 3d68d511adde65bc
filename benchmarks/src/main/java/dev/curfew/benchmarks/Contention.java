package dev.curfew.benchmarks;

import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.Consumption.Consumed;
import dev.curfew.RevokeOutcome;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.jdbc.JdbcTokenStore;
import dev.curfew.memory.MemoryTokenStore;
import dev.curfew.mongo.MongoTokenStore;
import dev.curfew.redis.RedisTokenStore;
import io.lettuce.core.RedisClient;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Predicate;

/** Sixty-four threads at once on one token, and then on the next: one of them wins each. */
final class Contention {
    private static final int THREADS = 64;
    // Names the domain, which nobody else has filled.
    private static final int RECORDS = THREADS;

    private final Form form;

    Contention(Form form) {
        this.form = form;
    }

    List<Map<String, Object>> of(String store) {
        Servers.start(store);
        int tokens = store.equals("memory") ? 2000 : store.equals("redis") ? 500 : 100;
        return switch (store) {
            case "memory" -> run(store, MemoryTokenStore.create(), tokens);
            case "redis" -> {
                RedisClient client = RedisClient.create(Servers.redis());
                yield run(store, RedisTokenStore.create(client), tokens, client);
            }
            case "postgresql" -> {
                HikariDataSource pool = PostgresTargets.pool(PostgresTargets.POOL);
                JdbcTokenStore jdbc = JdbcTokenStore.create(pool);
                jdbc.createSchema(Data.domain(RECORDS));
                yield run(store, jdbc, tokens, pool);
            }
            default -> {
                MongoClient client = MongoClients.create(Servers.mongo());
                yield run(store, MongoTokenStore.create(client.getDatabase("curfew")), tokens, client);
            }
        };
    }

    private List<Map<String, Object>> run(String name, TokenStore store, int tokens, AutoCloseable... owned) {
        List<Map<String, Object>> rows = new ArrayList<>();
        ExecutorService threads = Executors.newFixedThreadPool(THREADS);
        try (TokenResource resource = CurfewTarget.resource(store, RECORDS)) {
            Instant now = Data.now();
            for (int round = -1; round < form.rounds(); round++) {
                List<Token> used = new ArrayList<>();
                List<Token> revoked = new ArrayList<>();
                for (int i = 0; i < tokens; i++) {
                    Token token = Data.token(UUID.randomUUID().toString(), "subject", now);
                    resource.storeToken(token);
                    used.add(token);
                    revoked.add(Data.token(UUID.randomUUID().toString(), "subject", now));
                }
                Map<String, Object> consume = race(
                        threads,
                        name,
                        "consume",
                        used,
                        round,
                        token -> resource.consume(token, Token.DEFAULT_PURPOSE) instanceof Consumed);
                Map<String, Object> revoke = race(
                        threads,
                        name,
                        "revokeToken",
                        revoked,
                        round,
                        token -> resource.revokeToken(token) == RevokeOutcome.REVOKED);
                if (round >= 0) { // the first is to warm up
                    rows.add(consume);
                    rows.add(revoke);
                }
            }
        } finally {
            threads.shutdownNow();
            store.close();
            CurfewTarget.closeAll(owned);
        }
        return rows;
    }

    private static Map<String, Object> race(
            ExecutorService threads,
            String store,
            String action,
            List<Token> tokens,
            int round,
            Predicate<Token> wins) {
        var start = new CyclicBarrier(THREADS + 1);
        List<Future<Integer>> racing = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
            racing.add(threads.submit(() -> {
                start.await();
                int won = 0;
                for (Token token : tokens) {
                    won += wins.test(token) ? 1 : 0;
                }
                return won;
            }));
        }
        int winners = 0;
        long began;
        try {
            start.await();
            began = System.nanoTime();
            for (Future<Integer> each : racing) {
                winners += each.get();
            }
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
        double perSecond = (double) THREADS * tokens.size() * 1e9 / (System.nanoTime() - began);
        if (winners != tokens.size()) {
            throw new IllegalStateException(winners + " won " + tokens.size() + " tokens of " + store);
        }
        System.out.printf(
                "contention %-12s %-12s %,d tokens, %,d winners, %,.0f calls/s%n",
                store, action, tokens.size(), winners, perSecond);
        return Raw.row(
                "action",
                "contention",
                "of",
                action,
                "store",
                store,
                "threads",
                THREADS,
                "round",
                round,
                "tokens",
                tokens.size(),
                "winners",
                winners,
                "callsPerSecond",
                Math.round(perSecond));
    }
}
