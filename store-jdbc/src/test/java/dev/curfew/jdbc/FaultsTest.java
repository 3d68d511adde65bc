package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.NOW;
import static dev.curfew.jdbc.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.Consumption.Consumed;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.TcpProxy;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is promised when the server or the network fails, on a server that is made to. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class FaultsTest {
    private static final Duration DEADLINE = Duration.ofSeconds(2);
    // A machine that runs tests may be late, too.
    private static final Duration LATE = Duration.ofMillis(500);
    private static final int THREADS = 8;

    private static PostgresServer server;
    private static ExecutorService threads;

    private final String domain = Fixture.newDomain();
    private TcpProxy proxy;

    @BeforeAll
    static void start() {
        server = PostgresServer.start(Map.of());
        threads = Executors.newCachedThreadPool();
    }

    @AfterAll
    static void stop() {
        threads.shutdownNow();
        server.close();
    }

    @BeforeEach
    void connect() {
        proxy = TcpProxy.to("localhost", server.port());
    }

    @AfterEach
    void disconnect() {
        proxy.close();
    }

    private String proxied() {
        return PostgresServer.url("localhost", proxy.port());
    }

    private TokenResource open(String url, FailurePolicy policy) {
        return TokenResource.builder()
                .url(url)
                .domain(domain)
                .clock(() -> NOW)
                .callDeadline(DEADLINE)
                .failurePolicy(policy)
                .maxTokenLifetime(Duration.ofDays(1))
                .build();
    }

    private static void awaitSuccess(TokenResource tokens) {
        await().atMost(Duration.ofSeconds(30))
                .ignoreException(TokenStoreException.class)
                .untilAsserted(() -> {
                    assertThat(tokens.inspect("nobody")).isEmpty();
                });
    }

    // kill -9

    /** What the threads of a round heard, by jti. */
    private static final class Heard {
        final Set<String> revoked = ConcurrentHashMap.newKeySet();
        final Set<String> used = ConcurrentHashMap.newKeySet();
        final Set<String> asked = ConcurrentHashMap.newKeySet();
        final AtomicInteger failures = new AtomicInteger();
        final AtomicInteger successes = new AtomicInteger();
    }

    @Test
    void R8_5_nothingAcknowledgedIsLostByAKillOfTheServerUnderLoad() throws Exception {
        int rounds = Integer.getInteger("curfew.test.kills", 10);
        try (TokenResource tokens = open(server.url(), FailurePolicy.THROW)) {
            for (int round = 0; round < rounds; round++) {
                var heard = new Heard();
                var over = new AtomicBoolean();
                List<Future<?>> load = new ArrayList<>();
                for (int thread = 0; thread < THREADS; thread++) {
                    String prefix = "r" + round + "-" + thread + "-";
                    load.add(threads.submit(() -> {
                        for (int i = 0; !over.get(); i++) {
                            revokeOrUse(tokens, prefix + i, i % 2 == 0, heard);
                        }
                    }));
                }
                await().until(() -> heard.successes.get() > 500);
                server.kill();
                await().until(() -> heard.failures.get() >= THREADS);
                server.restart();
                // By itself: nobody opens the store again.
                int before = heard.successes.get();
                await().atMost(Duration.ofSeconds(30)).until(() -> heard.successes.get() > before + 200);
                over.set(true);
                for (Future<?> each : load) {
                    each.get();
                }
                assertNothingLost(tokens, heard);
            }
        }
    }

    private static void revokeOrUse(TokenResource tokens, String jti, boolean use, Heard heard) {
        heard.asked.add(jti);
        try {
            if (use) {
                tokens.storeToken(token(jti, "s"), "link", Map.of("jti", jti));
                if (tokens.consume(jti, "link") instanceof Consumed) {
                    heard.used.add(jti);
                }
            } else if (tokens.revokeToken(token(jti, "s")) == RevokeOutcome.REVOKED) {
                heard.revoked.add(jti);
            }
            heard.successes.incrementAndGet();
        } catch (TokenStoreException e) {
            heard.failures.incrementAndGet();
        }
    }

    private static void assertNothingLost(TokenResource tokens, Heard heard) {
        Set<String> acknowledged = new HashSet<>(heard.revoked);
        acknowledged.addAll(heard.used);
        assertThat(tokens.isRevoked(acknowledged)).isEqualTo(acknowledged);
        for (String jti : heard.asked) {
            TokenRecord record = tokens.inspect(jti).orElse(null);
            if (record == null) {
                assertThat(acknowledged).doesNotContain(jti);
            } else if (record.purpose().equals("link")) {
                // Stored whole, and used or not.
                assertThat(record.extraData()).isEqualTo(Map.of("jti", jti));
                assertThat(record.expiresAt()).isEqualTo(NOW.plus(Fixture.HOUR));
                assertThat(record.revokedAt()).isIn(null, NOW);
            } else {
                assertThat(record.revokedAt()).isEqualTo(NOW);
            }
        }
        // Whoever was used is used: nobody wins a second time.
        for (String jti : heard.used) {
            assertThat(tokens.consume(jti, "link")).isNotInstanceOf(Consumed.class);
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
                server.pause();
            } else {
                server.resume();
            }
        } else if (on) {
            proxy.swallow();
        } else {
            proxy.pass();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"PAUSED", "SWALLOWED"})
    void R8_3_everyCallEndsWithinItsDeadlineAlsoWhenNobodyAnswers(String kind) throws Exception {
        try (TokenResource tokens = open(proxied(), FailurePolicy.DENY)) {
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
            calls.put("revoke all stored", () -> tokens.revokeAllStoredForSubject("s"));
            calls.put("list", () -> tokens.listTokens("s"));
            calls.put("expunge", tokens::expungeExpired);
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
                            .isEqualTo(TokenStatus.REVOKED);
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

    @Test
    void R8_3_aLockThatIsNotGivenUpEndsWithTheDeadline() throws Exception {
        try (HikariDataSource pool = Fixture.pool(server.url(), 2);
                JdbcTokenStore store = JdbcTokenStore.create(pool);
                TokenResource tokens = ready(store);
                Connection holder = pool.getConnection()) {
            tokens.storeToken(token("t", "s"));
            holder.setAutoCommit(false);
            store.inTransaction(holder, () -> tokens.revokeJti("t"));
            Future<?> waiting = threads.submit(() -> assertThatThrownBy(() -> tokens.revokeJti("t"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("call deadline")
                    .hasMessageContaining("not known"));
            waiting.get(DEADLINE.plus(LATE).toMillis(), TimeUnit.MILLISECONDS);
            holder.rollback();
            // The connection that was cut is not lent again.
            for (int i = 0; i < 10; i++) {
                assertThat(tokens.isRevoked("u" + i)).isFalse();
            }
        }
    }

    private TokenResource ready(JdbcTokenStore store) {
        store.createSchema(domain);
        return Fixture.builder(store, domain).callDeadline(DEADLINE).build();
    }

    @Test
    void R8_3_aCallInFlightKeepsItsDeadlineWhenTheStoreIsClosed() throws Exception {
        try (HikariDataSource pool = Fixture.pool(proxied(), 1)) {
            JdbcTokenStore store = JdbcTokenStore.create(pool);
            TokenResource tokens = ready(store);
            proxy.swallow();
            Future<?> call = threads.submit(
                    () -> assertThatThrownBy(() -> tokens.isRevoked("t")).isInstanceOf(TokenStoreException.class));
            await().until(() -> pool.getHikariPoolMXBean().getActiveConnections() == 1);
            store.close();
            call.get(DEADLINE.plus(LATE).toMillis(), TimeUnit.MILLISECONDS);
            assertThatThrownBy(() -> tokens.isRevoked("t")).hasRootCauseInstanceOf(IllegalStateException.class);
            tokens.close();
            await().untilAsserted(() -> assertThat(Thread.getAllStackTraces().keySet())
                    .noneMatch(thread -> thread.getName().startsWith("curfew")));
        }
    }

    @Test
    void R8_3_whatWaitedTooLongForAConnectionIsNotSent() throws Exception {
        Duration shortly = Duration.ofMillis(200);
        // A pool of an application's that makes its callers wait for longer than they wanted.
        var config = new HikariConfig();
        config.setJdbcUrl(server.url());
        config.setMaximumPoolSize(1);
        config.setConnectionTimeout(20_000);
        try (HikariDataSource pool = new HikariDataSource(config);
                HikariDataSource silent = Fixture.pool(proxied(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool);
                JdbcTokenStore clock = JdbcTokenStore.create(silent);
                TokenResource tokens = ready(store);
                TokenResource hasty =
                        Fixture.builder(store, domain).callDeadline(shortly).build();
                TokenResource ticking = Fixture.builder(clock, domain)
                        .callDeadline(shortly.multipliedBy(2))
                        .build()) {
            Connection busy = pool.getConnection();
            Future<?> call = threads.submit(() -> assertThatThrownBy(() -> hasty.revokeJti("t"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("within the call deadline. Nothing was changed"));
            await().until(() -> pool.getHikariPoolMXBean().getThreadsAwaitingConnection() == 1);
            // When another call of twice the length is over, so is the time of this one.
            proxy.swallow();
            assertThatThrownBy(() -> ticking.isRevoked("t")).isInstanceOf(TokenStoreException.class);
            busy.close();
            call.get(10, TimeUnit.SECONDS);
            assertThat(tokens.isRevoked("t")).isFalse();
        }
    }

    /** The deadline of one call must not cut the connection of the next one. */
    @Test
    void R8_3_manyCallsNearTheirDeadlineCutNobodyElse() throws Exception {
        try (HikariDataSource pool = Fixture.pool(proxied(), 4);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            ready(store).close();
            var shortly = Fixture.builder(store, domain)
                    .callDeadline(Duration.ofMillis(30))
                    .build();
            var patient = Fixture.builder(store, domain)
                    .callDeadline(Duration.ofSeconds(30))
                    .build();
            proxy.delay(Duration.ofMillis(12)); // there and back: near 30 ms
            List<Future<Integer>> calls = new ArrayList<>();
            for (int thread = 0; thread < 4; thread++) {
                calls.add(threads.submit(() -> {
                    int failed = 0;
                    for (int i = 0; i < 50; i++) {
                        try {
                            shortly.isRevoked("t" + i);
                        } catch (TokenStoreException e) {
                            failed++;
                        }
                        // Lent the connection that was just given back, or a new one: never one that is cut.
                        patient.isRevoked("t" + i);
                    }
                    return failed;
                }));
            }
            int failed = 0;
            for (Future<Integer> each : calls) {
                failed += each.get();
            }
            assertThat(failed).as("calls beyond 30 ms").isPositive();
            shortly.close();
            patient.close();
        }
    }

    // Cuts

    @Test
    void R8_2_aConnectionCutInTheMiddleOfAStatementLeavesNothingHalfDone() throws Exception {
        try (TokenResource tokens = open(proxied(), FailurePolicy.THROW);
                Connection holder = DriverManager.getConnection(server.url());
                Statement lock = holder.createStatement()) {
            tokens.storeToken(token("t", "s"), "link");
            holder.setAutoCommit(false);
            lock.execute("SELECT * FROM \"curfew_" + domain + "\" FOR UPDATE");
            Future<?> call = threads.submit(() -> assertThatThrownBy(() -> tokens.consume("t", "link"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("not known"));
            await().until(() ->
                    Fixture.sql(server.url(), "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
                                    .size()
                            == 1);
            proxy.cut();
            call.get(DEADLINE.toMillis(), TimeUnit.MILLISECONDS);
            holder.commit();
            // Used or not, but not in between: the server goes on until it finds that nobody listens.
            await().until(() -> Fixture.sql(
                            server.url(),
                            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
                                    + " AND backend_type = 'client backend'")
                    .isEmpty());
            awaitSuccess(tokens);
            boolean used = tokens.isRevoked("t");
            assertThat(tokens.consume("t", "link") instanceof Consumed).isEqualTo(!used);
        }
    }

    @Test
    void R8_7_aLostReplyIsNeverAWrongAnswer() {
        try (HikariDataSource pool = Fixture.pool(proxied(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool);
                TokenResource tokens = ready(store)) {
            Map<String, Runnable> calls = new LinkedHashMap<>();
            calls.put("store", () -> tokens.storeToken(token("stored", "s")));
            calls.put("revoke", () -> tokens.revokeToken(token("revoked", "s")));
            calls.put("consume", () -> tokens.consume("used", "link"));
            tokens.storeToken(token("used", "s"), "link");
            calls.forEach((name, call) -> {
                awaitSuccess(tokens);
                proxy.cutOnReply();
                assertThatThrownBy(call::run)
                        .as(name)
                        .isInstanceOf(TokenStoreException.class)
                        .hasMessageContaining("not known");
                proxy.pass();
            });
            awaitSuccess(tokens);
            // All of it was done, and who asks again is told the truth.
            assertThat(tokens.getToken("stored")).isPresent();
            assertThat(tokens.revokeToken(token("revoked", "s"))).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
            assertThat(tokens.isRevoked("used")).isTrue();
        }
    }

    @Test
    void R8_4_callsWorkAgainAfterEveryConnectionWasCut() {
        try (TokenResource tokens = open(proxied(), FailurePolicy.THROW)) {
            for (int round = 0; round < 5; round++) {
                assertThat(tokens.revokeToken(token("t" + round, "s"))).isEqualTo(RevokeOutcome.REVOKED);
                proxy.cut();
                awaitSuccess(tokens);
            }
        }
    }

    @Test
    void R8_6_noThreadAndNoConnectionStaysBehind() throws SQLException {
        String mine = server.url() + "&ApplicationName=" + domain;
        TokenResource tokens = open(mine, FailurePolicy.THROW);
        tokens.isRevoked("t");
        // What the URL says goes before our own defaults.
        String connections = "SELECT 1 FROM pg_stat_activity WHERE application_name = '" + domain + "'";
        assertThat(Fixture.sql(server.url(), connections)).isNotEmpty();
        tokens.close();
        await().untilAsserted(() -> assertThat(Thread.getAllStackTraces().keySet())
                .filteredOn(thread -> thread.getName().contains("curfew"))
                .isEmpty());
        await().untilAsserted(
                        () -> assertThat(Fixture.sql(server.url(), connections)).isEmpty());
    }
}
