package dev.curfew.servers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.curfew.Consumption.Consumed;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What every store promises when its server or the network fails, on a server that is made to. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
public abstract class ServerFaultsContract {
    /** What the clock of the resources says. */
    protected static final Instant NOW = Load.NOW;

    /** Within which every call must end. */
    protected static final Duration DEADLINE = Duration.ofSeconds(2);

    /** How much later a call may end on a machine that runs tests. */
    protected static final Duration LATE = Duration.ofSeconds(2);

    /** Whether a thread costs next to nothing. */
    protected static final boolean HAS_VIRTUAL_THREADS = Runtime.version().feature() >= 21;

    private static final Duration HOUR = Duration.ofHours(1);

    /** For as many things at once as a test likes. */
    protected final ExecutorService threads = Executors.newCachedThreadPool();

    /** Stands before the server. */
    protected TcpProxy proxy;

    /** For subclasses. */
    protected ServerFaultsContract() {}

    /** The server under test. */
    protected abstract TestServer server();

    /** The URL of a store on the server at this port of this machine: its own, or the proxy's. */
    protected abstract String url(int port);

    /** A domain that no other test uses, the same throughout one test. */
    protected abstract String domain();

    /** For what a store asks of its server that others need not; nothing by default. */
    protected void alsoCalled(TokenResource tokens, Map<String, Runnable> calls) {}

    /** How often the server is killed under load: {@code curfew.test.kills}, 5 by default. */
    protected int kills() {
        return Integer.getInteger("curfew.test.kills", 5);
    }

    /** Opens a resource in the way under test; by its URL, unless a subclass has another. */
    protected TokenResource open(int port, FailurePolicy policy) {
        return Fixture.opened(builder(policy).url(url(port)));
    }

    /** A resource of the test's domain and deadline. */
    protected final TokenResource.Builder builder(FailurePolicy policy) {
        return TokenResource.builder()
                .domain(domain())
                .clock(() -> NOW)
                .callDeadline(DEADLINE)
                .failurePolicy(policy)
                .maxTokenLifetime(Duration.ofDays(1));
    }

    /** A token of an hour. */
    protected static Token token(String jti, String subject) {
        return Token.of(jti, subject, NOW, NOW.plus(HOUR));
    }

    @BeforeEach
    final void connect() {
        proxy = TcpProxy.to("localhost", server().port());
    }

    @AfterEach
    final void disconnect() {
        proxy.close();
        threads.shutdownNow();
    }

    /** Waits until calls work again. */
    protected static void awaitSuccess(TokenResource tokens) {
        await().atMost(Duration.ofSeconds(30))
                .ignoreException(TokenStoreException.class)
                .untilAsserted(() -> {
                    assertThat(tokens.inspect("nobody")).isEmpty();
                });
    }

    // kill -9

    @Test
    final void R8_5_nothingAcknowledgedIsLostByAKillOfTheServerUnderLoad() throws Exception {
        int rounds = kills();
        // What was lost is looked for without haste.
        try (TokenResource patient = builder(FailurePolicy.THROW)
                        .callDeadline(Duration.ofMinutes(1))
                        .url(url(server().port()))
                        .build();
                TokenResource tokens = open(server().port(), FailurePolicy.THROW)) {
            for (int round = 0; round < rounds; round++) {
                var load = new Load(tokens, "s" + round, threads);
                load.awaitSuccesses(500);
                server().kill();
                load.awaitFailures();
                server().restart();
                // By itself: nobody opens the store again.
                load.awaitSuccesses(200);
                load.stop();
                load.assertNothingLost(patient);
            }
        }
    }

    // Silence

    private enum Silence {
        PAUSED,
        SWALLOWED
    }

