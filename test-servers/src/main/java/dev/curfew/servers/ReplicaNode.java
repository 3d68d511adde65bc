package dev.curfew.servers;

import dev.curfew.RevocationFeed;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreProvider;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** A process with a local replica, which checks tokens and compares each answer with {@link Acknowledgements}. */
public final class ReplicaNode {
    /** A mistake of a replica, which the harness must find. */
    public enum Mistake {
        NONE,
        /** What a poll has read counts as if it had been read when the next poll begins. */
        COUNTS_FROM_THE_END,
        /** A poll that failed counts as one that found nothing new. */
        IGNORES_FAILURES,
        /** Asks PostgreSQL for what was revoked after the latest time that it knows. */
        GOES_BY_TIME
    }

    static final int TENANTS = 1000;

    private static final int CHECKS_AT_A_TIME = 64;

    private static final int RECENT = 2000;

    private final Acknowledgements acknowledged;
    private final Duration bound;
    private final TokenResource[] tenants = new TokenResource[TENANTS];
    private final TokenResource other;
    private long checks;
    private long late;
    private long wrong;
    private long unavailable;
    private long worst;

    private ReplicaNode(Acknowledgements acknowledged, Duration bound, TokenResource tokens, TokenResource other) {
        this.acknowledged = acknowledged;
        this.bound = bound;
        this.other = other;
        for (int i = 0; i < TENANTS; i++) {
            tenants[i] = tokens.forTenant(tenant(i));
        }
    }

    /** The tenant of a revocation. */
    static String tenant(int number) {
        return "tenant-" + number % TENANTS;
    }

    /**
     * Runs until it is told to stop, and prints what it has counted.
     *
     * @param arguments the URL of the store, the domain, the file, the number of the node, the bound in milliseconds, the
     *     start of the harness in milliseconds, and the mistake
     */
    public static void main(String[] arguments) {
        String url = arguments[0];
        String domain = arguments[1];
        Instant start = Instant.ofEpochMilli(Long.parseLong(arguments[5]));
        var acknowledged = new Acknowledgements(Path.of(arguments[2]), start);
        int node = Integer.parseInt(arguments[3]);
        Duration bound = Duration.ofMillis(Long.parseLong(arguments[4]));
        TokenStore store = store(url, Mistake.valueOf(arguments[6]));
        try (TokenResource tokens = builder(store, domain, acknowledged, node)
                        .localReplica(bound)
                        .build();
                TokenResource other = builder(store, domain + "-other", acknowledged, node)
                        .localReplica(bound)
                        .build()) {
            var self = new ReplicaNode(acknowledged, bound, tokens, other);
            while (!acknowledged.isOver()) {
                for (int i = 0; i < CHECKS_AT_A_TIME; i++) {
                    self.checkOne();
                }
                if (tokens.replicaStatus().orElseThrow().isServing()) {
                    acknowledged.serve(node);
                }
                LockSupport.parkNanos(1_000_000);
            }
            long lost = self.lost();
            var status = tokens.replicaStatus().orElseThrow();
            System.out.printf(
                    "checks=%d late=%d wrong=%d lost=%d unavailable=%d local=%.3f loads=%d entries=%d worstMillis=%d%n",
                    self.checks,
                    self.late,
                    self.wrong,
                    lost,
                    self.unavailable,
                    status.localShare(),
                    status.loads(),
                    status.entries(),
                    self.worst / 1_000_000);
        } finally {
            store.close();
        }
    }

    private static TokenResource.Builder builder(TokenStore store, String domain, Acknowledgements file, int node) {
        return TokenResource.builder()
                .store(store)
                .domain(domain)
                .clock(() -> Instant.ofEpochMilli(file.clockMillis(node)))
                .callDeadline(Duration.ofSeconds(2))
                .maxTokenLifetime(Duration.ofDays(7));
    }

    private void checkOne() {
        int count = acknowledged.count();
        if (count == 0) {
            return;
        }
        ThreadLocalRandom random = ThreadLocalRandom.current();
        int number = random.nextBoolean() ? random.nextInt(count) : random.nextInt(Math.max(0, count - RECENT), count);
        long at = acknowledged.at(number);
        if (at == 0) {
            return;
        }
        Token token = acknowledged.token(number);
        long begin = System.nanoTime();
        TokenStatus status = tenants[number % TENANTS].check(token);
        checks++;
        if (status == TokenStatus.UNAVAILABLE) {
            unavailable++;
        } else if (at == Acknowledgements.ROLLED_BACK) {
            wrong += status == TokenStatus.REVOKED ? 1 : 0;
        } else if (status != TokenStatus.REVOKED && begin - at > bound.toNanos()) {
            late++;
            worst = Math.max(worst, begin - at);
        }
        if (checks % CHECKS_AT_A_TIME == 0) {
            wrong += other.forTenant(tenant(number)).check(token) == TokenStatus.REVOKED ? 1 : 0;
        }
    }

