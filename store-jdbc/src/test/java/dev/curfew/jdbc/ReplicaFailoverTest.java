package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.sql;
import static org.awaitility.Awaitility.await;

import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.ReplicaFaultsContract;
import dev.curfew.servers.TestServer;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** Local replicas of PostgreSQL, while a standby becomes the primary. */
class ReplicaFailoverTest extends ReplicaFaultsContract {
    private static PostgresServer primary;
    private static PostgresServer standby;

    private final String domain = Fixture.newDomain();

    @BeforeAll
    static void start() {
        primary = PostgresServer.startEmbedded(Map.of());
        standby = primary.standby();
        // What is acknowledged is on the standby too.
        sql(primary.url(), "ALTER SYSTEM SET synchronous_standby_names = '*'");
        sql(primary.url(), "SELECT pg_reload_conf()");
        await().until(() ->
                sql(primary.url(), "SELECT sync_state FROM pg_stat_replication").contains("sync"));
    }

    @AfterAll
    static void stop() {
        standby.close();
        primary.close();
    }

    @Override
    protected String name() {
        return "PostgreSQL, a standby is promoted";
    }

    @Override
    protected String domain() {
        return domain;
    }

    @Override
    protected int port() {
        return 0;
    }

    @Override
    protected String url() {
        return "jdbc:postgresql://localhost:" + standby.port() + ",localhost:" + primary.port()
                + "/postgres?user=postgres&password=postgres";
    }

    @Override
    protected String nodeUrl() {
        return url();
    }

    @Override
    protected @Nullable TestServer server() {
        return null;
    }

    @Override
    protected Map<String, Fault> faults() {
        return Map.of("a standby is promoted", this::promote);
    }

    private void promote() {
        // Once in a test: in a longer run there is no second standby.
        if (sql(standby.url(), "SELECT pg_is_in_recovery()").contains("t")) {
            primary.kill();
            rest(BOUND);
            sql(standby.url(), "SELECT pg_promote()");
        }
    }
}
