package dev.curfew.servers;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.ReplicaNode.Mistake;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Local replicas in several processes, while their store fails in every way. Writers note when each revocation is
 * acknowledged. No node may answer ACTIVE later than the bound after that (R12.2). On a test server that is ours.
 */
@Timeout(value = 30, unit = TimeUnit.MINUTES)
public abstract class ReplicaFaultsContract {
    /** How late a node may know of a revocation. */
    protected static final Duration BOUND = Duration.ofSeconds(1);

    private static final int NODES = 3;
    private static final int WRITERS = 2;
    private static final Duration PAUSE = Duration.ofMillis(3);
    private static final Pattern COUNT = Pattern.compile("(\\w+)=([\\d.]+)");

    @TempDir
    private Path folder;

    // Stands between the nodes and the server.
    private @Nullable TcpProxy proxy;

    private final Instant start = Instant.ofEpochMilli(System.currentTimeMillis());
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final AtomicBoolean isOver = new AtomicBoolean();
    private final List<Process> nodes = new ArrayList<>();
    private Acknowledgements acknowledged;
    private TokenResource writer;

    /** For subclasses. */
    protected ReplicaFaultsContract() {}

    /** The name of the store, for the line that is printed. */
    protected abstract String name();

    /** A domain that no other test uses. */
    protected abstract String domain();

    /** The port that the proxy leads to; 0 where nodes cannot be led through a proxy. */
    protected abstract int port();

    /** The URL for writers. */
    protected abstract String url();

    /** The URL for nodes. */
    protected abstract String nodeUrl();

    /** Faults of this kind of server, by name; each is over when its action returns. */
    protected abstract Map<String, Fault> faults();

    /** The server, if it can be killed and paused. */
    protected abstract @Nullable TestServer server();

    /** Something that goes wrong, and is put right again. */
    protected interface Fault {
        /** Makes it go wrong, and puts it right. */
        void run() throws Exception;
    }

    @BeforeEach
    final void begin() {
        proxy = port() == 0 ? null : TcpProxy.to("localhost", port());
        acknowledged = new Acknowledgements(folder.resolve("acknowledged"), start);
        writer = TokenResource.builder()
                .url(url())
                .domain(domain())
                .failurePolicy(FailurePolicy.THROW)
                .maxTokenLifetime(Duration.ofDays(7))
                .build();
    }

    @AfterEach
    final void end() {
        isOver.set(true);
        nodes.forEach(Process::destroyForcibly);
        threads.shutdownNow();
        writer.close();
        if (proxy != null) {
            proxy.close();
        }
    }

    @Test
    final void R12_2_noNodeAcceptsATokenLaterThanTheBoundAfterItsRevocation() throws Exception {
        startNodes(NODES, Mistake.NONE);
        startWriters();
        awaitServing();
        Map<String, Fault> all = new LinkedHashMap<>();
        all.put("wall clocks are stepped", this::stepClocks);
        all.put("a node is stopped", this::stopANode);
        all.put("clean-up", () -> writer.expungeExpired());
        if (proxy != null) {
            all.put("connections are cut", this::cutConnections);
            all.put("the network swallows", () -> whileSwallowed(BOUND.multipliedBy(2)));
        }
        if (server() != null) {
            all.put("the server is killed", this::killServer);
            all.put("the server hangs", this::pauseServer);
        }
        all.putAll(faults());
        Duration longest = Duration.ofSeconds(Integer.getInteger("curfew.test.replica.seconds", 0));
        long begun = System.nanoTime();
        int rounds = 0;
        do {
            List<Map.Entry<String, Fault>> order = new ArrayList<>(all.entrySet());
            Collections.shuffle(order, new Random());
            for (Map.Entry<String, Fault> each : order) {
                each.getValue().run();
                awaitServing();
            }
            rounds++;
        } while (System.nanoTime() - begun < longest.toNanos());
        Map<String, Double> counted = stop();
        System.out.printf(
                "Replica faults, %s: %d nodes, %d faults, %d revocations; %s, %d s%n",
                name(),
                NODES,
                rounds * all.size(),
                acknowledged.count(),
                counted,
                (System.nanoTime() - begun) / 1_000_000_000);
        assertThat(counted)
                .containsEntry("late", 0.0)
                .containsEntry("wrong", 0.0)
                .containsEntry("lost", 0.0);
        assertThat(counted.get("checks")).isGreaterThan(10_000);
        assertThat(counted.get("local")).isGreaterThan(0.1);
    }

    // The harness itself: it must find a replica that makes a mistake.

    /** Runs a node that makes a mistake, and a fault that brings the mistake out: there must be late answers. */
    protected final void assertFound(Mistake mistake, Fault fault) throws Exception {
        startNodes(1, mistake);
        startWriters();
        awaitServing();
        fault.run();
        Map<String, Double> counted = stop();
        assertThat(counted.get("late"))
                .as("late answers of a replica that %s: %s", mistake, counted)
                .isPositive();
    }

    // Nodes and writers

