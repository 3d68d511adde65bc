package dev.curfew.benchmarks;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.TokenResource;
import dev.curfew.jdbc.JdbcTokenStore;
import dev.curfew.memory.MemoryTokenStore;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What a record takes, what a look-up takes and what the removal of a record takes, by how many there are. */
final class Growth {
    private static final int MILLION = 1_000_000;
    private static final int DUE = 20_000;

    private final Form form;

    Growth(Form form) {
        this.form = form;
    }

    List<Map<String, Object>> of(String store) {
        List<Map<String, Object>> rows = new ArrayList<>();
        for (int records : form.growth()) {
            boolean large = store.equals("memory") || store.equals("postgresql");
            if (records > MILLION && !large) {
                continue;
            }
            rows.addAll(new Actions(form).growth(store, records));
            switch (store) {
                case "memory" -> rows.addAll(memory(records));
                case "postgresql" -> rows.addAll(postgres(records));
                case "redis" -> rows.add(size(store, records, Load.redisBytes(records) / records));
                default -> {} // what a stand-in takes says nothing
            }
        }
        return rows;
    }

    private static Map<String, Object> size(String store, int records, long bytes) {
        System.out.printf("growth     %-12s %,12d records  %,6d bytes each%n", store, records, bytes);
        return Raw.row("action", "size", "store", store, "records", records, "bytesPerRecord", bytes);
    }

    private static Map<String, Object> expunge(String store, int records, int round, long removed, long nanos) {
        if (removed != DUE) {
            throw new IllegalStateException(removed + " were removed of " + DUE);
        }
        System.out.printf("growth     %-12s %,12d records  %,6d ns to remove one%n", store, records, nanos / removed);
        return Raw.row(
                "action",
                "expunge",
                "store",
                store,
                "records",
                records,
                "round",
                round,
                "nanosPerRemoved",
                nanos / removed);
    }

    private List<Map<String, Object>> postgres(int records) {
        List<Map<String, Object>> rows = new ArrayList<>();
        String domain = "growth" + records;
        try (HikariDataSource pool = PostgresTargets.pool(1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            String bench = PostgresTargets.table(Data.domain(records));
            rows.add(size(
                    "postgresql",
                    records,
                    PostgresTargets.number(pool, "SELECT pg_total_relation_size('" + bench + "')") / records));
            store.createSchema(domain);
            CleanUp.fill(pool, domain, DUE, records);
            try (TokenResource tokens = TokenResource.builder()
                    .store(store)
                    .domain(domain)
                    .maxTokenLifetime(Data.LONGEST)
                    .build()) {
                for (int round = 0; round < form.rounds() + 1; round++) {
                    if (round > 0) {
                        CleanUp.fill(pool, domain, DUE, 0);
                    }
                    long start = System.nanoTime();
                    long removed = tokens.expungeExpired().removed();
                    rows.add(expunge("postgresql", records, round, removed, System.nanoTime() - start));
                }
            }
            PostgresTargets.run(pool, "DROP TABLE " + PostgresTargets.table(domain));
        }
        return rows;
    }

    // In memory: in a JVM of its own, whose heap is large enough.

    private List<Map<String, Object>> memory(int records) {
        try {
            Process child = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "-Xmx12g",
                            "-cp",
                            System.getProperty("java.class.path"),
                            Growth.class.getName(),
                            Integer.toString(records))
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            String answer = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (child.waitFor() != 0) {
                throw new IllegalStateException("The JVM that measures memory failed: " + answer);
            }
            return List.of(size("memory", records, Long.parseLong(answer.strip())));
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Prints how many bytes of memory a record takes. */
    public static void main(String[] arguments) {
        int records = Integer.parseInt(arguments[0]);
        MemoryTokenStore store = MemoryTokenStore.create();
        long before = used();
        MemoryTargets.fill(store, records);
        System.out.println((used() - before) / records);
        store.close();
    }

    private static long used() {
        for (int i = 0; i < 3; i++) {
            System.gc();
        }
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }
}
