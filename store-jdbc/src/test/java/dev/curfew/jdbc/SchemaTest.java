package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.sql;
import static dev.curfew.jdbc.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.Consumption.Consumed;
import dev.curfew.RecordField;
import dev.curfew.RevokeOutcome;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.PostgresServer;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.flywaydb.core.Flyway;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** The tables: made, found under other names, and refused where they are not what is needed. */
class SchemaTest {
    private static final String URL = PostgresServer.shared().url();

    private final String domain = Fixture.newDomain();
    private HikariDataSource pool;
    private String schema;

    @BeforeEach
    void openPool() {
        pool = Fixture.pool(URL, 4);
        schema = domain + "-schema";
        sql(URL, "CREATE SCHEMA \"" + schema + "\"");
    }

    @AfterEach
    void closePool() {
        pool.close();
        sql(URL, "DROP SCHEMA \"" + schema + "\" CASCADE");
    }

    private JdbcTokenStore store() {
        return JdbcTokenStore.builder(pool).schema(schema).build();
    }

    private static void tellsTheStory(JdbcTokenStore store, String domain) {
        try (TokenResource tokens = Fixture.resource(store, domain)) {
            tokens.storeToken(token("t", "s"), "link", Map.of("k", 1));
            assertThat(tokens.listTokens("s")).hasSize(1);
            assertThat(tokens.getToken("t").orElseThrow().createdAt()).isEqualTo(Fixture.NOW);
            assertThat(tokens.consume("t", "link")).isInstanceOf(Consumed.class);
            assertThat(tokens.revokeToken(token("u", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            tokens.revokeSubject("s2");
            assertThat(tokens.check(token("v", "s2"))).isEqualTo(TokenStatus.REVOKED);
            assertThat(tokens.revokeSession("sid")).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.check(token("w", "s").withSession("sid"))).isEqualTo(TokenStatus.REVOKED);
            var told = new JdbcFeedTest.Told();
            assertThat(store.feed().follow(Fixture.scope(domain), null, told, Fixture.NOW))
                    .isNotNull();
            assertThat(told.names).contains("t", "u", "subject s2", "session sid");
            assertThat(tokens.readExpired(10)).isEmpty();
            assertThat(tokens.expungeExpired().removed()).isZero();
        }
    }

    @Test
    void R9_1_nullIsRefusedByName() {
        try (HikariDataSource pool = Fixture.pool("jdbc:postgresql://localhost/unused", 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool)) {
            Map<String, ThrowingCallable> calls = Map.of(
                    "dataSource", () -> JdbcTokenStore.create(null),
                    "name", () -> JdbcTokenStore.builder(pool).schema(null),
                    "field", () -> JdbcTokenStore.builder(pool).column(null, "name"),
                    "connection", () -> store.inTransaction(null, () -> 1));
            calls.forEach((name, call) -> assertThatThrownBy(call)
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage(name + " must not be null"));
            assertThatThrownBy(() -> JdbcTokenStore.builder(pool).table(null)).hasMessage("name must not be null");
        }
    }

    @Test
    void itIsCreatedTwiceWithoutHarm() {
        try (JdbcTokenStore store = store()) {
            store.createSchema(domain);
            tellsTheStory(store, domain);
            store.createSchema(domain);
            try (TokenResource tokens = Fixture.resource(store, domain)) {
                assertThat(tokens.isRevoked("u")).isTrue();
            }
        }
    }

    @Test
    void tenNodesMayCreateItAtOnce() throws Exception {
        ExecutorService nodes = Executors.newFixedThreadPool(10);
        try (HikariDataSource ten = Fixture.pool(URL, 10)) {
            for (int round = 0; round < 5; round++) {
                String ofRound = domain + round;
                List<Future<?>> created = new ArrayList<>();
                for (int node = 0; node < 10; node++) {
                    created.add(nodes.submit(() -> {
                        try (JdbcTokenStore store =
                                JdbcTokenStore.builder(ten).schema(schema).build(null, true)) {
                            Fixture.resource(store, ofRound).close();
                        }
                    }));
                }
                for (Future<?> each : created) {
                    each.get();
                }
            }
        } finally {
            nodes.shutdownNow();
        }
    }

    @Test
    void theFileIsAMigration(@TempDir Path folder) throws Exception {
        try (InputStream file = JdbcTokenStore.class.getResourceAsStream("/META-INF/curfew/postgresql.sql")) {
            Files.copy(file, folder.resolve("V1__curfew.sql"));
        }
        Flyway.configure()
                .dataSource(pool)
                .schemas(schema)
                .locations("filesystem:" + folder)
                .load()
                .migrate();
        try (JdbcTokenStore store = store()) {
            tellsTheStory(store, "tokens");
            assertThat(store.schema("tokens")).contains("\"curfew_tokens\"");
        }
    }

    @Test
    void R11_3_theNamesCanBeMapped() {
        try (JdbcTokenStore store = JdbcTokenStore.builder(pool)
                .schema(schema)
                .table("User's \"Tokens\"")
                .column(RecordField.CREATED_AT, "inserted_at")
                .column(RecordField.JTI, "the 'jti' of \"it\"")
                .column(RecordField.TENANT, "Org?")
                .build()) {
            store.createSchema(domain);
            tellsTheStory(store, domain);
            assertThat(sql(
                            URL,
                            "SELECT column_name FROM information_schema.columns WHERE table_schema = '" + schema
                                    + "' AND table_name = 'User''s \"Tokens\"' ORDER BY ordinal_position"))
                    .containsExactly(
                            "Org?",
                            "the 'jti' of \"it\"",
                            "subject",
                            "purpose",
                            "issued_at",
                            "expires_at",
                            "extra_data",
                            "inserted_at",
                            "updated_at",
                            "revoked_at",
                            "session",
                            "successor",
                            "change");
            // One table, one domain: two would see each other's records.
            assertThatThrownBy(() -> Fixture.resource(store, domain + "2"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("build a JdbcTokenStore with another table");
        }
    }

    @Test
    void R11_3_anExistingTableWorks() {
        sql(
                URL,
                "CREATE TABLE \"" + schema + "\".tokens (id bigserial, jti varchar NOT NULL, subject text,"
                        + " tenant text NOT NULL, purpose varchar NOT NULL, expires_at timestamptz NOT NULL, issued_at timestamptz,"
                        + " extra_data jsonb, inserted_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,"
                        + " revoked_at timestamptz, note text, sid varchar, successor text, change xid8, UNIQUE (jti, tenant))");
        try (JdbcTokenStore store = JdbcTokenStore.builder(pool)
                .schema(schema)
                .table("tokens")
                .column(RecordField.CREATED_AT, "inserted_at")
                .column(RecordField.SESSION, "sid")
                .build()) {
            // Adds what is missing, and leaves what is there.
            assertThatThrownBy(() -> Fixture.resource(store, domain)).hasMessageContaining("tokens_watermarks");
            String watermarks = store.schema(domain);
            sql(URL, watermarks.substring(watermarks.lastIndexOf("CREATE TABLE")));
            List<ILoggingEvent> warnings = warnings(() -> tellsTheStory(store, domain));
            assertThat(slow(warnings)).hasSize(1);
            assertThat(slow(warnings).get(0).getFormattedMessage())
                    .contains("index on (expires_at)", "index on (tenant, subject)", "index on (change)")
                    .contains(domain);
            store.createSchema(domain);
            assertThat(slow(warnings(() -> Fixture.resource(store, domain).close())))
                    .isEmpty();
        }
    }

    private static List<ILoggingEvent> slow(List<ILoggingEvent> warnings) {
        return warnings.stream()
                .filter(line -> line.getFormattedMessage().contains("index on"))
                .toList();
    }

    /** The server that tests share is in haste, and tells so; a table may lose everything by itself. */
    @Test
    void R8_5_whatMayLoseRevocationsIsSaidWhenItOpens() {
        try (HikariDataSource careless = Fixture.pool(URL + "&options=-c%20synchronous_commit=off", 1);
                JdbcTokenStore store =
                        JdbcTokenStore.builder(careless).schema(schema).build()) {
            store.createSchema(domain);
            sql(URL, "ALTER TABLE \"" + schema + "\".\"curfew_" + domain + "\" SET UNLOGGED");
            List<ILoggingEvent> warnings =
                    warnings(() -> Fixture.resource(store, domain).close());
            assertThat(warnings).hasSize(1);
            assertThat(warnings.get(0).getFormattedMessage())
                    .contains(
                            "synchronous_commit is off",
                            "curfew_" + domain + "\" is not logged",
                            "may lose revocations");
        }
    }

    /** It does not even wait for those who are writing. */
    @Test
    void whatIsThereIsNotLocked() throws Exception {
        try (JdbcTokenStore store = store();
                Connection writer = pool.getConnection()) {
            store.createSchema(domain);
            TokenResource tokens = Fixture.resource(store, domain);
            writer.setAutoCommit(false);
            store.inTransaction(writer, () -> tokens.revokeJti("t"));
            store.createSchema(domain);
            writer.commit();
            tokens.close();
        }
    }

    /** A constraint that is not Curfew's is said at once, and not tried until the deadline. */
    @Test
    void anotherUniqueConstraintIsAnErrorAndNoLoop() {
        try (JdbcTokenStore store = store()) {
            store.createSchema(domain);
            sql(URL, "ALTER TABLE \"" + schema + "\".\"curfew_" + domain + "\" ADD UNIQUE (jti)");
            try (TokenResource tokens = Fixture.resource(store, domain)) {
                tokens.storeToken(token("t", "s"));
                assertThatThrownBy(() -> tokens.forTenant("other").revokeToken(token("t", "s")))
                        .isInstanceOf(TokenStoreException.class)
                        .hasMessageContaining("23505")
                        .hasMessageContaining("Nothing was changed");
            }
        }
    }

    @Test
    void R1_3_whatOthersWroteFinerIsRoundedUp() {
        try (JdbcTokenStore store = store()) {
            store.createSchema(domain);
            sql(
                    URL,
                    "INSERT INTO \"" + schema + "\".\"curfew_" + domain + "\" VALUES ('', 't', 's', 'link', NULL,"
                            + " '2100-01-01 00:00:00.000001Z', NULL, '2099-01-01Z', '2099-01-01Z', NULL)");
            try (TokenResource tokens = Fixture.resource(store, domain)) {
                assertThat(tokens.getToken("t").orElseThrow().expiresAt()).isEqualTo(Fixture.NOW.plusMillis(1));
                assertThat(tokens.consume("t", "link")).isInstanceOf(Consumed.class);
            }
        }
    }

    private static List<ILoggingEvent> warnings(Runnable action) {
        var logger = (Logger) LoggerFactory.getLogger(JdbcTokenStore.class);
        var lines = new ListAppender<ILoggingEvent>();
        lines.start();
        logger.addAppender(lines);
        logger.setLevel(Level.WARN);
        try {
            action.run();
        } finally {
            logger.setLevel(null);
            logger.detachAppender(lines);
        }
        return lines.list;
    }

    @Test
    void aMissingTableIsNamedWithTheRemedy() {
        try (JdbcTokenStore store = store()) {
            assertThatThrownBy(() -> Fixture.resource(store, domain))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("curfew_" + domain + "\" is missing")
                    .hasMessageContaining("_watermarks\" is missing")
                    .hasMessageContaining("createSchema");
            // Dropped while it runs: every call says so, and nothing of the token.
            store.createSchema(domain);
            try (TokenResource tokens = Fixture.resource(store, domain)) {
                sql(URL, "DROP TABLE \"" + schema + "\".\"curfew_" + domain + "\"");
                assertThatThrownBy(() -> tokens.storeToken(token("secret-jti", "secret-subject")))
                        .isInstanceOf(TokenStoreException.class)
                        .hasMessageContaining("42P01")
                        .hasMessageContaining("createSchema")
                        .hasMessageContaining("Nothing was changed");
            }
        }
    }

    /** Tables of the layout before sessions are named in one message, and the page's ALTER TABLE makes them good. */
    @Test
    void aFormerLayoutIsRefusedWithTheRemedy() throws Exception {
        String table = "\"" + schema + "\".\"curfew_tokens";
        try (JdbcTokenStore store = JdbcTokenStore.builder(pool).schema(schema).build(null, true)) {
            store.createSchema("tokens");
            sql(URL, "ALTER TABLE " + table + "\" DROP session, DROP successor, DROP change");
            sql(
                    URL,
                    "ALTER TABLE " + table
                            + "_watermarks\" DROP session, DROP change, ADD PRIMARY KEY (tenant, subject)");
            sql(URL, "INSERT INTO " + table + "_watermarks\" VALUES ('', 's', '2100-01-01Z', '2200-01-01Z')");
            assertThatThrownBy(() -> Fixture.resource(store, "tokens"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("column session of " + table + "\" is missing")
                    .hasMessageContaining("column successor of " + table + "\" is missing")
                    .hasMessageContaining("column change of " + table + "\" is missing")
                    .hasMessageContaining("column session of " + table + "_watermarks\" is missing")
                    .hasMessageContaining("docs/postgresql.md");
            List<String> alters = Pattern.compile("(?m)^ALTER TABLE curfew_tokens\\w* ADD [^;]*;")
                    .matcher(Files.readString(Path.of("../docs/postgresql.md")))
                    .results()
                    .map(MatchResult::group)
                    .toList();
            assertThat(alters).hasSize(4);
            alters.forEach(alter -> sql(URL, "SET search_path = \"" + schema + "\"; " + alter));
            try (TokenResource tokens = Fixture.resource(store, "tokens")) {
                assertThat(tokens.check(token("t", "s"))).isEqualTo(TokenStatus.REVOKED);
            }
            sql(URL, "DELETE FROM " + table + "_watermarks\"");
            tellsTheStory(store, "tokens");
        }
    }

    @Test
    void whatDiffersIsSaidAllAtOnce() {
        try (JdbcTokenStore store = store()) {
            store.createSchema(domain);
            String table = "\"" + schema + "\".\"curfew_" + domain + "\"";
            sql(
                    URL,
                    "CREATE COLLATION \"" + schema + "\".loose"
                            + " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
            sql(
                    URL,
                    "ALTER TABLE " + table
                            + " ALTER expires_at TYPE timestamp, ALTER extra_data TYPE json, DROP issued_at,"
                            + " ALTER subject SET NOT NULL, ADD owner int NOT NULL, ALTER purpose TYPE varchar(10),"
                            + " ALTER jti TYPE text COLLATE \"" + schema + "\".loose");
            sql(URL, "ALTER TABLE " + table + " DROP CONSTRAINT \"curfew_" + domain + "_pkey\"");
            assertThatThrownBy(() -> Fixture.resource(store, domain))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("column expires_at of " + table
                            + " is timestamp without time zone instead of timestamp with time zone")
                    .hasMessageContaining("column extra_data of " + table + " is json instead of jsonb")
                    .hasMessageContaining("column issued_at of " + table + " is missing")
                    .hasMessageContaining("column subject of " + table + " is NOT NULL and must not be")
                    .hasMessageContaining("column owner of " + table + " is unknown, NOT NULL and without a default")
                    .hasMessageContaining("column purpose of " + table + " is character varying(10) instead of text")
                    .hasMessageContaining("column jti of " + table + " has a nondeterministic collation")
                    .hasMessageContaining("a primary key on (tenant, jti) of " + table + " is missing");
        }
    }

    @Test
    void R10_1_noDomainMeetsAnother() {
        String longest = "x".repeat(60);
        List<String> domains = List.of(
                "tokens",
                "Tokens",
                "tokens ",
                "tokens_watermarks",
                "tokens_watermarks_expiry_idx",
                "tokens_expiry_idx",
                "tokens_subject_idx",
                "tokens_ended_idx",
                "tokens_pkey",
                "tokens_watermarks_pkey",
                "_tokens",
                "_" + Statements.table("tokens_pkey").substring("curfew__".length()),
                "a\"b",
                "a'b",
                "{tenant}",
                "{'jti'}",
                "$1\\",
                "a.b",
                "a\u2028b",
                "a\u2028b_watermarks",
                "a\u2028b_pkey",
                "🔑".repeat(16),
                longest + "a",
                longest + "b");
        Set<String> relations = new HashSet<>();
        for (String each : domains) {
            String table = Statements.table(each);
            for (String suffix : List.of(
                    "", "_watermarks", "_expiry_idx", "_subject_idx", "_ended_idx", "_pkey", "_watermarks_pkey")) {
                // Only the names of primary keys may be cut off, for PostgreSQL chooses others where they meet.
                assertThat(suffix.endsWith("_pkey") || (table + suffix).getBytes().length <= 63)
                        .as(each)
                        .isTrue();
                assertThat(relations.add(table + suffix)).as(table + suffix).isTrue();
            }
        }
        try (JdbcTokenStore store = store()) {
            domains.forEach(store::createSchema);
            for (String each : domains) {
                try (TokenResource tokens = Fixture.resource(store, each)) {
                    assertThat(tokens.inspect("t").map(TokenRecord::jti))
                            .as(each)
                            .isEmpty();
                    tokens.storeToken(token("t", each));
                }
            }
        }
    }

    @Test
    void aTableNameIsChecked() {
        assertThatThrownBy(() -> JdbcTokenStore.builder(pool).table("x".repeat(52)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("51");
        assertThatThrownBy(() -> JdbcTokenStore.builder(pool)
                        .column(RecordField.CREATED_AT, "jti")
                        .build())
                .isInstanceOf(IllegalArgumentException.class);
        for (String name : new String[] {"change", "watermark", "kept_until", "ctid", "ä".repeat(32)}) {
            assertThatThrownBy(() -> JdbcTokenStore.builder(pool)
                            .column(RecordField.SUBJECT, name)
                            .build())
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("SUBJECT cannot be in the column \"" + name + "\"");
        }
    }
}
