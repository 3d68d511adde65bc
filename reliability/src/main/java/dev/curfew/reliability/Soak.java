package dev.curfew.reliability;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;

/**
 * Runs one part of the soak test, adds its figures to {@code docs/reliability}, and writes {@code docs/reliability.md}.
 * What has reached its target in the parts before is left out. A part of 0 minutes only writes the page.
 */
final class Soak {
    private record Task(String store, Activity activity) {}

    private Soak() {}

    public static void main(String[] arguments) throws IOException {
        double minutes = Double.parseDouble(System.getProperty("soak.minutes"));
        var results = new Results(Path.of("docs"));
        if (minutes == 0) {
            results.writePage();
            return;
        }
        List<Task> tasks = tasks(results);
        if (tasks.isEmpty() || minutes > 20) {
            throw new IllegalArgumentException("Nothing is left to do, or a part is longer than 20 minutes. Stores: "
                    + Target.STORES + ", activities: " + List.of(Activity.values()));
        }
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("date", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
        all.put("commit", commit());
        all.put("machine", machine());
        all.put("java", System.getProperty("java.vm.name") + " " + System.getProperty("java.runtime.version"));
        try (var watch = new SecretWatch()) {
            long seed = RandomGenerator.getDefault().nextLong();
            var part = new Part(watch, results.folder(), seed);
            long begun = System.nanoTime();
            run(tasks, part, begun + (long) (minutes * 60e9));
            all.put("minutes", Math.round((System.nanoTime() - begun) / 60e9));
            all.put("seed", seed);
            all.put("versions", part.versions);
            all.put("stores", part.stores);
            all.put("loads", part.loads);
            all.put("findings", part.findings);
            results.add(all);
            results.writePage();
            part.findings.forEach(System.err::println);
            // Not by the end of the last thread: the drivers may have left one that waits for a server.
            System.exit(part.findings.isEmpty() ? 0 : 1);
        }
    }

    private static List<Task> tasks(Results results) {
        List<String> stores = List.of(System.getProperty("soak.stores").split(","));
        List<String> activities = List.of(System.getProperty("soak.activities").split(","));
        List<Task> tasks = new ArrayList<>();
        for (Activity activity : Activity.values()) {
            for (String store : Target.STORES) {
                boolean isWanted = stores.contains(store) && activities.contains(activity.key());
                boolean isLeft = activity.target == 0 || results.count(store, activity.key()) < activity.target;
                if (activity.isFor(store) && isWanted && isLeft) {
                    tasks.add(new Task(store, activity));
                }
            }
        }
        return tasks;
    }

    /** Each has a share of the time that is left: one that takes longer takes it from all others. */
    private static void run(List<Task> tasks, Part part, long end) {
        int weights = tasks.stream().mapToInt(task -> task.activity().weight).sum();
        for (Task task : tasks) {
            long now = System.nanoTime();
            long until = now + (end - now) * task.activity().weight / weights;
            weights -= task.activity().weight;
            part.run(task.store(), task.activity(), () -> System.nanoTime() - until < 0);
            System.out.println(task + ": " + part.stores.get(task.store()));
        }
    }

    private static String machine() {
        return Runtime.getRuntime().availableProcessors() + " processors (" + System.getProperty("os.arch") + "), "
                + System.getProperty("os.name") + " " + System.getProperty("os.version");
    }

    /** Of the code under test: later commits of anything else change no figure. */
    private static String commit() throws IOException {
        boolean isClean = git("status", "--porcelain", "core/src/main", ":(glob)store-*/src/main/**")
                .isEmpty();
        String last = git("log", "-1", "--format=%h", "--", "core/src/main", ":(glob)store-*/src/main/**");
        return last + (isClean ? "" : " with changes");
    }

    private static String git(String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of("git"));
        command.addAll(List.of(arguments));
        Process git = new ProcessBuilder(command).start();
        return new String(git.getInputStream().readAllBytes(), UTF_8).strip();
    }
}
