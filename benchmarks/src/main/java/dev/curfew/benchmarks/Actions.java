package dev.curfew.benchmarks;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * Runs {@link ActionBenchmark}. Those who ask a server and are compared share a JVM and take turns every tenth of a second
 * or so, so that nothing which happens to the machine happens to one of them alone. In memory, where a JVM that has seen
 * both would be another one, each has its own.
 */
final class Actions {
    private static final int MILLION = 1_000_000;
    private static final TimeValue TURN = TimeValue.milliseconds(100);
    private static final List<String> CHECKS = List.of("isRevokedMiss", "isRevokedHit", "check");
    private static final List<String> WRITES = List.of("storeToken", "revokeToken", "consume");

    private final Form form;

    Actions(Form form) {
        this.form = form;
    }

    /** Every action of one store, by Curfew, by the bare client and by peers, and the bytes that a record takes. */
    List<Map<String, Object>> of(String store) throws Exception {
        Servers.start(store);
        List<Map<String, Object>> rows = new ArrayList<>();
        // What stands in for MongoDB reads all of a collection where MongoDB takes an index.
        boolean standIn = store.equals("mongodb") && Servers.isStandIn();
        int records = standIn ? 1000 : form.records();
        if (!store.equals("mongodb")) {
            rows.add(Map.of("store", store, "records", records, "bytesPerRecord", Load.bytesPerRecord(store, records)));
        }
        List<String> actions = new ArrayList<>(CHECKS);
        if (!standIn) {
            actions.add("isRevokedOf100");
            actions.addAll(WRITES);
        }
        for (int threads : form.threads()) {
            for (String action : actions) {
                List<String> who = new ArrayList<>(List.of("limit", "curfew"));
                if (threads == 1) {
                    who.addAll(peers(store, action));
                }
                rows.addAll(run(store, action, who, records, threads));
            }
        }
        List<String> readers = new ArrayList<>(List.of("curfew"));
        readers.addAll(peers(store, "getToken"));
        if (readers.size() > 1) {
            rows.addAll(run(store, "getToken", readers, records, 1));
        }
        return rows;
    }

    /** Who has this action today. */
    private static List<String> peers(String store, String action) {
        return switch (store + " " + action) {
            case "redis isRevokedMiss", "redis isRevokedHit", "redis revokeToken" -> List.of("setex");
            case "redis getToken", "redis storeToken" -> List.of("session");
            case "postgresql getToken", "postgresql storeToken" -> List.of("session", "authorizationserver");
            case "postgresql consume" -> List.of("onetimetoken");
            default -> List.of();
        };
    }

    /** How a look-up grows with the number of records. */
    List<Map<String, Object>> growth() throws Exception {
        List<Map<String, Object>> rows = new ArrayList<>();
        for (String store : List.of("memory", "redis", "postgresql")) {
            Servers.start(store);
            for (int records : form.growth()) {
                if (records <= MILLION || !store.equals("redis")) {
                    for (String action : List.of("isRevokedMiss", "isRevokedHit")) {
                        rows.addAll(run(store, action, List.of("limit", "curfew"), records, 1));
                    }
                }
            }
        }
        return rows;
    }

    private Collection<Map<String, Object>> run(String store, String action, List<String> who, int records, int threads)
            throws Exception {
        System.out.printf("%s %s, %,d records, %d threads: %s%n", store, action, records, threads, who);
        who.forEach(each -> Load.once(store, each, records));
        boolean inTurn = !store.equals("memory");
        int together = inTurn ? who.size() : 1;
        int batch = WRITES.contains(action) ? batch(store, threads) : 1;
        String heap = inTurn ? "1g" : records > MILLION ? "12g" : "4g";
        Collection<RunResult> results = new Runner(new OptionsBuilder()
                        .include("\\." + ActionBenchmark.class.getSimpleName() + "\\." + action + "$")
                        .param("store", store)
                        .param("who", inTurn ? new String[] {String.join("+", who)} : who.toArray(String[]::new))
                        .param("records", Integer.toString(records))
                        .warmupIterations(form.turns() / 2 * together)
                        .warmupTime(TURN)
                        .warmupBatchSize(batch)
                        .measurementIterations(form.turns() * together)
                        .measurementTime(TURN)
                        .measurementBatchSize(batch)
                        .threads(threads)
                        .forks(1)
                        .jvmArgs("-Xms" + heap, "-Xmx" + heap)
                        .jvmArgsAppend(Servers.arguments())
                        .addProfiler(GCProfiler.class)
                        .shouldFailOnError(true)
                        .verbosity(VerboseMode.SILENT)
                        .build())
                .run();
        return Raw.ofJmh(results);
    }

    /** How many are changed in a turn, each a new one. */
    private static int batch(String store, int threads) {
        int alone = store.equals("memory") ? 50_000 : store.equals("redis") ? 1_000 : 200;
        return threads == 1 ? alone : alone / 4;
    }
}
