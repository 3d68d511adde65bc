package dev.curfew.jdbc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.RecordField;
import dev.curfew.servers.PostgresServer;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** No statement reads the whole of a table of 1,000,000 rows. */
class PlansTest {
    private static final OffsetDateTime NOW = Fixture.NOW.atOffset(ZoneOffset.UTC);
    private static final OffsetDateTime BEGINNING = OffsetDateTime.parse("0000-01-01T00:00:00Z");
    private static final Statements SQL = new Statements(null, "plans", RecordField.names(Map.of()));
    private static final String URL = PostgresServer.shared().url();

    @BeforeAll
    static void fill() throws SQLException {
        Fixture.sql(URL, "DROP TABLE IF EXISTS plans, plans_watermarks");
        Fixture.sql(URL, SQL.schema());
        // 10,000 subjects with 90 tokens each, one with 100,000; an eighth is revoked, half of them have expired.
        Fixture.sql(URL, """
                INSERT INTO plans (tenant, jti, subject, purpose, expires_at, created_at, updated_at, revoked_at, change)
                SELECT '', md5(i::text), CASE WHEN i <= 100000 THEN 'many' ELSE 's' || i % 10000 END, 'user',
                    timestamptz '2100-01-01Z' + (i - 500000) * interval '1 second', '2099-01-01Z', '2099-01-01Z',
                    CASE WHEN i % 8 = 0 THEN timestamptz '2099-06-01Z' END, CASE WHEN i % 8 = 0 THEN i::text::xid8 END
                FROM generate_series(1, 1000000) i
                """);
        Fixture.sql(URL, """
                INSERT INTO plans_watermarks
                SELECT '', CASE WHEN of_session THEN '' ELSE 's' || i END, CASE WHEN of_session THEN 'sid' || i ELSE '' END,
                    '2099-01-01Z', timestamptz '2100-01-01Z' + i * interval '1 second', i::text::xid8
                FROM generate_series(1, 100000) i, (VALUES (true), (false)) v (of_session)
                """);
        Fixture.sql(URL, "VACUUM ANALYZE plans, plans_watermarks");
    }

    @AfterAll
    static void drop() {
        Fixture.sql(URL, "DROP TABLE plans, plans_watermarks");
    }

    private static Map<String, Object[]> statements() {
        Map<String, Object[]> all = new LinkedHashMap<>();
        all.put("store", new Object[] {"", "t", "s1", "user", NOW, NOW, "{}", "sid", NOW});
        all.put("find", new Object[] {"", "t"});
        all.put("isRevoked", new Object[] {"", "t"});
        all.put("revoked", new Object[] {"", "hundred"});
        all.put("state", new Object[] {"", "t", "s1"});
        all.put("stateOfSession", new Object[] {"", "t", "s1", "sid1"});
        all.put("revoke", new Object[] {"", "t", "s1", "user", NOW, NOW, "sid", NOW, NOW});
        all.put("revoke18", new Object[] {"", "t", "s1", "user", NOW, NOW, "sid", NOW, NOW});
        all.put("consume", new Object[] {"", "t", "user", "s1", "u", NOW});
        all.put("revokeSubject", new Object[] {"", "s1", NOW, NOW});
        all.put("revokeSession", new Object[] {"", "sid1", NOW, NOW});
        all.put("revokeSession18", new Object[] {"", "sid1", NOW, NOW});
        all.put("revokedSessions", new Object[] {"", "hundred"});
        all.put("revokeStored", new Object[] {"", "many", NOW.minusDays(10), 1000, "", NOW});
        all.put("list", new Object[] {"", "many", NOW.minusDays(10), "", 100, "", "many"});
        all.put("readExpired", new Object[] {"", NOW, NOW.minusDays(3), "x", 1000});
        all.put("expunge", new Object[] {true, BEGINNING, NOW, 1000, NOW, 1000});
        all.put("follow", new Object[] {"990000:990000:", "990000:990000:"});
        all.put("followUnfinished", new Object[] {"990000:990010:990000,990007"});
        return all;
    }

    @Test
    void noStatementReadsTheWholeTable() throws SQLException {
        // As one message: the driver would not send a statement that has parameters, and none given.
        try (Connection connection = DriverManager.getConnection(URL);
                Connection simple = DriverManager.getConnection(URL + "&preferQueryMode=simple")) {
            for (Map.Entry<String, Object[]> statement : statements().entrySet()) {
                String sql = SQL.get(statement.getKey()).sql();
                assertIndexed(
                        statement.getKey() + ", for these parameters",
                        explained(connection, sql, statement.getValue()));
                assertIndexed(statement.getKey() + ", for any parameters", explainedForAny(simple, sql));
            }
        }
    }

    /** The same from the first page or batch on, and for a small subject. */
    @Test
    void neitherDoTheFirstPages() throws SQLException {
        try (Connection connection = DriverManager.getConnection(URL)) {
            assertIndexed(
                    "list",
                    explained(connection, SQL.get("list").sql(), "", "s1", NOW.minusDays(10), "", 100, "", "s1"));
            assertIndexed(
                    "readExpired", explained(connection, SQL.get("readExpired").sql(), "", NOW, BEGINNING, "", 1000));
            assertIndexed(
                    "revokeStored",
                    explained(connection, SQL.get("revokeStored").sql(), "", "s1", NOW, 1000, "", NOW));
            assertIndexed(
                    "expunge",
                    explained(connection, SQL.get("expunge").sql(), true, NOW.minusDays(2), NOW, 1000, NOW, 1000));
        }
    }

    private static void assertIndexed(String name, String plan) {
        assertThat(plan).as(name).doesNotContain("Seq Scan").containsAnyOf("Index", "Tid");
        // In the order of an index, not sorted for every page anew; but for one tenant's share of those with one
        // expiry.
        assertThat(plan.replace("Incremental Sort", "").replace("Presorted", ""))
                .as(name)
                .doesNotContain("Sort  (");
    }

    private static String explained(Connection connection, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement explain = connection.prepareStatement("EXPLAIN " + sql)) {
            for (int i = 0; i < parameters.length; i++) {
                if ("hundred".equals(parameters[i])) {
                    String[] hundred = Pattern.compile(",").split("t,".repeat(100));
                    explain.setArray(i + 1, connection.createArrayOf("text", hundred));
                } else {
                    explain.setObject(i + 1, parameters[i]);
                }
            }
            return plan(explain.executeQuery());
        }
    }

    /** The plan that PostgreSQL may settle for when a prepared statement has been used often. */
    private static String explainedForAny(Connection connection, String sql) throws SQLException {
        var n = new int[1];
        String numbered = Pattern.compile("\\?").matcher(sql).replaceAll(match -> "\\$" + ++n[0]);
        try (Statement explain = connection.createStatement()) {
            return plan(explain.executeQuery("EXPLAIN (GENERIC_PLAN) " + numbered));
        }
    }

    private static String plan(ResultSet rows) throws SQLException {
        var plan = new StringBuilder();
        while (rows.next()) {
            plan.append(rows.getString(1)).append('\n');
        }
        return plan.toString();
    }
}
