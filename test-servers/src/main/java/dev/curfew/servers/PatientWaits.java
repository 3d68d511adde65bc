package dev.curfew.servers;

import java.time.Duration;
import org.awaitility.Awaitility;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestPlan;

/** Gives a test that waits for a condition a minute, where it does not say how long: on a busy machine ten seconds fail. */
public final class PatientWaits implements TestExecutionListener {
    /** Called by JUnit. */
    public PatientWaits() {}

    @Override
    public void testPlanExecutionStarted(TestPlan plan) {
        Awaitility.setDefaultTimeout(Duration.ofMinutes(1));
    }
}
