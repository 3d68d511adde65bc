package dev.curfew.benchmarks;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** Medians, and how they are written. */
final class Figures {
    private Figures() {}

    static double median(Collection<? extends Number> values) {
        if (values.isEmpty()) {
            return Double.NaN;
        }
        List<Double> sorted = new ArrayList<>();
        values.forEach(each -> sorted.add(each.doubleValue()));
        Collections.sort(sorted);
        int middle = sorted.size() / 2;
        return sorted.size() % 2 == 1 ? sorted.get(middle) : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
    }

    /** A time, in the unit that suits it. */
    static String time(double nanos) {
        if (nanos < 1_000) {
            return format("%.0f ns", nanos);
        } else if (nanos < 10_000) {
            return format("%.1f µs", nanos / 1e3);
        } else if (nanos < 1_000_000) {
            return format("%.0f µs", nanos / 1e3);
        }
        return format("%.1f ms", nanos / 1e6);
    }

    static String format(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
