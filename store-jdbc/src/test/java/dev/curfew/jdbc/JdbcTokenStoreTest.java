package dev.curfew.jdbc;

import static org.assertj.core.api.Assertions.assertThatCode;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.TokenStore;
import dev.curfew.servers.PostgresServer;
import dev.curfew.tck.ExpungingStoreContract;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/**
 * The kit, on the application's own pool. The other node sends the statements for servers before PostgreSQL 18, so that both
 * forms race each other.
 */
class JdbcTokenStoreTest extends ExpungingStoreContract {
    private static HikariDataSource pool;
    private static HikariDataSource poolOfAnotherNode;

    @BeforeAll
    static void openPools() {
        pool = pool();
        poolOfAnotherNode = pool();
    }

    private static HikariDataSource pool() {
        var config = new HikariConfig();
        config.setJdbcUrl(PostgresServer.shared().url());
        config.setMaximumPoolSize(10);
        return new HikariDataSource(config);
    }

    @AfterAll
    static void closePools() {
        pool.close();
        poolOfAnotherNode.close();
    }

    @Override
    protected TokenStore newStore() {
        return JdbcTokenStore.builder(pool).build(null, true);
    }

    @Override
    protected TokenStore anotherStore() {
        return JdbcTokenStore.builder(Before18.of(poolOfAnotherNode)).build(null, true);
    }

    @Override
    protected String url() {
        return PostgresServer.shared().url();
    }

    /** By a lock on both tables. */
    @Override
    protected Runnable blockServer(String domain) {
        String url = PostgresServer.shared().url();
        try {
            Connection connection = DriverManager.getConnection(url);
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.execute("LOCK TABLE \"curfew_" + domain + "\", \"curfew_" + domain + "_watermarks\"");
            }
            return () -> assertThatCode(connection::close).doesNotThrowAnyException();
        } catch (SQLException e) {
            throw new AssertionError("The tables could not be locked", e);
        }
    }

    /** Those that were opened by a URL. */
    @Override
    protected int connections() {
        String count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'curfew'";
        return Integer.parseInt(
                Fixture.sql(PostgresServer.shared().url(), count).get(0));
    }

    /** Not quite as large as everywhere, for the sake of those who wait; {@code -Dcurfew.test.full} makes it so. */
    @Override
    protected int races() {
        return Boolean.getBoolean("curfew.test.full") ? super.races() : Math.min(super.races(), 3_000);
    }

    @Override
    protected int manyRecords() {
        return Boolean.getBoolean("curfew.test.full") ? super.manyRecords() : Math.min(super.manyRecords(), 30_000);
    }
}
