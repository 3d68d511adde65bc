package dev.curfew;

import dev.curfew.KnownRevocations.Knowledge;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The local replica of a domain (R12): what is revoked, and since when nothing can be missing. One thread polls the
 * store's feed. Only a poll that was complete makes the replica fresh, counted from before the poll was sent.
 */
final class Replica {
    /** What a check does. */
    enum Answer {
        REVOKED,
        NOT_REVOKED,
        ASK,
        DENY
    }

    private static final Logger LOG = LoggerFactory.getLogger(TokenResource.class);
    // Of a poll that reads everything: millions of records.
    private static final Duration LOAD_DEADLINE = Duration.ofMinutes(15);
    private static final Duration SWEEPING = Duration.ofMinutes(1);
    private static final Duration LONGEST_PATIENCE = Duration.ofSeconds(30);
    private static final Duration LONGEST_DELAY = Duration.ofSeconds(10);
    private static final Duration QUIET = Duration.ofSeconds(30);
    private static final Duration CLOSING = Duration.ofSeconds(2);
    private static final long NEVER = Long.MIN_VALUE;

    /** The last complete poll: {@link Deadline#reading} and the clock's time before it was sent. */
    private record Fresh(long reading, long millis) {}

    private final String domain;
    private final InstantSource clock;
    private final Duration bound;
    private final Duration longestBound;
    private final long boundNanos;
    private final long longestNanos;
    private final Duration pause;
    private final long capacity;
    private final boolean deniesWhenStale;
    private final RevocationFeed feed;
    private final Supplier<StoreScope> scope;
    private final KnownRevocations known;
    private final Thread thread = new Thread(this::run, "curfew-replica");
    private final LongAdder local = new LongAdder();
    private final LongAdder asked = new LongAdder();

    private volatile @Nullable Fresh fresh;
    // When the last poll failed, as a reading, or null if it did not.
    private volatile @Nullable Long failedAt;
    // When the poll that is under way should have ended, or null if none is. One that has not has failed, too: the
    // application's pool may make it wait for much longer than a call may take.
    private volatile @Nullable Deadline pollEnd;
    // Only a poll that began after this reading counts (R12.5).
    private volatile long notBefore = Deadline.reading() - 1;
    // What ended before this time has been removed (R12.8).
    private volatile long sweptUntil = NEVER;
    // At its capacity, or closed.
    private volatile boolean isStopped;
    private volatile boolean isClosed;
    private final AtomicLong loads = new AtomicLong();

    // Of the thread alone.
    private @Nullable String position;
    private @Nullable Throwable failure;
    private boolean isLoad;
    private Duration patience = Duration.ZERO;
    private Duration tookLast = Duration.ZERO;
    private Duration skewOfLoad = Duration.ZERO;
    private boolean isStaleReported;
    private @Nullable Deadline reported;

    /** @param scope the domain, with the skew as it is known now */
    Replica(TokenResource.Builder settings, Duration bound, RevocationFeed feed, Supplier<StoreScope> scope) {
        this.domain = settings.domain;
        this.clock = settings.clock;
        this.bound = bound;
        this.longestBound = bound.plus(settings.serveWhileStoreFails);
        this.boundNanos = bound.toNanos();
        this.longestNanos = longestBound.toNanos();
        this.pause = settings.replicaPollInterval == null ? bound.dividedBy(4) : settings.replicaPollInterval;
        this.capacity = settings.replicaCapacity;
        this.deniesWhenStale = settings.whenReplicaIsStale == WhenStale.DENY;
        this.feed = feed;
        this.scope = scope;
        this.known =
                new KnownRevocations(capacity, this::noRoom, () -> scope.get().skew(), clock);
        thread.setDaemon(true);
    }

    void start() {
        thread.start();
    }

    // Checks

    /** @param needsStore whether only the store can say that the token is accepted */
    Answer check(StoreScope in, Token token, Instant now, Duration issuerSkew, boolean needsStore) {
        Fresh last = fresh; // before the look-up: what this poll has told is found
        return answer(last, known.of(in, token, now, issuerSkew), now, needsStore);
    }

    boolean knowsRevoked(StoreScope in, Token token, Instant now, Duration issuerSkew) {
        return known.of(in, token, now, issuerSkew) == Knowledge.REVOKED;
    }

    Answer isRevoked(StoreScope in, String jti, Instant now) {
        Fresh last = fresh;
        return answer(last, known.of(in, jti), now, false);
    }

    private Answer answer(@Nullable Fresh last, Knowledge knowledge, Instant now, boolean needsStore) {
        Answer answer = Answer.ASK;
        if (knowledge == Knowledge.REVOKED) {
            answer = Answer.REVOKED; // however old that is (R12.10)
        } else if (last != null && mayAnswer(last, knowledge, needsStore) && !feed.isInTransaction()) {
            long millis = now.toEpochMilli();
            boolean isFresh = isYounger(last, isFailing() ? longestNanos : boundNanos, millis);
            boolean isDenied = deniesWhenStale && millis >= sweptUntil;
            answer = isFresh ? Answer.NOT_REVOKED : isDenied ? Answer.DENY : Answer.ASK;
        }
        if (answer != Answer.ASK) {
            local.increment();
        }
        return answer;
    }

