package dev.curfew.benchmarks;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;

/**
 * The actions, on every store and by everybody who has them. What asks is timed for a while; what changes something is
 * timed for so many tokens, each of which is new.
 */
@State(Scope.Benchmark)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class ActionBenchmark {
    private static final int MOST_KEYS = 1_000_000;

    /** Which store: memory, redis, postgresql or mongodb. */
    @Param("memory")
    public String store = "memory";

    /** Who: curfew, limit, or a peer; or several of them, joined by a +, who take turns from iteration to iteration. */
    @Param("curfew")
    public String who = "curfew";

    /** How many records the store has. */
    @Param("1000")
    public int records;

    private final Clients clients = new Clients();
    private final List<Target> targets = new ArrayList<>();
    private int turn;
    private Target target = new Target() {
        @Override
        public void close() {}
    };

    // As bytes: each call makes its own string, as a request does. A string that is asked for twice knows its hash, and
    // a
    // bare cache would not read its characters.
    private byte[][] jtis = {};
    private byte[][] subjects = {};

    /** Called by JMH. */
    public ActionBenchmark() {}

    /** Opens who is measured, and draws the keys. */
    @Setup
    public void open(BenchmarkParams benchmark) {
        String name = benchmark.getBenchmark();
        boolean unknown = name.endsWith("Miss");
        boolean revoked = name.endsWith("Hit");
        int stored = name.endsWith("getToken") ? SpringPeers.records(records) : records;
        // From all over the store, however few they are; other strings than those in it.
        int keys = Math.min(stored, store.equals("memory") ? MOST_KEYS : MOST_KEYS / 5);
        jtis = new byte[keys][];
        subjects = new byte[keys][];
        for (int i = 0; i < keys; i++) {
            long drawn = (long) ((i + ThreadLocalRandom.current().nextDouble()) * stored / keys);
            // Of a hundred asked at once, half are revoked.
            boolean live = name.endsWith("isRevokedOf100") ? i % 2 == 0 : !revoked;
            long number = unknown ? drawn + Data.NEVER_STORED : live ? drawn | 1 : drawn & ~1L;
            jtis[i] = Data.jti(number).getBytes(ISO_8859_1);
            subjects[i] = Data.subject(number).getBytes(ISO_8859_1);
        }
        for (String each : who.split("\\+", -1)) {
            targets.add(Target.open(store, each, clients, records));
        }
    }

    /** The next one's turn. */
    @Setup(Level.Iteration)
    public void next() {
        target = targets.get(turn++ % targets.size());
    }

    /** Closes them. */
    @TearDown
    public void close() {
        targets.forEach(Target::close);
        clients.close();
    }

    /** New tokens, as many as one iteration takes. */
    @State(Scope.Thread)
    public static class Fresh {
        private String[] jtis = {};
        private int next;

        /** Called by JMH. */
        public Fresh() {}

        /** Makes them, and stores them where they are to be used. */
        @Setup(Level.Iteration)
        public void prepare(ActionBenchmark benchmark, BenchmarkParams params, IterationParams iteration) {
            jtis = new String[iteration.getBatchSize()];
            for (int i = 0; i < jtis.length; i++) {
                jtis[i] = UUID.randomUUID().toString();
            }
            next = 0;
            if (params.getBenchmark().endsWith("consume")) {
                for (String jti : jtis) {
                    benchmark.target.store(jti);
                }
            }
        }

        private String next() {
            return jtis[next++];
        }
    }

    private int random() {
        return ThreadLocalRandom.current().nextInt(jtis.length);
    }

    private String jti(int i) {
        return new String(jtis[i], ISO_8859_1);
    }

    /** Of a jti that is revoked. */
    @Benchmark
    @BenchmarkMode(Mode.AverageTime)
    public Object isRevokedHit() {
        return target.isRevoked(jti(random()));
    }

    /** Of a jti that nobody has stored or revoked. */
    @Benchmark
    @BenchmarkMode(Mode.AverageTime)
    public Object isRevokedMiss() {
        return target.isRevoked(jti(random()));
    }

    /** Of a hundred jtis at once, half of them revoked. */
    @Benchmark
    @BenchmarkMode(Mode.AverageTime)
    public Object isRevokedOf100() {
        List<String> asked = new ArrayList<>(100);
        int first = random();
        for (int i = 0; i < 100; i++) {
            asked.add(jti((int) ((first + i * 7919L) % jtis.length)));
        }
        return target.revoked(asked);
    }

    /** Of a live token. */
    @Benchmark
    @BenchmarkMode(Mode.AverageTime)
    public Object check() {
        int i = random();
        return target.check(jti(i), new String(subjects[i], ISO_8859_1));
    }

    /** All of a live token's record. */
    @Benchmark
    @BenchmarkMode(Mode.AverageTime)
    public Object getToken() {
        return target.find(jti(random()));
    }

    /** Of a new token. */
    @Benchmark
    @BenchmarkMode(Mode.SingleShotTime)
    public Object storeToken(Fresh fresh) {
        return target.store(fresh.next());
    }

    /** Of a token that was never stored. */
    @Benchmark
    @BenchmarkMode(Mode.SingleShotTime)
    public Object revokeToken(Fresh fresh) {
        return target.revoke(fresh.next());
    }

    /** Of a token that is stored for this. */
    @Benchmark
    @BenchmarkMode(Mode.SingleShotTime)
    public Object consume(Fresh fresh) {
        return target.consume(fresh.next());
    }
}
