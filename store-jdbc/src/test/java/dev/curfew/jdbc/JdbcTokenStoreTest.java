package dev.curfew.jdbc;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.TokenStore;
import dev.curfew.servers.PostgresServer;
import dev.curfew.tck.ExpungingStoreContract;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** The kit, on the application's own pool. */
class JdbcTokenStoreTest extends ExpungingStoreContract {
    private static HikariDataSource pool;

    @BeforeAll
    static void openPool() {
        var config = new HikariConfig();
        config.setJdbcUrl(PostgresServer.shared().url());
        config.setMaximumPoolSize(10);
        pool = new HikariDataSource(config);
    }

    @AfterAll
    static void closePool() {
        pool.close();
    }

    @Override
    protected TokenStore newStore() {
        return JdbcTokenStore.builder(pool).createsSchema().build();
    }

    /** Not quite as large as everywhere, for the sake of those who wait; {@code -Dcurfew.test.full} makes it so. */
    @Override
    protected int races() {
        return Boolean.getBoolean("curfew.test.full") ? super.races() : Math.min(super.races(), 10_000);
    }

    @Override
    protected int manyRecords() {
        return Boolean.getBoolean("curfew.test.full") ? super.manyRecords() : Math.min(super.manyRecords(), 100_000);
    }
}
