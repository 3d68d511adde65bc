package dev.curfew.reliability;

import com.sun.management.UnixOperatingSystemMXBean;
import dev.curfew.reliability.HistoryChecker.Fault;
import dev.curfew.reliability.HistoryChecker.Finding;
import dev.curfew.reliability.Operation.Answer;
import dev.curfew.reliability.Operation.Kind;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;

/** One run: it does things to stores, has the histories checked, and counts. */
final class Part {
    private static final int BATCH = 250;
    private static final int SHOWN = 20;
    private static final int LONGEST_HISTORY = 400_000;
    private static final long WINDOW_NANOS = 30_000_000_000L;

    final long seed;
    /** The counts, by their names, of each store. */
    final Map<String, Map<String, Object>> stores = new LinkedHashMap<>();

    final Map<String, String> versions = new LinkedHashMap<>();
    final List<Map<String, Object>> loads = new ArrayList<>();
    final List<String> findings = new ArrayList<>();

    private final SecretWatch watch;
    private final Path folder;
    private final Random random;
    private Map<String, Object> counts = new LinkedHashMap<>();
    private long tokens = 1;

    /** @param folder where the histories go in which something was found */
    Part(SecretWatch watch, Path folder, long seed) {
        this.watch = watch;
        this.folder = folder;
        this.seed = seed;
        this.random = new Random(seed);
    }

    /** Does one thing to one store for as long as it is told. */
    void run(String store, Activity activity, BooleanSupplier isTime) {
        counts = stores.computeIfAbsent(store, none -> new LinkedHashMap<>());
        long told = watch.told();
        long lines = watch.lines();
        try (Target target = target(store, activity)) {
            versions.put(store + ", " + activity.key(), target.version());
            switch (activity) {
                case LOAD, KILLS, FAILOVERS, RETURNS -> load(store, target, activity, isTime);
                case CONSUMPTIONS, ROTATIONS -> races(target, activity, isTime);
                case MODEL -> model(store, target, isTime);
                case HOSTILE -> hostile(target, isTime);
            }
        } catch (RuntimeException e) {
            // Of a server, or of this program. Curfew's own would be in a history.
            findings.add(store + ", " + activity.key() + ", was broken off: " + e);
            add("broken off", 1);
        }
        add("secrets", watch.told() - told);
        add("log lines", watch.lines() - lines);
    }

    private static Target target(String store, Activity activity) {
        return switch (activity) {
            case FAILOVERS, RETURNS -> Target.replicated(store, activity == Activity.RETURNS);
            default -> Target.one(store, activity == Activity.KILLS);
        };
    }

    private void add(String count, long more) {
        counts.merge(count, more, (before, added) -> (Long) before + (Long) added);
    }

    /**
     * Windows of half a minute at most: between two of them all is forgotten, so that heap and connections can be compared.
     * What is in memory counts its time by the processor's ticks: there it is a new store.
     */
    private void load(String store, Target target, Activity activity, BooleanSupplier isTime) {
        List<Long> heap = new ArrayList<>();
        List<Long> open = new ArrayList<>();
        long begun = System.nanoTime();
        Nodes nodes = new Nodes(target::connect);
        try {
            while (isTime.getAsBoolean()) {
                long end = System.nanoTime() + WINDOW_NANOS;
                window(nodes, target, activity, () -> isTime.getAsBoolean() && System.nanoTime() - end < 0);
                nodes.forget();
                if (target.memory() != null) {
                    nodes.close();
                    nodes = new Nodes(Target.one(store, false)::connect);
                }
                System.gc();
                heap.add(
                        ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed() >> 10);
                open.add(open());
            }
        } finally {
            nodes.close();
        }
        long seconds = (System.nanoTime() - begun) / 1_000_000_000;
        add("seconds under load", seconds);
        String what = store + ", " + activity.key();
        loads.add(Map.of("what", what, "seconds", seconds, "heapKiB", heap, "open", open));
    }

    private void window(Nodes nodes, Target target, Activity activity, BooleanSupplier isTime) {
        var history = new History(watch);
        var workers = new Workers(nodes, history, tokens, random);
        try {
            do {
                workers.awaitSuccesses(100);
                if (activity != Activity.LOAD) {
                    long start = System.nanoTime();
                    target.fault().accept(() -> workers.awaitFailures(Nodes.THREADS));
                    workers.awaitSuccesses(Nodes.THREADS);
                    history.fault(activity == Activity.KILLS ? Kind.KILL : Kind.FAILOVER, start);
                    add(activity.key(), 1);
                }
            } while (isTime.getAsBoolean() && workers.successes() < LONGEST_HISTORY);
        } finally {
            tokens = workers.stop();
            check(history);
        }
    }

