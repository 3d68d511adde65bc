package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.sql;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.TokenResource;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.ReplicaFaultsContract;
import dev.curfew.servers.ReplicaNode.Mistake;
import dev.curfew.servers.TestServer;
import java.sql.Connection;
import java.time.Duration;
import java.time.InstantSource;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Local replicas of PostgreSQL, under faults. */
class ReplicaFaultsTest extends ReplicaFaultsContract {
    private static PostgresServer server;

    private final String domain = Fixture.newDomain();

    @BeforeAll
    static void start() {
        server = PostgresServer.start(Map.of());
        sql(server.url(), "CREATE ROLE node SUPERUSER LOGIN PASSWORD 'postgres'");
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @Override
    protected String name() {
        return "PostgreSQL";
    }

    @Override
    protected String domain() {
        return domain;
    }

    @Override
    protected int port() {
        return server.port();
    }

    @Override
    protected String url() {
        return server.url();
    }

    @Override
    protected String nodeUrl() {
        return PostgresServer.url("localhost", proxy().port()).replace("user=postgres", "user=node");
    }

    @Override
    protected TestServer server() {
        return server;
    }

    @Override
    protected Map<String, Fault> faults() {
        Map<String, Fault> faults = new LinkedHashMap<>();
        faults.put("transactions stay open", this::longTransactions);
        faults.put("VACUUM FULL", () -> sql(server.url(), "VACUUM FULL " + table()));
        faults.put("log-ins are refused", this::refuseLogIns);
        return faults;
    }

    private String table() {
        return '"' + Statements.table(domain) + '"';
    }

    /** Others commit meanwhile. Then one is committed and one is rolled back. */
    private void longTransactions() throws Exception {
        try (HikariDataSource pool = Fixture.pool(server.url(), 4);
                JdbcTokenStore store = JdbcTokenStore.create(pool);
                TokenResource tokens = Fixture.builder(store, domain)
                        .clock(InstantSource.system())
                        .build();
                Connection kept = pool.getConnection();
                Connection dropped = pool.getConnection()) {
            kept.setAutoCommit(false);
            dropped.setAutoCommit(false);
            int committed = begin((tenant, token) ->
                    store.inTransaction(kept, () -> tokens.forTenant(tenant).revokeToken(token)));
            int rolledBack = begin((tenant, token) ->
                    store.inTransaction(dropped, () -> tokens.forTenant(tenant).revokeToken(token)));
            rest(Duration.ofSeconds(3));
            kept.commit();
            committed(committed);
            dropped.rollback();
            rolledBack(rolledBack);
        }
    }

    private void refuseLogIns() {
        refuse(BOUND.multipliedBy(2));
    }

    private void refuse(Duration length) {
        sql(server.url(), "ALTER ROLE node NOLOGIN");
        sql(server.url(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'node'");
        rest(length);
        sql(server.url(), "ALTER ROLE node LOGIN");
    }

    // The harness must find a replica that makes a mistake.

    @Test
    void aReplicaThatCountsFromTheEndOfAPollIsFound() throws Exception {
        assertFound(Mistake.COUNTS_FROM_THE_END, () -> rest(BOUND.multipliedBy(5)));
    }

    @Test
    void aReplicaThatIgnoresFailuresIsFound() throws Exception {
        assertFound(Mistake.IGNORES_FAILURES, () -> refuse(BOUND.multipliedBy(4)));
    }

    @Test
    void aReplicaThatGoesByTimeIsFound() throws Exception {
        assertFound(Mistake.GOES_BY_TIME, () -> {
            longTransactions();
            rest(BOUND.multipliedBy(3));
        });
    }
}
