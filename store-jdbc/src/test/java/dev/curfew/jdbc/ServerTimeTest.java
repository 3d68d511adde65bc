package dev.curfew.jdbc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.StoreScope;
import dev.curfew.servers.PostgresServer;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The server's clock, as the clean-up asks for it. */
class ServerTimeTest {
    private static final Duration APART = Duration.ofSeconds(5);

    @ParameterizedTest
    @ValueSource(strings = {"UTC", "Asia/Kathmandu", "America/St_Johns"})
    void R7_8_theServersTimeIsNotThatOfTheSession(String zone) {
        var config = new HikariConfig();
        config.setJdbcUrl(PostgresServer.shared().url());
        config.setConnectionInitSql("SET TIME ZONE '" + zone + "'");
        try (HikariDataSource pool = new HikariDataSource(config);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            Instant time = store.serverTime(Fixture.scope(Fixture.newDomain()));
            // The server runs on this machine, or on one whose clock is right.
            assertThat(time).isBetween(Instant.now().minus(APART), Instant.now().plus(APART));
            assertThat(time.getNano() % 1_000_000).isZero();
        }
    }

    /** Within a transaction too, whose own time stands still. */
    @Test
    void R7_8_theServersTimeGoesOnInATransaction() throws SQLException {
        try (HikariDataSource pool = Fixture.pool(PostgresServer.shared().url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool);
                Connection connection = pool.getConnection()) {
            connection.setAutoCommit(false);
            StoreScope scope = Fixture.scope(Fixture.newDomain());
            store.inTransaction(connection, () -> {
                Instant first = store.serverTime(scope);
                await().pollInSameThread().until(() -> store.serverTime(scope).isAfter(first));
                return null;
            });
            connection.rollback();
        }
    }
}
