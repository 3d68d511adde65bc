package dev.curfew.reliability;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The figures of all parts, a file each in {@code docs/reliability}, and the page that sums them up. */
final class Results {
    private static final Pattern PLACE = Pattern.compile("\\{([a-z ]+)}");

    private final Path docs;
    private final List<Map<String, Object>> parts = new ArrayList<>();

    Results(Path docs) throws IOException {
        this.docs = docs;
        Files.createDirectories(folder());
        try (Stream<Path> all = Files.list(folder())) {
            for (Path file : all.sorted().toList()) {
                if (file.toString().endsWith(".json")) {
                    parts.add(JSON.std.mapFrom(Files.readString(file)));
                }
            }
        }
    }

    Path folder() {
        return docs.resolve("reliability");
    }

    void add(Map<String, Object> part) throws IOException {
        parts.add(part);
        String json = JSON.std.with(JSON.Feature.PRETTY_PRINT_OUTPUT).asString(part);
        Files.writeString(folder().resolve(get(part, "date").toString().replace(":", "") + ".json"), json + "\n");
    }

    private static Object get(Map<?, ?> map, String name) {
        return Objects.requireNonNull(map.get(name), name);
    }

    /** Of all parts: the sum, or the largest of what is a time. */
    long count(String store, String name) {
        return parts.stream()
                .map(part -> ((Map<?, ?>) get(part, "stores")).get(store))
                .filter(counts -> counts instanceof Map<?, ?> all && all.containsKey(name))
                .map(counts -> ((Number) get((Map<?, ?>) Objects.requireNonNull(counts), name)).longValue())
                .reduce(0L, name.equals("slowest call") ? Math::max : Long::sum);
    }

    /** Fills the template in: a name in braces is the cells of a row, one for each store, or one of three lists. */
    void writePage() throws IOException {
        try (InputStream template = Objects.requireNonNull(Results.class.getResourceAsStream("page.md"))) {
            String page = PLACE.matcher(new String(template.readAllBytes(), UTF_8))
                    .replaceAll(place -> Matcher.quoteReplacement(
                            switch (place.group(1)) {
                                case "loads" -> lines("loads", (part, load) -> load((Map<?, ?>) load));
                                case "findings" -> lines("findings", Results::finding);
                                case "parts" ->
                                    parts.stream().map(Results::part).collect(Collectors.joining("\n"));
                                default -> cells(store -> cell(store, place.group(1)));
                            }));
            Files.writeString(docs.resolve("reliability.md"), page);
        }
    }

    private static String cells(Function<String, String> cell) {
        return Target.STORES.stream().map(cell).collect(Collectors.joining(" | "));
    }

    private String cell(String store, String name) {
        if (name.equals("hours under load")) {
            return String.format(Locale.ROOT, "%.2f", count(store, "seconds under load") / 3600.0);
        }
        boolean isApplicable = Stream.of(Activity.values())
                .allMatch(activity -> !name.endsWith(activity.key()) || activity.isFor(store));
        return isApplicable ? String.format(Locale.ROOT, "%,d", count(store, name)) : "-";
    }

    private interface Line {
        String of(Object date, Object element);
    }

    private String lines(String list, Line line) {
        return parts.stream()
                .flatMap(part -> ((List<?>) get(part, list))
                        .stream().map(element -> line.of(get(part, "date"), Objects.requireNonNull(element))))
                .distinct()
                .collect(Collectors.joining("\n"));
    }

    private static String load(Map<?, ?> load) {
        String heap = ends(get(load, "heapKiB"), 1024);
        return "| " + get(load, "what") + " | " + get(load, "seconds") + " | " + heap + " | "
                + ends(get(load, "open"), 1) + " |";
    }

    /** Of a history, only what was found in it, and where it is; of anything else the beginning. */
    private static String finding(Object date, Object finding) {
        String text = finding.toString();
        String shown = text.contains("; history-")
                ? text.replaceFirst("(?s)^(\\w+): .*; (history.*)$", "$1, [$2](reliability/$2)")
                : text.substring(0, Math.min(90, text.length())) + " …";
        return "- " + date + ": " + shown;
    }

    /** The first and the last one, and the largest. */
    private static String ends(Object values, long unit) {
        List<Long> all = ((List<?>) values)
                .stream()
                        .map(each -> ((Number) Objects.requireNonNull(each)).longValue() / unit)
                        .toList();
        return all.isEmpty()
                ? "-"
                : all.get(0) + ", " + all.get(all.size() - 1) + ", "
                        + all.stream().reduce(0L, Math::max);
    }

    private static String part(Map<String, Object> part) {
        String servers = ((Map<?, ?>) get(part, "versions"))
                .values().stream().distinct().map(String::valueOf).collect(Collectors.joining(";\n  "));
        return "- " + get(part, "date") + ", commit " + get(part, "commit") + ", " + get(part, "minutes")
                + " minutes;\n  " + get(part, "machine") + ";\n  " + get(part, "java") + ";\n  " + servers;
    }
}
