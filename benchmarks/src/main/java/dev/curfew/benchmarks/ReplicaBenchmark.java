package dev.curfew.benchmarks;

import dev.curfew.RevocationFeed;
import dev.curfew.StoredState;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStore;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * A check that the local replica answers, beside a look-up in a {@link ConcurrentHashMap}. Every id is asked about once,
 * so that its hash has to be computed.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 8, batchSize = ReplicaBenchmark.BATCH)
@Measurement(iterations = 12, batchSize = ReplicaBenchmark.BATCH)
public class ReplicaBenchmark {
    /** How many checks one figure is of. */
    static final int BATCH = 200_000;

    private static final Instant NOW = Data.now().truncatedTo(ChronoUnit.SECONDS);
    private static final Instant END = NOW.plusSeconds(3600);

    /** Whether the replica is asked or the map. */
    @Param({"replica", "map"})
    public String who = "replica";

    /** How many revocations it knows. */
    @Param({"100000", "1000000", "10000000"})
    public int entries;

    private final SplittableRandom random = new SplittableRandom(42);
    private final ConcurrentHashMap<String, Boolean> map = new ConcurrentHashMap<>();
    private final Token[] asked = new Token[BATCH];
    private @Nullable TokenResource tokens;
    private int next;

    /** Called by JMH. */
    public ReplicaBenchmark() {}

    private String id() {
        return new UUID(random.nextLong(), random.nextLong()).toString();
    }

    /** Fills it. */
    @Setup
    public void fill() {
        if (who.equals("map")) {
            for (int i = 0; i < entries; i++) {
                map.put(id(), true);
            }
        } else {
            tokens = TokenResource.builder()
                    .store(store())
                    .maxTokenLifetime(Duration.ofDays(1))
                    .localReplica(Duration.ofHours(1))
                    .build();
            while (!tokens.replicaStatus().orElseThrow().isServing()) {
                LockSupport.parkNanos(1_000_000);
            }
        }
    }

    /** A store that has a feed, and nothing else. */
    private TokenStore store() {
        RevocationFeed feed = (scope, after, sink, now) -> {
            for (int i = 0; after == null && i < entries; i++) {
                sink.revoked("", id(), NOW.plus(Duration.ofHours(i % 24)));
            }
            return "all";
        };
        return (TokenStore) Proxy.newProxyInstance(
                ReplicaBenchmark.class.getClassLoader(),
                new Class<?>[] {TokenStore.class},
                (proxy, verb, arguments) -> switch (verb.getName()) {
                    case "feed" -> feed;
                    case "state" -> StoredState.NOTHING;
                    default -> null;
                });
    }

    /** New ids, which nobody has asked about. */
    @Setup(Level.Iteration)
    public void ids() {
        for (int i = 0; i < BATCH; i++) {
            asked[i] = Token.of(id(), "subject", NOW, END);
        }
        next = 0;
    }

    /** An unknown token, without watermarks. */
    @Benchmark
    public boolean unknown() {
        Token token = asked[next++];
        return tokens == null ? map.containsKey(token.jti()) : tokens.check(token) == TokenStatus.ACTIVE;
    }

    /** Closes it. */
    @TearDown
    public void close() {
        if (tokens != null) {
            System.out.printf(
                    "%n%.1f bytes an entry%n",
                    (double) tokens.replicaStatus().orElseThrow().bytes() / entries);
            tokens.close();
        }
    }
}
