package dev.curfew.benchmarks;

import static dev.curfew.benchmarks.Figures.format;
import static dev.curfew.benchmarks.Figures.median;
import static dev.curfew.benchmarks.Figures.time;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Writes what was measured as a page with tables and charts; what people have written below it stays. */
final class Report {
    private static final String NONE = "null";
    private static final String NOTES = "## What was made faster";

    private static final Map<String, String> ACTIONS = new LinkedHashMap<>();
    private static final Map<String, String> PEERS = new LinkedHashMap<>();

    static {
        ACTIONS.put("isRevokedHit", "`isRevoked`, revoked");
        ACTIONS.put("isRevokedMiss", "`isRevoked`, unknown");
        ACTIONS.put("isRevokedOf100", "`isRevoked` of 100");
        ACTIONS.put("check", "`check`");
        ACTIONS.put("checkWithWatermark", "`check`, watermark");
        ACTIONS.put("getToken", "`getToken`");
        ACTIONS.put("storeToken", "`storeToken`");
        ACTIONS.put("revokeToken", "`revokeToken`");
        ACTIONS.put("consume", "`consume`");
        PEERS.put("map", "`ConcurrentHashMap` with a sweeper");
        PEERS.put("setex", "`SETEX` and `EXISTS`");
        PEERS.put("session", "Spring Session");
        PEERS.put("onetimetoken", "Spring Security `JdbcOneTimeTokenService`");
        PEERS.put("authorizationserver", "Spring Authorization Server `JdbcOAuth2AuthorizationService`");
    }

    private final Map<String, String> stores = new LinkedHashMap<>();
    private final Path docs;
    private final List<Map<String, Object>> environments = new ArrayList<>();
    private final List<Row> rows = new ArrayList<>();
    private final StringBuilder page = new StringBuilder();

    Report(List<Map<String, Object>> files, Path docs) {
        this.docs = docs;
        for (Map<String, Object> file : files) {
            environments.add(map(file.get("environment")));
            for (Object row : (List<?>) Raw.value(file, "measurements")) {
                rows.add(new Row(map(row)));
            }
        }
        stores.put("memory", "Memory");
        stores.put("redis", "Redis");
        stores.put("postgresql", "PostgreSQL");
        stores.put("mongodb", isStandIn() ? "MongoDB (stand-in)" : "MongoDB");
    }

    private static String name(String action) {
        return ACTIONS.getOrDefault(action, action);
    }

    /** One measurement. */
    private record Row(Map<String, Object> values) {
        String text(String name) {
            return String.valueOf(values.get(name));
        }

        boolean has(String name, Object value) {
            return String.valueOf(value).equals(text(name));
        }

        double number(String name) {
            return ((Number) Raw.value(values, name)).doubleValue();
        }

        List<Double> numbers(String name) {
            return ((List<?>) Raw.value(values, name))
                    .stream().map(each -> ((Number) each).doubleValue()).toList();
        }
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(@Nullable Object value) {
        return (Map<String, Object>) Objects.requireNonNull(value);
    }

    /** A ratio: of the medians, and the quartiles of those of single turns. */
    private record Ratio(double median, double lower, double upper) {
        @Override
        public String toString() {
            return lower == upper ? format("%.2f", median) : format("%.2f (%.2f–%.2f)", median, lower, upper);
        }
    }

    private static @Nullable Ratio ratio(List<Row> of, List<Row> to, String values) {
        if (of.isEmpty() || to.isEmpty()) {
            return null;
        }
        List<Double> ours = values(of, values);
        List<Double> theirs = values(to, values);
        // Turn by turn: what was measured one after the other.
        List<Double> turns = new ArrayList<>();
        for (int i = 0; i < Math.min(ours.size(), theirs.size()); i++) {
            turns.add(ours.get(i) / theirs.get(i));
        }
        Collections.sort(turns);
        return new Ratio(
                median(ours) / median(theirs),
                turns.get(turns.size() / 4),
                turns.get(Math.min(turns.size() - 1, turns.size() * 3 / 4)));
    }

