package dev.curfew.jdbc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.Consumption.Consumed;
import dev.curfew.FailurePolicy;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.ServerFaultsContract;
import dev.curfew.servers.TestServer;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.LongAdder;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What is promised when the server or the network fails, and what is peculiar to a pool and a transaction. */
class FaultsTest extends ServerFaultsContract {
    // Of a pool whose connections are all dead: a call of a test waits for so long.
    private static final Duration PATIENCE = Duration.ofSeconds(1);

    private static PostgresServer server;

    private final String domain = Fixture.newDomain();

    @BeforeAll
    static void start() {
        server = PostgresServer.start(Map.of());
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @Override
    protected TestServer server() {
        return server;
    }

    @Override
    protected String url(int port) {
        return PostgresServer.url("localhost", port);
    }

    @Override
    protected String domain() {
        return domain;
    }

    @Override
    protected void alsoCalled(TokenResource tokens, Map<String, Runnable> calls) {
        calls.put("expunge", tokens::expungeExpired);
    }

    private String proxied() {
        return url(proxy.port());
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
        try (HikariDataSource pool = Fixture.pool(proxied(), 1, true, PATIENCE)) {
            JdbcTokenStore store = JdbcTokenStore.create(pool);
            TokenResource tokens = ready(store);
            proxy.swallow();
            Future<?> call = threads.submit(
                    // What is read would be asked again; a store that is closed asks nothing.
                    () -> assertThatThrownBy(() -> tokens.isRevoked("t"))
                            .isInstanceOf(IllegalStateException.class)
                            .hasMessageContaining("closed"));
            await().until(() -> pool.getHikariPoolMXBean().getActiveConnections() == 1);
            store.close();
            call.get(DEADLINE.plus(LATE).toMillis(), TimeUnit.MILLISECONDS);
            assertThatThrownBy(() -> tokens.isRevoked("t"))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("closed");
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
                HikariDataSource silent = Fixture.pool(proxied(), 1, true, PATIENCE);
                JdbcTokenStore store = JdbcTokenStore.create(pool);
                JdbcTokenStore clock = JdbcTokenStore.create(silent);
                TokenResource tokens = ready(store)) {
            clock.isRevoked(Fixture.scope(domain), "t", NOW); // has a connection
            Connection busy = pool.getConnection();
            var revocation =
                    new TokenRecord("t", "s", "user", NOW, NOW.plus(Fixture.HOUR), null, NOW, NOW, NOW, null, null);
            Future<?> call = threads.submit(() -> assertThatThrownBy(
                            () -> store.revoke(Fixture.scope(domain, shortly), revocation, revocation.expiresAt(), NOW))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("within the call deadline")
                    .hasMessageContaining("Nothing was changed"));
            await().until(() -> pool.getHikariPoolMXBean().getThreadsAwaitingConnection() == 1);
            // When another call of twice the length is over, so is the time of this one.
            proxy.swallow();
            StoreScope twice = Fixture.scope(domain, shortly.multipliedBy(2));
            assertThatThrownBy(() -> clock.isRevoked(twice, "t", NOW)).isInstanceOf(TokenStoreException.class);
            busy.close();
            call.get(1, TimeUnit.MINUTES);
            assertThat(tokens.isRevoked("t")).isFalse();
        }
    }

    /** The deadline of one call must not cut the connection of the next one. */
    @Test
    void R8_3_manyCallsNearTheirDeadlineCutNobodyElse() throws Exception {
        try (HikariDataSource pool = Fixture.pool(proxied(), 4);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            ready(store).close();
            StoreScope shortly = Fixture.scope(domain, Duration.ofMillis(30));
            StoreScope patient = Fixture.scope(domain);
            proxy.delay(Duration.ofMillis(12)); // there and back: near 30 ms
            List<Future<Integer>> calls = new ArrayList<>();
            for (int thread = 0; thread < 4; thread++) {
                calls.add(threads.submit(() -> {
                    int failed = 0;
                    for (int i = 0; i < 50; i++) {
                        try {
                            store.isRevoked(shortly, "t" + i, NOW);
                        } catch (TokenStoreException e) {
                            failed++;
                        }
                        // Lent the connection that was just given back, or a new one: never one that is cut.
                        store.isRevoked(patient, "t" + i, NOW);
                    }
                    return failed;
                }));
            }
            int failed = 0;
            for (Future<Integer> each : calls) {
                failed += each.get();
            }
            assertThat(failed).as("calls beyond 30 ms").isPositive();
        }
    }

    /** Fifty threads that wait for a server that is paused had 39 answers a second. */
    @Test
    void R8_9_checksOfAServerThatHangsAreAnsweredAtOnce() throws Exception {
        var answers = new LongAdder();
        var isOver = new AtomicBoolean();
        Token free = token("free", "s");
        try (TokenResource tokens = open(server.port(), FailurePolicy.DENY)) {
            assertThat(tokens.check(free)).isEqualTo(TokenStatus.ACTIVE);
            server.pause();
            for (int thread = 0; thread < 50; thread++) {
                threads.execute(() -> {
                    while (!isOver.get()) {
                        tokens.check(free);
                        answers.increment();
                    }
                });
            }
            try {
                // Each thread waits for its deadline once.
                await().atMost(Duration.ofMinutes(1)).until(() -> answers.sum() > 1_000);
                long before = answers.sum();
                long began = System.nanoTime();
                await().atMost(Duration.ofMinutes(1))
                        .until(() -> answers.sum() - before >= 10_000 * DEADLINE.toSeconds());
                assertThat(Duration.ofNanos(System.nanoTime() - began)).isLessThan(DEADLINE);
            } finally {
                server.resume();
            }
            // The check that is under way has its answer now, or is the last one that fails.
            await().atMost(DEADLINE.plus(LATE)).until(() -> tokens.check(free) == TokenStatus.ACTIVE);
            isOver.set(true);
        } finally {
            isOver.set(true);
        }
    }

    // Cuts

    @Test
    void R8_2_aConnectionCutInTheMiddleOfAStatementLeavesNothingHalfDone() throws Exception {
        try (TokenResource tokens = open(proxy.port(), FailurePolicy.THROW);
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
            call.get(DEADLINE.plus(LATE).toMillis(), TimeUnit.MILLISECONDS);
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
    void R8_6_noThreadAndNoConnectionStaysBehind() throws SQLException {
        String mine = server.url() + "&ApplicationName=" + domain;
        TokenResource tokens = builder(FailurePolicy.THROW).url(mine).build();
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
