package dev.curfew;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** R7.2: how large the batches of a clean-up are, and how long it rests. All times are in nanoseconds. */
class GentlePaceTest {
    private static final long MILLISECOND = 1_000_000;

    private final GentlePace pace = new GentlePace(1000);

    @Test
    void batchesGrowWhileTheyTakeLessThanTwoMilliseconds() {
        assertThat(pace.size()).isEqualTo(100);
        pace.restAfterBatch(MILLISECOND / 2);
        assertThat(pace.size()).as("no more than twice as large").isEqualTo(200);
        pace.restAfterBatch(MILLISECOND * 3 / 2);
        assertThat(pace.size()).isEqualTo(267);
        pace.restAfterBatch(2 * MILLISECOND);
        assertThat(pace.size()).isEqualTo(267);
        pace.restAfterBatch(3 * MILLISECOND);
        assertThat(pace.size()).isEqualTo(178);
        pace.restAfterBatch(100 * MILLISECOND);
        assertThat(pace.size()).as("not below the first one").isEqualTo(100);
    }

    @Test
    void noBatchIsLargerThanTheLargest() {
        for (int i = 0; i < 10; i++) {
            pace.restAfterBatch(1);
        }
        assertThat(pace.size()).isEqualTo(1000);
        var small = new GentlePace(7);
        assertThat(small.size()).isEqualTo(7);
        small.restAfterBatch(100 * MILLISECOND);
        assertThat(small.size()).isEqualTo(7);
    }

    @Test
    void itRestsForFourTimesAsLongAsTheBatchTook() {
        assertThat(pace.restAfterBatch(0)).isZero();
        assertThat(pace.restAfterBatch(3 * MILLISECOND)).isEqualTo(12 * MILLISECOND);
    }

    /** A smaller batch would not make the way to the server shorter. */
    @Test
    void theTimeOfACheckIsNotTheBatchsOwn() {
        pace.restAfterCheck(30 * MILLISECOND);
        assertThat(pace.restAfterBatch(50 * MILLISECOND)).isEqualTo(80 * MILLISECOND);
        var near = new GentlePace(1000);
        near.restAfterCheck(MILLISECOND);
        near.restAfterBatch(2 * MILLISECOND);
        assertThat(near.size()).isEqualTo(200);
    }

    @Test
    void itRestsLongerWithEachSlowCheckInARowAndAtMostASecond() {
        assertThat(pace.restAfterCheck(MILLISECOND)).isZero();
        assertThat(pace.restAfterCheck(2 * MILLISECOND)).isZero();
        assertThat(pace.restAfterCheck(30 * MILLISECOND)).isEqualTo(10 * MILLISECOND);
        assertThat(pace.restAfterCheck(30 * MILLISECOND)).isEqualTo(20 * MILLISECOND);
        for (int i = 0; i < 10; i++) {
            pace.restAfterCheck(30 * MILLISECOND);
        }
        assertThat(pace.restAfterCheck(30 * MILLISECOND)).isEqualTo(1_000 * MILLISECOND);
        assertThat(pace.restAfterCheck(MILLISECOND)).isZero();
        assertThat(pace.restAfterCheck(30 * MILLISECOND)).isEqualTo(10 * MILLISECOND);
    }

    @Test
    void aLoadThatStaysBecomesUsual() {
        pace.restAfterCheck(MILLISECOND);
        int slow = 0;
        while (pace.restAfterCheck(10 * MILLISECOND) > 0) {
            slow++;
        }
        assertThat(slow).isBetween(10, 100);
    }

    @Test
    void aFirstCheckThatWasSlowIsSoonForgotten() {
        pace.restAfterCheck(100 * MILLISECOND);
        for (int i = 0; i < 20; i++) {
            pace.restAfterCheck(MILLISECOND);
        }
        assertThat(pace.restAfterCheck(10 * MILLISECOND)).isPositive();
    }
}
