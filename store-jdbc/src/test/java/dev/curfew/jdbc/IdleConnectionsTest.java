package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.NOW;
import static dev.curfew.jdbc.Fixture.sql;
import static dev.curfew.jdbc.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.TcpProxy;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A firewall has dropped the connections that a pool has, and says nothing; new ones pass. */
class IdleConnectionsTest {
    private static final Duration DEADLINE = Duration.ofSeconds(2);
    // How much later a call may end on a machine that runs tests.
    private static final Duration LATE = Duration.ofSeconds(1);
    private static final int CONNECTIONS = 8;

    private static PostgresServer server;

    private final String domain = Fixture.newDomain();
    private final ExecutorService threads = Executors.newFixedThreadPool(CONNECTIONS);
    private TcpProxy proxy;

    @BeforeAll
    static void start() {
        server = PostgresServer.start(Map.of());
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @BeforeEach
    void listen() {
        proxy = TcpProxy.to("localhost", server.port());
    }

    @AfterEach
    void close() {
        threads.shutdownNow();
        proxy.close();
    }

    private String url() {
        return PostgresServer.url("localhost", proxy.port()) + "&ApplicationName=" + domain;
    }

    private TokenResource.Builder builder() {
        return TokenResource.builder()
                .domain(domain)
                .clock(() -> NOW)
                .callDeadline(DEADLINE)
                .failurePolicy(FailurePolicy.DENY)
                .maxTokenLifetime(Duration.ofDays(1));
    }

    private List<String> connections(String condition) {
        return sql(
                server.url(),
                "SELECT pid FROM pg_stat_activity WHERE application_name = '" + domain + "' AND " + condition);
    }

    /** Opens several connections, and revokes {@code revoked}. */
    private void warm(TokenResource tokens, int connections) throws Exception {
        tokens.revokeToken(token("revoked", "s"));
        // So slow that one connection is not enough.
        proxy.delay(Duration.ofMillis(20));
        await().until(() -> {
            List<Future<?>> calls = new ArrayList<>();
            for (int i = 0; i < connections; i++) {
                calls.add(threads.submit(() -> tokens.isRevoked("revoked")));
            }
            for (Future<?> call : calls) {
                call.get();
            }
            return connections("true").size() >= connections;
        });
        proxy.pass();
    }

    /** A pool tries a connection before it lends it only where it was idle for half a second. */
    private void awaitIdle() {
        await().pollInterval(Duration.ofMillis(50))
                .until(() -> connections("state_change > clock_timestamp() - interval '700 ms'")
                        .isEmpty());
    }

    private static int denied(TokenResource tokens, int checks) {
        int denied = 0;
        for (int i = 0; i < checks; i++) {
            long start = System.nanoTime();
            TokenStatus free = tokens.check(token("free", "s"));
            assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(DEADLINE.plus(LATE));
            if (free == TokenStatus.UNAVAILABLE) {
                denied++;
            } else {
                assertThat(free).isEqualTo(TokenStatus.ACTIVE);
                assertThat(tokens.check(token("revoked", "s"))).isIn(TokenStatus.REVOKED, TokenStatus.UNAVAILABLE);
            }
        }
        return denied;
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void R8_4_connectionsThatAFirewallDroppedDenyNobody(boolean idle) throws Exception {
        try (TokenResource tokens = builder().url(url()).build()) {
            warm(tokens, CONNECTIONS);
            if (idle) {
                awaitIdle();
            }
            proxy.swallowExisting();
            assertThat(denied(tokens, 20)).isZero();
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void R8_4_norDoesAWriteLoseMoreThanItself(boolean idle) throws Exception {
        try (TokenResource tokens = builder().url(url()).build()) {
            warm(tokens, CONNECTIONS);
            if (idle) {
                awaitIdle();
            }
            proxy.swallowExisting();
            if (idle) {
                // Nothing had been sent when the pool found out.
                assertThat(tokens.revokeToken(token("t", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            } else {
                assertThatThrownBy(() -> tokens.revokeToken(token("t", "s")))
                        .isInstanceOfSatisfying(
                                TokenStoreException.class,
                                e -> assertThat(e.outcome()).isEqualTo(Outcome.UNKNOWN));
            }
            assertThat(tokens.revokeToken(token("u", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(denied(tokens, 5)).isZero();
        }
    }

    /** With the settings of the page: no more than what the pool tries in vain within the deadline. */
    @Test
    void R8_4_anApplicationsPoolHasToFindOutByItself() throws Exception {
        var config = new HikariConfig();
        config.setJdbcUrl(url());
        config.setMaximumPoolSize(CONNECTIONS);
        config.setConnectionTimeout(750);
        config.setValidationTimeout(250);
        try (HikariDataSource pool = new HikariDataSource(config);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            try (TokenResource tokens = builder().store(store).build()) {
                warm(tokens, CONNECTIONS);
                awaitIdle();
                proxy.swallowExisting();
                assertThat(denied(tokens, 20)).isLessThanOrEqualTo(1);
            }
        }
    }

    @Test
    void R8_4_aReadIsAskedAgainWhereItsConnectionBreaks() throws Exception {
        try (TokenResource tokens = builder().url(url()).build()) {
            for (int i = 0; i < 5; i++) {
                warm(tokens, 3);
                proxy.cut();
                assertThat(denied(tokens, 3)).isZero();
            }
        }
    }

    /** What changes something goes out once, whatever becomes of its answer. */
    @Test
    void R8_7_aWriteIsNeverSentTwice() throws Exception {
        try (TokenResource tokens = builder().url(url()).build()) {
            tokens.storeToken(token("write-of-this-test", "s"), "link");
            var sent = new AtomicInteger();
            proxy.onRequest((connection, bytes) -> {
                if (new String(bytes, StandardCharsets.ISO_8859_1).contains("write-of-this-test")) {
                    sent.incrementAndGet();
                }
            });
            List<Runnable> writes = List.of(
                    () -> tokens.storeToken(token("write-of-this-test", "s"), "link"),
                    () -> tokens.consume("write-of-this-test", "link"),
                    () -> tokens.revokeToken(token("write-of-this-test", "s")),
                    () -> tokens.revokeSubject("write-of-this-test"),
                    () -> tokens.revokeAllStoredForSubject("write-of-this-test"));
            for (Runnable write : writes) {
                for (boolean cut : List.of(true, false)) {
                    await().until(() -> tokens.check(token("free", "s")) == TokenStatus.ACTIVE);
                    sent.set(0);
                    if (cut) {
                        proxy.cutOnReplyTo("write-of-this-test");
                    } else {
                        proxy.silenceOnReplyTo("write-of-this-test");
                    }
                    assertThatThrownBy(write::run)
                            .isInstanceOfSatisfying(
                                    TokenStoreException.class,
                                    e -> assertThat(e.outcome()).isEqualTo(Outcome.UNKNOWN));
                    assertThat(sent).hasValue(1);
                }
            }
            // And a read twice at most.
            sent.set(0);
            proxy.silenceOnReplyTo("write-of-this-test");
            assertThat(tokens.isRevoked("write-of-this-test")).isTrue();
            assertThat(sent).hasValue(2);
        }
    }
}
