package dev.curfew.servers;

import java.util.Set;
import java.util.TreeSet;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestPlan;

/** Says at the end of a run, which servers it talked to, and what it left out for want of one. */
public final class ServersUsed implements TestExecutionListener {
    private static final Set<String> USED = new TreeSet<>();

    /** Called by JUnit. */
    public ServersUsed() {}

    static synchronized void add(String server) {
        USED.add(server);
    }

    @Override
    public void testPlanExecutionFinished(TestPlan plan) {
        synchronized (ServersUsed.class) {
            if (!USED.isEmpty()) {
                System.out.println("Tested against: " + String.join("; ", USED));
                USED.clear();
            }
        }
        RealServersOnly.leftOut().forEach(System.out::println);
    }
}
