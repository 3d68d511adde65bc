package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.sql;
import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.TokenResource;
import dev.curfew.servers.PostgresServer;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.management.MemoryType;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.time.Duration;
import java.time.InstantSource;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/**
 * Clears 2,000,000 of 3,000,000 rows out, by one node and by four, beside a bare loop of batched deletes, while another
 * one asks. Prints what it takes; asserts only what does not depend on the machine. Run by name: CONTRIBUTING says how.
 */
class ExpungeMeasurement {
    private static final int ROWS = Integer.getInteger("curfew.test.rows", 3_000_000);
    private static final int DUE = ROWS / 3 * 2;
    private static final int BATCH = 1000;
    private static final OffsetDateTime NOW = Fixture.NOW.atOffset(ZoneOffset.UTC);

    // The least that a store could send: the same batch, from the beginning each time, nothing counted but the rows.
    private static final String BARE = """
            DELETE FROM %s WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM %s WHERE expires_at <= ? ORDER BY expires_at LIMIT %d FOR UPDATE SKIP LOCKED))
            """;

    private final ExecutorService threads = Executors.newCachedThreadPool();

    @Test
    void expungingUnderFire() throws Exception {
        try (PostgresServer server = PostgresServer.start(Map.of("shared_buffers", "512MB", "max_wal_size", "4GB"))) {
            String url = server.url();
            sql(url, """
                    CREATE TABLE source AS
                    SELECT ''::text AS tenant, md5(i::text) AS jti, 's' || i %% 10000 AS subject, 'user'::text AS purpose,
                        timestamptz '2100-01-01Z' + (i - %d) * interval '1 second' - interval '1 minute' AS expires_at,
                        timestamptz '2099-01-01Z' AS created_at, timestamptz '2099-01-01Z' AS updated_at,
                        CASE WHEN i %% 4 = 0 THEN timestamptz '2099-06-01Z' END AS revoked_at
                    FROM generate_series(1, %d) i
                    """.formatted(DUE, ROWS));
            System.out.println("To warm up, with few rows:");
            run(url, "bare DELETE, 4 clients", 4, false, 100_000, 10_000);
            run(url, "Curfew, 4 nodes", 4, true, 100_000, 10_000);
            System.out.printf(
                    "%-22s %10s %8s | %22s | %22s | %9s%n",
                    "who", "rows/s", "batches", "isRevoked idle p50/p99", "meanwhile p50/p99", "heap peak");
            for (int round = 0; round < Integer.getInteger("curfew.test.rounds", 2); round++) {
                run(url, "Curfew, 1 node", 1, true, DUE, ROWS - DUE);
                run(url, "Curfew, 4 nodes", 4, true, DUE, ROWS - DUE);
                run(url, "bare DELETE, 1 client", 1, false, DUE, ROWS - DUE);
            }
        } finally {
            threads.shutdownNow();
        }
    }

