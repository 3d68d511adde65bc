package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.NOW;
import static dev.curfew.jdbc.Fixture.sql;
import static dev.curfew.jdbc.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.Consumption.Consumed;
import dev.curfew.Expunger;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.PostgresServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The two roles of the page on threats: an application that cannot delete, and a clean-up that cannot revoke. */
class RightsTest {
    private static final String PASSWORD = "Pw7-of-test";

    private static PostgresServer server;

    private final String domain = Fixture.newDomain().replace('-', '_');

    @BeforeAll
    static void start() {
        server = PostgresServer.start(Map.of());
        sql(server.url(), "CREATE ROLE app LOGIN PASSWORD '" + PASSWORD + "'");
        sql(server.url(), "CREATE ROLE cleaner LOGIN PASSWORD '" + PASSWORD + "'");
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private void grant() throws IOException {
        try (HikariDataSource owner = Fixture.pool(server.url(), 1);
                JdbcTokenStore store = JdbcTokenStore.create(owner)) {
            store.createSchema(domain);
        }
        Matcher grants =
                Pattern.compile("(?m)^ *GRANT .*;$").matcher(Files.readString(Path.of("../docs/threat-model.md")));
        int lines = 0;
        while (grants.find()) {
            sql(server.url(), grants.group().replace("accounts", domain));
            lines++;
        }
        assertThat(lines).isEqualTo(2);
    }

    private static String url(String role) {
        return server.url().replaceFirst("\\?.*", "") + "?user=" + role + "&password=" + PASSWORD;
    }

    private TokenResource.Builder builder(JdbcTokenStore store) {
        return Fixture.builder(store, domain).expunger(Expunger.manual());
    }

    @Test
    void anApplicationThatCannotDeleteDoesAllButTheCleanUp() throws IOException {
        grant();
        try (HikariDataSource pool = Fixture.pool(url("app"), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool);
                TokenResource tokens = builder(store).build()) {
            assertThat(tokens.storeToken(token("link", "s"), "link")).isEqualTo(StoreOutcome.STORED);
            assertThat(tokens.storeToken(token("link", "s"), "link")).isEqualTo(StoreOutcome.STORED);
            assertThat(tokens.consume("link", "link")).isInstanceOf(Consumed.class);
            assertThat(tokens.revokeToken(token("t", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.revokeToken(token("t", "s"))).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
            tokens.storeToken(token("u", "s"));
            assertThat(tokens.listTokens("s")).hasSize(1);
            assertThat(tokens.revokeAllStoredForSubject("s")).isEqualTo(1);
            tokens.revokeSubject("s");
            assertThat(tokens.revokeSession("sid")).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.revokeSession("sid")).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
            assertThat(tokens.check(token("never stored", "s"))).isEqualTo(TokenStatus.REVOKED);
            assertThatThrownBy(tokens::expungeExpired)
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContainingAll("a right is missing", "42501", "Nothing was changed");
            for (String table : new String[] {"curfew_" + domain, "curfew_" + domain + "_watermarks"}) {
                assertThatThrownBy(() -> sql(url("app"), "DELETE FROM " + table))
                        .hasRootCauseMessage("ERROR: permission denied for table " + table);
                assertThatThrownBy(() -> sql(url("app"), "TRUNCATE " + table)).isNotNull();
                assertThatThrownBy(() -> sql(url("app"), "DROP TABLE " + table)).isNotNull();
            }
            assertThat(tokens.isRevoked("t")).isTrue();
            // What it can do all the same, as the page says.
            sql(url("app"), "UPDATE curfew_" + domain + " SET revoked_at = NULL");
            assertThat(tokens.isRevoked("t")).isFalse();
        }
    }

    @Test
    void aCleanUpThatCannotRevokeCleansUp() throws IOException {
        grant();
        try (HikariDataSource pool = Fixture.pool(url("app"), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool);
                TokenResource tokens = builder(store).build()) {
            tokens.revokeToken(token("t", "s"));
            tokens.revokeSubject("s");
            tokens.revokeSession("sid");
        }
        try (HikariDataSource pool = Fixture.pool(url("cleaner"), 1);
                JdbcTokenStore store = JdbcTokenStore.create(pool);
                TokenResource now = builder(store).build();
                TokenResource later =
                        builder(store).clock(() -> NOW.plus(Duration.ofDays(2))).build()) {
            assertThat(now.expungeExpired().removed()).isZero();
            assertThatThrownBy(() -> now.revokeJti("u"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContainingAll("a right is missing", "42501");
            assertThat(later.expungeExpired().removed()).isEqualTo(3);
        }
    }
}
