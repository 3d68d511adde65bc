package dev.curfew.jdbc;

import dev.curfew.TokenStoreException;
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
    private final ConnectionUrl url;
    private final int loginSeconds;
    private final AtomicReference<@Nullable Connection> first = new AtomicReference<>();

    /** @param loginSeconds how long making a connection may take */
    UrlDataSource(ConnectionUrl url, int loginSeconds) {
        this.url = url;
        this.loginSeconds = loginSeconds;
        try {
            // Not from DriverManager, which looks for drivers once. In a servlet container it has done so before the
            // application was there.
            Class<?> type = Class.forName("org.postgresql.Driver");
            driver = (Driver) type.getDeclaredConstructor().newInstance();
        } catch (ReflectiveOperationException | LinkageError e) {
            throw Failures.ofOpening("DRIVER", e);
        }
    }

    /**
     * All parameters that the driver knows, with the values that the URL gives them.
     *
     * @throws TokenStoreException if the driver cannot read the URL
     */
    Map<String, String> parameters() throws SQLException {
        if (!driver.acceptsURL(url.server())) {
            throw Failures.ofOpening("URL", null);
        }
        return Arrays.stream(driver.getPropertyInfo(url.server(), url.properties()))
                .collect(Collectors.toMap(known -> known.name, known -> Objects.requireNonNullElse(known.value, "")));
    }

    /** Makes the connection that is handed out first. It has more time than the others, since the JVM may be cold. */
    void connect(int seconds) throws SQLException {
        var patient = new Properties();
        patient.putAll(url.properties());
        for (String name : List.of("connectTimeout", "loginTimeout")) {
            // Unless the URL has a value of its own.
            patient.replace(name, Integer.toString(loginSeconds), Integer.toString(seconds));
        }
        first.set(driver.connect(url.server(), patient));
    }

    @Override
    public Connection getConnection() throws SQLException {
        Connection made = first.getAndSet(null);
        try {
            return made != null ? made : driver.connect(url.server(), url.properties());
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

    /** In seconds. A pool that is closed waits so long for a connection that is being made. */
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
