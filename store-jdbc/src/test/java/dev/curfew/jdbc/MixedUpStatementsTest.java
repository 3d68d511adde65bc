package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.HOUR;
import static dev.curfew.jdbc.Fixture.NOW;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.ExtraData;
import dev.curfew.StoreScope;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.servers.PostgresServer;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A pooler that knows nothing of prepared statements runs another one than was meant: here they are swapped by hand. */
class MixedUpStatementsTest {
    // The driver prepares what it sees for the first time.
    private static final String URL = PostgresServer.shared().url() + "&prepareThreshold=1";

    private final StoreScope ours = Fixture.scope(Fixture.newDomain());
    private final StoreScope theirs = Fixture.scope(Fixture.newDomain());
    private HikariDataSource pool;
    private JdbcTokenStore store;

    private record Prepared(String name, String sql) {}

    @BeforeEach
    void open() {
        try (HikariDataSource other = Fixture.pool(PostgresServer.shared().url(), 1);
                JdbcTokenStore creator = JdbcTokenStore.create(other)) {
            creator.createSchema(ours.domain());
            creator.createSchema(theirs.domain());
        }
        pool = Fixture.pool(URL, 1);
        store = JdbcTokenStore.create(pool);
    }

    @AfterEach
    void close() {
        store.close();
        pool.close();
    }

    /** Every verb, by the name of its statement. */
    static Map<String, VerbCall> verbs() {
        TokenRecord record =
                new TokenRecord("t", "s", "p", NOW, NOW.plus(HOUR), ExtraData.of(Map.of()), NOW, NOW, null, null, null);
        Instant later = NOW.plus(HOUR);
        Map<String, VerbCall> verbs = new LinkedHashMap<>();
        verbs.put("store", (store, scope) -> store.store(scope, record, NOW));
        verbs.put("find", (store, scope) -> store.find(scope, "t", NOW));
        verbs.put("isRevoked", (store, scope) -> store.isRevoked(scope, "t", NOW));
        verbs.put("revoked", (store, scope) -> store.revoked(scope, Set.of("t", "u"), NOW));
        verbs.put("state", (store, scope) -> store.state(scope, "t", "s", null, NOW));
        verbs.put("stateOfSession", (store, scope) -> store.state(scope, "t", "s", "sid", NOW));
        verbs.put("revoke", (store, scope) -> store.revoke(scope, record, later, NOW));
        verbs.put("consume", (store, scope) -> store.consume(scope, "t", "s", "p", null, NOW));
        verbs.put("revokeSubject", (store, scope) -> store.revokeSubject(scope, "s", NOW, later, NOW));
        verbs.put("revokeSession", (store, scope) -> store.revokeSession(scope, "sid", later, NOW));
        verbs.put("revokedSessions", (store, scope) -> store.revokedSessions(scope, Set.of("sid"), NOW));
        verbs.put("revokeStored", (store, scope) -> store.revokeStored(scope, "s", 10, NOW));
        verbs.put("list", (store, scope) -> store.list(scope, "s", null, 10, NOW));
        verbs.put("readExpired", (store, scope) -> store.readExpired(scope, null, 10, NOW));
        verbs.put("expunge", (store, scope) -> store.expunge(scope, 10, NOW));
        verbs.put("differences", (store, scope) -> store.prepare(scope));
        return verbs;
    }

    interface VerbCall {
        void on(JdbcTokenStore store, StoreScope scope);
    }

    static Stream<String> names() {
        return verbs().keySet().stream();
    }

    /** What the session has prepared, apart from what the pool and the driver have. */
    private static List<Prepared> prepared(Statement statement) throws SQLException {
        List<Prepared> found = new ArrayList<>();
        try (ResultSet rows = statement.executeQuery(
                "SELECT name, statement FROM pg_prepared_statements WHERE statement LIKE '%curfew%' ORDER BY prepare_time")) {
            while (rows.next()) {
                if (!rows.getString(2).contains("pg_prepared_statements")) {
                    found.add(new Prepared(rows.getString(1), rows.getString(2)));
                }
            }
        }
        return found;
    }

    /** Puts another statement under a name that the driver uses. */
    private static void replace(Statement statement, String name, String types, String sql) throws SQLException {
        // One by one: of DEALLOCATE ALL the driver would take notice.
        statement.execute("DEALLOCATE \"" + name + "\"");
        statement.execute("PREPARE \"" + name + "\" " + types + " AS " + sql);
    }

