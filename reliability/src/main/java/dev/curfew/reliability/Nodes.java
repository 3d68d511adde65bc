package dev.curfew.reliability;

import static org.awaitility.Awaitility.await;

import dev.curfew.ExpungePace;
import dev.curfew.FailurePolicy;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.reliability.Operation.Answer;
import dev.curfew.reliability.Operation.Kind;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.random.RandomGenerator;

/** Two token resources on the same records, with a client each: two nodes of an application. */
final class Nodes implements AutoCloseable {
    static final Duration DEADLINE = Duration.ofSeconds(2);
    static final String PURPOSE = "link";

    /** How many threads there are. */
    static final int THREADS = 4;

    private static final AtomicLong DOMAINS = new AtomicLong();
    private static final String RUN =
            "soak-" + Integer.toHexString(RandomGenerator.getDefault().nextInt()) + "-";

    private final List<TokenResource> nodes = new ArrayList<>();
    private final AtomicLong rotations = new AtomicLong();
    private volatile Instant now = Instant.parse("2100-01-01T00:00:00Z");

    /** @param connect sets the store of each */
    Nodes(Consumer<TokenResource.Builder> connect) {
        String domain = RUN + DOMAINS.incrementAndGet();
        for (int node = 0; node < 2; node++) {
            TokenResource.Builder builder = TokenResource.builder()
                    .domain(domain)
                    .clock(() -> now)
                    .callDeadline(DEADLINE)
                    .failurePolicy(FailurePolicy.THROW)
                    .maxTokenLifetime(Duration.ofDays(1));
            connect.accept(builder);
            nodes.add(await().atMost(Duration.ofMinutes(1))
                    .pollDelay(Duration.ZERO)
                    .ignoreException(TokenStoreException.class)
                    .until(builder::build, node2 -> true));
        }
    }

    /** The resource of a thread, or of any other number. */
    TokenResource of(long number) {
        return nodes.get((int) (number % nodes.size()));
    }

    Token token(long number) {
        String id = SecretWatch.MARK + number;
        return Token.of(id, "s-" + id, now, now.plus(Duration.ofHours(1))).withSession("d-" + id);
    }

    Answer store(History history, int node, long number) {
        Token token = token(number);
        return history.call(Kind.STORE, number, () -> of(node).storeToken(token, PURPOSE));
    }

    Answer check(History history, int node, long number) {
        Token token = token(number);
        return history.call(Kind.CHECK, number, () -> of(node).check(token));
    }

    Answer consume(History history, int node, long number) {
        String jti = token(number).jti();
        return history.call(Kind.CONSUME, number, () -> of(node).consume(jti, PURPOSE));
    }

    /** Each has a successor of its own: with the same one a call would be the first one repeated (R14.2). */
    Answer rotate(History history, int node, long number) {
        Token token = token(number);
        String next = token.jti() + "-" + rotations.incrementAndGet();
        Token successor =
                Token.of(next, token.subject(), now, token.expiresAt()).withSession("d-" + token.jti());
        return history.call(Kind.ROTATE, number, () -> of(node).rotate(token, PURPOSE, successor));
    }

    /** Revokes in one of six ways. */
    Answer revoke(History history, int node, long number, int way) {
        Token token = token(number);
        return switch (way) {
            case 0 -> consume(history, node, number);
            case 1 -> rotate(history, node, number);
            case 2 -> history.call(Kind.REVOKE, number, () -> of(node).revokeToken(token));
            case 3 -> history.call(Kind.REVOKE, number, () -> of(node).revokeJti(token.jti()));
            case 4 -> history.call(Kind.REVOKE_SESSION, number, () -> of(node).revokeSession("d-" + token.jti()));
            default -> history.call(Kind.REVOKE_SUBJECT, number, () -> of(node).revokeSubject(token.subject()));
        };
    }

    /** A call of a thread about a token. */
    interface Use {
        Answer run(History history, int thread, long token);
    }

    /** Stores so many tokens from a number on, and lets all threads race for each. */
    void race(History history, Use use, long first, int count) {
        together(thread -> {
            for (long token = first + thread; token < first + count; token += THREADS) {
                store(history, thread, token);
            }
        });
        var arrivals = new AtomicLong();
        together(thread -> {
            for (int i = 0; i < count; i++) {
                meet(arrivals, (i + 1L) * THREADS);
                use.run(history, thread, first + i);
            }
        });
    }

    /** Waits without parking: threads that are woken one after the other do not race. */
    @SuppressWarnings("ThreadPriorityCheck") // the yield only saves time where there are fewer cores than threads
    private static void meet(AtomicLong arrivals, long all) {
        arrivals.incrementAndGet();
        for (int spins = 0; arrivals.get() < all; spins++) {
            if (spins < 200) {
                Thread.onSpinWait();
            } else {
                Thread.yield();
            }
        }
    }

    /** Lets all that is stored pass its retention end, and removes it. */
    void forget() {
        now = now.plus(Duration.ofDays(4));
        await().atMost(Duration.ofMinutes(2))
                .ignoreException(TokenStoreException.class)
                .until(() -> of(0).expungeExpired(ExpungePace.FULL_SPEED).removed() >= 0);
    }

    /** Runs something on all threads, with the number of each, and waits for its end. */
    static void together(IntConsumer work) {
        ExecutorService threads = Executors.newFixedThreadPool(THREADS);
        try {
            List<Future<?>> running = new ArrayList<>();
            for (int thread = 0; thread < THREADS; thread++) {
                int number = thread;
                running.add(threads.submit(() -> work.accept(number)));
            }
            for (Future<?> each : running) {
                each.get();
            }
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        } finally {
            threads.shutdownNow();
        }
    }

    @Override
    public void close() {
        nodes.forEach(TokenResource::close);
    }
}
