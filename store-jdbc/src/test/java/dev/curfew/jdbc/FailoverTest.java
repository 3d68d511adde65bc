package dev.curfew.jdbc;

import static dev.curfew.jdbc.Fixture.NOW;
import static dev.curfew.jdbc.Fixture.sql;
import static dev.curfew.jdbc.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.PostgresServer;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A primary, a hot standby, and a URL that names both. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class FailoverTest {
    private final String domain = Fixture.newDomain();

    private TokenResource open(String url) {
        return TokenResource.builder()
                .url(url)
                .domain(domain)
                .clock(() -> NOW)
                .callDeadline(Duration.ofSeconds(10))
                .failurePolicy(FailurePolicy.DENY)
                .maxTokenLifetime(Duration.ofDays(1))
                .build();
    }

    @Test
    void R8_4_theStoreFollowsThePrimary() {
        // What is acknowledged is on the standby too.
        try (PostgresServer primary = PostgresServer.startEmbedded(Map.of());
                PostgresServer standby = primary.standby()) {
            sql(primary.url(), "ALTER SYSTEM SET synchronous_standby_names = '*'");
            sql(primary.url(), "SELECT pg_reload_conf()");
            await().until(() -> sql(primary.url(), "SELECT sync_state FROM pg_stat_replication")
                    .contains("sync"));
            // The standby first: the store must not take the first that answers.
            String both = "jdbc:postgresql://localhost:" + standby.port() + ",localhost:" + primary.port()
                    + "/postgres?user=postgres&password=postgres";
            try (TokenResource tokens = open(both)) {
                for (int i = 0; i < 100; i++) {
                    assertThat(tokens.revokeToken(token("t" + i, "s"))).isEqualTo(RevokeOutcome.REVOKED);
                }
                assertThatThrownBy(() -> open(standby.url()))
                        .isInstanceOf(TokenStoreException.class)
                        .hasMessageContaining("could not be reached");
                primary.kill();
                // Between the two nobody gets in.
                assertThat(tokens.check(token("free", "s"))).isEqualTo(TokenStatus.UNAVAILABLE);
                assertThatThrownBy(() -> tokens.revokeToken(token("u", "s"))).isInstanceOf(TokenStoreException.class);
                sql(standby.url(), "SELECT pg_promote()");
                await().atMost(Duration.ofSeconds(30))
                        .until(() -> tokens.check(token("free", "s")) == TokenStatus.ACTIVE);
                for (int i = 0; i < 100; i++) {
                    assertThat(tokens.check(token("t" + i, "s"))).isEqualTo(TokenStatus.REVOKED);
                }
                assertThat(tokens.revokeToken(token("after", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            }
        }
    }
}
