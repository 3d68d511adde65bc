package dev.curfew.jdbc;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreProvider;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Properties;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Opens {@code jdbc:postgresql://host:port/database?user=…&password=…}, with a connection pool of its own, and creates
 * the tables that are missing, unless the URL says {@code createSchema=false}.
 */
public final class JdbcTokenStoreProvider implements TokenStoreProvider {
    private static final Pattern KEEPS_SCHEMA = Pattern.compile("[?&]createSchema=false(&|$)");
    private static final Pattern USER_INFO = Pattern.compile("^[^/]*//[^/?]*@");
    private static final int POOL_SIZE = 10;
    // HikariCP takes no less.
    private static final long LEAST_MILLIS = 250;

    /** Called by {@link java.util.ServiceLoader}. */
    public JdbcTokenStoreProvider() {}

    @Override
    public String name() {
        return "jdbc";
    }

    @Override
    public Set<String> schemes() {
        return Set.of("jdbc:postgresql");
    }

    @Override
    public TokenStore open(String url, Duration deadline) {
        if (USER_INFO.matcher(url).find()) {
            // The driver would take it for a port, and log it.
            throw new TokenStoreException("A jdbc:postgresql URL has its user and password as parameters:"
                    + " jdbc:postgresql://host:port/database?user=…&password=…");
        }
        var properties = new Properties();
        // What the URL says goes before these.
        String seconds = Long.toString(Math.max(1, deadline.toSeconds() / 2));
        properties.setProperty("ApplicationName", "curfew");
        properties.setProperty("targetServerType", "primary"); // a standby may not have heard of a revocation yet
        properties.setProperty("connectTimeout", seconds);
        properties.setProperty("loginTimeout", seconds);
        properties.setProperty("tcpKeepAlive", "true");
        properties.setProperty("logServerErrorDetail", "false");
        var server = new UrlDataSource(url, properties);
        try {
            server.getConnection().close(); // at once, and with the server's own answer, which a pool would wait for
        } catch (SQLException e) {
            throw Failures.of(null, e, false);
        }
        var config = new HikariConfig();
        config.setDataSource(server);
        config.setPoolName("curfew");
        config.setMaximumPoolSize(POOL_SIZE);
        config.setMinimumIdle(1);
        // Twice the one and once the other are less than the deadline, of which the statement has the rest.
        config.setConnectionTimeout(Math.max(LEAST_MILLIS, deadline.toMillis() / 4));
        config.setValidationTimeout(Math.max(LEAST_MILLIS, deadline.toMillis() / 8));
        config.setInitializationFailTimeout(-1);
        var pool = new HikariDataSource(config);
        JdbcTokenStore.Builder builder = JdbcTokenStore.builder(pool).owning(pool);
        return (KEEPS_SCHEMA.matcher(url).find() ? builder : builder.createsSchema()).build();
    }
}