    private void silence(Silence kind, boolean on) {
        if (kind == Silence.PAUSED) {
            if (on) {
                server().pause();
            } else {
                server().resume();
            }
        } else if (on) {
            proxy.swallow();
        } else {
            proxy.pass();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"PAUSED", "SWALLOWED"})
    final void R8_3_everyCallEndsWithinItsDeadlineAlsoWhenNobodyAnswers(String kind) throws Exception {
        try (TokenResource tokens = open(proxy.port(), FailurePolicy.DENY)) {
            tokens.storeToken(token("t", "s"), "link");
            // So that some calls have a connection, and others have to wait for one.
            List<Future<?>> warm = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                warm.add(threads.submit(() -> tokens.isRevoked("t")));
            }
            for (Future<?> each : warm) {
                each.get();
            }
            Map<String, Runnable> calls = new LinkedHashMap<>();
            calls.put("store", () -> tokens.storeToken(token("u", "s")));
            calls.put("get", () -> tokens.getToken("t"));
            calls.put("revoke", () -> tokens.revokeJti("t"));
            calls.put("consume", () -> tokens.consume("t", "link"));
            calls.put("revoke subject", () -> tokens.revokeSubject("s"));
            calls.put("revoke session", () -> tokens.revokeSession("phone"));
            calls.put("revoke all stored", () -> tokens.revokeAllStoredForSubject("s"));
            calls.put("list", () -> tokens.listTokens("s"));
            alsoCalled(tokens, calls);
            silence(Silence.valueOf(kind), true);
            try {
                // All at once, and one after another: the second ones meet what the first have left of the pool.
                for (int round = 0; round < 2; round++) {
                    Map<String, Future<?>> running = new LinkedHashMap<>();
                    Future<Boolean> revoked = threads.submit(() -> tokens.isRevoked("t"));
                    Future<TokenStatus> checked = threads.submit(() -> tokens.check(token("t", "s")));
                    calls.forEach((name, call) -> running.put(
                            name,
                            threads.submit(() ->
                                    assertThatThrownBy(call::run).as(name).isInstanceOf(TokenStoreException.class))));
                    long end = System.nanoTime() + DEADLINE.plus(LATE).toNanos();
                    // R8.1: in doubt, nobody gets in.
                    assertThat(revoked.get(end - System.nanoTime(), TimeUnit.NANOSECONDS))
                            .isTrue();
                    assertThat(checked.get(end - System.nanoTime(), TimeUnit.NANOSECONDS))
                            .isEqualTo(TokenStatus.UNAVAILABLE);
                    for (Future<?> call : running.values()) {
                        call.get(end - System.nanoTime(), TimeUnit.NANOSECONDS);
                    }
                }
            } finally {
                silence(Silence.valueOf(kind), false);
            }
            awaitSuccess(tokens);
            assertThat(tokens.storeToken(token("after", "s"))).isEqualTo(StoreOutcome.STORED);
        }
    }

    // Slowness

    /** A first connection and the looks at a server take many round trips: more of them than a call has time for. */
    @Test
    final void R8_3_aServerThatIsSlowIsOpenedAllTheSame() {
        Duration deadline = DEADLINE.dividedBy(2);
        proxy.delay(deadline.dividedBy(10));
        long begun = System.nanoTime();
        try (TokenResource tokens = builder(FailurePolicy.THROW)
                .callDeadline(deadline)
                .url(url(proxy.port()))
                .build()) {
            assertThat(Duration.ofNanos(System.nanoTime() - begun)).isGreaterThan(deadline);
            proxy.pass();
            assertThat(tokens.storeToken(token("t", "s"))).isEqualTo(StoreOutcome.STORED);
            assertThat(tokens.check(token("t", "s"))).isEqualTo(TokenStatus.ACTIVE);
        }
    }

    /** As after a restart of the application, when all that it has kept waiting comes at once. */
    @Test
    final void R8_3_aBurstAfterOpeningIsAnswered() throws Exception {
        // How long it takes is the machine's affair. That no check is denied early is not.
        try (TokenResource tokens = builder(FailurePolicy.DENY)
                .callDeadline(Duration.ofMinutes(1))
                .url(url(server().port()))
                .build()) {
            tokens.storeToken(token("t", "s"));
            beforeBurst();
            CountDownLatch start = new CountDownLatch(1);
            Map<TokenStatus, LongAdder> answers = new ConcurrentHashMap<>();
            List<Thread> checks = new ArrayList<>();
            for (int i = 0; i < burst(); i++) {
                checks.add(started(() -> {
                    try {
                        start.await();
                    } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                    }
                    TokenStatus answer = tokens.check(token("t", "s"));
                    answers.computeIfAbsent(answer, each -> new LongAdder()).increment();
                }));
            }
            start.countDown();
            for (Thread each : checks) {
                each.join();
            }
            assertThat(answers).hasToString("{ACTIVE=" + burst() + "}");
            afterBurst();
        }
    }

    /** A virtual thread where the JVM has them. */
    private static Thread started(Runnable work) throws ReflectiveOperationException {
        if (HAS_VIRTUAL_THREADS) {
            return (Thread)
                    Thread.class.getMethod("startVirtualThread", Runnable.class).invoke(null, work);
        }
        var thread = new Thread(work);
        thread.start();
        return thread;
    }

    /** How many checks come at once. */
    protected int burst() {
        return 1000;
    }

    /** For what a store's server can tell of a burst. */
    protected void beforeBurst() {}

    /** The same, afterwards. */
    protected void afterBurst() {}

    // Cuts

    @Test
    final void R8_4_callsWorkAgainAfterEveryConnectionWasCut() {
        try (TokenResource tokens = open(proxy.port(), FailurePolicy.THROW)) {
            for (int round = 0; round < 5; round++) {
                assertThat(tokens.revokeToken(token("t" + round, "s"))).isEqualTo(RevokeOutcome.REVOKED);
                proxy.cut();
                awaitSuccess(tokens);
            }
        }
    }

    // Lost replies

    /** The server does what it is asked, and nobody hears of it, nor of anything that is asked until then. */
    @Test
    final void R8_7_aLostReplyIsNeverAWrongAnswer() throws Exception {
        try (TokenResource direct = open(server().port(), FailurePolicy.THROW)) {
            // Once, so that the server knows what it has to be told once, such as a script.
            direct.storeToken(token("known", "s"), "link");
            direct.consume("known", "link");
            direct.revokeToken(token("known too", "s"));
            direct.revokeSession("known");
            for (int round = 0; round < 10; round++) {
                String n = Integer.toString(round);
                direct.storeToken(token("used" + n, "s"), "link");
                try (TokenResource tokens = open(proxy.port(), FailurePolicy.THROW)) {
                    tokens.isRevoked("warm");
                    assertThat(attempt(
                                    () -> tokens.revokeToken(token("revoked" + n, "s")),
                                    answer -> direct.isRevoked("revoked" + n)))
                            .isIn(RevokeOutcome.REVOKED, "unknown");
                    awaitSuccess(tokens);
                    Object use =
                            attempt(() -> tokens.consume("used" + n, "link"), answer -> direct.isRevoked("used" + n));
                    assertThat(use instanceof Consumed || use.equals("unknown"))
                            .as("not used by itself: " + use)
                            .isTrue();
                    awaitSuccess(tokens);
                    Token ofSession = token("any", "s").withSession("ended" + n);
                    assertThat(attempt(() -> tokens.revokeSession("ended" + n), answer -> direct.isRevoked(ofSession)))
                            .isIn(RevokeOutcome.REVOKED, "unknown");
                    awaitSuccess(tokens);
                    assertThat(attempt(
                                    () -> tokens.storeToken(token("stored" + n, "s")),
                                    // A store may need more than one request for it, and hear nothing of the first.
                                    answer -> answer.isDone()
                                            || direct.inspect("stored" + n).isPresent()))
                            .isIn(StoreOutcome.STORED, "unknown");
                }
                // Who asks again is told the truth.
                assertThat(direct.revokeToken(token("revoked" + n, "s"))).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
                assertThat(direct.consume("used" + n, "link")).isNotInstanceOf(Consumed.class);
                assertThat(direct.revokeSession("ended" + n)).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
                direct.revokeAllStoredForSubject("s");
            }
        }
    }

    private Object attempt(Supplier<Object> call, Predicate<Future<Object>> done) throws Exception {
        proxy.cutOnReply();
        Future<Object> answer = threads.submit(call::get);
        await().until(() -> done.test(answer));
        proxy.pass();
        try {
            return answer.get(DEADLINE.plus(LATE).toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            assertThat(e.getCause()).isInstanceOf(TokenStoreException.class).hasMessageContaining("not known");
            return "unknown";
        }
    }
}
