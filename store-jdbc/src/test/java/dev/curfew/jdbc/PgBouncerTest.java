package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.sql;
import static dev.curfew.jdbc.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.PgBouncer;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.RealServersOnly;
import dev.curfew.tck.ExpungingStoreContract;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The kit, small, behind PgBouncer in transaction mode, as the page says; and what happens to those who have not read it. */
@Tag(RealServersOnly.PGBOUNCER)
class PgBouncerTest extends ExpungingStoreContract {
    private static final int PER_THREAD = 300;

    private static PostgresServer server;
    private static PgBouncer pooler;
    private static HikariDataSource pool;
    private static HikariDataSource poolOfAnotherNode;

    @BeforeAll
    static void start() {
        server = PostgresServer.start(Map.of("fsync", "off"));
        pooler = PgBouncer.before(server.port(), 3);
        String url = PostgresServer.url("localhost", pooler.port()) + "&prepareThreshold=0";
        pool = Fixture.pool(url, 10);
        poolOfAnotherNode = Fixture.pool(url, 10);
    }

    @AfterAll
    static void stop() {
        pool.close();
        poolOfAnotherNode.close();
        pooler.close();
        server.close();
    }

    @Override
    protected TokenStore newStore() {
        return JdbcTokenStore.builder(pool).build(null, true);
    }

    @Override
    protected TokenStore anotherStore() {
        return JdbcTokenStore.builder(poolOfAnotherNode).build(null, true);
    }

    @Override
    protected int races() {
        return Math.min(super.races(), 300);
    }

    @Override
    protected int manyRecords() {
        return Math.min(super.manyRecords(), 3000);
    }

    @Override
    protected int modelSteps() {
        return Math.min(super.modelSteps(), 3_000);
    }

    /** Two applications behind one PgBouncer, without prepareThreshold=0: each may run what the other has prepared. */
    @Test
    void R8_5_nothingAcknowledgedIsLostWherePreparedStatementsAreMixedUp() throws Exception {
        String url = PostgresServer.url("localhost", pooler.port());
        ExecutorService threads = Executors.newCachedThreadPool();
        List<String> domains = List.of(Fixture.newDomain(), Fixture.newDomain());
        Map<String, Set<String>> acknowledged = new ConcurrentHashMap<>();
        List<TokenStoreException> errors = new ArrayList<>();
        List<AutoCloseable> open = new ArrayList<>();
        List<Future<?>> work = new ArrayList<>();
        for (String domain : domains) {
            HikariDataSource direct = Fixture.pool(server.url(), 1);
            HikariDataSource mixed = Fixture.pool(url, 4);
            JdbcTokenStore creator = JdbcTokenStore.create(direct);
            creator.createSchema(domain);
            JdbcTokenStore store = JdbcTokenStore.create(mixed);
            TokenResource tokens = Fixture.resource(store, domain);
            open.addAll(List.of(tokens, store, creator, mixed, direct));
            Set<String> kept = acknowledged.computeIfAbsent(domain, d -> ConcurrentHashMap.newKeySet());
            for (int thread = 0; thread < 4; thread++) {
                String prefix = "t" + thread + "-";
                // So that the one's S_1 is not the other's.
                boolean checksFirst = (thread + domains.indexOf(domain)) % 2 == 0;
                work.add(threads.submit(() -> {
                    for (int i = 0; i < PER_THREAD; i++) {
                        String jti = prefix + i;
                        try {
                            if (checksFirst) {
                                tokens.isRevoked(jti);
                            }
                            tokens.revokeToken(token(jti, "s"));
                            kept.add(jti);
                            assertThat(tokens.isRevoked(jti)).isTrue();
                        } catch (TokenStoreException e) {
                            synchronized (errors) {
                                errors.add(e);
                            }
                        }
                    }
                }));
            }
        }
        for (Future<?> each : work) {
            each.get();
        }
        threads.shutdown();
        for (AutoCloseable each : open) {
            each.close();
        }
        assertThat(errors).as("statements that were mixed up").isNotEmpty();
        for (String domain : domains) {
            List<String> there =
                    sql(server.url(), "SELECT jti FROM \"curfew_" + domain + "\" WHERE revoked_at IS NOT NULL");
            assertThat(acknowledged.get(domain)).isNotEmpty().isSubsetOf(there);
        }
        assertThat(errors).allSatisfy(e -> assertThat(e).hasMessageContaining("prepareThreshold=0"));
    }
}
