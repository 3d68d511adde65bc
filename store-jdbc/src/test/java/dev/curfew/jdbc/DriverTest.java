package dev.curfew.jdbc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.zaxxer.hikari.HikariDataSource;
import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.servers.PostgresServer;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.sql.Driver;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/** How a store that is opened by its URL comes by PostgreSQL's driver. */
class DriverTest {
    /**
     * A servlet container asks DriverManager for its drivers before an application has a class loader. After that,
     * DriverManager does not look for the application's.
     */
    @Test
    void aDriverThatDriverManagerDoesNotKnowIsFound() throws SQLException {
        String url = PostgresServer.shared().url();
        List<Driver> drivers = DriverManager.drivers().toList();
        for (Driver driver : drivers) {
            DriverManager.deregisterDriver(driver);
        }
        try {
            assertThat(DriverManager.drivers()).isEmpty();
            try (TokenResource tokens = TokenResource.builder()
                    .url(url)
                    .domain(Fixture.newDomain())
                    .callDeadline(Fixture.DEADLINE)
                    .build()) {
                assertThat(tokens.isRevoked("t")).isFalse();
            }
        } finally {
            for (Driver driver : drivers) {
                DriverManager.registerDriver(driver);
            }
        }
    }

    @Test
    void aMissingDriverIsNamed() throws Exception {
        URL[] withoutDriver = Stream.of(
                        JdbcTokenStoreProvider.class, TokenStore.class, HikariDataSource.class, LoggerFactory.class)
                .map(type -> type.getProtectionDomain().getCodeSource().getLocation())
                .toArray(URL[]::new);
        try (var loader = new URLClassLoader(withoutDriver, ClassLoader.getPlatformClassLoader())) {
            Class<?> type = loader.loadClass(JdbcTokenStoreProvider.class.getName());
            Method open = type.getMethod("open", String.class, Duration.class, Duration.class);
            Object provider = type.getConstructor().newInstance();
            Throwable thrown = catchThrowable(() -> open.invoke(
                    provider, "jdbc:postgresql://localhost/x?password=secret", Fixture.DEADLINE, Fixture.DEADLINE));
            assertThat(thrown).isInstanceOf(InvocationTargetException.class);
            assertThat(thrown.getCause().getClass().getName()).isEqualTo("dev.curfew.TokenStoreException");
            assertThat(thrown.getCause())
                    .hasMessage("PostgreSQL's driver is not on the class path: add org.postgresql:postgresql");
        }
    }
}