    /** In the order of rounds and turns. */
    private static List<Double> values(List<Row> rows, String values) {
        List<Double> all = new ArrayList<>();
        rows.stream().sorted(Comparator.comparing(row -> row.number("round"))).forEach(row -> {
            if (row.values.get(values) instanceof List<?>) {
                all.addAll(row.numbers(values));
            } else {
                all.add(row.number(values));
            }
        });
        return all;
    }

    private static double all(List<Row> rows, String values) {
        List<Double> all = new ArrayList<>();
        rows.forEach(row -> all.addAll(values(List.of(row), values)));
        return median(all);
    }

    /** Measurements with these values, which are given as name, value, name, value. */
    private List<Row> rows(Object... namesAndValues) {
        return rows.stream()
                .filter(row -> {
                    for (int i = 0; i < namesAndValues.length; i += 2) {
                        if (!row.has((String) namesAndValues[i], namesAndValues[i + 1])) {
                            return false;
                        }
                    }
                    return true;
                })
                .toList();
    }

    /** Of the actions beside the limit: those of peers and of growth are told apart by what is next to them. */
    private List<Row> action(String store, String action, int threads, String who) {
        Set<String> limited = new LinkedHashSet<>();
        rows("store", store, "who", "limit").forEach(row -> limited.add(row.text("records")));
        return rows("store", store, "action", action, "threads", threads, "who", who, "peer", NONE, "part", NONE)
                .stream()
                .filter(row -> limited.contains(row.text("records")))
                .toList();
    }

    private @Nullable Ratio toTheLimit(String store, String action, int threads) {
        return ratio(action(store, action, threads, "curfew"), action(store, action, threads, "limit"), "nanos");
    }

