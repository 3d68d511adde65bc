package dev.curfew.jdbc;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreProvider;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Collections;
import java.util.Locale;
import java.util.Map;
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
    private static final String THIS_MACHINE = "(?i)|localhost|127(\\.\\d+){3}|\\[(::|(0:){7})1]";
    // Each of these parameters names a class, which may have parameters of its own.
    private static final Set<String> EXTENSIONS =
            Set.of("socketFactory", "sslfactory", "authenticationPluginClassName");

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
    public TokenStore open(String url, Duration callDeadline, Duration openDeadline) {
        int seconds = (int) Math.max(1, callDeadline.toSeconds() / 2);
        var defaults = new Properties();
        defaults.putAll(Map.of(
                "ApplicationName", "curfew",
                "targetServerType", "primary", // a standby may not have heard of a revocation yet
                "connectTimeout", Integer.toString(seconds),
                "loginTimeout", Integer.toString(seconds),
                "tcpKeepAlive", "true",
                "logServerErrorDetail", "false"));
        ConnectionUrl parsed = ConnectionUrl.of(url, defaults);
        var server = new UrlDataSource(parsed, seconds);
        try {
            Map<String, String> known = server.parameters();
            refuseUnknown(parsed.properties().stringPropertyNames(), known.keySet());
            warnOfNetwork(parsed.properties(), known.getOrDefault("PGHOST", ""));
            server.connect(
                    (int) Math.max(1, openDeadline.toSeconds())); // a pool would try again until its time is over
        } catch (SQLException e) {
            throw Failures.of(null, withoutSecrets(e, parsed.properties()), false);
        }
        var config = new HikariConfig();
        config.setDataSource(server);
        config.setPoolName("curfew");
        config.setMaximumPoolSize(POOL_SIZE);
        config.setMinimumIdle(1);
        // The store may wait twice for a connection, and the pool once for a test of one. The statement has the rest.
        config.setConnectionTimeout(Math.max(LEAST_MILLIS, callDeadline.toMillis() / 4));
        config.setValidationTimeout(Math.max(LEAST_MILLIS, callDeadline.toMillis() / 8));
        config.setInitializationFailTimeout(-1);
        var pool = new HikariDataSource(config);
        return JdbcTokenStore.builder(pool).build(pool, parsed.createsSchema());
    }

    /**
     * A server, a pooler or a class that the URL names may quote the user or a password. Such a message is left out. A
     * secret within a word does not count: a user who is named {@code app} is not told by "applied".
     */
    private static SQLException withoutSecrets(SQLException e, Properties given) {
        String said = String.valueOf(e.getMessage());
        boolean isQuoted = Stream.of("user", "password", "sslpassword")
                .map(name -> given.getProperty(name, ""))
                .filter(secret -> !secret.isEmpty())
                .map(secret -> "(?<![\\p{L}\\p{N}_])" + Pattern.quote(secret) + "(?![\\p{L}\\p{N}_])")
                .anyMatch(word -> Pattern.compile(word).matcher(said).find());
        return isQuoted
                ? new SQLException(e.getClass().getName() + ", whose message may quote the URL", e.getSQLState())
                : e;
    }

    /** The driver drops a parameter that it does not know, such as sslMode. A class that the URL names may know more. */
    private static void refuseUnknown(Set<String> names, Set<String> known) {
        if (!known.containsAll(names)
                && (Collections.disjoint(names, EXTENSIONS)
                        || names.stream().anyMatch("createSchema"::equalsIgnoreCase))) {
            throw Failures.ofOpening("PARAMETER", null);
        }
    }

    /** Warns in one line, without the host. Somebody on the network can read the password, and answer that a token is good. */
    private static void warnOfNetwork(Properties given, String hosts) {
        boolean leavesThisMachine =
                Pattern.compile(",").splitAsStream(hosts).anyMatch(host -> !host.matches(THIS_MACHINE));
        String byDefault = given.getProperty("ssl", "false").matches("(?i)|true") ? "verify-full" : "prefer";
        String mode = given.getProperty("sslmode", byDefault).toLowerCase(Locale.ROOT);
        boolean verified = mode.startsWith("verify-")
                && !given.getProperty("sslfactory", "").endsWith(".NonValidatingFactory");
        if (leavesThisMachine && !verified) {
            LOG.warn(
                    "The URL leads to another host, {}. Somebody in between can answer in the server's place."
                            + " Write sslmode=verify-full.",
                    mode.matches("require|verify-.*")
                            ? "whose certificate is not checked"
                            : "perhaps without TLS, which shows the password");
        }
    }
}
