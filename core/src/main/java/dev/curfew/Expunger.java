package dev.curfew;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
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
    private static final Duration GRACE = Duration.ofSeconds(1);

    // Null where runDue is called by hand.
    private final @Nullable ScheduledThreadPoolExecutor timer;
    // Guarded by this object's monitor, as is all of a schedule but its lock.
    private final List<Schedule> schedules = new ArrayList<>();
    private boolean isClosed;
    private volatile @Nullable Thread worker;

    private Expunger(boolean isManual) {
        timer = isManual ? null : new ScheduledThreadPoolExecutor(1, this::started);
        if (timer != null) {
            timer.setRemoveOnCancelPolicy(true);
        }
    }

    private Thread started(Runnable work) {
        var thread = new Thread(work, "curfew-expunger");
        thread.setDaemon(true);
        worker = thread;
        return thread;
    }

    /** An expunger for several resources. Its thread starts with the first of them. */
    public static Expunger create() {
        return new Expunger(false);
    }

    /** An expunger without a thread, for a scheduler of your own or a test: it runs when {@link #runDue} is called. */
    public static Expunger manual() {
        return new Expunger(true);
    }

    /** One resource and its next run. */
    private static final class Schedule {
        final Actions actions;
        final StoreScope scope;
        final ReentrantLock running = new ReentrantLock();
        Duration interval;
        int failures;
        // Of an expunger with a thread.
        @Nullable
        Future<?> next;
        // Of an expunger without a thread.
        Instant due = Instant.MAX;

        Schedule(Actions actions, StoreScope scope, Duration interval) {
            this.actions = actions;
            this.scope = scope;
            this.interval = interval;
        }

        Duration longestBatch() {
            return scope.deadline().plus(GRACE);
        }
    }

    synchronized void add(Actions actions, StoreScope scope, Duration interval) {
        if (isClosed) {
            throw new IllegalStateException("The expunger is closed; give the resource another one");
        }
        var schedule = new Schedule(actions, scope, interval);
        schedules.add(schedule);
        try {
            plan(schedule, random(interval, 0, 0.1));
        } catch (RuntimeException e) {
            schedules.remove(schedule); // its clock has failed
            throw e;
        }
    }

    synchronized void reschedule(Actions actions, Duration interval) {
        for (Schedule schedule : schedules) {
            if (schedule.actions == actions) {
                schedule.interval = interval;
                schedule.failures = 0;
                plan(schedule, jittered(interval));
            }
        }
    }

    /** Takes a resource out, and waits for a run of its in flight, no longer than a batch and a little may take. */
    void remove(Actions actions) {
        List<Schedule> removed;
        synchronized (this) {
            removed = schedules.stream().filter(each -> each.actions == actions).toList();
            schedules.removeAll(removed);
            for (Schedule schedule : removed) {
                if (schedule.next != null) {
                    schedule.next.cancel(false);
                }
            }
        }
        for (Schedule schedule : removed) {
            try {
                // A run that closes its own resource has the lock already.
                if (schedule.running.tryLock(schedule.longestBatch().toMillis(), TimeUnit.MILLISECONDS)) {
                    schedule.running.unlock();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private synchronized void plan(Schedule schedule, Duration wait) {
        if (isClosed || !schedules.contains(schedule)) {
            return;
        }
        if (timer == null) {
            schedule.due = schedule.actions.instant().plus(wait);
        } else {
            if (schedule.next != null) {
                schedule.next.cancel(false);
            }
            schedule.next = timer.schedule(() -> run(schedule), wait.toMillis(), TimeUnit.MILLISECONDS);
        }
    }

    /**
     * Runs, on the calling thread, what is due by the clocks of the resources, and answers what the runs that succeeded did.
     * Only for a {@link #manual} expunger: one with a thread runs by itself.
     */
    public List<ExpungeReport> runDue() {
        List<ExpungeReport> reports = new ArrayList<>();
        for (Schedule schedule : due()) {
            ExpungeReport report = run(schedule);
            if (report != null) {
                reports.add(report);
            }
        }
        return reports;
    }

    private synchronized List<Schedule> due() {
        List<Schedule> due = new ArrayList<>();
        if (timer == null && !isClosed) {
            for (Schedule schedule : schedules) {
                Instant now = schedule.actions.instant();
                if (schedule.due.isAfter(now.plus(schedule.interval.multipliedBy(2)))) {
                    plan(schedule, jittered(schedule.interval)); // the clock was ahead, and has been put right
                }
                // Another caller may be at it.
                if (!now.isBefore(schedule.due) && !schedule.running.isLocked()) {
                    due.add(schedule);
                }
            }
        }
        return due;
    }

    private @Nullable ExpungeReport run(Schedule schedule) {
        ExpungeReport report = null;
        schedule.running.lock();
        try {
            report = schedule.actions.perform(schedule.scope, TokenAction.EXPUNGE_EXPIRED, ExpungePace.GENTLE);
            LOG.debug("{}", report);
        } catch (RuntimeException | Error e) {
            // Whatever it was, the schedule goes on: a table that is never cleaned again is worse than a log line.
            if (!schedule.actions.isClosed() && !isClosed()) {
                LOG.warn(
                        "Expunging domain '{}' failed and will be tried again: {}",
                        schedule.scope.domain(),
                        Outage.described(e, true));
            }
        } finally {
            schedule.running.unlock();
            planNext(schedule, report != null);
        }
        return report;
    }

    private synchronized void planNext(Schedule schedule, boolean hasSucceeded) {
        schedule.failures = hasSucceeded ? 0 : schedule.failures + 1;
        Duration wait = schedule.interval;
        if (!hasSucceeded) {
            Duration backOff = FIRST_RETRY.multipliedBy(1L << Math.min(schedule.failures - 1, 20));
            wait = backOff.compareTo(wait) < 0 ? backOff : wait;
        }
        plan(schedule, jittered(wait));
    }

    private synchronized boolean isClosed() {
        return isClosed;
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
        Duration longest = GRACE;
        synchronized (this) {
            isClosed = true;
            for (Schedule schedule : schedules) {
                longest = schedule.longestBatch().compareTo(longest) > 0 ? schedule.longestBatch() : longest;
            }
        }
        Thread running = worker;
        if (timer == null) {
            return;
        } else if (running == Thread.currentThread()) {
            // A run that closes its own resource is not interrupted: what it closes next may wait.
            timer.shutdown();
            timer.getQueue().clear();
            return;
        }
        timer.shutdownNow();
        try {
            if (running != null) {
                running.join(longest.toMillis());
                if (running.isAlive()) {
                    LOG.warn(
                            "The expunger's run did not end within its store's deadline; its thread ends with that call.");
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
