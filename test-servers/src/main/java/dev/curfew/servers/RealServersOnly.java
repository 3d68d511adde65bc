package dev.curfew.servers;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestDescriptor;
import org.junit.platform.engine.TestTag;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.PostDiscoveryFilter;

/**
 * Leaves out the tests with the tag {@value #MONGODB} where there is nothing but a stand-in, and those with the tag
 * {@value #PGBOUNCER} where none is installed, so that none of them looks green, or skipped; {@link ServersUsed} says that
 * they were not run.
 */
public final class RealServersOnly implements PostDiscoveryFilter {
    /** The tag of tests that only a MongoDB itself can pass. */
    public static final String MONGODB = "real-mongodb";

    /** The tag of tests that need a PgBouncer. */
    public static final String PGBOUNCER = "pgbouncer";

    private static final List<Needed> NEEDED = List.of(
            new Needed(
                    MONGODB,
                    MongoServer::isThere,
                    "no real MongoDB",
                    "name one by " + MongoServer.VARIABLE + ", or let Docker answer"),
            new Needed(PGBOUNCER, PgBouncer::isThere, "no PgBouncer", "install it: apt-get install pgbouncer"));

    private static final Map<Needed, Set<String>> LEFT_OUT = new LinkedHashMap<>();

    private record Needed(String tag, BooleanSupplier isThere, String missing, String remedy) {}

    /** Called by JUnit. */
    public RealServersOnly() {}

    @Override
    public FilterResult apply(TestDescriptor test) {
        for (Needed needed : NEEDED) {
            if (test.getTags().contains(TestTag.create(needed.tag()))
                    && !needed.isThere().getAsBoolean()) {
                if (test.getSource().orElse(null) instanceof MethodSource method) {
                    synchronized (LEFT_OUT) {
                        LEFT_OUT.computeIfAbsent(needed, none -> new TreeSet<>())
                                .add(method.getClassName() + " " + method.getMethodName());
                    }
                }
                return FilterResult.excluded(needed.missing());
            }
        }
        return FilterResult.included("nothing speaks against it");
    }

    /** A line for each server that was missed. */
    static List<String> leftOut() {
        synchronized (LEFT_OUT) {
            return LEFT_OUT.entrySet().stream()
                    .map(each -> line(each.getKey(), each.getValue()))
                    .toList();
        }
    }

    private static String line(Needed needed, Set<String> tests) {
        String classes = tests.stream()
                .map(test -> test.replaceFirst(".*\\.(\\w+) .*", "$1"))
                .distinct()
                .collect(Collectors.joining(", "));
        return "Not run: " + needed.missing() + ": " + tests.size() + " tests of " + classes + "; " + needed.remedy();
    }
}
