package dev.curfew.benchmarks;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * Runs {@link ActionBenchmark}. Those who ask a server and are compared share a JVM and take turns every tenth of a second
 * or so, so that nothing which happens to the machine happens to one of them alone. In memory, where a JVM that has seen
 * both would be another one, each has its own.
 */
final class Actions {
    private static final List<String> READS =
            List.of("isRevokedHit", "isRevokedMiss", "isRevokedOf100", "check", "checkWithWatermark");
    private static final List<String> WRITES = List.of("storeToken", "revokeToken", "consume");

    private final Form form;

    Actions(Form form) {
        this.form = form;
    }

    /** A stand-in for MongoDB reads all of a collection where MongoDB takes an index: with a million, for seconds. */
    private int records(String store) {
        return store.equals("mongodb") && Servers.isStandIn() ? Math.min(form.records(), 1000) : form.records();
    }

    /** What a peer does, and the action of Curfew's that does it. */
    private record Job(String store, String peer, int records, List<String> reads, List<String> writes) {}

    /** Every action of one store, by Curfew and by the bare client. */
    List<Map<String, Object>> ofStore(String store) {
        Servers.start(store);
        int records = records(store);
        Load.once(store, records);
        List<Map<String, Object>> rows = new ArrayList<>();
        for (int round = 0; round < form.rounds(); round++) {
            for (int threads : List.of(1, 16)) {
                boolean all = threads == 1 || form.everythingContended();
                List<String> who = List.of("limit", "curfew");
                rows.addAll(reads(store, who, records, threads, round, all ? READS : List.of("isRevokedHit")));
                if (all) {
                    rows.addAll(writes(store, who, records, threads, round, WRITES));
                }
            }
        }
        return rows;
    }

    /** What people use today, and Curfew on the same server, with as many records. */
    List<Map<String, Object>> peers() {
        List<Job> jobs = new ArrayList<>();
        jobs.add(new Job(
                "memory", "map", form.records(), List.of("isRevokedHit", "isRevokedMiss"), List.of("revokeToken")));
        jobs.add(new Job(
                "redis", "setex", form.records(), List.of("isRevokedHit", "isRevokedMiss"), List.of("revokeToken")));
        jobs.add(new Job("redis", "session", 100_000, List.of("getToken"), List.of("storeToken")));
        jobs.add(new Job("postgresql", "session", 100_000, List.of("getToken"), List.of("storeToken")));
        jobs.add(new Job("postgresql", "onetimetoken", 100_000, List.of(), List.of("consume")));
        jobs.add(new Job("postgresql", "authorizationserver", 10_000, List.of("getToken"), List.of("storeToken")));
        jobs.add(new Job("postgresql", "authorizationserver", 100_000, List.of("getToken"), List.of("storeToken")));
        for (Job job : jobs) {
            Servers.start(job.store);
            Load.once(job.store, job.records);
            Load.peer(job.store, job.peer, job.records);
        }
        List<Map<String, Object>> rows = new ArrayList<>();
        for (int round = 0; round < form.rounds(); round++) {
            for (Job job : jobs) {
                List<String> who = List.of(job.peer, "curfew");
                List<Map<String, Object>> own = new ArrayList<>();
                own.addAll(reads(job.store, who, job.records, 1, round, job.reads));
                own.addAll(writes(job.store, who, job.records, 1, round, job.writes));
                own.forEach(row -> row.put("peer", job.peer));
                rows.addAll(own);
            }
        }
        return rows;
    }

    /** How a look-up grows with the number of records. */
    List<Map<String, Object>> growth(String store, int records) {
        Servers.start(store);
        Load.once(store, records);
        List<Map<String, Object>> rows = new ArrayList<>();
        // To fill a memory with ten million takes as long as everything else.
        int rounds = store.equals("memory") && records > 1_000_000 ? 1 : form.rounds();
        for (int round = 0; round < rounds; round++) {
            rows.addAll(reads(store, List.of("curfew"), records, 1, round, List.of("isRevokedHit", "isRevokedMiss")));
        }
        rows.forEach(row -> row.put("part", "growth"));
        return rows;
    }

