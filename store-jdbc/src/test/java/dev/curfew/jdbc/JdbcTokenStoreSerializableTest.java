package dev.curfew.jdbc;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.RecordField;
import dev.curfew.TokenStore;
import dev.curfew.servers.PostgresServer;
import dev.curfew.tck.ExpungingStoreContract;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/**
 * The kit, smaller, where every transaction is serializable and autocommit is off, with the statements for servers before
 * PostgreSQL 18, and where every column has a name that the application has chosen.
 */
class JdbcTokenStoreSerializableTest extends ExpungingStoreContract {
    private static HikariDataSource pool;
    private static HikariDataSource poolOfAnotherNode;

    @BeforeAll
    static void openPools() {
        String url = PostgresServer.shared().url() + "&options=-c%20default_transaction_isolation=serializable";
        pool = Fixture.pool(url, 10, false);
        poolOfAnotherNode = Fixture.pool(url, 10, false);
    }

    @AfterAll
    static void closePools() {
        pool.close();
        poolOfAnotherNode.close();
    }

    @Override
    protected TokenStore newStore() {
        return store(Before18.of(pool));
    }

    @Override
    protected TokenStore anotherStore() {
        return store(poolOfAnotherNode);
    }

    private static TokenStore store(DataSource pool) {
        var builder = JdbcTokenStore.builder(pool);
        for (RecordField field : RecordField.values()) {
            builder.column(field, "The " + field.defaultName());
        }
        return builder.build(null, true);
    }

    @Override
    protected int races() {
        return Math.min(super.races(), 300);
    }

    @Override
    protected int manyRecords() {
        return Math.min(super.manyRecords(), 5_000);
    }

    @Override
    protected int modelSteps() {
        return Math.min(super.modelSteps(), 2_000);
    }
}