    void write() {
        Path file = docs.resolve("benchmarks.md");
        head();
        bars();
        actions();
        peers();
        growth();
        cleanUp();
        contention();
        try {
            String old = Files.exists(file) ? Files.readString(file) : "";
            int notes = old.indexOf(NOTES);
            page.append(notes < 0 ? NOTES + "\n" : old.substring(notes));
            Files.writeString(file, page);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void line(String text, Object... values) {
        page.append(values.length == 0 ? text : format(text, values)).append('\n');
    }

    private void row(Object... cells) {
        line("| " + String.join(" | ", Arrays.stream(cells).map(String::valueOf).toList()) + " |");
    }

    private void table(String... heads) {
        line("");
        row((Object[]) heads);
        row(Arrays.stream(heads).map(head -> "---").toArray());
    }

    private Set<String> environment(String name) {
        Set<String> all = new LinkedHashSet<>();
        for (Map<String, Object> each : environments) {
            if (each.get(name) instanceof List<?> several) {
                several.forEach(one -> all.add(String.valueOf(one)));
            } else if (each.get(name) instanceof Map<?, ?> several) {
                several.forEach((key, value) -> all.add(key + " " + value));
            } else {
                all.add(String.valueOf(each.get(name)));
            }
        }
        return all;
    }

    private void head() {
        line("# Benchmarks");
        line("");
        line(
                "What Curfew costs, beside the least that the bare client can do for the same answer (the limit), and beside");
        line(
                "what people use today (the peers), measured on the same server with the same data, in turn. This page is");
        line("written by one command, up to the last section, from the figures in [benchmarks](benchmarks):");
        line("");
        line("```");
        line("./mvnw -q -pl benchmarks -am package -DskipTests && java -jar benchmarks/target/benchmarks.jar quick");
        line("```");
        line("");
        line(
                "`quick` takes less than ten minutes, `full` about three quarters of an hour. A ratio is one of medians; in brackets");
        line(
                "are the quartiles of the ratios of single turns. Those who ask a server share a JVM and its client (the pool, the");
        line(
                "threads), and take turns every tenth of a second, so that whatever happens to the machine happens to all of them; in");
        line(
                "memory each has a JVM of its own. Keys are drawn at random from all over the store. The servers run on the machine");
        line(
                "that asks, and share its processors: with 16 threads, everything is a matter of who gets them. PostgreSQL has");
        line(
                "`fsync` on. Redis has an append-only file that is synced every second: were it synced for every command, as Curfew");
        line("asks for, the disk would hide what Curfew adds.");
        table("", "");
        row("Form", String.join(", ", environment("form")));
        row("Measured", range(environment("date")));
        row("Commit", String.join(", ", environment("commit")));
        row("Machine", String.join("; ", environment("machine")));
        row("JDK", String.join("; ", environment("jdk")));
        row("Servers", String.join("; ", environment("servers")));
        row("Libraries", String.join("; ", environment("libraries")));
        if (isStandIn()) {
            line("");
            line(
                    "No MongoDB was at hand: what is said of it here was measured on a stand-in, a re-implementation of its");
            line(
                    "protocol in Java. It tells what Curfew adds to the driver, and nothing of MongoDB. To measure one, name it by");
            line("`CURFEW_TEST_MONGO_URI`.");
        }
    }

    private boolean isStandIn() {
        return environment("servers").stream().anyMatch(server -> server.contains("stand-in"));
    }

    private static String range(Set<String> dates) {
        Set<String> sorted = new TreeSet<>(dates);
        List<String> all = List.copyOf(sorted);
        return all.isEmpty() ? "" : all.size() == 1 ? all.get(0) : all.get(0) + " to " + all.get(all.size() - 1);
    }

    // The bars

    private void bars() {
        line("");
        line("## The bars");
        table("what", "bar", "figure", "");
        for (String action : List.of("isRevokedHit", "isRevokedMiss")) {
            atMost(label("memory", action, 1), 1.3, toTheLimit("memory", action, 1));
        }
        double extra = all(action("memory", "isRevokedHit", 1, "curfew"), "bytes")
                - all(action("memory", "isRevokedHit", 1, "limit"), "bytes");
        if (!Double.isNaN(extra)) {
            row(label("memory", "isRevokedHit", 1), "≤ 32 bytes more", format("%.0f bytes", extra), met(extra <= 32.5));
        }
        for (String store : List.of("redis", "postgresql", "mongodb")) {
            for (int threads : List.of(1, 16)) {
                for (String action : List.of("isRevokedHit", "isRevokedMiss")) {
                    atMost(
                            label(store, action, threads),
                            threads == 1 ? 1.1 : 1.15,
                            toTheLimit(store, action, threads));
                }
            }
        }
        for (String store : List.of("redis", "postgresql", "mongodb")) {
            for (String action : List.of("revokeToken", "storeToken", "consume")) {
                for (int threads : List.of(1, 16)) {
                    atMost(label(store, action, threads), 1.25, toTheLimit(store, action, threads));
                }
            }
        }
        stores.keySet()
                .forEach(store -> atMost(
                        stores.get(store) + ": " + name("isRevokedOf100") + ", beside one",
                        5,
                        ratio(
                                action(store, "isRevokedOf100", 1, "curfew"),
                                action(store, "isRevokedHit", 1, "curfew"),
                                "nanos")));
        Ratio rows = ratio(cleanUp("Curfew", 1), cleanUp(CleanUp.BATCHED, 1), "rowsPerSecond");
        if (rows != null) {
            row(
                    "PostgreSQL: clean-up, rows a second beside a bare one in batches",
                    "≥ 0.80",
                    rows,
                    met(rows.median >= 0.795));
        }
        for (int nodes : List.of(1, 4)) {
            atMost(
                    "PostgreSQL: p99 of `isRevoked` while " + nodes + (nodes == 1 ? " node cleans" : " nodes clean")
                            + " up, beside idle",
                    2,
                    ratio(
                            percentile(cleanUp("Curfew", nodes), "busyMicros", 1),
                            percentile(cleanUp("Curfew", nodes), "idleMicros", 1),
                            "micros"));
        }
        stores.forEach((store, name) -> growthOf(store).forEach((action, points) -> {
            if (points.size() > 1) {
                List<Map.Entry<Integer, Double>> all = List.copyOf(points.entrySet());
                double ratio = all.get(all.size() - 1).getValue() / all.get(0).getValue();
                atMost(
                        format(
                                "%s: %s, from %,d to %,d records",
                                name,
                                name(action),
                                all.get(0).getKey(),
                                all.get(all.size() - 1).getKey()),
                        2,
                        new Ratio(ratio, ratio, ratio));
            }
        }));
        peerJobs().forEach(job -> {
            Ratio faster = ratio(job.peer, job.curfew, "nanos");
            if (faster != null) {
                row(job.name + ": Curfew is faster by", "≥ 1.00", faster, met(faster.median >= 0.995));
            }
        });
    }

    private String label(String store, String action, int threads) {
        return stores.get(store) + ": " + name(action) + (threads == 1 ? "" : ", " + threads + " threads");
    }

    private void atMost(String what, double bar, @Nullable Ratio ratio) {
        if (ratio != null) {
            row(what, format("≤ %.2f", bar), ratio, met(ratio.median < bar + 0.005));
        }
    }

    private static String met(boolean met) {
        return met ? "met" : "**not met**";
    }

    // The actions

    private void actions() {
        line("");
        line("## Beside the bare client");
        List<String> names = ACTIONS.keySet().stream()
                .filter(action -> !action.equals("getToken"))
                .toList();
        Map<String, List<Number>> chart = new LinkedHashMap<>();
        stores.forEach((store, name) -> {
            List<Number> ratios = new ArrayList<>();
            for (String action : names) {
                Ratio ratio = toTheLimit(store, action, 1);
                ratios.add(ratio == null ? 0 : ratio.median);
            }
            chart.put(name, ratios);
        });
        new Charts(docs.resolve("benchmarks"))
                .bars(
                        "actions",
                        "Time of a call beside the bare client's, 1 thread (what is above 3 is cut off)",
                        "ratio",
                        false,
                        names.stream().map(action -> plain(name(action))).toList(),
                        chart);
        line("");
        line(Charts.markdown(
                "actions", "How long a call takes beside the bare client's; the figures are in the tables below"));
        line(
                "Times are for one call, as its thread sees it; bytes are what it allocates in this JVM. `isRevoked` is asked of records that "
                        + "are revoked, and of jtis that nobody knows; `check` of live tokens.");
        stores.forEach((store, name) -> {
            line("");
            line("### " + name);
            line("");
            line(format("%,.0f records.", all(rows("store", store, "who", "limit"), "records")));
            table("", "threads", "limit", "Curfew", "ratio", "limit, bytes", "Curfew, bytes");
            for (String action : names) {
                for (int threads : List.of(1, 16)) {
                    List<Row> limit = action(store, action, threads, "limit");
                    List<Row> curfew = action(store, action, threads, "curfew");
                    Ratio ratio = ratio(curfew, limit, "nanos");
                    if (ratio != null) {
                        row(
                                name(action),
                                threads,
                                time(all(limit, "nanos")),
                                time(all(curfew, "nanos")),
                                ratio,
                                format("%,.0f", all(limit, "bytes")),
                                format("%,.0f", all(curfew, "bytes")));
                    }
                }
            }
        });
    }

    private static String plain(String markdown) {
        return markdown.replace("`", "");
    }

    // The peers

    private record PeerJob(String name, List<Row> peer, List<Row> curfew) {}

    private List<PeerJob> peerJobs() {
        List<PeerJob> jobs = new ArrayList<>();
        PEERS.forEach((peer, name) -> stores.forEach((store, storeName) -> ACTIONS.forEach((action, actionName) -> {
            Set<String> sizes = new LinkedHashSet<>();
            rows("peer", peer, "store", store, "action", action).forEach(row -> sizes.add(row.text("records")));
            for (String records : sizes) {
                jobs.add(new PeerJob(
                        format("%s, %s, %,d records, %s", name, storeName, Integer.parseInt(records), actionName),
                        rows("peer", peer, "store", store, "action", action, "records", records, "who", peer),
                        rows("peer", peer, "store", store, "action", action, "records", records, "who", "curfew")));
            }
        })));
        return jobs;
    }

    private void peers() {
        if (peerJobs().isEmpty()) {
            return;
        }
        line("");
        line("## Beside what people use today");
        line("");
        line(
                "Each does its own job, with the schema that it ships and with its defaults; Curfew does the same on the same");
        line(
                "server, with as many records: `getToken` for what reads all of a token or a session, `storeToken` for what saves");
        line("one. One thread.");
        table(
                "peer, and what Curfew does in its place",
                "peer",
                "Curfew",
                "Curfew is faster by",
                "peer, bytes",
                "Curfew, bytes");
        Map<String, List<Number>> chart = new LinkedHashMap<>();
        List<Number> theirs = new ArrayList<>();
        List<Number> ours = new ArrayList<>();
        List<String> names = new ArrayList<>();
        for (PeerJob job : peerJobs()) {
            Ratio faster = ratio(job.peer, job.curfew, "nanos");
            if (faster == null) {
                continue;
            }
            names.add(Integer.toString(names.size() + 1));
            row(
                    names.size() + ". " + job.name,
                    time(all(job.peer, "nanos")),
                    time(all(job.curfew, "nanos")),
                    faster,
                    format("%,.0f", all(job.peer, "bytes")),
                    format("%,.0f", all(job.curfew, "bytes")));
            theirs.add(all(job.peer, "nanos") / 1000);
            ours.add(all(job.curfew, "nanos") / 1000);
        }
        if (!names.isEmpty()) {
            chart.put("peer", theirs);
            chart.put("Curfew", ours);
            new Charts(docs.resolve("benchmarks"))
                    .bars("peers", "Time of a call, in the order of the table", "µs", true, names, chart);
            line("");
            line(Charts.markdown(
                    "peers", "How long a call of each peer and of Curfew takes; the figures are in the table above"));
        }
    }

    // Growth

    private Map<String, Map<Integer, Double>> growthOf(String store) {
        Map<String, Map<Integer, Double>> all = new LinkedHashMap<>();
        for (String action : List.of("isRevokedHit", "isRevokedMiss")) {
            Map<Integer, Double> points = new TreeMap<>();
            for (Row row : rows("part", "growth", "store", store, "action", action)) {
                int records = (int) row.number("records");
                points.put(
                        records,
                        all(rows("part", "growth", "store", store, "action", action, "records", records), "nanos"));
            }
            all.put(action, points);
        }
        return all;
    }

    private void growth() {
        if (rows("part", "growth").isEmpty()) {
            return;
        }
        line("");
        line("## By how many records there are");
        Map<String, Map<Integer, Double>> lines = new LinkedHashMap<>();
        table("", "records", "`isRevoked`, revoked", "`isRevoked`, unknown", "removal of one", "bytes of one");
        stores.forEach((store, name) -> {
            Map<String, Map<Integer, Double>> growth = growthOf(store);
            Map<Integer, Double> hits = growth.getOrDefault("isRevokedHit", Map.of());
            Map<Integer, Double> micros = new TreeMap<>();
            hits.forEach((records, nanos) -> {
                micros.put(records, nanos / 1000);
                double removal = all(rows("action", "expunge", "store", store, "records", records), "nanosPerRemoved");
                double bytes = all(rows("action", "size", "store", store, "records", records), "bytesPerRecord");
                row(
                        name,
                        format("%,d", records),
                        time(nanos),
                        time(growth.getOrDefault("isRevokedMiss", Map.of()).getOrDefault(records, Double.NaN)),
                        Double.isNaN(removal) ? "" : time(removal),
                        Double.isNaN(bytes) ? "" : format("%,.0f", bytes));
            });
            if (!micros.isEmpty()) {
                lines.put(name, micros);
            }
        });
        line("");
        line(
                "A removal is the expunger's, with its rests between batches. Redis and Caffeine remove records themselves. Bytes are heap in memory,");
        line("`used_memory` with the indexes of subjects in Redis, and the table with its indexes in PostgreSQL.");
        if (!lines.isEmpty()) {
            new Charts(docs.resolve("benchmarks"))
                    .lines("growth", "Time of isRevoked by the number of records", "µs", lines);
            line("");
            line(Charts.markdown(
                    "growth", "How long isRevoked takes by the number of records; the figures are in the table above"));
        }
    }

    // Clean-up

    private List<Row> cleanUp(String who, int nodes) {
        return rows("action", "cleanUp", "who", who, "nodes", nodes);
    }

    /** The same, with one of three percentiles. */
    private static List<Row> percentile(List<Row> rows, String name, int index) {
        return rows.stream()
                .map(row -> new Row(Raw.row(
                        "round",
                        row.number("round"),
                        "micros",
                        row.numbers(name).get(index))))
                .toList();
    }

    private void cleanUp() {
        List<Row> all = rows("action", "cleanUp");
        if (all.isEmpty()) {
            return;
        }
        line("");
        line("## Clean-up under fire");
        line("");
        line(format(
                "PostgreSQL, %,.0f records, of which half are removed, while `isRevoked` is asked a thousand times a second by plan:",
                all(all, "records")));
        line(
                "what is late counts from when it should have been asked. A single `DELETE` is what most peers do; it holds all of");
        line("its rows, and one transaction, until it ends.");
        table("who", "rows/s", "idle p50", "p99", "p99.9", "meanwhile p50", "p99", "p99.9");
        Map<String, List<Number>> chart = new LinkedHashMap<>();
        chart.put("p50", new ArrayList<>());
        chart.put("p99", new ArrayList<>());
        chart.put("p99.9", new ArrayList<>());
        List<String> names = new ArrayList<>();
        names.add("idle");
        List<List<Number>> series = List.copyOf(chart.values());
        for (int i = 0; i < 3; i++) {
            series.get(i).add(all(percentile(all, "idleMicros", i), "micros"));
        }
        for (List<Row> each : List.of(
                cleanUp(CleanUp.BATCHED, 1), cleanUp("Curfew", 1), cleanUp("Curfew", 4), cleanUp(CleanUp.SINGLE, 1))) {
            if (each.isEmpty()) {
                continue;
            }
            String nodes = each.get(0).text("nodes");
            String who = each.get(0).text("who")
                    + (each.get(0).text("who").equals("Curfew")
                            ? ", " + nodes + (nodes.equals("1") ? " node" : " nodes")
                            : "");
            List<Object> cells = new ArrayList<>(List.of(who, format("%,.0f", all(each, "rowsPerSecond"))));
            for (int i = 0; i < 3; i++) {
                cells.add(time(1000 * all(percentile(each, "idleMicros", i), "micros")));
            }
            for (int i = 0; i < 3; i++) {
                double micros = all(percentile(each, "busyMicros", i), "micros");
                cells.add(time(1000 * micros));
                series.get(i).add(micros);
            }
            row(cells.toArray());
            names.add(who);
        }
        new Charts(docs.resolve("benchmarks"))
                .bars("clean-up", "Time of isRevoked while a clean-up runs", "µs", true, names, chart);
        line("");
        line(Charts.markdown(
                "clean-up", "Percentiles of isRevoked while a clean-up runs; the figures are in the table above"));
    }

    private void contention() {
        List<Row> all = rows("action", "contention");
        if (all.isEmpty()) {
            return;
        }
        line("");
        line("## Sixty-four threads on one token");
        line("");
        line("All at once on one token, and then on the next. Of each, one has won, or the run would have failed.");
        table("", "", "tokens", "winners", "calls/s");
        stores.forEach((store, name) -> {
            for (String action : List.of("consume", "revokeToken")) {
                List<Row> races = rows("action", "contention", "store", store, "of", action);
                if (!races.isEmpty()) {
                    row(
                            name,
                            name(action),
                            format(
                                    "%,.0f",
                                    races.stream()
                                            .mapToDouble(row -> row.number("tokens"))
                                            .sum()),
                            format(
                                    "%,.0f",
                                    races.stream()
                                            .mapToDouble(row -> row.number("winners"))
                                            .sum()),
                            format("%,.0f", all(races, "callsPerSecond")));
                }
            }
        });
        line("");
    }
}
