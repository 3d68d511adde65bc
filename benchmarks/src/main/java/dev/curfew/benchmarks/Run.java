package dev.curfew.benchmarks;

import dev.curfew.benchmarks.Figures.Ratio;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * One action by all who were compared in it.
 *
 * @param part the part of the benchmarks that measured it
 * @param nanos the times of everybody's turns
 * @param bytes what a call allocated in them
 */
record Run(
        String part,
        String store,
        String action,
        int records,
        int threads,
        Map<String, List<Double>> nanos,
        Map<String, List<Double>> bytes) {

    /** Of JMH's rows, in which those who took turns are one, and those in memory one each. */
    static Collection<Run> of(String part, List<Map<String, Object>> rows) {
        Map<List<Object>, Run> all = new LinkedHashMap<>();
        for (Map<String, Object> row : rows) {
            String benchmark = Raw.text(row, "benchmark");
            String action = benchmark.substring(benchmark.lastIndexOf('.') + 1);
            Map<String, Object> params = Raw.map(row, "params");
            String store = Raw.text(params, "store");
            int records = Integer.parseInt(Raw.text(params, "records"));
            int threads = (int) Raw.number(row, "threads");
            Run run = all.computeIfAbsent(
                    List.of(store, action, records, threads),
                    key -> new Run(
                            part, store, action, records, threads, new LinkedHashMap<>(), new LinkedHashMap<>()));
            String[] order = Raw.text(params, "who").split("\\+", -1);
            double batch = Raw.number(row, "measurementBatchSize");
            turns(Raw.map(row, "primaryMetric"), batch, order, run.nanos);
            turns(Raw.map(Raw.map(row, "secondaryMetrics"), "gc.alloc.rate.norm"), batch, order, run.bytes);
        }
        return all.values();
    }

    private static void turns(
            Map<String, Object> metric, double batch, String[] order, Map<String, List<Double>> values) {
        int turn = 0;
        for (Object fork : (List<?>) Raw.value(metric, "rawData")) {
            for (Object each : (List<?>) fork) {
                values.computeIfAbsent(order[turn++ % order.length], who -> new ArrayList<>())
                        .add(((Number) each).doubleValue() / batch);
            }
        }
    }

    boolean has(String who) {
        return nanos.containsKey(who);
    }

    double median(String who) {
        return Figures.median(Objects.requireNonNull(nanos.get(who)));
    }

    String time(String who) {
        return Figures.time(median(who));
    }

    String bytes(String who) {
        return Figures.format("%,.0f", Figures.median(bytes.getOrDefault(who, List.of(0.0))));
    }

    Ratio ratio(String of, String to) {
        return Ratio.of(Objects.requireNonNull(nanos.get(of)), Objects.requireNonNull(nanos.get(to)));
    }
}
