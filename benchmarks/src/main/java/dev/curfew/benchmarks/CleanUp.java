package dev.curfew.benchmarks;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.ExpungePace;
import dev.curfew.FailurePolicy;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.jdbc.JdbcTokenStore;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongUnaryOperator;
import java.util.stream.Stream;
import org.HdrHistogram.ConcurrentHistogram;

/**
 * A clean-up of PostgreSQL while nodes are asked: a thousand times a second, by plan, so that what is late counts from when
 * it should have been asked (that is, corrected for coordinated omission). The nodes that are asked are those that clean up.
 */
final class CleanUp {
    /** What most peers do. */
    private static final String SINGLE = "one DELETE";

    private static final String FULL_SPEED = "Curfew at full speed";
    private static final String DOMAIN = "cleanup";
    private static final int ASKING = 4;
    private static final long EVERY_NANOS = TimeUnit.MILLISECONDS.toNanos(ASKING);

    private final Form form;
    private final ExecutorService threads = Executors.newCachedThreadPool();

    CleanUp(Form form) {
        this.form = form;
    }

    List<Map<String, Object>> underFire() throws Exception {
        Servers.start("postgresql");
        List<Map<String, Object>> rows = new ArrayList<>();
        try {
            run("to warm up", 1, form.due() / 10);
            for (int i = 0; i < form.cleanUps(); i++) {
                rows.add(run("Curfew, 1 node", 1, form.due()));
                rows.add(run("Curfew, 4 nodes", 4, form.due()));
            }
            rows.add(run(FULL_SPEED, 1, form.due()));
            rows.add(run(SINGLE, 1, form.due()));
        } finally {
            threads.shutdownNow();
        }
        return rows;
    }

    private interface Work {
        void run() throws Exception;
    }

    /** One node of an application. */
    private record Node(HikariDataSource pool, JdbcTokenStore store, TokenResource tokens) {
        static Node open() {
            HikariDataSource pool = PostgresTargets.pool(ASKING + 1);
            JdbcTokenStore store = JdbcTokenStore.create(pool);
            store.createSchema(DOMAIN);
            TokenResource.Builder tokens = TokenResource.builder()
                    .store(store)
                    .domain(DOMAIN)
                    .maxTokenLifetime(Data.LONGEST)
                    .failurePolicy(FailurePolicy.THROW);
            return new Node(pool, store, tokens.build());
        }

        static List<Callable<Long>> cleanUps(List<Node> nodes, String who) {
            return nodes.stream()
                    .map(node -> (Callable<Long>) () -> node.cleanUp(who))
                    .toList();
        }

        private long cleanUp(String who) throws SQLException {
            return switch (who) {
                case SINGLE -> delete();
                case FULL_SPEED -> tokens.expungeExpired(ExpungePace.FULL_SPEED).removed();
                default -> tokens.expungeExpired().removed();
            };
        }

        private long delete() throws SQLException {
            try (Connection connection = pool.getConnection();
                    Statement statement = connection.createStatement()) {
                return statement.executeLargeUpdate("DELETE FROM " + PostgresTargets.table(DOMAIN)
                        + " WHERE expires_at <= now() - interval '5 minutes'");
            }
        }

        void close() {
            tokens.close();
            store.close();
            pool.close();
        }
    }

    /** What those who asked saw. */
    private record Asked(ConcurrentHistogram micros, LongAdder errors) {
        void addTo(Map<String, Object> row, String name) {
            row.put(name + "P50", micros.getValueAtPercentile(50));
            row.put(name + "P99", micros.getValueAtPercentile(99));
            row.put(name + "P99.9", micros.getValueAtPercentile(99.9));
            row.put(name + "Checks", micros.getTotalCount());
        }
    }

    private Map<String, Object> run(String who, int count, int due) throws Exception {
        List<Node> nodes = Stream.generate(Node::open).limit(count).toList();
        Node first = nodes.get(0);
        try {
            fill(first.pool, due, due / 2);
            LongUnaryOperator live = n -> due + n % (due / 2);
            ask(nodes, live, () -> TimeUnit.SECONDS.sleep(form.idleSeconds() / 5));
            Asked idle = ask(nodes, live, () -> TimeUnit.SECONDS.sleep(form.idleSeconds()));
            long[] nanos = new long[1];
            Asked busy = ask(nodes, live, () -> {
                long start = System.nanoTime();
                long removed = 0;
                for (Future<Long> each : threads.invokeAll(Node.cleanUps(nodes, who))) {
                    removed += each.get();
                }
                nanos[0] = System.nanoTime() - start;
                if (removed != due) {
                    throw new IllegalStateException(who + " removed " + removed + " of " + due);
                }
            });
            Map<String, Object> row = new LinkedHashMap<>();
            row.put("cleanUp", who);
            row.put("due", due);
            row.put("live", due / 2);
            row.put("rowsPerSecond", Math.round(due * 1e9 / nanos[0]));
            idle.addTo(row, "idle");
            busy.addTo(row, "busy");
            row.put("errors", idle.errors.sum() + busy.errors.sum());
            System.out.println(row);
            return row;
        } finally {
            PostgresTargets.run(first.pool, "DROP TABLE " + PostgresTargets.table(DOMAIN));
            nodes.forEach(Node::close);
        }
    }

    /** Records that expired half an hour ago or more, and others that are live; a quarter of them revoked. */
    private static void fill(HikariDataSource pool, int due, int live) {
        String table = PostgresTargets.table(DOMAIN);
        PostgresTargets.run(pool, """
                INSERT INTO %s (tenant, jti, subject, purpose, expires_at, created_at, updated_at, revoked_at)
                SELECT '', md5(i::text)::uuid::text, 'subject-' || i / 10, 'user',
                    now() + CASE WHEN i < %d THEN interval '-1 hour' ELSE interval '30 days' END
                        + i * interval '1 millisecond' / 2,
                    now(), now(), CASE WHEN i %% 4 = 0 THEN now() END
                FROM generate_series(0, %d) i
                """.formatted(table, due, due + live - 1));
        PostgresTargets.run(pool, "VACUUM ANALYZE " + table);
        PostgresTargets.run(pool, "CHECKPOINT");
    }

    /** Asks all nodes about live tokens for as long as something else takes. */
    private Asked ask(List<Node> nodes, LongUnaryOperator live, Work meanwhile) throws Exception {
        var asked = new Asked(new ConcurrentHistogram(TimeUnit.MINUTES.toMicros(5), 3), new LongAdder());
        var over = new AtomicBoolean();
        List<Future<?>> asking = new ArrayList<>();
        for (int i = 0; i < ASKING; i++) {
            TokenResource tokens = nodes.get(i % nodes.size()).tokens;
            asking.add(threads.submit(() -> {
                for (long planned = System.nanoTime(); !over.get(); planned += EVERY_NANOS) {
                    for (long wait; (wait = planned - System.nanoTime()) > 0; ) {
                        LockSupport.parkNanos(wait);
                    }
                    long number = live.applyAsLong(ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE));
                    try {
                        if (tokens.isRevoked(Data.jti(number)) != (number % 4 == 0)) {
                            asked.errors.increment();
                        }
                    } catch (TokenStoreException e) {
                        asked.errors.increment();
                    }
                    asked.micros.recordValue((System.nanoTime() - planned) / 1000);
                }
            }));
        }
        try {
            meanwhile.run();
        } finally {
            over.set(true);
        }
        for (Future<?> each : asking) {
            each.get();
        }
        return asked;
    }
}
