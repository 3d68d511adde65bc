package dev.curfew.reliability;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.RevokeOutcome;
import dev.curfew.SelfExpiringTokenStore;
import dev.curfew.StoredState;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStore;
import dev.curfew.Watermarked;
import dev.curfew.memory.MemoryTokenStore;
import dev.curfew.reliability.HistoryChecker.Fault;
import dev.curfew.reliability.HistoryChecker.Finding;
import dev.curfew.reliability.Operation.Answer;
import dev.curfew.reliability.Operation.Kind;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** The checker finds what is planted: a store that is right but for one call, under the load of the soak test. */
class HistoryCheckerTest {

    /** Stands before a store, and may answer a call itself. */
    private interface Mistake {
        Object call(Object store, Method verb, Object[] arguments) throws Exception;
    }

    private static Object pass(Object store, Method verb, Object[] arguments) throws Exception {
        return verb.invoke(store, arguments);
    }

    private static List<Finding> findings(Mistake mistake) {
        return findings(mistake, Nodes.DEADLINE);
    }

    /** The findings of some thousand calls of the workers on a store with this mistake. */
    private static List<Finding> findings(Mistake mistake, Duration deadline) {
        try (var store = MemoryTokenStore.create();
                var watch = new SecretWatch()) {
            var wrong = (TokenStore) Proxy.newProxyInstance(
                    TokenStore.class.getClassLoader(),
                    new Class<?>[] {TokenStore.class, SelfExpiringTokenStore.class},
                    (proxy, verb, arguments) -> {
                        try {
                            return mistake.call(store, verb, arguments);
                        } catch (InvocationTargetException e) {
                            throw e.getCause();
                        }
                    });
            var history = new History(watch);
            try (var nodes = new Nodes(builder -> builder.store(wrong))) {
                var workers = new Workers(nodes, history, 1, new Random(1));
                workers.awaitSuccesses(5_000);
                workers.stop();
            }
            assertThat(watch.told()).isZero();
            // On a busy machine this JVM may stand still just while the one call is late.
            boolean isPatient = deadline.equals(Nodes.DEADLINE);
            List<Operation> judged = history.operations().stream()
                    .filter(call -> isPatient || call.kind() != Kind.PAUSE)
                    .toList();
            return HistoryChecker.check(judged, deadline);
        }
    }

    private static List<Fault> faults(List<Finding> findings) {
        return findings.stream().map(Finding::fault).distinct().toList();
    }

    @Test
    void aStoreThatIsRightHasNoFindings() {
        assertThat(findings(HistoryCheckerTest::pass)).isEmpty();
    }

    /** One revocation of a stored token is acknowledged and not made. */
    @Test
    void aPlantedLossIsFound() {
        var done = new AtomicBoolean();
        List<Finding> findings =
                findings((store, verb, arguments) -> verb.getName().equals("revoke") && done.compareAndSet(false, true)
                        ? RevokeOutcome.REVOKED
                        : pass(store, verb, arguments));
        assertThat(faults(findings)).contains(Fault.LOST);
        assertThat(findings)
                .allSatisfy(each -> assertThat(each.evidence())
                        .extracting(Operation::token)
                        .containsOnly(findings.get(0).evidence().get(0).token()));
    }

    /** Each use of a token after the first one is a success, too. */
    @Test
    void aPlantedSecondWinnerIsFound() {
        var records = new ConcurrentHashMap<Object, Object>();
        List<Finding> findings = findings((store, verb, arguments) -> {
            Object answer = pass(store, verb, arguments);
            if (answer instanceof Watermarked<?> used && verb.getName().equals("consume")) {
                if (used.answer() instanceof Consumed) {
                    records.put(arguments[1], answer);
                } else if (used.answer() == Consumption.Refused.ALREADY_USED) {
                    return records.getOrDefault(arguments[1], answer);
                }
            }
            return answer;
        });
        assertThat(faults(findings)).contains(Fault.TWO_WINNERS);
    }

    /** A token that was seen to be revoked once is not revoked any more. */
    @Test
    void aPlantedReversalIsFound() {
        var victim = new AtomicReference<Object>();
        List<Finding> findings = findings((store, verb, arguments) -> {
            Object answer = pass(store, verb, arguments);
            if (answer instanceof StoredState state && verb.getName().equals("state")) {
                TokenRecord record = state.record();
                if (arguments[1].equals(victim.get())) {
                    return StoredState.NOTHING;
                } else if (record != null && record.isRevoked()) {
                    victim.compareAndSet(null, arguments[1]);
                }
            }
            return answer;
        });
        assertThat(faults(findings)).contains(Fault.UNDONE);
    }

