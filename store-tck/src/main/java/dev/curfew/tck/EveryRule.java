package dev.curfew.tck;

import dev.curfew.StoreScope;
import org.junit.jupiter.api.Test;

/** All rules at once. */
abstract class EveryRule extends R14Rotation {

    /** The store and the model answer the same in random histories. A failure names the broken rule, and the seed. */
    @Test
    final void everyRule_randomHistoriesAnswerAsTheModelDoes() {
        long seed = seed();
        int left = modelSteps();
        for (int history = 0; left > 0; history++) {
            int steps = Math.min(left, 500);
            left -= steps;
            String ofHistory = domain + "-" + history;
            store.prepare(new StoreScope(ofHistory, "", SKEW, deadline()));
            new ModelRun(this, ofHistory, seed + history).run(steps);
        }
    }
}