    private List<Map<String, Object>> reads(
            String store, List<String> who, int records, int threads, int round, List<String> names) {
        var options = new OptionsBuilder()
                .warmupTime(TimeValue.milliseconds(form.millis()))
                .measurementTime(TimeValue.milliseconds(form.millis()));
        return run(options, form.warmUps(), form.turns(), store, who, records, threads, round, names, 1);
    }

    private List<Map<String, Object>> writes(
            String store, List<String> who, int records, int threads, int round, List<String> names) {
        int batch = switch (store) {
                    case "memory" -> 50_000;
                    case "redis" -> 1_000;
                    case "mongodb" -> Servers.isStandIn() ? 20 : 200;
                    default -> 200;
                }
                / (threads == 1 ? 1 : 4);
        var options = new OptionsBuilder().warmupBatchSize(batch).measurementBatchSize(batch);
        return run(options, form.turns(), form.turns(), store, who, records, threads, round, names, batch);
    }

    private List<Map<String, Object>> run(
            ChainedOptionsBuilder options,
            int warmUps,
            int turns,
            String store,
            List<String> who,
            int records,
            int threads,
            int round,
            List<String> names,
            int batch) {
        if (names.isEmpty()) {
            return List.of();
        }
        List<String> order = new ArrayList<>(who);
        if (round % 2 == 1) {
            Collections.reverse(order);
        }
        boolean inTurn = !store.equals("memory");
        int together = inTurn ? order.size() : 1;
        String heap = inTurn ? "1g" : records > 1_000_000 ? "12g" : "4g";
        options.param("store", store)
                .param("who", inTurn ? new String[] {String.join("+", order)} : order.toArray(String[]::new))
                .param("records", Integer.toString(records))
                .warmupIterations(warmUps * together)
                .measurementIterations(turns * together)
                .threads(threads)
                .forks(1)
                .jvmArgs("-Xms" + heap, "-Xmx" + heap)
                .jvmArgsAppend(Servers.arguments())
                .addProfiler(GCProfiler.class)
                .shouldFailOnError(true)
                .verbosity(VerboseMode.SILENT);
        for (String name : names) {
            options.include("\\." + ActionBenchmark.class.getSimpleName() + "\\." + name + "$");
        }
        try {
            List<Map<String, Object>> rows = new ArrayList<>();
            for (RunResult result : new Runner(options.build()).run()) {
                for (String each : inTurn ? order : List.of(result.getParams().getParam("who"))) {
                    rows.add(row(result, each, inTurn ? order : List.of(each), store, records, threads, round, batch));
                }
            }
            return rows;
        } catch (RunnerException e) {
            throw new IllegalStateException(e);
        }
    }

    /** What one of those found who took turns. */
    private static Map<String, Object> row(
            RunResult result,
            String who,
            List<String> order,
            String store,
            int records,
            int threads,
            int round,
            int batch) {
        String benchmark = result.getParams().getBenchmark();
        String name = benchmark.substring(benchmark.lastIndexOf('.') + 1);
        List<Double> nanos = new ArrayList<>();
        List<Double> bytes = new ArrayList<>();
        for (BenchmarkResult fork : result.getBenchmarkResults()) {
            int turn = 0;
            for (IterationResult iteration : fork.getIterationResults()) {
                if (order.get(turn++ % order.size()).equals(who)) {
                    nanos.add(rounded(iteration.getPrimaryResult().getScore() / batch));
                    Result<?> allocated = iteration.getSecondaryResults().get("gc.alloc.rate.norm");
                    bytes.add(allocated == null ? 0 : allocated.getScore() / batch);
                }
            }
        }
        System.out.printf(
                "%-10s %-20s %-20s %,12d records %2d threads  %,14.0f ns %,10.0f B%n",
                store, name, who, records, threads, Figures.median(nanos), Figures.median(bytes));
        return Raw.row(
                "action",
                name,
                "store",
                store,
                "who",
                who,
                "records",
                records,
                "threads",
                threads,
                "round",
                round,
                "nanos",
                nanos,
                "bytes",
                rounded(Figures.median(bytes)));
    }

    private static double rounded(double value) {
        return Math.round(value * 10) / 10.0;
    }
}