    /** One call takes longer than it may. */
    @Test
    void aPlantedLateCallIsFound() {
        var done = new AtomicBoolean();
        Duration deadline = Duration.ofMillis(50);
        List<Finding> findings = findings(
                (store, verb, arguments) -> {
                    if (verb.getName().equals("consume") && done.compareAndSet(false, true)) {
                        long end = System.nanoTime()
                                + deadline.plus(HistoryChecker.ALLOWANCE)
                                        .multipliedBy(2)
                                        .toNanos();
                        while (System.nanoTime() - end < 0) {
                            LockSupport.parkNanos(end - System.nanoTime());
                        }
                    }
                    return pass(store, verb, arguments);
                },
                deadline);
        assertThat(faults(findings)).contains(Fault.LATE);
    }

    private static Operation call(Kind kind, Answer answer, long start, long end) {
        return new Operation(
                kind, kind == Kind.KILL || kind == Kind.FAILOVER || kind == Kind.PAUSE ? 0 : 1, answer, start, end);
    }

    private static List<Fault> faults(Operation... calls) {
        return faults(HistoryChecker.check(new ArrayList<>(List.of(calls)), Duration.ofSeconds(2)));
    }

    @Test
    void callsThatOverlapMayHaveBeenInEitherOrder() {
        assertThat(faults(call(Kind.REVOKE, Answer.WON, 10, 20), call(Kind.CHECK, Answer.ACTIVE, 19, 30)))
                .isEmpty();
        assertThat(faults(call(Kind.REVOKE, Answer.WON, 10, 20), call(Kind.CHECK, Answer.ACTIVE, 21, 30)))
                .containsExactly(Fault.LOST);
    }

    @Test
    void anUnknownOutcomeMayBeEither() {
        assertThat(faults(call(Kind.REVOKE, Answer.UNKNOWN, 10, 20), call(Kind.CHECK, Answer.ACTIVE, 21, 30)))
                .isEmpty();
        assertThat(faults(call(Kind.REVOKE, Answer.UNKNOWN, 10, 20), call(Kind.CHECK, Answer.REVOKED, 21, 30)))
                .isEmpty();
        // What is promised to have changed nothing may not.
        assertThat(faults(call(Kind.REVOKE, Answer.FAILED, 10, 20), call(Kind.CHECK, Answer.REVOKED, 21, 30)))
                .containsExactly(Fault.WRONG);
    }

    @Test
    void aFailoverMayLoseWhatNobodyHasAcknowledged() {
        Operation unknown = call(Kind.REVOKE, Answer.UNKNOWN, 10, 20);
        Operation seen = call(Kind.CHECK, Answer.REVOKED, 21, 30);
        Operation active = call(Kind.CHECK, Answer.ACTIVE, 51, 60);
        assertThat(faults(unknown, seen, call(Kind.FAILOVER, Answer.DONE, 40, 50), active))
                .isEmpty();
        assertThat(faults(unknown, seen, call(Kind.KILL, Answer.DONE, 40, 50), active))
                .containsExactly(Fault.UNDONE);
        assertThat(faults(call(Kind.REVOKE, Answer.WON, 10, 20), call(Kind.FAILOVER, Answer.DONE, 40, 50), active))
                .containsExactly(Fault.LOST);
    }

    @Test
    void whatWasStoredIsThereAfterAKill() {
        Operation stored = call(Kind.STORE, Answer.STORED, 10, 20);
        Operation absent = call(Kind.CONSUME, Answer.ABSENT, 51, 60);
        assertThat(faults(stored, call(Kind.KILL, Answer.DONE, 40, 50), absent)).containsExactly(Fault.LOST);
        assertThat(faults(stored, call(Kind.FAILOVER, Answer.DONE, 40, 50), absent))
                .isEmpty();
    }

    @Test
    void somebodyWins() {
        assertThat(faults(call(Kind.CONSUME, Answer.ALREADY, 10, 20), call(Kind.CONSUME, Answer.ALREADY, 11, 20)))
                .containsExactly(Fault.WRONG);
    }

    @Test
    void aPauseOfTheJvmIsNotTheCallsFault() {
        Operation call = call(Kind.CHECK, Answer.ACTIVE, 0, 5_000_000_000L);
        assertThat(faults(call)).containsExactly(Fault.LATE);
        assertThat(faults(call, call(Kind.PAUSE, Answer.DONE, 1_000_000_000L, 4_000_000_000L)))
                .isEmpty();
    }
}
