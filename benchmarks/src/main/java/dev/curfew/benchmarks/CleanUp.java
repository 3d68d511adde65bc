package dev.curfew.benchmarks;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.ExpungeReport;
import dev.curfew.TokenResource;
import dev.curfew.jdbc.JdbcTokenStore;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.HdrHistogram.ConcurrentHistogram;
import org.HdrHistogram.Histogram;
import org.jspecify.annotations.Nullable;

/**
 * A clean-up of PostgreSQL while others ask: a thousand times a second, by plan, so that what is late counts from when it
 * should have been asked (that is, corrected for coordinated omission).
 */
final class CleanUp {
    /** What most peers do. */
    static final String SINGLE = "one DELETE";
    /** The least that is done in batches: each from the beginning. */
    static final String BATCHED = "bare DELETE in batches";

    private static final String DOMAIN = "cleanup";
    private static final int BATCH = 1000;
    private static final int ASKING = 4;
    private static final long EVERY_NANOS = TimeUnit.MILLISECONDS.toNanos(ASKING);
    private static final String DUE = "expires_at <= now() - interval '5 minutes'";

    private final Form form;
    private final ExecutorService threads = Executors.newCachedThreadPool();

    CleanUp(Form form) {
        this.form = form;
    }

    List<Map<String, Object>> underFire() {
        Servers.start("postgresql");
        List<Map<String, Object>> rows = new ArrayList<>();
        try {
            round(-1, 20_000, rows); // to warm up
            rows.clear();
            for (int round = 0; round < form.rounds(); round++) {
                round(round, form.due(), rows);
            }
        } finally {
            threads.shutdownNow();
        }
        return rows;
    }

    private void round(int round, int due, List<Map<String, Object>> rows) {
        rows.add(run(round, due, BATCHED, 1));
        rows.add(run(round, due, "Curfew", 1));
        rows.add(run(round, due, "Curfew", 4));
        rows.add(run(round, due, SINGLE, 1));
    }

    private Map<String, Object> run(int round, int due, String who, int nodes) {
        String table = PostgresTargets.table(DOMAIN);
        try (HikariDataSource pool = PostgresTargets.pool(nodes + ASKING);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(DOMAIN);
            fill(pool, DOMAIN, due, due);
            try (TokenResource asked = resource(store)) {
                ask(asked, TimeUnit.SECONDS.toNanos(2), () -> null);
                Histogram idle = ask(asked, TimeUnit.SECONDS.toNanos(4), () -> null);
                long[] removedAndNanos = new long[2];
                Histogram busy = ask(asked, 0, () -> {
                    long start = System.nanoTime();
                    List<Future<Long>> running = new ArrayList<>();
                    for (int node = 0; node < nodes; node++) {
                        running.add(threads.submit(() -> remove(pool, who, table)));
                    }
                    for (Future<Long> each : running) {
                        removedAndNanos[0] += each.get();
                    }
                    removedAndNanos[1] = System.nanoTime() - start;
                    return null;
                });
                if (removedAndNanos[0] != due) {
                    throw new IllegalStateException(who + " removed " + removedAndNanos[0] + " of " + due);
                }
                double perSecond = due * 1e9 / removedAndNanos[1];
                System.out.printf(
                        "clean-up   %-24s %d at once  %,10.0f rows/s  p99 %,d µs, idle %,d µs%n",
                        who, nodes, perSecond, at(busy, 99), at(idle, 99));
                return Raw.row(
                        "action",
                        "cleanUp",
                        "who",
                        who,
                        "nodes",
                        nodes,
                        "records",
                        2 * due,
                        "round",
                        round,
                        "rowsPerSecond",
                        Math.round(perSecond),
                        "idleMicros",
                        List.of(at(idle, 50), at(idle, 99), at(idle, 99.9)),
                        "busyMicros",
                        List.of(at(busy, 50), at(busy, 99), at(busy, 99.9)));
            } finally {
                PostgresTargets.run(pool, "DROP TABLE " + table);
            }
        }
    }

    private static TokenResource resource(JdbcTokenStore store) {
        return TokenResource.builder()
                .store(store)
                .domain(DOMAIN)
                .maxTokenLifetime(Data.LONGEST)
                .build();
    }

    /** Records that expired an hour ago, and others that are live; a quarter of them revoked. */
    static void fill(HikariDataSource pool, String domain, int due, int live) {
        String table = PostgresTargets.table(domain);
        PostgresTargets.run(pool, """
                INSERT INTO %s (tenant, jti, subject, purpose, expires_at, created_at, updated_at, revoked_at)
                SELECT '', md5(i::text)::uuid::text, 'subject-' || i %% 10000, 'user',
                    now() + CASE WHEN i < %d THEN interval '-1 hour' ELSE interval '30 days' END + i * interval '1 millisecond',
                    now(), now(), CASE WHEN i %% 4 = 0 THEN now() END
                FROM generate_series(0, %d) i
                """.formatted(table, due, due + live - 1));
        PostgresTargets.run(pool, "VACUUM ANALYZE " + table);
        PostgresTargets.run(pool, "CHECKPOINT");
    }

    private static long remove(HikariDataSource pool, String who, String table) throws SQLException {
        if (who.equals(SINGLE)) {
            return delete(pool, "DELETE FROM " + table + " WHERE " + DUE);
        } else if (who.equals(BATCHED)) {
            String batch = "DELETE FROM " + table + " WHERE ctid = ANY (ARRAY(SELECT ctid FROM " + table + " WHERE "
                    + DUE + " ORDER BY expires_at LIMIT " + BATCH + " FOR UPDATE SKIP LOCKED))";
            long removed = 0;
            long last;
            do {
                last = delete(pool, batch);
                removed += last;
            } while (last > 0);
            return removed;
        }
        try (JdbcTokenStore store = JdbcTokenStore.create(pool);
                TokenResource node = resource(store)) {
            ExpungeReport report = node.expungeExpired();
            return report.removed();
        }
    }

    private static long delete(HikariDataSource pool, String sql) throws SQLException {
        try (Connection connection = pool.getConnection();
                PreparedStatement delete = connection.prepareStatement(sql)) {
            return delete.executeLargeUpdate();
        }
    }

    /** Asks for so long, or for as long as something else takes. */
    private Histogram ask(TokenResource tokens, long nanos, Callable<@Nullable Void> meanwhile) {
        var micros = new ConcurrentHistogram(TimeUnit.MINUTES.toMicros(5), 3);
        var over = new AtomicBoolean();
        List<Future<?>> asking = new ArrayList<>();
        for (int i = 0; i < ASKING; i++) {
            asking.add(threads.submit(() -> {
                long start = System.nanoTime();
                for (long planned = start;
                        !over.get() && (nanos == 0 || planned - start < nanos);
                        planned += EVERY_NANOS) {
                    for (long wait; (wait = planned - System.nanoTime()) > 0; ) {
                        LockSupport.parkNanos(wait);
                    }
                    tokens.isRevoked(Data.jti(ThreadLocalRandom.current().nextInt(form.due())));
                    micros.recordValue((System.nanoTime() - planned) / 1000);
                }
            }));
        }
        try {
            meanwhile.call();
            over.set(nanos == 0);
            for (Future<?> each : asking) {
                each.get();
            }
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
        return micros;
    }

    private static long at(Histogram micros, double percentile) {
        return micros.getValueAtPercentile(percentile);
    }
}
