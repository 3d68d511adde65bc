package dev.curfew.benchmarks;

import static dev.curfew.benchmarks.Figures.format;
import static dev.curfew.benchmarks.Figures.median;
import static dev.curfew.benchmarks.Figures.time;

import com.samskivert.mustache.Mustache;
import dev.curfew.benchmarks.Chart.Bar;
import dev.curfew.benchmarks.Figures.Ratio;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Writes two pages and their charts. The pages are templates: a section names figures, and bars, in words that this class
 * looks up.
 */
final class Report {
    private static final Map<String, String> WHO = Map.of(
            "limit", "bare client",
            "curfew", "Curfew",
            "setex", "SETEX, EXISTS by hand",
            "session", "Spring Session",
            "onetimetoken", "Spring one-time token",
            "authorizationserver", "Spring Auth. Server");

    private final Path docs;
    private final Path charts;
    private final List<Map<String, Object>> environments = new ArrayList<>();
    private final List<Run> runs = new ArrayList<>();
    private final Map<String, List<Map<String, Object>>> cleanUps = new LinkedHashMap<>();
    private final Map<String, Object> model = new HashMap<>();

    Report(List<Map<String, Object>> files, Path docs) {
        this.docs = docs;
        this.charts = docs.resolve("benchmarks");
        for (Map<String, Object> file : files) {
            Map<String, Object> environment = Raw.map(file, "environment");
            environments.add(environment);
            List<Map<String, Object>> ofJmh = new ArrayList<>();
            for (Map<String, Object> row : Raw.rows(file)) {
                if (row.containsKey("benchmark")) {
                    ofJmh.add(row);
                } else if (row.containsKey("cleanUp")) {
                    cleanUps.computeIfAbsent(Raw.text(row, "cleanUp"), who -> new ArrayList<>())
                            .add(row);
                } else {
                    model.put("bytesIn_" + row.get("store"), row.get("bytesPerRecord"));
                }
            }
            runs.addAll(Run.of(Raw.text(environment, "part"), ofJmh));
        }
    }

    void write() throws IOException {
        for (String name : List.of("form", "date", "commit", "machine", "jdk", "servers", "libraries")) {
            model.put(name, environment(name));
        }
        model.put("standIn", environment("servers").contains("stand-in"));
        model.put("call", cell(words -> beside(words, (run, ratio) -> run.time("curfew") + " (" + ratio + ")")));
        model.put(
                "peer",
                cell(words -> beside(
                        words, (run, ratio) -> run.time(words[0]) + " | " + run.time("curfew") + " | " + ratio)));
        model.put("lookUp", cell(this::lookUp));
        model.put("grows", cell(this::grows));
        model.put("table", cell(words -> lastTable(charts.resolve(words[0]))));
        model.put("cleanUps", cleanUps());
        model.put("cleaned", !cleanUps.isEmpty());
        model.put("runs", details());
        for (String store : List.of("redis", "postgresql")) {
            drawCalls(store);
        }
        page("benchmarks.md", docs);
        page("details.md", charts);
    }

    private void page(String name, Path folder) throws IOException {
        try (@Nullable InputStream words = Report.class.getResourceAsStream(name);
                var reader = new InputStreamReader(Objects.requireNonNull(words), StandardCharsets.UTF_8)) {
            var template =
                    Mustache.compiler().escapeHTML(false).defaultValue("–").compile(reader);
            Files.writeString(folder.resolve(name), template.execute(model));
        }
    }

    private interface LookUp {
        String of(String[] words) throws IOException;
    }

    /** A section whose words say what is to be looked up. */
    private static Mustache.Lambda cell(LookUp lookUp) {
        return (section, out) -> out.write(lookUp.of(section.execute().split(" ", -1)));
    }

    private String environment(String name) {
        Stream<?> all = environments.stream()
                .map(each -> Raw.value(each, name))
                .flatMap(each -> each instanceof List<?> some ? some.stream() : Stream.of(each));
        return String.join(", ", all.map(String::valueOf).distinct().toList());
    }

    /** From a page that another command writes. */
    private static String lastTable(Path page) throws IOException {
        String text = Files.exists(page) ? Files.readString(page) : "";
        Stream<MatchResult> tables =
                Pattern.compile("(?m)(^\\|.*\n)+").matcher(text).results();
        return tables.map(MatchResult::group).reduce("", (before, table) -> table);
    }

    /** A figure, in bold type where it does not meet its bar. */
    private static String marked(double figure, String atMost) {
        String text = Double.isNaN(figure) ? "–" : format(figure < 0.1 ? "%.3f" : "%.2f", figure);
        return Double.isNaN(figure) || atMost.equals("none") || figure < Double.parseDouble(atMost) + 0.005
                ? text
                : "**" + text + "**";
    }