    private void startNodes(int count, Mistake mistake) throws IOException {
        for (int node = 0; node < count; node++) {
            List<String> command = new ArrayList<>(List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-Xmx256m",
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "-cp",
                    System.getProperty("java.class.path"),
                    ReplicaNode.class.getName(),
                    nodeUrl(),
                    domain(),
                    folder.resolve("acknowledged").toString(),
                    Integer.toString(node),
                    Long.toString(BOUND.toMillis()),
                    Long.toString(start.toEpochMilli()),
                    mistake.name()));
            nodes.add(new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(folder.resolve("node-" + node).toFile())
                    .start());
        }
    }

    private void startWriters() {
        for (int i = 0; i < WRITERS; i++) {
            var unused = threads.submit(() -> {
                while (!isOver.get()) {
                    revokeOne();
                    LockSupport.parkNanos(PAUSE.toNanos());
                }
            });
        }
    }

    private void revokeOne() {
        int number = acknowledged.next();
        try {
            revoke(writer.forTenant(ReplicaNode.tenant(number)), number);
            acknowledged.acknowledge(number);
        } catch (TokenStoreException e) {
            // Nobody has been told that it is revoked.
            LockSupport.parkNanos(PAUSE.toNanos());
        }
    }

    private void revoke(TokenResource tokens, int number) {
        Token token = acknowledged.token(number);
        switch (number % 4) {
            case 0 -> tokens.revokeToken(token);
            case 1 -> {
                tokens.storeToken(token, "link", Map.of());
                tokens.consume(token.jti(), "link");
            }
            case 2 -> tokens.revokeSession(String.valueOf(token.session()));
            default -> tokens.revokeSubject(token.subject());
        }
    }

    /** A revocation by the caller, such as one in a transaction: it is acknowledged, or rolled back, later. */
    protected final int begin(TransactionalRevocation revocation) throws Exception {
        int number = acknowledged.next();
        revocation.revoke(ReplicaNode.tenant(number), acknowledged.token(number));
        return number;
    }

    /** Revokes a token of a tenant. */
    protected interface TransactionalRevocation {
        /** Revokes it. */
        void revoke(String tenant, Token token) throws Exception;
    }

    /** The caller's revocation is committed. */
    protected final void committed(int number) {
        acknowledged.acknowledge(number);
    }

    /** The caller's revocation was rolled back. */
    protected final void rolledBack(int number) {
        acknowledged.rollBack(number);
    }

    /** Revokes tokens that are over soon, outside of the count. */
    protected final void revokeShortLived(int count) {
        for (int i = 0; i < count; i++) {
            String jti = "short-" + System.nanoTime() + "-" + i;
            Instant now = Instant.ofEpochMilli(System.currentTimeMillis());
            RevokeOutcome outcome = writer.revokeToken(Token.of(jti, "s", now, now.plusMillis(1)));
            assertThat(outcome).isEqualTo(RevokeOutcome.REVOKED);
        }
    }

    /** Waits until every node answers by itself again. */
    private void awaitServing() {
        long since = System.nanoTime();
        for (int node = 0; node < nodes.size(); node++) {
            int number = node;
            Condition.await(
                    "node " + node + " serves: " + output(node), () -> acknowledged.hasServedSince(number, since));
        }
    }

    private String output(int node) {
        try {
            return Files.readString(folder.resolve("node-" + node));
        } catch (IOException e) {
            return e.toString();
        }
    }

    /** Ends the writers and then the nodes; answers the sums of what the nodes have counted, and the smallest local share. */
    private Map<String, Double> stop() throws Exception {
        isOver.set(true);
        threads.shutdown();
        assertThat(threads.awaitTermination(1, TimeUnit.MINUTES)).isTrue();
        acknowledged.end();
        Map<String, Double> sums = new LinkedHashMap<>();
        for (int node = 0; node < nodes.size(); node++) {
            assertThat(nodes.get(node).waitFor(2, TimeUnit.MINUTES)).isTrue();
            String output = output(node);
            Matcher counts = COUNT.matcher(output.substring(Math.max(0, output.lastIndexOf("checks="))));
            assertThat(counts.find()).as(output).isTrue();
            do {
                boolean isExtreme =
                        counts.group(1).equals("local") || counts.group(1).equals("entries");
                sums.merge(counts.group(1), Double.valueOf(counts.group(2)), isExtreme ? Math::min : Double::sum);
            } while (counts.find());
        }
        return sums;
    }

    // Faults

    /** Lets time pass: what is tested is how old a replica gets. */
    protected static void rest(Duration length) {
        long end = System.nanoTime() + length.toNanos();
        while (System.nanoTime() - end < 0) {
            LockSupport.parkNanos(end - System.nanoTime());
        }
    }

    private void stepClocks() {
        for (Duration step :
                List.of(Duration.ofSeconds(-10), Duration.ofSeconds(10), Duration.ofHours(-3), Duration.ofHours(3))) {
            acknowledged.setClock(0, step);
            rest(BOUND.dividedBy(2));
            acknowledged.setClock(0, Duration.ZERO);
            rest(BOUND.dividedBy(2));
        }
    }

    private void stopANode() {
        ProcessTree node = ProcessTree.of(nodes.get(nodes.size() - 1).toHandle());
        node.signal("STOP");
        rest(BOUND.multipliedBy(2));
        node.signal("CONT");
    }

    /** Where the nodes are led to the server. */
    protected final TcpProxy proxy() {
        return Objects.requireNonNull(proxy, "There is no proxy");
    }

    private void cutConnections() {
        for (int i = 0; i < 5; i++) {
            proxy().cut();
            rest(BOUND.dividedBy(5));
        }
    }

    /** The nodes reach nobody. The writers go on. */
    protected final void whileSwallowed(Duration length) {
        proxy().swallow();
        rest(length);
        proxy().pass();
    }

    private void killServer() {
        TestServer server = Objects.requireNonNull(server());
        server.kill();
        rest(BOUND);
        server.restart();
    }

    private void pauseServer() {
        TestServer server = Objects.requireNonNull(server());
        server.pause();
        rest(BOUND.multipliedBy(2));
        server.resume();
    }
}
