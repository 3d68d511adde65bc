package dev.curfew;

import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Answers checks by the failure policy while the store fails (R8.1). After five failed checks in a row, only one check at
 * a time asks the store (R8.9). A check takes a turn, asks the store, reports success or failure, and gives the turn back.
 */
final class Outage {
    /** Answered by {@link #takeTurn}: the check must not ask the store. In {@link #turn}: no check has the turn. */
    static final long NO_TURN = Long.MIN_VALUE;

    private static final Logger LOG = LoggerFactory.getLogger(TokenResource.class);
    private static final Duration QUIET = Duration.ofSeconds(30);
    private static final int FAILURES_IN_A_ROW = 5;
    private static final long UNLIMITED = Long.MAX_VALUE;

    private final String domain;
    private final FailurePolicy policy;
    private final InstantSource clock;
    private final long deadlineMillis;
    private final Outcomes outcomes;

    private final LongAdder failures = new LongAdder();
    private final AtomicInteger failuresInARow = new AtomicInteger();
    private final AtomicLong answeredByPolicy = new AtomicLong();
    // When the only turn was taken, or NO_TURN while no check has it. Not used while turns are unlimited.
    private final AtomicLong turn = new AtomicLong(NO_TURN);
    private volatile boolean isOutage;
    private volatile long lastFailure;
    private volatile long lastSuccess = Long.MIN_VALUE / 2;

    Outage(String domain, FailurePolicy policy, InstantSource clock, Duration deadline, Outcomes outcomes) {
        this.domain = domain;
        this.policy = policy;
        this.clock = clock;
        this.deadlineMillis = deadline.toMillis();
        this.outcomes = outcomes;
    }

    /**
     * Gives a check its turn to ask the store, or {@link #NO_TURN}. After five failures in a row only one check at a time has
     * a turn. If that check is stuck in the driver for longer than the deadline, another check gets the turn.
     */
    long takeTurn() {
        if (failuresInARow.get() < FAILURES_IN_A_ROW) {
            return UNLIMITED;
        }
        long now = clock.millis();
        long since = turn.get();
        boolean isFree = since == NO_TURN || Math.abs(now - since) > deadlineMillis;
        return isFree && turn.compareAndSet(since, now) ? now : NO_TURN;
    }

    void giveBack(long taken) {
        if (taken != UNLIMITED) {
            turn.compareAndSet(taken, NO_TURN);
        }
    }

    /** The answer of a check that has no turn. */
    <T> T notAsked(String action, T denied, T allowed) {
        noteAnswer();
        if (policy == FailurePolicy.THROW) {
            throw new TokenStoreException(
                    TokenStoreException.Outcome.UNCHANGED,
                    action + " in domain '" + domain
                            + "' was not sent to the store: the last checks failed. Until the store"
                            + " works again, only one check at a time is sent",
                    null);
        }
        return policy == FailurePolicy.DENY ? denied : allowed;
    }

    /** The answer of a check that the store has failed. */
    <T> T failed(String action, RuntimeException e, T denied, T allowed) {
        begin(action, e);
        noteAnswer();
        if (policy == FailurePolicy.THROW) {
            throw wrapped(action, e);
        }
        return policy == FailurePolicy.DENY ? denied : allowed;
    }

    /** The store has failed a check, or was not asked, and the local replica has answered in its place. */
    void endured(String action, @Nullable RuntimeException e) {
        failures.increment();
        if (e != null) {
            begin(action, e);
        }
    }

    private void noteAnswer() {
        failures.increment();
        outcomes.noteAnswerByPolicy();
        answeredByPolicy.incrementAndGet();
        lastFailure = clock.millis();
    }

    /** An action that is no check has failed: what to throw. */
    TokenStoreException thrown(String action, RuntimeException e) {
        failures.increment();
        return wrapped(action, e);
    }

    private TokenStoreException wrapped(String action, RuntimeException e) {
        return e instanceof TokenStoreException ours
                ? ours
                : new TokenStoreException(
                        action + " failed in domain '" + domain + "' with "
                                + e.getClass().getName() + "; whether the store applied it is not known",
                        e);
    }

    /**
     * Holds the same lock as {@link #end}. Otherwise the counter could stay above zero while {@link #isOutage} is false, and
     * {@link #succeeded} would never reset the counter.
     */
    private synchronized void begin(String action, RuntimeException e) {
        // While a part of a cluster is down, checks that reach the other parts succeed, and must go on asking.
        // So a failure counts only if no call has succeeded within the last deadline. A clock may have gone back.
        if (Math.abs(clock.millis() - lastSuccess) >= deadlineMillis) {
            failuresInARow.incrementAndGet();
        }
        lastFailure = clock.millis(); // before a success of another thread can look at it
        if (!isOutage) {
            isOutage = true;
            LOG.warn(
                    "The token store of domain '{}' failed in {}; until it works again, checks answer by failure policy"
                            + " {}. {}",
                    domain,
                    action,
                    policy,
                    described(e, true));
        }
    }

    /**
     * A store may fail some calls and work for others, so that one success does not end an outage. The first success ends it
     * after 30 seconds in which no check was answered by the failure policy.
     */
    void succeeded() {
        if (isOutage) {
            lastSuccess = clock.millis();
            failuresInARow.set(0);
            if (lastSuccess - lastFailure >= QUIET.toMillis()) {
                end();
            }
        }
    }

    /** The store is closed, which is no outage. */
    void reset() {
        failuresInARow.set(0);
    }

    private synchronized void end() {
        if (isOutage) {
            isOutage = false;
            failuresInARow.set(0);
            LOG.info(
                    "The token store of domain '{}' works again; {} checks were answered by failure policy {} meanwhile.",
                    domain,
                    answeredByPolicy.getAndSet(0),
                    policy);
        }
    }

    long failures() {
        return failures.sum();
    }

    /** The class names of what was thrown, and our own messages: a driver's may quote a key (R9.2). */
    static String described(Throwable e, boolean withMessages) {
        List<String> chain = new ArrayList<>();
        for (Throwable t = e; t != null && chain.size() < 10; t = t.getCause()) {
            boolean isOurs = withMessages && t instanceof CurfewException;
            chain.add(t.getClass().getName() + (isOurs ? ": " + t.getMessage() : ""));
        }
        return String.join(", caused by ", chain);
    }
}