    /** With UUIDs for jti and subject, and no extra data; a quarter of the rows revoked. */
    @Test
    void bytesPerRecord() {
        String url = PostgresServer.shared().url();
        String domain = Fixture.newDomain();
        try (HikariDataSource pool = Fixture.pool(url, 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            int rows = 1_000_000;
            sql(url, """
                    INSERT INTO "curfew_%s" (tenant, jti, subject, purpose, issued_at, expires_at, created_at, updated_at,
                        revoked_at)
                    SELECT '', md5(i::text)::uuid::text, md5('s' || i %% 100000)::uuid::text, 'user', '2099-01-01Z',
                        timestamptz '2100-01-01Z' + i * interval '1 second', '2099-01-01Z', '2099-01-01Z',
                        CASE WHEN i %% 4 = 0 THEN timestamptz '2099-06-01Z' END
                    FROM generate_series(1, %d) i ORDER BY random()
                    """.formatted(domain, rows));
            for (String part : List.of("", "_pkey", "_expiry_idx", "_subject_idx")) {
                String size = sql(url, "SELECT pg_relation_size('\"curfew_" + domain + part + "\"')")
                        .get(0);
                System.out.printf("bytes per record: %-13s %d%n", part, Long.parseLong(size) / rows);
            }
        }
    }

    private void run(String url, String who, int nodes, boolean curfew, int due, int live) throws Exception {
        String domain = Fixture.newDomain();
        String table = "\"curfew_" + domain + "\"";
        try (HikariDataSource pool = Fixture.pool(url, nodes + 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool);
                TokenResource asked = resource(store, domain)) {
            sql(
                    url,
                    "INSERT INTO " + table + " (tenant, jti, subject, purpose, expires_at, created_at, updated_at,"
                            + " revoked_at) SELECT * FROM source WHERE expires_at > timestamptz '2099-12-31 23:59Z' - interval '"
                            + due + " seconds' AND expires_at <= timestamptz '2099-12-31 23:59Z' + interval '" + live
                            + " seconds'");
            sql(url, "VACUUM ANALYZE " + table);
            sql(url, "CHECKPOINT");
            ask(asked, new AtomicBoolean(), 3000); // to warm up
            long[] idle = ask(asked, new AtomicBoolean(), 5000);
            List<MemoryPoolMXBean> heap = ManagementFactory.getMemoryPoolMXBeans().stream()
                    .filter(each -> each.getType() == MemoryType.HEAP)
                    .toList();
            System.gc();
            heap.forEach(MemoryPoolMXBean::resetPeakUsage);
            long[] took = new long[1];
            long[] removed = new long[2];
            long[] busy = asked(asked, () -> {
                long start = System.nanoTime();
                List<Future<long[]>> running = new ArrayList<>();
                for (int node = 0; node < nodes; node++) {
                    running.add(threads.submit(() -> curfew ? expunge(pool, domain) : delete(pool, table)));
                }
                for (Future<long[]> node : running) {
                    removed[0] += node.get()[0];
                    removed[1] += node.get()[1];
                }
                took[0] = System.nanoTime() - start;
                return null;
            });
            long peak = heap.stream()
                    .mapToLong(each -> each.getPeakUsage().getUsed())
                    .sum();
            System.out.printf(
                    "%-22s %10.0f %8d | %8d µs / %8d µs | %8d µs / %8d µs | %6d MB%n",
                    who,
                    removed[0] * 1e9 / took[0],
                    removed[1],
                    at(idle, 0.5),
                    at(idle, 0.99),
                    at(busy, 0.5),
                    at(busy, 0.99),
                    peak >> 20);
            // All of them, and none by two nodes.
            assertThat(removed[0]).isEqualTo(due);
            assertThat(sql(url, "SELECT count(*) FROM " + table).get(0)).isEqualTo(Integer.toString(live));
            sql(url, "DROP TABLE " + table);
        }
    }

    private static TokenResource resource(JdbcTokenStore store, String domain) {
        store.createSchema(domain);
        return Fixture.resource(store, domain);
    }

    private static long[] expunge(HikariDataSource pool, String domain) {
        // With a clock that goes, as applications have it: the expunger rests as long as a batch took.
        InstantSource clock = InstantSource.offset(
                InstantSource.system(), Duration.between(InstantSource.system().instant(), Fixture.NOW));
        try (JdbcTokenStore store = JdbcTokenStore.create(pool);
                TokenResource node = Fixture.builder(store, domain)
                        .clock(clock)
                        .expungeBatchSize(Integer.getInteger("curfew.test.batch", 1000))
                        .build()) {
            var report = node.expungeExpired();
            return new long[] {report.removed(), report.batches()};
        }
    }

    private static long[] delete(HikariDataSource pool, String table) throws Exception {
        long[] done = new long[2];
        try (Connection connection = pool.getConnection();
                PreparedStatement delete = connection.prepareStatement(BARE.formatted(table, table, BATCH))) {
            int batch;
            do {
                delete.setObject(1, NOW.minusMinutes(1));
                batch = delete.executeUpdate();
                done[0] += batch;
                done[1]++;
            } while (batch > 0);
        }
        return done;
    }

    private long[] asked(TokenResource tokens, Callable<Void> meanwhile) throws Exception {
        var over = new AtomicBoolean();
        Future<long[]> times = threads.submit(() -> ask(tokens, over, 1 << 20));
        meanwhile.call();
        over.set(true);
        return times.get();
    }

    /** A thousand times a second, by plan: what is late counts from when it should have been asked. */
    private static long[] ask(TokenResource tokens, AtomicBoolean over, int atMost) {
        long[] micros = new long[atMost];
        int n = 0;
        var random = new SplittableRandom(7);
        long planned = System.nanoTime();
        while (!over.get() && n < micros.length) {
            planned += 1_000_000;
            while (System.nanoTime() < planned) {
                LockSupport.parkNanos(planned - System.nanoTime());
            }
            tokens.isRevoked(Integer.toHexString(random.nextInt()));
            micros[n++] = (System.nanoTime() - planned) / 1000;
        }
        long[] sorted = Arrays.copyOf(micros, n);
        Arrays.sort(sorted);
        return sorted;
    }

    private static long at(long[] sorted, double quantile) {
        return sorted[(int) (sorted.length * quantile)];
    }
}
