package dev.curfew.reliability;

import dev.curfew.TokenStore;
import dev.curfew.tck.ExpungingStoreContract;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.core.LauncherConfig;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;

/** The kit's random histories alone, each step compared with the model's, on a store that is told at run time. */
final class ModelSteps extends ExpungingStoreContract {
    private static final String TEST = "everyRule_randomHistoriesAnswerAsTheModelDoes";

    private static @Nullable Target target;
    private @Nullable TokenStore first;
    private static int steps;
    private static long seed;

    /** Called by JUnit. */
    ModelSteps() {}

    /** Runs so many steps, and answers what went wrong, with the seed. */
    static List<String> run(Target target, int steps, long seed) {
        ModelSteps.target = target;
        ModelSteps.steps = steps;
        ModelSteps.seed = seed;
        var summary = new SummaryGeneratingListener();
        LauncherFactory.create(LauncherConfig.builder()
                        .enableTestExecutionListenerAutoRegistration(false)
                        .build())
                .execute(
                        LauncherDiscoveryRequestBuilder.request()
                                .selectors(DiscoverySelectors.selectMethod(ModelSteps.class, TEST))
                                .configurationParameter("curfew.tck.progress", "false")
                                .build(),
                        summary);
        if (summary.getSummary().getTestsFoundCount() != 1) {
            throw new IllegalStateException("The kit has no test " + TEST + " any more");
        }
        return summary.getSummary().getFailures().stream()
                .map(failure -> String.valueOf(failure.getException()))
                .toList();
    }

    @Override
    protected TokenStore newStore() {
        first = Objects.requireNonNull(target).newStore();
        return first;
    }

    @Override
    protected TokenStore anotherStore() {
        Target of = Objects.requireNonNull(target);
        return of.memory() == null ? of.newStore() : Objects.requireNonNull(first);
    }

    @Override
    protected int modelSteps() {
        return steps;
    }

    @Override
    protected long seed() {
        return seed;
    }
}
