package dev.curfew.benchmarks;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;

/** Medians and ratios, and how they are written. */
final class Figures {
    private Figures() {}

    /** A ratio: of the medians, and the quartiles of those of single turns. */
    record Ratio(double median, double lower, double upper) {
        /** Turn by turn: of what was measured one after the other. */
        static Ratio of(List<Double> ours, List<Double> theirs) {
            List<Double> turns = new ArrayList<>();
            for (int i = 0; i < Math.min(ours.size(), theirs.size()); i++) {
                turns.add(ours.get(i) / theirs.get(i));
            }
            turns.sort(null);
            return new Ratio(
                    Figures.median(ours) / Figures.median(theirs),
                    turns.get(turns.size() / 4),
                    turns.get(Math.min(turns.size() - 1, turns.size() * 3 / 4)));
        }

        @Override
        public String toString() {
            return format("%.2f (%.2f–%.2f)", median, lower, upper);
        }
    }

    static double median(Collection<Double> values) {
        List<Double> sorted = values.stream().sorted().toList();
        int middle = sorted.size() / 2;
        return sorted.size() % 2 == 1 ? sorted.get(middle) : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
    }

    /** A time, in the unit that suits it. */
    static String time(double nanos) {
        if (nanos < 1_000) {
            return format("%.0f ns", nanos);
        } else if (nanos < 1_000_000) {
            return format(nanos < 10_000 ? "%.1f µs" : "%.0f µs", nanos / 1e3);
        }
        return format("%.1f ms", nanos / 1e6);
    }

    static String format(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
