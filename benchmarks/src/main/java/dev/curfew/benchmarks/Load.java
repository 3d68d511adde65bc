package dev.curfew.benchmarks;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.jdbc.JdbcTokenStore;
import java.lang.management.ManagementFactory;
import java.util.HashSet;
import java.util.Set;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/** Fills a server with the records of {@link Data}, once for each number of them and for each who has its own. */
final class Load {
    private static final int PARTS = 64;
    private static final Set<String> DONE = new HashSet<>();

    private Load() {}

    /** What {@code who} finds on the store's server. The limit works on what Curfew has written. */
    static synchronized void once(String store, String who, int records) {
        String owner = who.equals("limit") ? "curfew" : who;
        if (store.equals("memory") || !DONE.add(store + owner + records)) {
            return;
        }
        switch (store + " " + owner) {
            case "postgresql curfew" -> postgres(records);
            case "redis curfew", "mongodb curfew" -> {
                try (Clients clients = new Clients();
                        CurfewTarget target = CurfewTarget.open(store, clients, records)) {
                    target.fill(records);
                }
            }
            case "redis setex" -> {
                try (Clients clients = new Clients();
                        Target target = Target.open(store, who, clients, records)) {
                    each(records, i -> {
                        if (Data.isRevoked(i)) {
                            target.revoke(Data.jti(i));
                        }
                    });
                }
            }
            case "redis session" -> SpringPeers.fillRedis(records);
            default -> SpringPeers.fill(who, records);
        }
    }

    /** Every number below so many, by all processors. */
    static void each(int records, IntConsumer work) {
        IntStream.range(0, PARTS)
                .parallel()
                .forEach(part -> IntStream.range(
                                (int) ((long) records * part / PARTS), (int) ((long) records * (part + 1) / PARTS))
                        .forEach(work));
    }

    private static void postgres(int records) {
        try (HikariDataSource pool = PostgresTargets.pool(1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(Data.domain(records));
            String table = PostgresTargets.table(Data.domain(records));
            PostgresTargets.run(pool, """
                    INSERT INTO %s (tenant, jti, subject, purpose, issued_at, expires_at, created_at, updated_at, revoked_at)
                    SELECT '', md5(i::text)::uuid::text, 'subject-' || i / 10,
                        CASE WHEN i %% 2 = 0 THEN 'revocation' ELSE 'user' END,
                        date_trunc('second', now()), now() + interval '30 days', now(), now(),
                        CASE WHEN i %% 2 = 0 THEN now() END
                    FROM generate_series(0, %d) i ORDER BY 2
                    """.formatted(table, records - 1));
            PostgresTargets.run(pool, "VACUUM ANALYZE " + table);
            PostgresTargets.run(pool, "CHECKPOINT");
        }
    }

    /** How many bytes a record takes: of the server's memory, of the database with its indexes, or of this JVM's heap. */
    static long bytesPerRecord(String store, int records) {
        try (Clients clients = new Clients()) {
            long before = bytes(store, clients);
            if (store.equals("memory")) {
                try (CurfewTarget target = CurfewTarget.open(store, clients, 0)) {
                    target.fill(records);
                    return (bytes(store, clients) - before) / records;
                }
            }
            once(store, "curfew", records);
            return (bytes(store, clients) - before) / records;
        }
    }

    private static long bytes(String store, Clients clients) {
        switch (store) {
            case "redis" -> {
                return RedisTargets.usedMemory(clients.redis());
            }
            case "postgresql" -> {
                String size = "SELECT pg_database_size(current_database())";
                return Long.parseLong(PostgresTargets.text(clients.pool(), size));
            }
            default -> {
                for (int i = 0; i < 3; i++) {
                    System.gc();
                }
                return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
            }
        }
    }
}