    /** Words: beside whom, the bar, the store, the action, and how many threads. */
    private String beside(String[] words, BiFunction<Run, String, String> text) {
        return runs.stream()
                .filter(run -> run.part().equals(words[2]) && run.action().equals(words[3]))
                .filter(run -> run.threads() == Integer.parseInt(words[4]) && run.has(words[0]))
                .map(run -> text.apply(run, marked(run.ratio("curfew", words[0]).median(), words[1])))
                .findFirst()
                .orElse("–");
    }

    /** A median by the number of records. */
    private NavigableMap<Integer, Double> points(String store, String action, String who) {
        NavigableMap<Integer, Double> points = new TreeMap<>();
        runs.stream()
                .filter(run -> run.store().equals(store) && run.action().equals(action) && run.threads() == 1)
                .filter(run -> run.has(who) && run.has("curfew"))
                .forEach(run -> points.putIfAbsent(run.records(), run.median(who)));
        return points;
    }

    /** Words: the store, the action, who, and of how many records. */
    private String lookUp(String[] words) {
        @Nullable Double nanos = points(words[0], words[1], words[2]).get(Integer.valueOf(words[3]));
        return nanos == null ? "–" : time(nanos);
    }

    /** Words: the store, the action, the bar, and beside whom, if anybody. */
    private String grows(String[] words) {
        double beside = words[3].equals("none") ? 1 : growth(words[0], words[1], words[3]);
        return marked(growth(words[0], words[1], "curfew") / beside, words[2]);
    }

    /** By how much a look-up takes longer with the most records than with the fewest. */
    private double growth(String store, String action, String who) {
        List<Double> points = List.copyOf(points(store, action, who).values());
        return points.size() < 2 ? Double.NaN : points.get(points.size() - 1) / points.get(0);
    }

    private List<String> details() {
        List<String> rows = new ArrayList<>();
        for (Run run : runs) {
            for (String who : run.nanos().keySet()) {
                Object ratio = run.has("limit") && !who.equals("limit") ? run.ratio(who, "limit") : "";
                String of = format("| %s | %,d | %s | %d |", run.store(), run.records(), run.action(), run.threads());
                String what = WHO.getOrDefault(who, who);
                rows.add(format("%s %s | %s | %s | %s |", of, what, run.time(who), ratio, run.bytes(who)));
            }
        }
        return rows;
    }

    // Clean-up

    private static List<Double> numbers(List<Map<String, Object>> rows, String name) {
        return rows.stream().map(row -> Raw.number(row, name)).toList();
    }

    private List<Map<String, Object>> cleanUps() throws IOException {
        List<Map<String, Object>> rows = new ArrayList<>();
        List<Bar> drawn = new ArrayList<>();
        cleanUps.forEach((who, all) -> {
            Map<String, Object> row = new HashMap<>(Map.of("who", who, "runs", all.size()));
            double perSecond = median(numbers(all, "rowsPerSecond"));
            row.put("rows", format(perSecond < 20_000 ? "**%,.0f**" : "%,.0f", perSecond));
            double errors = Collections.max(numbers(all, "errors"));
            row.put("errors", format(errors > 0 ? "**%.0f**" : "%.0f", errors));
            row.put("p50", slower(all, "P50", "1.10"));
            row.put("p99", slower(all, "P99", "1.50"));
            rows.add(row);
            drawn.add(new Bar(who, "idle", 1000 * median(numbers(all, "idleP99"))));
            drawn.add(new Bar(who, "meanwhile", 1000 * median(numbers(all, "busyP99"))));
        });
        if (!drawn.isEmpty()) {
            Chart.draw(charts, "clean-up", drawn);
        }
        return rows;
    }

    private static String slower(List<Map<String, Object>> rows, String percentile, String atMost) {
        List<Double> idle = numbers(rows, "idle" + percentile);
        List<Double> busy = numbers(rows, "busy" + percentile);
        Ratio ratio = Ratio.of(busy, idle);
        String times = time(1000 * median(idle)) + " → " + time(1000 * median(busy));
        return format("%s: %s (%.2f–%.2f)", times, marked(ratio.median(), atMost), ratio.lower(), ratio.upper());
    }

    // Charts

    private void drawCalls(String store) throws IOException {
        List<Bar> drawn = new ArrayList<>();
        for (String action : List.of("isRevokedMiss", "storeToken", "revokeToken", "consume")) {
            String group = action.equals("isRevokedMiss") ? "isRevoked of an unknown token" : action;
            runs.stream()
                    .filter(run -> run.part().equals(store) && run.action().equals(action) && run.threads() == 1)
                    .flatMap(run -> run.nanos().keySet().stream().map(who -> bar(group, who, run.median(who))))
                    .forEach(drawn::add);
        }
        Chart.draw(charts, "calls-" + store, drawn);
    }

    private static Bar bar(String group, String who, double nanos) {
        return new Bar(group, WHO.getOrDefault(who, who), nanos);
    }
}
