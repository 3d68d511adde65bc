package dev.curfew.jdbc;

import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import java.io.PrintWriter;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.logging.Logger;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * The server of a URL, for the pool. HikariCP's own means for a URL and the driver's log parameters such as sslpassword,
 * and what a server says to a wrong password, user and all; and HikariCP's sets the login timeout of the whole JVM.
 */
final class UrlDataSource implements DataSource {
    private final Driver driver;
    private final String server;
    private final Properties properties;
    private int loginTimeout;

    UrlDataSource(ConnectionUrl url) {
        this.driver = driver();
        this.server = url.server();
        this.properties = url.properties();
    }

    /**
     * PostgreSQL's driver, not from DriverManager: that looks for drivers once. In a servlet container it has done so before
     * there was an application.
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

    @Override
    public Connection getConnection() throws SQLException {
        try {
            return driver.connect(server, properties);
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

    /** Called by the pool. So long it waits, when it is closed, for a connection that is being made. */
    @Override
    public void setLoginTimeout(int seconds) {
        loginTimeout = seconds;
    }

    @Override
    public int getLoginTimeout() {
        return loginTimeout;
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
