package dev.curfew.jdbc;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.io.PrintWriter;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import java.util.logging.Logger;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * The server of a URL, for the pool. HikariCP could open a URL by itself, and the driver has a data source of its own.
 * But these log parameters such as sslpassword, or the user of a wrong password. And HikariCP would set the login
 * timeout of everything in the JVM.
 */
final class UrlDataSource implements DataSource {
    private final Driver driver;
    private final String server;
    private final Properties properties;
    private final int loginSeconds;
    private final AtomicReference<@Nullable Connection> first = new AtomicReference<>();

    /** @param loginSeconds how long making a connection may take */
    UrlDataSource(ConnectionUrl url, int loginSeconds) {
        this.driver = driver();
        this.server = url.server();
        this.properties = url.properties();
        this.loginSeconds = loginSeconds;
    }

    /**
     * PostgreSQL's driver, not from DriverManager: DriverManager looks for drivers once. In a servlet container it has
     * done so before there was an application.
     */
    private static Driver driver() {
        try {
            Class<?> driver = Class.forName("org.postgresql.Driver");
            return (Driver) driver.getDeclaredConstructor().newInstance();
        } catch (ReflectiveOperationException | LinkageError e) {
            throw new TokenStoreException(
                    Outcome.UNCHANGED,
                    "PostgreSQL's driver is not on the class path: add org.postgresql:postgresql",
                    e);
        }
    }

    /**
     * All parameters that the driver knows, with what the URL makes of them.
     *
     * @throws TokenStoreException if the driver cannot read the URL
     */
    Map<String, String> parameters() throws SQLException {
        if (!driver.acceptsURL(server)) {
            throw ConnectionUrl.refused();
        }
        return Arrays.stream(driver.getPropertyInfo(server, properties))
                .collect(Collectors.toMap(known -> known.name, known -> Objects.requireNonNullElse(known.value, "")));
    }

    /** Makes the connection that is handed out first; with more time than the others, since the JVM may be cold. */
    void connect(int seconds) throws SQLException {
        var patient = new Properties();
        patient.putAll(properties);
        for (String name : List.of("connectTimeout", "loginTimeout")) {
            // Where the URL does not say another one.
            patient.replace(name, Integer.toString(loginSeconds), Integer.toString(seconds));
        }
        first.set(driver.connect(server, patient));
    }

    @Override
    public Connection getConnection() throws SQLException {
        Connection made = first.getAndSet(null);
        try {
            return made != null ? made : driver.connect(server, properties);
        } catch (SQLException e) {
            throw Failures.harmless(e);
        }
    }

    @Override
    public Connection getConnection(String user, String password) throws SQLException {
        throw new SQLFeatureNotSupportedException();
    }

    @Override
    public @Nullable PrintWriter getLogWriter() {
        return null;
    }

    @Override
    public void setLogWriter(PrintWriter out) {}

    @Override
    public void setLoginTimeout(int seconds) {}

    /** In seconds: a pool that is closed waits so long for a connection that is being made. */
    @Override
    public int getLoginTimeout() {
        return loginSeconds;
    }

    @Override
    public Logger getParentLogger() throws SQLFeatureNotSupportedException {
        throw new SQLFeatureNotSupportedException();
    }

    @Override
    public <T> T unwrap(Class<T> type) throws SQLException {
        throw new SQLFeatureNotSupportedException();
    }

    @Override
    public boolean isWrapperFor(Class<?> type) {
        return false;
    }
}
