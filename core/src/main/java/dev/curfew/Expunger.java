package dev.curfew;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.DoubleSupplier;
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
    private static final long GRACE_MILLIS = 1000;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final List<Schedule> schedules = new ArrayList<>();
    private final DoubleSupplier random;
    private @Nullable Thread thread;
    private boolean closed;

    Expunger(DoubleSupplier random) {
        this.random = random;
    }

    /** An expunger for several resources. Its thread starts with the first of them. */
    public static Expunger create() {
        return new Expunger(() -> ThreadLocalRandom.current().nextDouble());
    }

    /** One resource: when it is due, by its own clock. Guarded by the lock. */
    private static final class Schedule {
        final Actions actions;
        final StoreScope scope;
        Duration interval;
        Instant due;
        int failures;
        boolean running;

        Schedule(Actions actions, StoreScope scope, Duration interval, Instant due) {
            this.actions = actions;
            this.scope = scope;
            this.interval = interval;
            this.due = due;
        }
    }

    void add(Actions actions, StoreScope scope, Duration interval) {
        locked(() -> {
            if (closed) {
                throw new IllegalStateException("The expunger is closed; give the resource another one");
            }
            Instant first = actions.instant().plus(scaled(interval, random.getAsDouble() / 10));
            schedules.add(new Schedule(actions, scope, interval, first));
            if (thread == null) {
                thread = new Thread(this::work, "curfew-expunger");
                thread.setDaemon(true);
                thread.start();
            }
        });
    }

    void reschedule(Actions actions, Duration interval) {
        locked(() -> schedules.stream().filter(s -> s.actions == actions).forEach(s -> {
            s.interval = interval;
            s.failures = 0;
            s.due = actions.instant().plus(jittered(interval));
        }));
    }

    /** Takes a resource out, and waits for a run of its in flight, no longer than a batch and a little may take. */
    void remove(Actions actions, Duration deadline) {
        locked(() -> {
            long nanos = deadline.toNanos() + TimeUnit.MILLISECONDS.toNanos(GRACE_MILLIS);
            boolean interrupted = false;
            while (nanos > 0 && schedules.stream().anyMatch(s -> s.actions == actions && s.running)) {
                try {
                    nanos = changed.awaitNanos(nanos);
                } catch (InterruptedException e) {
                    interrupted = true;
                    break;
                }
            }
            schedules.removeIf(s -> s.actions == actions);
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        });
    }

    /**
     * Runs what is due by now, on the calling thread, and answers what the runs that succeeded did. The expunger's own
     * thread does the same by itself; this is for a clock that is moved by hand.
     */
    public List<ExpungeReport> runDue() {
        List<ExpungeReport> reports = new ArrayList<>();
        Schedule due;
        while ((due = takeDue()) != null) {
            ExpungeReport report = run(due);
            if (report != null) {
                reports.add(report);
            }
        }
        return reports;
    }

    private @Nullable Schedule takeDue() {
        lock.lock();
        try {
            for (Schedule schedule : schedules) {
                if (!closed && !schedule.running && !schedule.actions.instant().isBefore(schedule.due)) {
                    schedule.running = true;
                    return schedule;
                }
            }
            return null;
        } finally {
            lock.unlock();
        }
    }

    private @Nullable ExpungeReport run(Schedule schedule) {
        boolean succeeded = false;
        try {
            var report = (ExpungeReport) schedule.actions.perform(schedule.scope, TokenAction.EXPUNGE_EXPIRED);
            succeeded = true;
            LOG.debug("{}", report);
            return report;
        } catch (RuntimeException | Error e) {
            // Whatever it was, the schedule goes on: a table that is never cleaned again is worse than a log line.
            logFailure(schedule, e);
            return null;
        } finally {
            boolean done = succeeded;
            locked(() -> {
                schedule.running = false;
                schedule.failures = done ? 0 : schedule.failures + 1;
                Duration wait = done ? schedule.interval : backOff(schedule.interval, schedule.failures);
                schedule.due = schedule.actions.instant().plus(jittered(wait));
            });
        }
    }

    private void logFailure(Schedule schedule, Throwable e) {
        if (isOpen(schedule)) {
            LOG.warn(
                    "Expunging domain '{}' failed and will be tried again: {}",
                    schedule.actions.domain(),
                    Actions.described(e));
        }
    }

    private boolean isOpen(Schedule schedule) {
        lock.lock();
        try {
            return !closed && !schedule.actions.isClosed();
        } finally {
            lock.unlock();
        }
    }

    private void work() {
        while (awaitDue()) {
            runDue();
        }
    }

    /** Waits until something may be due; false when closed. */
    private boolean awaitDue() {
        lock.lock();
        try {
            while (!closed) {
                Duration wait = LONGEST_WAIT;
                for (Schedule schedule : schedules) {
                    Duration until = Duration.between(schedule.actions.instant(), schedule.due);
                    if (!schedule.running && until.compareTo(wait) < 0) {
                        wait = until;
                    }
                }
                if (wait.isNegative() || wait.isZero()) {
                    return true;
                }
                changed.awaitNanos(wait.toNanos());
            }
            return false;
        } catch (InterruptedException e) {
            return false;
        } finally {
            lock.unlock();
        }
    }

    static Duration backOff(Duration interval, int failures) {
        Duration wait = FIRST_RETRY.multipliedBy(1L << Math.min(failures - 1, 20));
        return wait.compareTo(interval) < 0 ? wait : interval;
    }

    private Duration jittered(Duration wait) {
        return scaled(wait, 0.9 + random.getAsDouble() / 5);
    }

    private static Duration scaled(Duration duration, double factor) {
        return Duration.ofMillis((long) Math.max(1, duration.toMillis() * factor));
    }

    private void locked(Runnable change) {
        lock.lock();
        try {
            change.run();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Ends the schedule: a run in flight ends within its batch, and this call within a bounded time. The resources stay
     * open. A second call does nothing.
     */
    @Override
    public void close() {
        Thread worker;
        long longest = 0;
        lock.lock();
        try {
            closed = true;
            worker = thread;
            for (Schedule schedule : schedules) {
                longest = Math.max(longest, schedule.scope.deadline().toMillis());
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        if (worker == null || worker == Thread.currentThread()) {
            return;
        }
        worker.interrupt();
        try {
            worker.join(longest + GRACE_MILLIS);
            if (worker.isAlive()) {
                LOG.warn("The expunger's run did not end within its store's deadline; its thread ends with that call.");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