    /** Four threads on two nodes, of which each wants to use the same token at the same moment. */
    private void races(Target target, Activity activity, BooleanSupplier isTime) {
        // What stands in for MongoDB reads all of a collection for a change.
        int batches = target.version().contains("stand-in") ? 1 : 20;
        while (isTime.getAsBoolean()) {
            Target fresh = target.memory() == null ? target : Target.one("memory", false);
            try (Nodes nodes = new Nodes(fresh::connect)) {
                for (int batch = 0; batch < batches && isTime.getAsBoolean(); batch++) {
                    var history = new History(watch);
                    nodes.race(
                            history, activity == Activity.CONSUMPTIONS ? nodes::consume : nodes::rotate, tokens, BATCH);
                    tokens += BATCH;
                    add(activity.key(), BATCH);
                    add("overlapping " + activity.key(), HistoryChecker.overlaps(history.operations()));
                    check(history);
                }
                nodes.forget();
            }
        }
    }

    private void model(String store, Target target, BooleanSupplier isTime) {
        int steps = store.equals("memory") ? 10_000 : 2_000;
        while (isTime.getAsBoolean()) {
            List<String> wrong = ModelSteps.run(target, steps, random.nextLong());
            wrong.forEach(each -> findings.add(store + ", model: " + each));
            add(Fault.WRONG.key(), wrong.size());
            add(Activity.MODEL.key(), wrong.isEmpty() ? steps : 0);
        }
    }

    private void hostile(Target target, BooleanSupplier isTime) {
        try (Nodes nodes = new Nodes(target::connect)) {
            var inputs = new HostileInputs(nodes.of(0), target.url(), watch, seed);
            while (isTime.getAsBoolean()) {
                inputs.next();
            }
            inputs.findings().forEach(each -> findings.add(target.version() + ", seed " + seed + ", " + each));
            add(Fault.WRONG.key(), inputs.findings().size());
            add(Activity.HOSTILE.key(), inputs.count());
        }
    }

    /** Has a history checked, and keeps what shows that something was found. */
    private void check(History history) {
        List<Operation> operations = history.operations();
        List<Finding> found = HistoryChecker.check(operations, Nodes.DEADLINE);
        for (Fault fault : Fault.values()) {
            add(
                    fault.key(),
                    found.stream().filter(each -> each.fault() == fault).count());
        }
        add("calls", count(operations, call -> !call.isFault()));
        add("failed calls", count(operations, call -> call.answer() == Answer.FAILED));
        add("unknown outcomes", count(operations, call -> call.answer() == Answer.UNKNOWN));
        long slowest = operations.stream()
                .filter(call -> !call.isFault())
                .mapToLong(call -> (call.end() - call.start()) / 1_000_000)
                .reduce(0, Math::max);
        counts.merge("slowest call", slowest, (one, other) -> Math.max((Long) one, (Long) other));
        if (!found.isEmpty()) {
            keep(operations, found);
        }
    }

    private static long count(List<Operation> operations, Predicate<Operation> condition) {
        return operations.stream().filter(condition).count();
    }

    private void keep(List<Operation> operations, List<Finding> found) {
        Path file = folder.resolve("history-" + Long.toHexString(seed) + "-" + tokens + ".txt");
        List<String> lines = new ArrayList<>();
        for (Finding each : found.subList(0, Math.min(SHOWN, found.size()))) {
            lines.add(each.fault() + ": " + each.what());
            each.evidence().forEach(call -> lines.add("    " + call));
            findings.add(each.fault() + ": " + each.what() + "; " + file.getFileName());
        }
        operations.stream().filter(Operation::isFault).forEach(fault -> lines.add(fault.toString()));
        try {
            Files.write(file, lines);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** How many files and sockets this JVM has open; -1 where that cannot be asked. */
    private static long open() {
        return ManagementFactory.getOperatingSystemMXBean() instanceof UnixOperatingSystemMXBean system
                ? system.getOpenFileDescriptorCount()
                : -1;
    }
}
