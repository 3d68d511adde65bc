package dev.curfew.redis;

import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.Appender;
import ch.qos.logback.core.read.ListAppender;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisCluster;
import dev.curfew.servers.RedisServer;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/** The lines that Curfew and the driver log when all loggers are at TRACE. */
class LogsTest {
    private static final List<String> DRIVER = List.of("io.lettuce", "io.netty");

    private static RedisServer server;

    private final String domain = Fixture.newDomain();
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();
    private Appender<ILoggingEvent> console;
    private final Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);

    @BeforeAll
    static void start() {
        server = RedisServer.start(RedisServer.version(), Map.of());
        allow(server);
    }

    private static void allow(RedisServer server) {
        server.command("ACL", "SETUSER", "private-user", "on", ">private-password", "~*", "+@all");
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @BeforeEach
    void listen() {
        log.start();
        console = root.getAppender("STDOUT");
        root.detachAppender(console);
        root.addAppender(log);
        root.setLevel(Level.TRACE);
        DRIVER.forEach(name -> ((Logger) LoggerFactory.getLogger(name)).setLevel(Level.TRACE));
    }

    @AfterEach
    void stopListening() {
        root.setLevel(Level.ERROR);
        root.detachAppender(log);
        root.addAppender(console);
        DRIVER.forEach(name -> ((Logger) LoggerFactory.getLogger(name)).setLevel(Level.OFF));
    }

    private void use(String url) {
        try (TokenResource tokens = Fixture.builder(domain).url(url).build()) {
            tokens.storeToken(token("private-jti", "private-subject"), "p", Map.of("k", "private-data"));
            tokens.check(token("private-jti", "private-subject"));
            tokens.getToken("private-jti");
            tokens.listTokens("private-subject");
            tokens.consume("private-jti", "p");
            tokens.revokeToken(token("private-jti-2", "private-subject"));
            Token refresh = token("private-jti-3", "private-subject").withSession("private-session");
            tokens.storeToken(refresh, "p");
            tokens.rotate(
                    refresh, "p", token("private-jti-4", "private-subject").withSession("private-session"));
            tokens.revokeSession("private-session");
            tokens.revokeSubject("private-subject");
            tokens.revokeAllStoredForSubject("private-subject");
        }
    }

    /** The driver logs what the page on Redis says; Curfew logs no secret at any level. */
    @Test
    void R9_2_noSecretIsLoggedButByTheDriverAtTheLevelsThatThePageNames() {
        String credentials = "redis://private-user:private-password@127.0.0.1:";
        use(credentials + server.port());
        assertThat(catchThrowable(() -> use("redis://private-user:private-password-2@127.0.0.1:" + server.port())))
                .isInstanceOf(TokenStoreException.class);
        assertThat(catchThrowable(() -> use(credentials + "1"))).isInstanceOf(TokenStoreException.class);
        try (RedisCluster cluster = RedisCluster.start(RedisServer.version(), Map.of("appendonly", "no"))) {
            cluster.nodes().forEach(LogsTest::allow);
            use(cluster.url().replace("://", "://private-user:private-password@"));
        }
        List<ILoggingEvent> events = List.copyOf(log.list);
        assertThat(events)
                .anyMatch(event -> event.getLoggerName().startsWith("io.lettuce") && event.getLevel() == Level.DEBUG);
        assertThat(events).allSatisfy(event -> {
            boolean ours = event.getLoggerName().startsWith("dev.curfew");
            if (ours || event.getLevel().isGreaterOrEqual(Level.INFO)) {
                assertThat(text(event)).doesNotContain("private");
            } else if (event.getLevel() == Level.DEBUG) {
                assertThat(text(event)).doesNotContain("private-password");
            }
        });
    }

    private static String text(ILoggingEvent event) {
        return event.getLoggerName() + " " + event.getFormattedMessage()
                + (event.getThrowableProxy() == null ? "" : ThrowableProxyUtil.asString(event.getThrowableProxy()));
    }
}
