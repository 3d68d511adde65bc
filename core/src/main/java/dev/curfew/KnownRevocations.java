package dev.curfew;

import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.function.Supplier;

/**
 * The revocations of a domain that a local replica knows, as keyed hashes: no jti, subject or session is in memory
 * (R12.12). The key is random, so nobody who chooses a jti can aim at the hash of another one. What is known only grows,
 * until it is past its retention end (R12.8).
 */
final class KnownRevocations {
    /** What is known of a token. */
    enum Knowledge {
        /** It is revoked, however old this knowledge is. */
        REVOKED,
        /** Nothing that is known revokes it. */
        NOT_REVOKED,
        /** Only the store can tell. */
        UNSURE
    }

    private static final long HOUR = Duration.ofHours(1).toMillis();
    // After that an attempt has been told by the feed, or was in vain.
    private static final Duration DOUBT = Duration.ofHours(1);

    private final long[] key = new SecureRandom().longs(6).toArray();
    private final long capacity;
    private final Runnable whenFull;
    private final Supplier<Duration> skew;
    private final InstantSource clock;
    // The hours of the entries count from here.
    private final long firstHour;

    private final Fingerprints tokens = new Fingerprints(false);
    private final Fingerprints sessions = new Fingerprints(false);
    private final Fingerprints watermarks = new Fingerprints(true);
    // Changes that this node has tried, and that others may or may not see: the store is asked about them (R12.5).
    private final Fingerprints doubtfulTokens = new Fingerprints(false);
    private final Fingerprints doubtfulSessions = new Fingerprints(false);
    private final Fingerprints doubtfulWatermarks = new Fingerprints(true);
    private final List<Fingerprints> all =
            List.of(tokens, sessions, watermarks, doubtfulTokens, doubtfulSessions, doubtfulWatermarks);
    private volatile boolean isStopped;

    /** Hears of revocations that every other node sees, too. */
    final RevocationFeed.Sink facts = new Facts();
    /** Hears of changes that may have been made, or are not yet committed. */
    final RevocationFeed.Sink attempts = new Attempts();

    /** @param whenFull is run where an entry has no room, or after {@link #stop} */
    KnownRevocations(long capacity, Runnable whenFull, Supplier<Duration> skew, InstantSource clock) {
        this.capacity = capacity;
        this.whenFull = whenFull;
        this.skew = skew;
        this.clock = clock;
        this.firstHour = Math.floorDiv(clock.millis(), HOUR);
    }

    private final class Facts implements RevocationFeed.Sink {
        @Override
        public void revoked(String tenant, String jti, Instant expiresAt) {
            put(tokens, hash(0, tenant, jti), expiresAt.plus(skew.get()), 0);
        }

        @Override
        public void sessionRevoked(String tenant, String session, Instant keptUntil) {
            put(sessions, hash(1, tenant, session), keptUntil, 0);
        }

        @Override
        public void watermark(String tenant, String subject, Instant watermark, Instant keptUntil) {
            if (!subject.isEmpty()) { // else it is the domain's skew (R1.7)
                put(watermarks, hash(2, tenant, subject), keptUntil, watermark.toEpochMilli());
            }
        }
    }

    private final class Attempts implements RevocationFeed.Sink {
        @Override
        public void revoked(String tenant, String jti, Instant expiresAt) {
            put(doubtfulTokens, hash(0, tenant, jti), clock.instant().plus(DOUBT), 0);
        }

        @Override
        public void sessionRevoked(String tenant, String session, Instant keptUntil) {
            put(doubtfulSessions, hash(1, tenant, session), clock.instant().plus(DOUBT), 0);
        }

        @Override
        public void watermark(String tenant, String subject, Instant watermark, Instant keptUntil) {
            put(doubtfulWatermarks, hash(2, tenant, subject), clock.instant().plus(DOUBT), watermark.toEpochMilli());
        }
    }

    private void put(Fingerprints set, long hash, Instant end, long value) {
        if (isStopped || (size() >= capacity && !set.contains(hash))) {
            whenFull.run();
        } else {
            set.put(hash, hour(end), value);
        }
    }

    /** The hour at whose beginning an entry is past its retention end, from 1 on. */
    private int hour(Instant end) {
        long hour = -Math.floorDiv(-end.toEpochMilli(), HOUR) - firstHour + 1;
        return (int) Math.min(Math.max(hour, 1), Fingerprints.NEVER);
    }

