package dev.curfew.jdbc;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.FailurePolicy;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.random.RandomGenerator;

/** What the tests of this store share. */
final class Fixture {
    static final Instant NOW = Instant.parse("2100-01-01T00:00:00Z");
    static final Duration HOUR = Duration.ofHours(1);
    /** For tests of other things than deadlines, on a machine as busy as can be. */
    static final Duration DEADLINE = Duration.ofMinutes(1);

    private static final AtomicInteger DOMAINS = new AtomicInteger();
    private static final String RUN =
            "test-" + Integer.toHexString(RandomGenerator.getDefault().nextInt()) + "-";

    private Fixture() {}

    static String newDomain() {
        return RUN + DOMAINS.incrementAndGet();
    }

    static StoreScope scope(String domain) {
        return scope(domain, DEADLINE);
    }

    /** For one call that is in a hurry: a resource with so short a deadline might not open. */
    static StoreScope scope(String domain, Duration deadline) {
        return new StoreScope(domain, "", Duration.ofSeconds(60), deadline);
    }

    static HikariDataSource pool(String url, int size) {
        return pool(url, size, true);
    }

    static HikariDataSource pool(String url, int size, boolean autocommit) {
        return pool(url, size, autocommit, DEADLINE);
    }

    /** @param patience how long a call waits for a connection, for as long as the pool is there */
    static HikariDataSource pool(String url, int size, boolean autocommit, Duration patience) {
        var config = new HikariConfig();
        config.setJdbcUrl(url);
        config.setMaximumPoolSize(size);
        config.setAutoCommit(autocommit);
        config.setConnectionTimeout(patience.toMillis());
        config.setValidationTimeout(500);
        config.setInitializationFailTimeout(-1);
        return new HikariDataSource(config);
    }

    static TokenResource resource(TokenStore store, String domain) {
        return builder(store, domain).build();
    }

    static TokenResource.Builder builder(TokenStore store, String domain) {
        return TokenResource.builder()
                .store(store)
                .domain(domain)
                .clock(() -> NOW)
                .callDeadline(DEADLINE)
                .failurePolicy(FailurePolicy.THROW)
                .maxTokenLifetime(Duration.ofDays(1));
    }

    static Token token(String jti, String subject) {
        return Token.of(jti, subject, NOW, NOW.plus(HOUR));
    }

    /** Runs one statement on a connection of its own, and answers the first column, if there is one. */
    static List<String> sql(String url, String sql) {
        try (Connection connection = DriverManager.getConnection(url);
                Statement statement = connection.createStatement()) {
            List<String> rows = new ArrayList<>();
            if (statement.execute(sql)) {
                try (ResultSet result = statement.getResultSet()) {
                    while (result.next()) {
                        rows.add(result.getString(1));
                    }
                }
            }
            return rows;
        } catch (SQLException e) {
            throw new IllegalStateException(sql, e);
        }
    }
}
