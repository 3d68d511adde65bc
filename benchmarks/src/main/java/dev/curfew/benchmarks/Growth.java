package dev.curfew.benchmarks;

import com.fasterxml.jackson.jr.ob.JSON;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.jdbc.JdbcTokenStore;
import dev.curfew.memory.MemoryTokenStore;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;

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
                            Integer.toString(records),
                            Integer.toString(form.rounds()))
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            String answer = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (child.waitFor() != 0) {
                throw new IllegalStateException("The JVM that measures memory failed: " + answer);
            }
            List<Map<String, Object>> rows = new ArrayList<>();
            Map<String, Object> measured = JSON.std.mapFrom(answer);
            rows.add(size("memory", records, ((Number) Raw.value(measured, "bytesPerRecord")).longValue()));
            int round = 0;
            for (Object nanos : (List<?>) Raw.value(measured, "nanos")) {
                rows.add(expunge("memory", records, round++, DUE, ((Number) nanos).longValue()));
            }
            return rows;
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Measures in memory, and prints what it found. */
    public static void main(String[] arguments) throws IOException {
        int records = Integer.parseInt(arguments[0]);
        var clock = new AtomicReference<Instant>(Data.now());
        MemoryTokenStore store = MemoryTokenStore.create();
        long before = used();
        MemoryTargets.fill(store, records);
        long bytes = (used() - before) / records;
        List<Long> nanos = new ArrayList<>();
        try (TokenResource tokens =
                CurfewTarget.builder(records).store(store).clock(clock::get).build()) {
            int next = records;
            for (int round = -1; round < Integer.parseInt(arguments[1]); round++) {
                Instant end = clock.get().plus(Duration.ofHours(1));
                for (int i = 0; i < DUE; i++) {
                    int number = next++;
                    tokens.storeToken(Token.of(Data.jti(number), Data.subject(number), clock.get(), end));
                }
                clock.set(end.plus(Duration.ofMinutes(10)));
                long start = System.nanoTime();
                long removed = tokens.expungeExpired().removed();
                long took = System.nanoTime() - start;
                if (removed != DUE) {
                    throw new IllegalStateException(removed + " were removed of " + DUE);
                }
                if (round >= 0) { // the first is to warm up
                    nanos.add(took);
                }
            }
        }
        System.out.println(JSON.std.asString(Map.of("bytesPerRecord", bytes, "nanos", nanos)));
    }

    private static long used() {
        for (int i = 0; i < 3; i++) {
            System.gc();
        }
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }
}