    /** Whether the replica may stand in for a store that has just failed to answer this check (R12.3). */
    boolean mayStandIn(StoreScope in, Token token, Instant now, Duration issuerSkew, boolean needsStore) {
        Fresh last = fresh;
        return mayStandIn(last, known.of(in, token, now, issuerSkew), now, needsStore);
    }

    boolean mayStandIn(StoreScope in, String jti, Instant now) {
        Fresh last = fresh;
        return mayStandIn(last, known.of(in, jti), now, false);
    }

    private boolean mayStandIn(@Nullable Fresh last, Knowledge knowledge, Instant now, boolean needsStore) {
        return longestNanos > boundNanos
                && last != null
                && mayAnswer(last, knowledge, needsStore)
                && isYounger(last, longestNanos, now.toEpochMilli());
    }

    private boolean mayAnswer(Fresh last, Knowledge knowledge, boolean needsStore) {
        return knowledge == Knowledge.NOT_REVOKED && !needsStore && !isStopped && last.reading - notBefore > 0;
    }

    /** Whether the last poll has failed lately, or the one that is under way is late. */
    private boolean isFailing() {
        Deadline end = pollEnd;
        Long failed = failedAt;
        return (end != null && end.isOver()) || (failed != null && Deadline.reading() - failed < boundNanos);
    }

    /** Both clocks must say that less than this has passed, and the wall clock must not have gone back (R12.3, R12.8). */
    private boolean isYounger(Fresh last, long nanos, long millis) {
        long passed = millis - last.millis;
        return Deadline.reading() - last.reading < nanos
                && passed >= 0
                && passed < nanos / 1_000_000
                && millis >= sweptUntil;
    }

    /** Counts a check that asks the store. */
    void noteAsked() {
        asked.increment();
    }

    // Changes by this node (R12.5)

    /** Whether the changes of this thread are seen by others only later, or never. */
    boolean isInTransaction() {
        return feed.isInTransaction();
    }

    /** Hears of changes that are made. */
    RevocationFeed.Sink facts() {
        return known.facts;
    }

    /** Hears of changes that may be made: the store is asked about them. */
    RevocationFeed.Sink attempts() {
        return known.attempts;
    }

    /** From now on the store is asked, until a poll that begins after this call has ended. */
    void refresh() {
        synchronized (this) {
            long now = Deadline.reading();
            notBefore = now - notBefore > 0 ? now : notBefore;
        }
        LockSupport.unpark(thread);
    }

    // The thread

    private void run() {
        while (!isClosed) {
            Duration next = pause;
            try {
                next = isStopped ? sweepOnly() : poll();
            } catch (RuntimeException | Error e) {
                failure = e; // not of the store: the replica grows stale and says so
            }
            try {
                report();
            } catch (RuntimeException | Error e) {
                failure = e; // of the log
            }
            var wait = Deadline.after(next);
            do {
                LockSupport.parkNanos(this, wait.remainingNanos());
            } while (position == null && !wait.isOver() && !isClosed); // a call of refresh does not hasten a load
        }
    }

    /** What the replica knew when it stopped ends all the same. */
    private Duration sweepOnly() {
        sweep(KnownRevocations.hourOf(clock.instant()));
        return SWEEPING;
    }

    /** Reads what is new; answers how long to wait before the next poll. */
    private Duration poll() {
        Instant now = clock.instant();
        Instant hour = KnownRevocations.hourOf(now);
        StoreScope whole = scope.get();
        if (now.toEpochMilli() < sweptUntil || !whole.skew().equals(skewOfLoad)) {
            position = null; // what was removed, or left out by the load, may count
            publish(null);
        }
        isLoad = position == null;
        if (isLoad) {
            skewOfLoad = whole.skew();
            patience = whole.deadline();
        }
        Duration deadline = isLoad ? LOAD_DEADLINE : patience;
        long reading = Deadline.reading();
        var progress = new Progress(isLoad ? deadline : shorter(whole.deadline(), patienceOfChecks(reading)));
        try {
            // What had ended when this hour began may be left out; a later sweep has the same end.
            position = feed.follow(whole.withDeadline(deadline), position, progress, hour);
        } catch (TokenStoreException e) {
            failure = e;
            if (progress.told == 0) {
                failedAt = Deadline.reading(); // else the store answers, and there is too much to read in this time
            } else if (patience.equals(LONGEST_PATIENCE)) {
                position = null;
            }
            patience = shorter(patience.multipliedBy(2), LONGEST_PATIENCE);
            return isLoad ? shorter(bound.multipliedBy(2), LONGEST_DELAY) : pause;
        } finally {
            pollEnd = null;
        }
        if (position == null) {
            // All nodes notice at once that the data have another history, and must not load at once (R12.7).
            publish(null);
            Duration longest = shorter(bound.multipliedBy(2), LONGEST_DELAY);
            return Duration.ofNanos(ThreadLocalRandom.current().nextLong(longest.toNanos()));
        }
        if (isLoad) {
            loads.incrementAndGet();
            sweptUntil = hour.toEpochMilli();
        }
        tookLast = isLoad ? Duration.ZERO : Duration.ofNanos(Deadline.reading() - reading);
        publish(new Fresh(reading, now.toEpochMilli()));
        patience = whole.deadline();
        failedAt = null;
        failure = null;
        sweep(hour);
        return pause;
    }

