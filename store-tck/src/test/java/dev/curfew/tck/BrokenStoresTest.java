package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;
import static org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder.request;

import dev.curfew.TokenStore;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherFactory;

/** The kit finds every broken store, by the rule that it breaks, and for that reason only. */
class BrokenStoresTest {

    @ParameterizedTest
    @EnumSource
    void theKitBlamesABrokenStoreForTheRuleItBreaks(BrokenStores broken) {
        Map<String, String> failures = Map.of();
        // A mistake that only a race brings out may escape a kit of this size once, on a busy machine.
        for (int run = 0; run < 5 && !failures.containsValue(broken.rule()); run++) {
            failures = failuresOf(broken);
            Set<String> others = new TreeSet<>(failures.values());
            others.remove(broken.rule());
            assertThat(broken.alsoBlamed()).as("%s: %s", broken, failures).containsAll(others);
        }
        assertThat(failures).as("%s", broken).containsValue(broken.rule());
    }

    /** Which tests failed, and which rule each of them blames. */
    private static Map<String, String> failuresOf(BrokenStores broken) {
        Map<String, String> failures = new ConcurrentHashMap<>();
        KitOfABrokenStore.broken = broken;
        LauncherFactory.create()
                .execute(
                        request()
                                .selectors(selectClass(KitOfABrokenStore.class))
                                .build(),
                        new TestExecutionListener() {
                            @Override
                            public void executionFinished(TestIdentifier test, TestExecutionResult result) {
                                result.getThrowable()
                                        .ifPresent(failure -> failures.put(
                                                test.getDisplayName(), rule(test.getDisplayName(), failure)));
                            }
                        });
        return new TreeMap<>(failures);
    }

    private static String rule(String test, Throwable failure) {
        if (failure instanceof RuleViolation violation) {
            return violation.rule();
        }
        String[] parts = test.split("_", 3);
        return parts.length == 3 ? parts[0] + "." + parts[1] : test + ": " + failure;
    }

    /** Small, since there are many; and with one seed, so that what the kit finds does not change from run to run. */
    static class KitOfABrokenStore extends ExpungingStoreContract {
        private static BrokenStores broken;

        @Override
        protected TokenStore newStore() {
            return broken.newStore();
        }

        @Override
        protected int races() {
            return 500;
        }

        @Override
        protected int manyRecords() {
            return 3000;
        }

        @Override
        protected int modelSteps() {
            return 10_000;
        }

        @Override
        protected long seed() {
            return 42;
        }
    }
}
