package dev.curfew.jdbc;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreProvider;
import java.net.UnknownHostException;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Locale;
import java.util.Objects;
import java.util.Properties;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Opens {@code jdbc:postgresql://host:port/database?user=…&password=…}, with a connection pool of its own, and creates
 * the tables that are missing, unless the URL says {@code createSchema=false}.
 */
public final class JdbcTokenStoreProvider implements TokenStoreProvider {
    private static final Logger LOG = LoggerFactory.getLogger(JdbcTokenStore.class);
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
        int seconds = (int) Math.max(1, deadline.toSeconds() / 2);
        var defaults = new Properties();
        defaults.setProperty("ApplicationName", "curfew");
        defaults.setProperty("targetServerType", "primary"); // a standby may not have heard of a revocation yet
        defaults.setProperty("connectTimeout", Integer.toString(seconds));
        defaults.setProperty("loginTimeout", Integer.toString(seconds));
        defaults.setProperty("tcpKeepAlive", "true");
        defaults.setProperty("logServerErrorDetail", "false");
        var connectionUrl = new ConnectionUrl(url, defaults);
        var server = new UrlDataSource(connectionUrl, seconds);
        if (connectionUrl.leavesThisMachine()) {
            warnOfNetwork(connectionUrl.properties());
        }
        try {
            server.connect().close(); // at once, and with the server's own answer, which a pool would wait for
        } catch (SQLException e) {
            throw notOpened(e, connectionUrl.properties());
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
        return (connectionUrl.createsSchema() ? builder.createsSchema() : builder).build();
    }

    /** In one line without the host: whoever can listen can read the password, and answer that a token is good. */
    private static void warnOfNetwork(Properties properties) {
        String ssl = properties.getProperty("ssl", "false");
        String byDefault = ssl.isEmpty() || ssl.equalsIgnoreCase("true") ? "verify-full" : "prefer";
        String mode = properties.getProperty("sslmode", byDefault).toLowerCase(Locale.ROOT);
        boolean encrypted = mode.equals("require") || mode.startsWith("verify-");
        if (!encrypted) {
            LOG.warn("The URL leads to another host, perhaps without TLS: whoever is in between can read the"
                    + " password, and answer in the server's place. Write sslmode=verify-full.");
        } else if (mode.equals("require")
                || properties.getProperty("sslfactory", "").endsWith(".NonValidatingFactory")) {
            LOG.warn(
                    "The URL leads to another host, whose certificate is not checked: whoever is in between can answer in"
                            + " the server's place. Write sslmode=verify-full.");
        }
    }

    /** For the first connection: there is no pool yet, and no next call. */
    private static TokenStoreException notOpened(SQLException e, Properties properties) {
        String state = Objects.requireNonNullElse(e.getSQLState(), "");
        String what;
        if (e.getCause() instanceof UnknownHostException) {
            what = "the host's name is not known. Check the host in the URL";
        } else if (state.equals("08001")) {
            what = "it could not be reached as the URL says. Check the host, the port and the parameters"
                    + said(e, properties);
        } else if (state.startsWith("08")) {
            what = "it did not take the connection, or did not answer as PostgreSQL does. Check the host, the port and"
                    + " the parameters in the URL" + said(e, properties);
        } else if (state.startsWith("22") || state.startsWith("42")) {
            what = "a parameter of the URL has a name or a value that it does not take" + said(e, properties);
        } else if (state.isEmpty() || state.startsWith("99")) {
            what = "the driver failed. Check the parameters in the URL, and the version of org.postgresql:postgresql";
        } else {
            return Failures.of(null, e, false);
        }
        return new TokenStoreException(
                TokenStoreException.Outcome.UNCHANGED,
                "PostgreSQL failed: " + what + (state.isEmpty() ? "" : " (SQLState " + state + ")")
                        + ". Nothing was changed",
                Failures.harmless(e));
    }

    /** The driver's or the server's own words, unless they quote a user or a password. */
    private static String said(SQLException e, Properties properties) {
        String words = String.valueOf(e.getMessage());
        boolean tells = Stream.of("user", "password", "sslpassword")
                .map(properties::getProperty)
                .anyMatch(secret -> secret != null && !secret.isEmpty() && tells(words, secret));
        return tells ? "" : ". The driver says: \"" + words + "\"";
    }

    /** As a word: a user named a is not told by "as". */
    private static boolean tells(String words, String secret) {
        return Pattern.compile("(?<![\\p{L}\\p{N}])" + Pattern.quote(secret) + "(?![\\p{L}\\p{N}])")
                .matcher(words)
                .find();
    }
}
