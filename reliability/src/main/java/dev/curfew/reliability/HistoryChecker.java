package dev.curfew.reliability;

import dev.curfew.reliability.Operation.Answer;
import dev.curfew.reliability.Operation.Kind;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Reads a history and says what cannot be. It knows the promises of CONTRACT.md, and nothing of stores and faults but
 * what the history says. A call that overlaps another one may have been before or after it: only what was over when a
 * call began speaks against its answer.
 */
final class HistoryChecker {
    /** How much later than its deadline a call may end: threads have to wait for a processor, too. */
    static final Duration ALLOWANCE = Duration.ofMillis(500);

    enum Fault {
        /** Acknowledged, and not there: a revocation, or across kills a stored record (R8.5). */
        LOST,
        /** Seen to be revoked, and active or won later (R3.2). */
        UNDONE,
        /** Two calls have won one token (R3.1, R5.1, R14.1). */
        TWO_WINNERS,
        /** A call ended after its deadline (R8.3). */
        LATE,
        /** Nobody won, though all were answered; revoked, and nobody revoked; an exception that is not documented. */
        WRONG;

        /** The name of its count. */
        String key() {
            return name().toLowerCase(Locale.ROOT).replace('_', ' ');
        }
    }

    /** @param evidence all that was asked about the token */
    record Finding(Fault fault, String what, List<Operation> evidence) {}

    private final List<Finding> findings = new ArrayList<>();
    private final List<Operation> failovers = new ArrayList<>();
    private final List<Operation> pauses = new ArrayList<>();

    private HistoryChecker() {}

    /** All that cannot be, with what shows it. */
    static List<Finding> check(List<Operation> history, Duration deadline) {
        var checker = new HistoryChecker();
        Map<Long, List<Operation>> byToken = new HashMap<>();
        for (Operation each : history) {
            if (each.kind() == Kind.FAILOVER) {
                checker.failovers.add(each);
            } else if (each.kind() == Kind.PAUSE) {
                checker.pauses.add(each);
            } else if (!each.isFault()) {
                byToken.computeIfAbsent(each.token(), none -> new ArrayList<>()).add(each);
            }
        }
        long longest = deadline.plus(ALLOWANCE).toNanos();
        byToken.values().forEach(calls -> {
            calls.sort(Comparator.comparingLong(Operation::start));
            for (Operation call : calls) {
                if (call.end() - call.start() > longest && checker.runTime(call) > longest) {
                    checker.found(
                            Fault.LATE, "ended " + (call.end() - call.start()) / 1_000_000 + " ms later", call, calls);
                } else if (call.answer() == Answer.WRONG) {
                    checker.found(Fault.WRONG, "no such answer is documented", call, calls);
                }
                checker.judge(call, calls);
            }
            checker.judgeWinners(calls);
        });
        return checker.findings;
    }

    private void found(Fault fault, String what, Operation call, List<Operation> calls) {
        findings.add(new Finding(fault, call + ": " + what, List.copyOf(calls)));
    }

    /** How long it took, without the time in which this JVM did not run. */
    private long runTime(Operation call) {
        long time = call.end() - call.start();
        for (Operation pause : pauses) {
            time -= Math.max(0, Math.min(call.end(), pause.end()) - Math.max(call.start(), pause.start()));
        }
        return time;
    }

    private void judge(Operation call, List<Operation> calls) {
        Predicate<Operation> isBefore = other -> other.isBefore(call);
        // What a failover may lose: a record that was only stored, and a revocation that nobody has acknowledged.
        Predicate<Operation> isKept = isBefore.and(other -> !isFailoverBetween(other, call));
        switch (call.answer()) {
            case ACTIVE -> {
                boolean wasSeen = any(calls, isKept.and(Operation::shows));
                boolean wasAcknowledged = any(calls, isBefore.and(Operation::acknowledges));
                if (wasSeen) {
                    found(Fault.UNDONE, "it was seen to be revoked before", call, calls);
                } else if (wasAcknowledged) {
                    found(Fault.LOST, "a revocation was acknowledged before", call, calls);
                }
            }
            case STORED -> {
                if (any(calls, isBefore.and(Operation::acknowledgesRecord))) {
                    found(Fault.UNDONE, "it was revoked or used before", call, calls);
                }
            }
            case WON -> {
                boolean wasRevoked = any(
                        calls, isBefore.and(Operation::acknowledgesRecord).and(other -> other.answer() != Answer.WON));
                if (call.kind().revokesRecord() && wasRevoked) {
                    found(Fault.UNDONE, "it was revoked or used before", call, calls);
                }
            }
            case ABSENT -> {
                if (any(calls, isKept.and(other -> other.answer() == Answer.STORED))) {
                    found(Fault.LOST, "it was stored before", call, calls);
                }
            }
            case REVOKED, ALREADY -> {
                if (!any(
                        calls,
                        other -> !other.equals(call)
                                && other.kind().revokes()
                                && other.answer() != Answer.FAILED
                                && other.start() - call.end() < 0)) {
                    found(Fault.WRONG, "nobody else has revoked it", call, calls);
                }
            }
            default -> {}
        }
    }

    private void judgeWinners(List<Operation> calls) {
        for (Predicate<Kind> group : List.<Predicate<Kind>>of(Kind::revokesRecord, Kind.REVOKE_SESSION::equals)) {
            List<Operation> racers =
                    calls.stream().filter(call -> group.test(call.kind())).toList();
            long winners =
                    racers.stream().filter(call -> call.answer() == Answer.WON).count();
            if (winners > 1) {
                found(Fault.TWO_WINNERS, winners + " have won", racers.get(0), calls);
            }
        }
        boolean isSure = calls.stream()
                .noneMatch(call -> call.answer() == Answer.UNKNOWN
                        || call.answer() == Answer.WRONG
                        || call.kind() == Kind.REVOKE_SESSION
                        || call.kind() == Kind.REVOKE_SUBJECT);
        boolean isTaken = any(calls, call -> call.answer() == Answer.ALREADY || call.answer() == Answer.REVOKED);
        if (isSure && isTaken && !any(calls, call -> call.answer() == Answer.WON)) {
            found(Fault.WRONG, "it is revoked or used, and nobody has won", calls.get(0), calls);
        }
    }

    private boolean isFailoverBetween(Operation first, Operation second) {
        return failovers.stream()
                .anyMatch(failover -> failover.start() - second.end() < 0 && first.start() - failover.end() < 0);
    }

    private static boolean any(List<Operation> calls, Predicate<Operation> condition) {
        return calls.stream().anyMatch(condition);
    }

    /** How many tokens were raced for: two calls at least that revoke were under way at the same time. */
    static long overlaps(List<Operation> history) {
        return history.stream()
                .filter(call -> call.kind().revokesRecord())
                .collect(Collectors.groupingBy(Operation::token))
                .values()
                .stream()
                .filter(calls -> any(
                        calls,
                        one -> any(calls, other -> !one.equals(other) && !one.isBefore(other) && !other.isBefore(one))))
                .count();
    }
}