    /**
     * How long a poll may get nothing before the store counts as failing. Usually the bound runs out then: checks ask the store
     * from there on, and would wait, too. A poll that begins late has half of the usual time at least, and twice the time that
     * the last poll took.
     */
    private Duration patienceOfChecks(long reading) {
        Fresh last = fresh;
        Duration most = bound.minus(pause);
        Duration least = longer(most.dividedBy(2), tookLast.multipliedBy(2));
        Duration left = last == null ? most : Duration.ofNanos(boundNanos - (reading - last.reading));
        return shorter(longer(left, least), most);
    }

    /** Hears of revocations, and notes that the store answers meanwhile. */
    private final class Progress implements RevocationFeed.Sink {
        private static final int OFTEN = 256;

        private final Duration patient;
        int told;

        Progress(Duration patient) {
            this.patient = patient;
            pollEnd = Deadline.after(patient);
        }

        private void note() {
            if (told++ % OFTEN == 0) {
                pollEnd = Deadline.after(patient);
            }
        }

        @Override
        public void revoked(String tenant, String jti, Instant expiresAt) {
            note();
            known.facts.revoked(tenant, jti, expiresAt);
        }

        @Override
        public void sessionRevoked(String tenant, String session, Instant keptUntil) {
            note();
            known.facts.sessionRevoked(tenant, session, keptUntil);
        }

        @Override
        public void watermark(String tenant, String subject, Instant watermark, Instant keptUntil) {
            note();
            known.facts.watermark(tenant, subject, watermark, keptUntil);
        }
    }

    private synchronized void publish(@Nullable Fresh next) {
        fresh = isStopped ? null : next;
    }

    private static Duration longer(Duration one, Duration other) {
        return one.compareTo(other) < 0 ? other : one;
    }

    private static Duration shorter(Duration one, Duration other) {
        return one.compareTo(other) < 0 ? one : other;
    }

    private void sweep(Instant hour) {
        if (hour.toEpochMilli() > sweptUntil) {
            sweptUntil = hour.toEpochMilli(); // before anything is removed
            known.sweep(hour);
        }
    }

    /** Tells once that the replica is stale, and once that it is fresh again; not more often than every 30 s. */
    private void report() {
        Fresh last = fresh;
        boolean isStale = last == null ? failure != null : Deadline.reading() - last.reading >= boundNanos && !isLoad;
        boolean isTooSoon = isStale && reported != null && !reported.isOver();
        if (isStopped || isStale == isStaleReported || isTooSoon) {
            return;
        }
        isStaleReported = isStale;
        reported = Deadline.after(QUIET);
        if (isStale) {
            boolean serves = last != null && longestNanos > boundNanos && failure != null;
            LOG.warn(
                    "The local replica of domain '{}' is older than its bound of {}. {}. {}",
                    domain,
                    bound,
                    serves
                            ? "While the store fails, checks are answered by it until it is " + longestBound + " old"
                            : last != null && deniesWhenStale
                                    ? "Until it is fresh again, checks are denied"
                                    : "Until it is fresh again, checks ask the store",
                    failure == null
                            ? "The store answers more slowly than that: raise the bound, or look at the store"
                            : Outage.described(failure, true));
        } else {
            LOG.info("The local replica of domain '{}' is fresh again.", domain);
        }
    }

    /** There are more revocations than the replica may hold: it never lets one go, so it ends (R12.9). */
    private synchronized void noRoom() {
        if (!isStopped) {
            isStopped = true;
            LOG.warn(
                    "The local replica of domain '{}' has reached its capacity of {} entries and has stopped; checks ask the"
                            + " store from now on. Raise replicaCapacity and the heap, and restart the node.",
                    domain,
                    capacity);
        }
        fresh = null;
        if (Thread.currentThread() == thread) {
            throw new IllegalStateException("The local replica has stopped"); // ends the poll that is under way
        }
    }

    ReplicaStatus status() {
        Fresh last = fresh;
        long all = local.sum() + asked.sum();
        return new ReplicaStatus(
                known.size(),
                known.bytes(),
                last == null ? null : Duration.ofNanos(Deadline.reading() - last.reading),
                last != null
                        && mayAnswer(last, Knowledge.NOT_REVOKED, false)
                        && isYounger(last, isFailing() ? longestNanos : boundNanos, clock.millis()),
                all == 0 ? 0 : (double) local.sum() / all,
                loads.get());
    }

    /** Ends the thread; a poll that does not heed that ends by its deadline. */
    void close() {
        synchronized (this) {
            isStopped = true;
            isClosed = true;
            fresh = null;
        }
        known.stop();
        thread.interrupt();
        LockSupport.unpark(thread);
        try {
            thread.join(CLOSING.toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