    /** When all is over: how many of the acknowledged revocations are not honoured. */
    private long lost() {
        long lost = 0;
        for (int number = 0; number < acknowledged.count(); number++) {
            long at = acknowledged.at(number);
            if (at > 0) {
                while (System.nanoTime() - at <= bound.toNanos()) {
                    LockSupport.parkNanos(1_000_000);
                }
                lost += tenants[number % TENANTS].check(acknowledged.token(number)) == TokenStatus.REVOKED ? 0 : 1;
            }
        }
        return lost;
    }

    private static TokenStore store(String url, Mistake mistake) {
        TokenStore store = ServiceLoader.load(TokenStoreProvider.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(provider -> provider.schemes().stream().anyMatch(scheme -> url.startsWith(scheme + ":")))
                .findFirst()
                .orElseThrow()
                .open(url, Duration.ofSeconds(2), Duration.ofSeconds(30));
        if (mistake == Mistake.NONE) {
            return store;
        }
        RevocationFeed feed = wrong(store.feed(), mistake, url);
        return (TokenStore) Proxy.newProxyInstance(
                ReplicaNode.class.getClassLoader(), new Class<?>[] {TokenStore.class}, (proxy, verb, arguments) -> {
                    try {
                        return verb.getName().equals("feed") ? feed : verb.invoke(store, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    private static RevocationFeed wrong(RevocationFeed feed, Mistake mistake, String url) {
        return switch (mistake) {
            case NONE -> feed;
            case COUNTS_FROM_THE_END -> {
                Map<String, RevocationFeed> ofDomains = new ConcurrentHashMap<>();
                yield (scope, after, sink, now) -> ofDomains
                        .computeIfAbsent(scope.domain(), domain -> new CountsFromTheEnd(feed))
                        .follow(scope, after, sink, now);
            }
            case IGNORES_FAILURES -> {
                var ignored = new AtomicInteger();
                yield (scope, after, sink, now) -> {
                    if (after != null && ignored.getAndDecrement() > 0) {
                        return after;
                    }
                    try {
                        return feed.follow(scope, after, sink, now);
                    } catch (TokenStoreException e) {
                        if (after == null) {
                            throw e;
                        }
                        ignored.set(20); // of both domains: two seconds and a half
                        return after;
                    }
                };
            }
            case GOES_BY_TIME ->
                (scope, after, sink, now) -> {
                    String[] place = after == null ? new String[] {null, "1970-01-01 00:00:00Z"} : after.split("#", 2);
                    String position = feed.follow(scope, place[0], new OnlySubjects(sink), now);
                    return position + "#" + byTime(url, scope, place[1], sink);
                };
        };
    }

    /** Tells what was read a while ago, as if it were new. */
    private static final class CountsFromTheEnd implements RevocationFeed {
        private final RevocationFeed feed;
        private @Nullable String position;
        private List<Runnable> read = new ArrayList<>();

        CountsFromTheEnd(RevocationFeed feed) {
            this.feed = feed;
        }

        @Override
        public @Nullable String follow(StoreScope scope, @Nullable String after, Sink sink, Instant now) {
            read.forEach(Runnable::run);
            read = new ArrayList<>();
            position = feed.follow(scope, position, new Later(sink, read), now);
            // What was read is told by the next poll.
            LockSupport.parkNanos(Duration.ofMillis(900).toNanos());
            return "any";
        }

        private record Later(Sink sink, List<Runnable> told) implements Sink {
            @Override
            public void revoked(String tenant, String jti, Instant expiresAt) {
                told.add(() -> sink.revoked(tenant, jti, expiresAt));
            }

            @Override
            public void sessionRevoked(String tenant, String session, Instant keptUntil) {
                told.add(() -> sink.sessionRevoked(tenant, session, keptUntil));
            }

            @Override
            public void watermark(String tenant, String subject, Instant watermark, Instant keptUntil) {
                told.add(() -> sink.watermark(tenant, subject, watermark, keptUntil));
            }
        }
    }

    /** Tells of sessions and subjects alone. */
    private record OnlySubjects(RevocationFeed.Sink sink) implements RevocationFeed.Sink {
        @Override
        public void revoked(String tenant, String jti, Instant expiresAt) {}

        @Override
        public void sessionRevoked(String tenant, String session, Instant keptUntil) {
            sink.sessionRevoked(tenant, session, keptUntil);
        }

        @Override
        public void watermark(String tenant, String subject, Instant watermark, Instant keptUntil) {
            sink.watermark(tenant, subject, watermark, keptUntil);
        }
    }

    private static String byTime(String url, StoreScope scope, String after, RevocationFeed.Sink sink) {
        String latest = after;
        String sql = "SELECT tenant, jti, expires_at, revoked_at::text FROM \"curfew_" + scope.domain()
                + "\" WHERE revoked_at > ?::timestamptz ORDER BY revoked_at";
        try (var connection = DriverManager.getConnection(url);
                PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, latest);
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    Timestamp end = rows.getTimestamp(3);
                    sink.revoked(rows.getString(1), rows.getString(2), end.toInstant());
                    latest = rows.getString(4);
                }
            }
            return latest;
        } catch (SQLException e) {
            throw new TokenStoreException(TokenStoreException.Outcome.UNCHANGED, "The feed by time failed", e);
        }
    }
}
