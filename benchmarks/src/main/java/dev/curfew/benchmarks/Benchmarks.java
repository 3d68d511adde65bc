package dev.curfew.benchmarks;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Measures, and writes the report. The first argument is {@code quick} or {@code full}, or {@code report} to write the
 * report of what has been measured; those that follow are the names of parts, where not all of them are wanted.
 */
public final class Benchmarks {
    private static final List<String> STORES = List.of("memory", "redis", "postgresql", "mongodb");

    private Benchmarks() {}

    /** Runs. */
    public static void main(String[] arguments) {
        if (arguments.length == 0) {
            System.err.println("quick, full or report; then, if not all, some of "
                    + parts(Form.named("quick")).keySet());
            System.exit(2);
        }
        // So that two may run at once.
        System.setProperty("jmh.ignoreLock", "true");
        Path docs = Path.of(System.getProperty("curfew.benchmarks.docs", "docs"));
        Path raw = docs.resolve("benchmarks");
        if (!arguments[0].equals("report")) {
            Form form = Form.named(arguments[0]);
            List<String> wanted = List.of(arguments).subList(1, arguments.length);
            parts(form).forEach((name, part) -> {
                if (wanted.isEmpty() || wanted.contains(name)) {
                    System.out.println("== " + name);
                    List<Map<String, Object>> rows = part.get();
                    Raw.write(raw.resolve(name + ".json"), Environment.of(form), rows);
                }
            });
        }
        new Report(Raw.read(raw), docs).write();
        System.exit(0); // and with this JVM the servers
    }

    private static Map<String, Supplier<List<Map<String, Object>>>> parts(Form form) {
        Map<String, Supplier<List<Map<String, Object>>>> parts = new LinkedHashMap<>();
        for (String store : STORES) {
            parts.put("actions-" + store, () -> new Actions(form).ofStore(store));
        }
        parts.put("peers", () -> new Actions(form).peers());
        parts.put("clean-up", () -> new CleanUp(form).underFire());
        parts.put("contention", () -> ofAllStores(store -> new Contention(form).of(store)));
        for (String store : STORES) {
            parts.put("growth-" + store, () -> new Growth(form).of(store));
        }
        return parts;
    }

    private interface Part {
        List<Map<String, Object>> of(String store);
    }

    private static List<Map<String, Object>> ofAllStores(Part part) {
        List<Map<String, Object>> rows = new ArrayList<>();
        STORES.forEach(store -> rows.addAll(part.of(store)));
        return rows;
    }
}
