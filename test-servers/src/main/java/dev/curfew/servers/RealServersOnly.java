package dev.curfew.servers;

import java.util.Set;
import java.util.TreeSet;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestDescriptor;
import org.junit.platform.engine.TestTag;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.PostDiscoveryFilter;

/**
 * Leaves out the tests with the tag {@value #MONGODB} where there is nothing but a stand-in, so that none of them looks
 * green, or skipped; {@link ServersUsed} says that they were not run.
 */
public final class RealServersOnly implements PostDiscoveryFilter {
    /** The tag of tests that only a MongoDB itself can pass. */
    public static final String MONGODB = "real-mongodb";

    private static final Set<String> LEFT_OUT = new TreeSet<>();

    /** Called by JUnit. */
    public RealServersOnly() {}

    @Override
    public FilterResult apply(TestDescriptor test) {
        if (!test.getTags().contains(TestTag.create(MONGODB)) || MongoServer.isThere()) {
            return FilterResult.included("nothing speaks against it");
        }
        if (test.getSource().orElse(null) instanceof MethodSource method) {
            synchronized (LEFT_OUT) {
                LEFT_OUT.add(method.getClassName() + " " + method.getMethodName());
            }
        }
        return FilterResult.excluded("no real MongoDB");
    }

    /** One line, or none. */
    static String leftOut() {
        synchronized (LEFT_OUT) {
            return LEFT_OUT.isEmpty()
                    ? ""
                    : "Not run: no real MongoDB: " + LEFT_OUT.size() + " tests of "
                            + String.join(
                                    ", ",
                                    LEFT_OUT.stream()
                                            .map(test -> test.replaceFirst(".*\\.(\\w+) .*", "$1"))
                                            .distinct()
                                            .toList())
                            + "; name one by " + MongoServer.VARIABLE + ", or let Docker answer";
        }
    }
}
