package dev.curfew.servers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.RevokeOutcome;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/** Eight threads that store, use and revoke tokens, and revoke sessions, while a server fails, and remember what they were told. */
public final class Load {
    /** What the clock of the resource under load must say. */
    public static final Instant NOW = Instant.parse("2100-01-01T00:00:00Z");

    /** How many threads there are. */
    public static final int THREADS = 8;

    private static final Instant EXPIRY = NOW.plus(Duration.ofHours(1));
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /** How long a thread rests after a failure. */
    private static final Duration PAUSE = Duration.ofMillis(10);

    private final TokenResource tokens;
    private final String subject;
    private final Set<String> revoked = ConcurrentHashMap.newKeySet();
    private final Set<String> ended = ConcurrentHashMap.newKeySet();
    private final Set<String> used = ConcurrentHashMap.newKeySet();
    private final Set<String> stored = ConcurrentHashMap.newKeySet();
    private final Set<String> asked = ConcurrentHashMap.newKeySet();
    private final AtomicInteger failures = new AtomicInteger();
    private final AtomicInteger successes = new AtomicInteger();
    private final AtomicBoolean over = new AtomicBoolean();
    private final List<Future<?>> running = new ArrayList<>();

    /** Begins. All tokens are the subject's. */
    public Load(TokenResource tokens, String subject, ExecutorService threads) {
        this.tokens = tokens;
        this.subject = subject;
        for (int thread = 0; thread < THREADS; thread++) {
            String prefix = subject + "-" + thread + "-";
            running.add(threads.submit(() -> {
                for (int i = 0; !over.get(); i++) {
                    act(prefix + i, i % 4);
                }
            }));
        }
    }

    private void act(String jti, int how) {
        if (how != 3) {
            asked.add(jti);
        }
        Token token = Token.of(jti, subject, NOW, EXPIRY);
        try {
            if (how == 0) {
                if (tokens.revokeToken(token) == RevokeOutcome.REVOKED) {
                    revoked.add(jti);
                }
            } else if (how == 3) {
                if (tokens.revokeSession(jti) == RevokeOutcome.REVOKED) {
                    ended.add(jti);
                }
            } else {
                tokens.storeToken(token, "link", Map.of("jti", jti));
                if (how == 1) {
                    stored.add(jti);
                } else if (tokens.consume(jti, "link") instanceof Consumed) {
                    used.add(jti);
                }
            }
            successes.incrementAndGet();
        } catch (TokenStoreException e) {
            failures.incrementAndGet();
            // A store that knows that its server is away refuses at once: without a pause, millions would be refused.
            LockSupport.parkNanos(PAUSE.toNanos());
        }
    }

    /** Waits until so many more have succeeded. */
    public void awaitSuccesses(int more) {
        int before = successes.get();
        await().atMost(PATIENCE).until(() -> successes.get() > before + more);
    }

    /** Waits until every thread may have failed. */
    public void awaitFailures() {
        await().atMost(PATIENCE).until(() -> failures.get() >= THREADS);
    }

    /** Ends it. */
    public void stop() throws ExecutionException, InterruptedException {
        over.set(true);
        for (Future<?> each : running) {
            each.get();
        }
    }

    /**
     * Asserts that all that was acknowledged is so, that nothing is half done, and that none escapes a revocation of all.
     *
     * @param patient the same domain, with a deadline that a busy machine keeps
     */
    public void assertNothingLost(TokenResource patient) {
        assertThat(stored).allSatisfy(jti -> assertThat(patient.inspect(jti)).isPresent());
        Set<String> live = live(patient);
        assertThat(patient.revokeAllStoredForSubject(subject)).isEqualTo(live.size());
        assertThat(patient.isRevoked(live)).isEqualTo(live);
    }

    /**
     * The same, but for what was only stored: where that is not waited for, a failover may lose it; and where replicas are
     * waited for, they may not all be back yet.
     */
    public void assertNoRevocationLost() {
        Set<String> live = live(tokens);
        await().atMost(PATIENCE)
                .ignoreException(TokenStoreException.class)
                .until(() -> tokens.revokeAllStoredForSubject(subject) >= 0);
        assertThat(tokens.isRevoked(live)).isEqualTo(live);
    }

    /** Asserts that what was revoked and used is so, and answers what is not. */
    private Set<String> live(TokenResource tokens) {
        Set<String> acknowledged = new HashSet<>(revoked);
        acknowledged.addAll(used);
        assertThat(tokens.isRevoked(acknowledged)).isEqualTo(acknowledged);
        assertThat(ended)
                .allMatch(session ->
                        tokens.isRevoked(Token.of("any", subject, NOW, EXPIRY).withSession(session)));
        Set<String> live = new HashSet<>();
        for (String jti : asked) {
            TokenRecord record = tokens.inspect(jti).orElse(null);
            if (record == null) {
                assertThat(acknowledged).doesNotContain(jti);
            } else if (record.purpose().equals("link")) {
                // Stored whole, and used or not.
                assertThat(record.extraData()).isEqualTo(Map.of("jti", jti));
                assertThat(record.expiresAt()).isEqualTo(EXPIRY);
                assertThat(record.revokedAt()).isIn(null, NOW);
                if (!record.isRevoked()) {
                    live.add(jti);
                }
            } else {
                assertThat(record.revokedAt()).isEqualTo(NOW);
            }
        }
        // Whoever was used is used: nobody wins a second time.
        for (String jti : used) {
            assertThat(consumed(tokens, jti)).isNotInstanceOf(Consumed.class);
        }
        return live;
    }

    /** Where replicas are waited for, they may not all be back yet: also ALREADY_USED is answered when they have it. */
    private static Consumption consumed(TokenResource tokens, String jti) {
        return await().atMost(PATIENCE)
                // There are thousands: a delay before each first attempt would be minutes.
                .pollDelay(Duration.ZERO)
                .ignoreException(TokenStoreException.class)
                .until(() -> tokens.consume(jti, "link"), answer -> true);
    }
}
