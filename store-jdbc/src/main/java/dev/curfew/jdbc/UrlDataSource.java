package dev.curfew.jdbc;

import dev.curfew.TokenStoreException;
import java.io.PrintWriter;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.util.Arrays;
import java.util.Properties;
import java.util.Set;
import java.util.logging.Logger;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/** The server of a URL, for the pool, which would log what a server says to a wrong password: user and all. */
final class UrlDataSource implements DataSource {
    private static final String DRIVER = "org.postgresql.Driver";
    private static final Set<String> EXTENSIONS =
            Set.of("socketFactory", "sslfactory", "authenticationPluginClassName");

    private final Driver driver;
    private final String server;
    private final Properties properties;
    private final int loginSeconds;

    /**
     * @param loginSeconds how long making a connection may take
     * @throws TokenStoreException if the driver is not there, cannot read the URL, or does not know a parameter
     */
    UrlDataSource(ConnectionUrl url, int loginSeconds) {
        this.driver = driver();
        this.server = url.server();
        this.properties = url.properties();
        this.loginSeconds = loginSeconds;
        if (!accepts()) {
            throw new TokenStoreException(
                    TokenStoreException.Outcome.UNCHANGED,
                    "PostgreSQL's driver cannot read the URL. Check the host, the port, the name of the database, and"
                            + " the service if it names one",
                    null);
        }
        if (!knowsAll()) {
            throw new TokenStoreException(
                    TokenStoreException.Outcome.UNCHANGED,
                    "The URL has a parameter that neither Curfew nor PostgreSQL's driver knows, which would do nothing."
                            + " The driver tells upper from lower case: sslmode, ApplicationName. Curfew's is"
                            + " createSchema=true or createSchema=false",
                    null);
        }
    }

    private boolean accepts() {
        try {
            return driver.acceptsURL(server);
        } catch (SQLException e) {
            return false;
        }
    }

    /** The driver drops without a word what it does not know, be it sslMode. A class of the user's may know more. */
    private boolean knowsAll() {
        Set<String> names = properties.stringPropertyNames();
        if (names.stream().anyMatch(EXTENSIONS::contains)) {
            return true;
        }
        try {
            return Arrays.stream(driver.getPropertyInfo(server, properties))
                    .map(known -> known.name)
                    .collect(Collectors.toSet())
                    .containsAll(names);
        } catch (SQLException e) {
            return true; // connecting says what is wrong
        }
    }

    /**
     * Not from DriverManager: that looks for drivers once. In a servlet container it has done so before there was an
     * application.
     */
    private static Driver driver() {
        try {
            return Class.forName(DRIVER)
                    .asSubclass(Driver.class)
                    .getDeclaredConstructor()
                    .newInstance();
        } catch (ClassNotFoundException e) {
            throw new TokenStoreException(
                    TokenStoreException.Outcome.UNCHANGED,
                    "PostgreSQL's driver is not on the class path: add org.postgresql:postgresql",
                    null);
        } catch (ReflectiveOperationException | LinkageError e) {
            throw new TokenStoreException(
                    TokenStoreException.Outcome.UNCHANGED,
                    "PostgreSQL's driver could not be loaded: take another version of org.postgresql:postgresql",
                    e);
        }
    }

    /** A connection, or what the driver throws: it may quote the user. */
    Connection connect() throws SQLException {
        Connection connection = driver.connect(server, properties);
        if (connection == null) {
            throw new SQLException("This is no URL for PostgreSQL's driver", "08001");
        }
        return connection;
    }

    @Override
    public Connection getConnection() throws SQLException {
        try {
            return connect();
        } catch (SQLException e) {
            throw Failures.harmless(e);
        }
    }

    @Override
    public Connection getConnection(String user, String password) throws SQLException {
        throw new SQLFeatureNotSupportedException("The user and the password are in the URL");
    }

    @Override
    public @Nullable PrintWriter getLogWriter() {
        return null;
    }

    @Override
    public void setLogWriter(PrintWriter out) {}

    @Override
    public void setLoginTimeout(int seconds) {}

    /** In seconds: so long a pool that is closed waits for connections that are being made. */
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
        throw new SQLException("There is nothing to unwrap");
    }

    @Override
    public boolean isWrapperFor(Class<?> type) {
        return false;
    }
}