    /** What is known of a jti. */
    Knowledge of(StoreScope scope, String jti) {
        long hash = hash(0, scope.tenant(), jti);
        return tokens.contains(hash)
                ? Knowledge.REVOKED
                : doubtfulTokens.contains(hash) ? Knowledge.UNSURE : Knowledge.NOT_REVOKED;
    }

    /** What is known of a token, by its jti, its session and its subject's watermark (R12.4). */
    Knowledge of(StoreScope scope, Token token, Instant now, Duration issuerSkew) {
        Knowledge known = of(scope, token.jti());
        String tenant = scope.tenant();
        String session = token.session();
        if (known != Knowledge.REVOKED && session != null) {
            known = ofSession(known, tenant, session);
        } else if (known == Knowledge.NOT_REVOKED && !(sessions.isEmpty() && doubtfulSessions.isEmpty())) {
            known = Knowledge.UNSURE; // the token's record may name a session that the token does not name (R13.3)
        }
        if (known != Knowledge.REVOKED && !(watermarks.isEmpty() && doubtfulWatermarks.isEmpty())) {
            long hash = hash(2, tenant, token.subject());
            long watermark = watermarks.find(hash);
            if (watermark != Fingerprints.ABSENT) {
                known = byWatermark(known, token, Instant.ofEpochMilli(watermark), now, issuerSkew, scope.skew());
            }
            if (known == Knowledge.NOT_REVOKED && doubtfulWatermarks.find(hash) > watermark) {
                known = Knowledge.UNSURE;
            }
        }
        return known;
    }

    private Knowledge ofSession(Knowledge known, String tenant, String session) {
        if (sessions.isEmpty() && doubtfulSessions.isEmpty()) {
            return known;
        }
        long hash = hash(1, tenant, session);
        if (sessions.contains(hash)) {
            return Knowledge.REVOKED;
        }
        return doubtfulSessions.contains(hash) ? Knowledge.UNSURE : known;
    }

    private static Knowledge byWatermark(
            Knowledge known, Token token, Instant watermark, Instant now, Duration issuerSkew, Duration skew) {
        if (!StoredState.isCovered(watermark, token.issuedAt(), now, issuerSkew, skew)) {
            return known;
        }
        return StoredState.mayRecordDecide(watermark, token.issuedAt(), issuerSkew)
                ? Knowledge.UNSURE
                : Knowledge.REVOKED;
    }

    /** Removes what was past its retention end when this hour began. */
    void sweep(Instant hour) {
        int until = (int) Math.min(hour.toEpochMilli() / HOUR - firstHour + 1, Fingerprints.NEVER - 1);
        all.forEach(set -> set.sweep(until));
    }

    /** Takes no more entries. */
    void stop() {
        isStopped = true;
    }

    static Instant hourOf(Instant now) {
        return Instant.ofEpochMilli(Math.floorDiv(now.toEpochMilli(), HOUR) * HOUR);
    }

    long size() {
        long size = 0;
        for (Fingerprints set : all) {
            size += set.size();
        }
        return size;
    }

    long bytes() {
        return all.stream().mapToLong(Fingerprints::bytes).sum();
    }

    /** @param kind 0 for a jti, 1 for a session, 2 for a subject */
    private long hash(int kind, String tenant, String name) {
        long seed = key[kind];
        return hash(tenant.isEmpty() ? seed : hash(seed, tenant), name);
    }

    /** Folded multiplications over the text, eight characters at a time. Without the key nobody can predict the hash. */
    private long hash(long seed, String text) {
        int length = text.length();
        long hash = seed;
        int i = 0;
        for (; i + 8 <= length; i += 8) {
            hash = folded(four(text, i) ^ key[3], four(text, i + 4) ^ hash);
        }
        long rest = 0;
        long last = 0;
        for (; i + 4 <= length; i += 4) {
            rest = four(text, i);
        }
        for (; i < length; i++) {
            last = (last << Character.SIZE) | text.charAt(i);
        }
        hash = folded(rest ^ key[4], last ^ hash);
        return folded(hash ^ key[5], length ^ key[3]);
    }

    private static long four(String text, int at) {
        return ((long) text.charAt(at) << 48)
                | ((long) text.charAt(at + 1) << 32)
                | ((long) text.charAt(at + 2) << 16)
                | text.charAt(at + 3);
    }

    private static long folded(long a, long b) {
        return (a * b) ^ Math.multiplyHigh(a, b);
    }
}
