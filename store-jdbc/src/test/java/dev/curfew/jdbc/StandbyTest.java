package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.NOW;
import static dev.curfew.jdbc.Fixture.sql;
import static dev.curfew.jdbc.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.TcpProxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A hot standby that has the tables, and has not heard of a revocation: its replay is paused. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class StandbyTest {
    private static final Token REVOKED = token("revoked", "s");

    private static PostgresServer primary;
    private static PostgresServer standby;

    private final String domain = Fixture.newDomain();
    // An address that moves from the one to the other, as a name or a load balancer does.
    private TcpProxy address;

    @BeforeAll
    static void start() {
        primary = PostgresServer.startEmbedded(Map.of());
        standby = primary.standby();
    }

    @AfterAll
    static void stop() {
        standby.close();
        primary.close();
    }

    @BeforeEach
    void revokeBehindTheStandbysBack() {
        address = TcpProxy.to("localhost", primary.port());
        try (HikariDataSource pool = Fixture.pool(primary.url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            store.createSchema(domain);
            await().until(() -> sql(standby.url(), "SELECT to_regclass('\"curfew_" + domain + "_watermarks\"')")
                            .get(0)
                    != null);
            sql(standby.url(), "SELECT pg_wal_replay_pause()");
            await().until(() ->
                    sql(standby.url(), "SELECT pg_get_wal_replay_pause_state()").equals(List.of("paused")));
            TokenResource tokens = Fixture.resource(store, domain);
            assertThat(tokens.revokeToken(REVOKED)).isEqualTo(RevokeOutcome.REVOKED);
            tokens.close();
        }
    }

    @AfterEach
    void resume() {
        sql(standby.url(), "SELECT pg_wal_replay_resume()");
        address.close();
    }

    private TokenResource.Builder builder() {
        return TokenResource.builder()
                .domain(domain)
                .clock(() -> NOW)
                .callDeadline(Duration.ofSeconds(10))
                .failurePolicy(FailurePolicy.DENY)
                .maxTokenLifetime(Duration.ofDays(1));
    }

    /** By an address that says nothing of what stands behind it. */
    private String url() {
        return PostgresServer.url("localhost", address.port()) + "&targetServerType=any&ApplicationName=" + domain;
    }

    private void moveToStandby() {
        address.redirect(standby.port());
        address.cut();
    }

    private static void assertRefused(ThrowingCallable call, String as) {
        assertThatThrownBy(call).as(as).isInstanceOfSatisfying(TokenStoreException.class, e -> {
            assertThat(e.outcome()).isEqualTo(Outcome.UNCHANGED);
            assertThat(e)
                    .hasMessageContainingAll("standby", "targetServerType=primary", "25006", "Nothing was changed");
        });
    }

    @Test
    void R8_8_everyAnswerOfAStandbyIsAnError() throws SQLException {
        try (HikariDataSource pool = Fixture.pool(standby.url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            Map<String, MixedUpStatementsTest.VerbCall> verbs = MixedUpStatementsTest.verbs();
            verbs.put("serverTime", JdbcTokenStore::serverTime);
            verbs.forEach((name, verb) -> assertRefused(() -> verb.on(store, Fixture.scope(domain)), name));
            try (Connection connection = pool.getConnection()) {
                connection.setAutoCommit(false);
                assertRefused(
                        () -> store.inTransaction(
                                connection, () -> store.isRevoked(Fixture.scope(domain), REVOKED.jti(), NOW)),
                        "in a transaction");
                connection.rollback();
            }
        }
    }

    @Test
    void R8_8_noResourceIsBuiltOnAStandby() {
        moveToStandby();
        assertRefused(() -> builder().url(url()).build(), "by URL");
        try (HikariDataSource pool = Fixture.pool(standby.url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            assertRefused(() -> builder().store(store).build(), "on a pool");
        }
    }

    @Test
    void R8_8_aPoolThatConnectsToAStandbyLaterLetsNobodyIn() {
        try (HikariDataSource pool = Fixture.pool(url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool);
                TokenResource onPool = builder().store(store).build();
                TokenResource byUrl = builder().url(url()).build()) {
            moveToStandby();
            for (TokenResource tokens : List.of(onPool, byUrl)) {
                for (int i = 0; i < 3; i++) {
                    assertThat(tokens.check(REVOKED)).isEqualTo(TokenStatus.UNAVAILABLE);
                    assertThat(tokens.isRevoked(REVOKED.jti())).isTrue();
                }
                assertRefused(() -> tokens.revokeToken(token("other", "s")), "revoke");
                assertRefused(() -> tokens.inspect(REVOKED.jti()), "inspect");
            }
        }
    }

    /** The store's own pool lets go of the standby as soon as it is met: no check is denied once the address is right. */
    @Test
    void R8_8_theOwnPoolLetsGoOfAStandby() {
        try (TokenResource tokens = builder().url(url()).build()) {
            moveToStandby();
            assertThat(tokens.check(REVOKED)).isEqualTo(TokenStatus.UNAVAILABLE);
            // The pool keeps one connection in readiness.
            await().until(() -> !sql(
                            standby.url(), "SELECT pid FROM pg_stat_activity WHERE application_name = '" + domain + "'")
                    .isEmpty());
            address.redirect(primary.port());
            assertThat(tokens.check(REVOKED)).isEqualTo(TokenStatus.REVOKED);
            assertThat(tokens.check(token("free", "s"))).isEqualTo(TokenStatus.ACTIVE);
        }
    }
}
