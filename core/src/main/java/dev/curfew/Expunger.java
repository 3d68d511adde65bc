package dev.curfew;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Clears out, periodically, what has expired: one daemon thread for any number of resources, each at its own interval
 * ({@link TokenResource.Builder#expungeInterval}).
 *
 * <p>Every resource has one of its own unless it is given a common one ({@link TokenResource.Builder#expunger}). The
 * first run comes after a random delay of at most a tenth of the interval, so that a process that is restarted often
 * cleans too; later ones at the interval, give or take a tenth, so that nodes do not keep step. A run that fails is
 * logged, counted ({@link TokenResource#storeFailures}) and tried again after 30 s, then twice as long each time, at most
 * the interval.
 */
public final class Expunger implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Expunger.class);
    private static final Duration FIRST_RETRY = Duration.ofSeconds(30);
    // A clock may jump, or be one that an application moves by hand: look at it this often.
    private static final Duration LONGEST_WAIT = Duration.ofMinutes(1);
    private static final Duration GRACE = Duration.ofSeconds(1);

    private final List<Schedule> schedules = new ArrayList<>();
    private @Nullable Thread thread;
    private boolean closed;

    private final boolean manual;

    private Expunger(boolean manual) {
        this.manual = manual;
    }

    /** An expunger for several resources. Its thread starts with the first of them. */
    public static Expunger create() {
        return new Expunger(false);
    }

    /** An expunger without a thread, for a scheduler of your own or a test: it runs when {@link #runDue} is called. */
    public static Expunger manual() {
        return new Expunger(true);
    }

    /** One resource, and when it is due by its own clock; guarded by the expunger's monitor. */
    private static final class Schedule {
        final Actions actions;
        final StoreScope scope;
        Duration interval;
        Instant due;
        int failures;
        // Counted down when the run in flight has ended.
        @Nullable
        CountDownLatch running;

        Schedule(Actions actions, StoreScope scope, Duration interval, Instant due) {
            this.actions = actions;
            this.scope = scope;
            this.interval = interval;
            this.due = due;
        }
    }

    synchronized void add(Actions actions, StoreScope scope, Duration interval) {
        if (closed) {
            throw new IllegalStateException("The expunger is closed; give the resource another one");
        }
        schedules.add(new Schedule(actions, scope, interval, actions.instant().plus(random(interval, 0, 0.1))));
        if (thread == null && !manual) {
            thread = new Thread(this::work, "curfew-expunger");
            thread.setDaemon(true);
            thread.start();
        }
        notifyAll();
    }

    synchronized void reschedule(Actions actions, Duration interval) {
        for (Schedule schedule : schedules) {
            if (schedule.actions == actions) {
                schedule.interval = interval;
                schedule.failures = 0;
                schedule.due = actions.instant().plus(jittered(interval));
            }
        }
        notifyAll();
    }

    /** Takes a resource out, and waits for a run of its in flight, no longer than a batch and a little may take. */
    void remove(Actions actions) {
        CountDownLatch running = null;
        Duration batch = GRACE;
        synchronized (this) {
            for (Schedule schedule : schedules) {
                if (schedule.actions == actions) {
                    running = schedule.running;
                    batch = schedule.scope.deadline().plus(GRACE);
                }
            }
            schedules.removeIf(schedule -> schedule.actions == actions);
        }
        if (running != null && Thread.currentThread() != thread) {
            try {
                running.await(batch.toMillis(), TimeUnit.MILLISECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /**
     * Runs what is due by now, on the calling thread, and answers what the runs that succeeded did. An expunger with a
     * thread of its own does so by itself.
     */
    public List<ExpungeReport> runDue() {
        List<ExpungeReport> reports = new ArrayList<>();
        for (Schedule due = takeDue(); due != null; due = takeDue()) {
            ExpungeReport report = run(due);
            if (report != null) {
                reports.add(report);
            }
        }
        return reports;
    }

    private synchronized @Nullable Schedule takeDue() {
        for (Schedule schedule : schedules) {
            if (!closed && isDue(schedule)) {
                schedule.running = new CountDownLatch(1);
                return schedule;
            }
        }
        return null;
    }

    private static boolean isDue(Schedule schedule) {
        Instant now = schedule.actions.instant();
        if (schedule.due.isAfter(now.plus(schedule.interval.multipliedBy(2)))) {
            schedule.due = now.plus(jittered(schedule.interval)); // the clock was ahead, and has been put right
        }
        return schedule.running == null && !now.isBefore(schedule.due);
    }

    private @Nullable ExpungeReport run(Schedule schedule) {
        ExpungeReport report = null;
        try {
            report = (ExpungeReport) schedule.actions.perform(schedule.scope, TokenAction.EXPUNGE_EXPIRED);
            LOG.debug("{}", report);
        } catch (RuntimeException | Error e) {
            // Whatever it was, the schedule goes on: a table that is never cleaned again is worse than a log line.
            if (!schedule.actions.isClosed() && !isClosed()) {
                LOG.warn(
                        "Expunging domain '{}' failed and will be tried again: {}",
                        schedule.scope.domain(),
                        Actions.described(e, true));
            }
        }
        ended(schedule, report != null);
        return report;
    }

    private synchronized void ended(Schedule schedule, boolean succeeded) {
        if (schedule.running != null) {
            schedule.running.countDown();
            schedule.running = null;
        }
        schedule.failures = succeeded ? 0 : schedule.failures + 1;
        Duration wait = schedule.interval;
        if (!succeeded) {
            Duration backOff = FIRST_RETRY.multipliedBy(1L << Math.min(schedule.failures - 1, 20));
            wait = backOff.compareTo(wait) < 0 ? backOff : wait;
        }
        schedule.due = schedule.actions.instant().plus(jittered(wait));
        notifyAll();
    }

    private void work() {
        boolean open = true;
        while (open) {
            try {
                Thread.interrupted(); // what a driver may have left behind; closing sets a flag as well
                runDue();
                open = awaitDue();
            } catch (InterruptedException e) {
                open = !isClosed();
            } catch (RuntimeException e) {
                LOG.warn("The expunger failed and goes on: {}", Actions.described(e, true));
                open = pause();
            }
        }
    }

    /** After a failure that is not a store's, such as a clock's. */
    @SuppressWarnings("WaitNotInLoop") // an early end does no harm
    private synchronized boolean pause() {
        try {
            wait(FIRST_RETRY.toMillis());
        } catch (InterruptedException e) {
            // Looked at below.
        }
        return !closed;
    }

    /** Waits until something is due, or the expunger is closed, which it then denies. */
    private synchronized boolean awaitDue() throws InterruptedException {
        while (!closed && schedules.stream().noneMatch(Expunger::isDue)) {
            Duration wait = LONGEST_WAIT;
            for (Schedule schedule : schedules) {
                Duration until = Duration.between(schedule.actions.instant(), schedule.due);
                wait = schedule.running == null && until.compareTo(wait) < 0 ? until : wait;
            }
            wait(Math.max(1, wait.toMillis()));
        }
        return !closed;
    }

    private synchronized boolean isClosed() {
        return closed;
    }

    /** Give or take a tenth. */
    private static Duration jittered(Duration wait) {
        return random(wait, 0.9, 1.1);
    }

    private static Duration random(Duration duration, double least, double most) {
        double factor = ThreadLocalRandom.current().nextDouble(least, most);
        return Duration.ofMillis(Math.max(1, (long) (duration.toMillis() * factor)));
    }

    /**
     * Ends the schedule: a run in flight ends within its batch, and this call within a bounded time. The resources stay
     * open. A second call does nothing.
     */
    @Override
    public void close() {
        Thread worker;
        Duration longest = GRACE;
        synchronized (this) {
            closed = true;
            worker = thread;
            for (Schedule schedule : schedules) {
                Duration batch = schedule.scope.deadline().plus(GRACE);
                longest = batch.compareTo(longest) > 0 ? batch : longest;
            }
            notifyAll();
        }
        if (worker == null || worker == Thread.currentThread()) {
            return;
        }
        worker.interrupt();
        try {
            worker.join(longest.toMillis());
            if (worker.isAlive()) {
                LOG.warn("The expunger's run did not end within its store's deadline; its thread ends with that call.");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
