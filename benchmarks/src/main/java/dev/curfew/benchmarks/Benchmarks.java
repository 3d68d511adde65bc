package dev.curfew.benchmarks;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;

/**
 * Measures, and writes the report. The first argument is {@code quick} or {@code full}, or {@code report} to write the
 * report of what has been measured; those that follow are the names of parts, where not all of them are wanted.
 */
public final class Benchmarks {
    private Benchmarks() {}

    /** Runs. */
    public static void main(String[] arguments) throws Exception {
        Set<String> known = parts(Form.named("quick")).keySet();
        List<String> wanted = List.of(arguments).subList(Math.min(1, arguments.length), arguments.length);
        if (arguments.length == 0 || !known.containsAll(wanted)) {
            System.err.println("quick, full or report; then, if not all, some of " + known);
            System.exit(2);
        }
        // So that two may run at once.
        System.setProperty("jmh.ignoreLock", "true");
        Path docs = Path.of(System.getProperty("curfew.benchmarks.docs", "docs"));
        Path raw = docs.resolve("benchmarks");
        if (!arguments[0].equals("report")) {
            Form form = Form.named(arguments[0]);
            for (var part : parts(form).entrySet()) {
                String name = part.getKey();
                if (wanted.isEmpty() || wanted.contains(name)) {
                    System.out.println("== " + name);
                    List<Map<String, Object>> rows = part.getValue().call();
                    Raw.write(raw.resolve(name + ".json"), Environment.of(name, form), rows);
                }
            }
        }
        new Report(Raw.read(raw), docs).write();
        System.exit(0); // and with this JVM the servers
    }

    private static Map<String, Callable<List<Map<String, Object>>>> parts(Form form) {
        Map<String, Callable<List<Map<String, Object>>>> parts = new LinkedHashMap<>();
        for (String store : List.of("memory", "redis", "postgresql", "mongodb")) {
            parts.put(store, () -> new Actions(form).of(store));
        }
        parts.put("growth", () -> new Actions(form).growth());
        parts.put("clean-up", () -> new CleanUp(form).underFire());
        return parts;
    }
}