    private void onSession(SessionWork work) throws SQLException {
        try (Connection connection = pool.getConnection();
                Statement statement = connection.createStatement()) {
            work.on(statement);
        }
    }

    private interface SessionWork {
        void on(Statement statement) throws SQLException;
    }

    private static void assertTold(Throwable thrown) {
        assertThat(thrown).isInstanceOfSatisfying(TokenStoreException.class, e -> {
            assertThat(e.outcome()).isEqualTo(Outcome.UNKNOWN);
            assertThat(e).hasMessageContaining("prepareThreshold=0").hasMessageContaining("is not known");
        });
    }

    /** The same statement on the table of another domain: nothing but the answer can tell. */
    @ParameterizedTest
    @MethodSource("names")
    void R8_2_theSameStatementOfAnotherDomainIsNoSuccess(String name) throws SQLException {
        VerbCall verb = verbs().get(name);
        verb.on(store, ours);
        verb.on(store, theirs);
        onSession(statement -> {
            List<Prepared> both = prepared(statement);
            assertThat(both).hasSize(2);
            replace(statement, both.get(0).name(), "", both.get(1).sql());
        });
        assertTold(catchThrowable(() -> verb.on(store, ours)));
        // And not for the other one.
        verb.on(store, theirs);
    }

    /** Statements with as many parameters, some of them without any answer. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "SELECT $1, $2",
                "SELECT WHERE $1 = $2",
                "SELECT 'isRevoked'::text WHERE $1 = $2",
                "SELECT",
                "SELECT true, true",
                "SELECT 1, $1, $2, 4, 5",
                "SELECT '\\xff'::bytea, true",
                "SELECT NULL::text, true",
                "SELECT now(), true",
                "INSERT INTO mixed_up VALUES ($1)",
                "INSERT INTO mixed_up VALUES ($1) RETURNING 1",
                "SELECT 1 / 0, $1, $2",
            })
    void R8_1_anotherStatementIsNoAnswer(String other) throws SQLException {
        Fixture.sql(URL, "CREATE TABLE IF NOT EXISTS mixed_up (text text)");
        assertThat(store.isRevoked(ours, "t", NOW)).isFalse();
        onSession(statement -> replace(statement, prepared(statement).get(0).name(), "(text, text)", other));
        assertThatThrownBy(() -> store.isRevoked(ours, "t", NOW)).isInstanceOf(TokenStoreException.class);
        assertThatThrownBy(() -> store.isRevoked(ours, "t", NOW))
                .satisfies(other.contains("1 / 0") ? thrown -> {} : MixedUpStatementsTest::assertTold);
    }

    @ParameterizedTest
    @ValueSource(strings = {"store", "revoke", "consume", "revokeSubject", "isRevoked", "state"})
    void R8_2_whatTheServerRefusesNamesTheRemedy(String name) throws SQLException {
        VerbCall verb = verbs().get(name);
        verb.on(store, ours);
        // 08P01: it has other parameters.
        onSession(statement -> replace(statement, prepared(statement).get(0).name(), "(text)", "SELECT $1"));
        assertTold(catchThrowable(() -> verb.on(store, ours)));
    }

    /** 26000: there is none of this name. Outside a transaction the driver may prepare it again by itself. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void R8_2_aNameThatIsGoneNamesTheRemedy(boolean inTransaction) throws SQLException {
        store.isRevoked(ours, "t", NOW);
        try (Connection connection = pool.getConnection();
                Statement statement = connection.createStatement()) {
            statement.execute("DEALLOCATE \"" + prepared(statement).get(0).name() + "\"");
            if (inTransaction) {
                connection.setAutoCommit(false);
                assertTold(
                        catchThrowable(() -> store.inTransaction(connection, () -> store.isRevoked(ours, "t", NOW))));
                connection.rollback();
            }
        }
        assertThat(store.isRevoked(ours, "t", NOW)).isFalse();
    }

    /** 42P05: there is one of this name already. */
    @Test
    void R8_2_aNameThatIsTakenNamesTheRemedy() throws SQLException {
        onSession(statement -> {
            statement.execute("""
                    DO $$ BEGIN
                        FOR i IN 1..50 LOOP
                            BEGIN
                                EXECUTE format('PREPARE "S_%s" AS SELECT 1', i);
                            EXCEPTION WHEN duplicate_prepared_statement THEN NULL; -- the driver's own
                            END;
                        END LOOP;
                    END $$
                    """);
        });
        assertTold(catchThrowable(() -> store.revokeSubject(ours, "s", NOW, NOW, NOW)));
    }
}
