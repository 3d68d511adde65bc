package dev.curfew.examples;

import dev.curfew.ReplicaStatus;
import dev.curfew.RevokeOutcome;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import java.io.PrintStream;
import java.time.Duration;
import java.time.InstantSource;
import java.util.UUID;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The local replica, told by two nodes on one store: one revokes, the other one refuses without having asked. Then the
 * reader stops the store, and sees what a node answers meanwhile.
 *
 * @param bound how late a node may learn of a revocation by the other one
 * @param longer for how much longer a node answers while the store fails
 * @param patience how long to wait for the reader
 */
record ReplicaStory(Duration bound, Duration longer, Duration patience) {
    static final String DOMAIN = "quickstart-replica";
    private static final int CHECKS = 100_000;
    private static final Duration LIFETIME = Duration.ofHours(1);
    private static final Duration SECOND = Duration.ofSeconds(1);

    /**
     * Tells it.
     *
     * @param builders makes builders that know the store; it must be a server
     * @throws IllegalArgumentException if the store has no local replica; the message says why
     * @throws Story.CameOutDifferently if an answer was not the expected one
     */
    void tell(Supplier<TokenResource.Builder> builders, PrintStream out) {
        try (TokenResource one = node(builders.get());
                TokenResource two = node(builders.get())) {
            var jwts = new Jwts(InstantSource.system());
            String ada = "ada-" + UUID.randomUUID();
            // Each has a session: the replica can tell everything about it (R12.4).
            Token lost = jwts.verified(jwts.issue(ada, LIFETIME, "phone-" + ada));
            Token good = jwts.verified(jwts.issue(ada, LIFETIME, "laptop-" + ada));
            revokeOnOneNode(one, two, lost, good, out);
            stopTheStore(two, lost, good, out);
        }
    }

    private TokenResource node(TokenResource.Builder builder) {
        return builder.domain(DOMAIN)
                .clockSkew(Jwts.LEEWAY)
                .maxTokenLifetime(LIFETIME)
                .callDeadline(SECOND)
                .localReplica(bound)
                .serveWhileStoreFails(longer)
                .build();
    }

    private void revokeOnOneNode(TokenResource one, TokenResource two, Token lost, Token good, PrintStream out) {
        out.println("Two nodes on one store. Each has all that is revoked in its own memory, " + seconds(bound)
                + " old at most.");
        long start = System.nanoTime();
        while (!status(two).isServing()) {
            pause(Duration.ofMillis(1));
        }
        out.printf(
                "  Node 2 has read all %d revocations, after %s%n", status(two).entries(), since(start));
        expect("check", TokenStatus.ACTIVE, two.check(good));
        start = System.nanoTime();
        for (int i = 0; i < CHECKS; i++) {
            two.check(good);
        }
        out.printf(
                "  Node 2 checks Ada's laptop: ACTIVE, in %.2f microseconds each time%n",
                (System.nanoTime() - start) / 1000.0 / CHECKS);
        start = System.nanoTime();
        expect("revokeToken", RevokeOutcome.REVOKED, one.revokeToken(lost));
        out.println("  Node 1 logs Ada's phone out: REVOKED, in " + since(start));
        start = System.nanoTime();
        while (two.check(lost) == TokenStatus.ACTIVE) {
            pause(Duration.ofMillis(1));
        }
        expect("check", TokenStatus.REVOKED, two.check(lost));
        out.println("  Node 2 refuses the phone: REVOKED, " + since(start) + " later");
    }

    private void stopTheStore(TokenResource node, Token lost, Token good, PrintStream out) {
        out.println();
        out.println("Now stop the store, and start it again when you like. While it fails, node 2 goes on for "
                + seconds(bound.plus(longer)) + ".");
        boolean hasFailed = false;
        long start = System.nanoTime();
        while (System.nanoTime() - start < patience.toNanos()) {
            pause(SECOND);
            TokenStatus ofGood = node.check(good);
            TokenStatus ofLost = node.check(lost);
            Duration age = status(node).age();
            out.printf(
                    "  %6s  laptop: %-12s phone: %-9s replica: %s%n",
                    since(start), ofGood, ofLost, age == null ? "reads everything anew" : seconds(age) + " old");
            expect("check", TokenStatus.REVOKED, ofLost);
            boolean isFresh = age != null && age.compareTo(bound) < 0;
            hasFailed |= !isFresh;
            if (hasFailed && isFresh && ofGood == TokenStatus.ACTIVE) {
                out.println("The store is back. What was revoked stayed revoked.");
                return;
            }
        }
        out.println(hasFailed ? "The store is still down." : "The store was not stopped.");
    }

    private static ReplicaStatus status(TokenResource node) {
        return node.replicaStatus().orElseThrow();
    }

    private static void expect(String call, Object expected, @Nullable Object answer) {
        if (!expected.equals(answer)) {
            throw new Story.CameOutDifferently(call, expected, String.valueOf(answer));
        }
    }

    private static String since(long reading) {
        return seconds(Duration.ofNanos(System.nanoTime() - reading));
    }

    private static String seconds(Duration duration) {
        return duration.compareTo(SECOND) < 0
                ? duration.toMillis() + " ms"
                : "%.1f s".formatted(duration.toMillis() / 1000.0);
    }

    private static void pause(Duration length) {
        LockSupport.parkNanos(length.toNanos());
    }
}
