package dev.curfew.redis;

import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.awaitility.Awaitility.await;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisConnection;
import dev.curfew.servers.RedisServer;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/** What people read when something is wrong, and what they do not read. */
class FailureMessagesTest {
    private static RedisServer server;

    private final String domain = Fixture.newDomain();
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();
    private final Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);

    @BeforeAll
    static void start() {
        server = RedisServer.start(RedisServer.version(), Map.of("requirepass", "Pw7-of-test"));
        server.command("ACL", "SETUSER", "secret-user", "on", ">secret-password", "~*", "+@all");
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @BeforeEach
    void listen() {
        log.start();
        root.addAppender(log);
        root.setLevel(Level.DEBUG);
    }

    /** Neither the log nor anything that is thrown tells a secret. */
    @AfterEach
    void R9_2_nothingWasGivenAway() {
        root.setLevel(Level.ERROR);
        root.detachAppender(log);
        assertThat(log.list).allSatisfy(line -> {
            assertThat(line.getFormattedMessage()).doesNotContain("secret");
            if (line.getThrowableProxy() != null) {
                assertThat(line.getThrowableProxy().getMessage()).doesNotContain("secret");
            }
        });
        Scan.assertClean(List.of(server));
        Scan.clear(List.of(server));
    }

    private static void assertTells(Throwable thrown, String... words) {
        assertThat(thrown).isInstanceOf(TokenStoreException.class).hasMessageContainingAll(words);
        var everything = new StringWriter();
        thrown.printStackTrace(new PrintWriter(everything));
        assertThat(everything.toString()).doesNotContain("secret");
    }

    private static String url(String userAndPassword, int port) {
        return "redis://" + userAndPassword + "@127.0.0.1:" + port;
    }

    private static String url() {
        return url("secret-user:secret-password", server.port());
    }

    private TokenResource.Builder builder() {
        return Fixture.builder(domain).failurePolicy(FailurePolicy.THROW);
    }

    private Throwable opening(String url) {
        return catchThrowable(() -> builder().url(url).build().close());
    }

    @Test
    void aWrongPassword() {
        assertTells(
                opening(url("secret-user:secret-mistake", server.port())),
                "refused the user or the password",
                "WRONGPASS");
        assertTells(opening(RedisServer.url(server.port())), "asks for a user and a password", "NOAUTH");
        assertThat(opening(url())).isNull();
    }

    @Test
    void aServerThatIsNotThere() throws IOException {
        int port;
        try (var socket = new ServerSocket(0)) {
            port = socket.getLocalPort();
        }
        assertTells(opening(url("secret-user:secret", port)), "could not be reached", "Check the host and the port");
        assertTells(
                opening("redis-sentinel://127.0.0.1:" + port + "/0?sentinelMasterId=secret"), "could not be reached");
        assertTells(opening("redis-cluster://secret-user:secret@127.0.0.1:" + port), "could not be reached");
    }

    @Test
    void aServerThatAcceptsAndNeverAnswers() throws IOException {
        try (var socket = new ServerSocket(0)) {
            for (String scheme : List.of("redis", "rediss", "redis-cluster")) {
                String url = scheme + "://secret-user:secret@127.0.0.1:" + socket.getLocalPort();
                assertTells(
                        catchThrowable(() -> builder()
                                .callDeadline(Duration.ofSeconds(2))
                                .url(url)
                                .build()
                                .close()),
                        "Redis failed");
            }
        }
    }

    @Test
    void aUrlThatIsNone() {
        assertTells(opening("redis://secret-user:secret@host:port:secret"), "redis");
        assertTells(opening("redis://secret-user:secret word@host"), "redis");
        assertTells(opening(url() + "?minReplicas=secret"), "minReplicas");
    }

    @Test
    void aCertificateThatNobodyTrusts() {
        Certificate certificate = Certificate.create();
        try (RedisServer withTls = RedisServer.start(RedisServer.version(), certificate.settings(Map.of()))) {
            String address = "127.0.0.1:" + withTls.setting("tls-port");
            assertTells(opening("rediss://" + address), "could not be reached", "certificate");
            assertThat(opening("rediss://" + address + "?verifyPeer=NONE")).isNull();
            // By the other's port.
            assertTells(opening("redis://" + address), "Redis failed");
        }
    }

    @Test
    void R8_2_aServerThatIsFull() {
        try (RedisServer small = RedisServer.start(RedisServer.version(), Map.of());
                TokenResource tokens =
                        builder().url(RedisServer.url(small.port())).build()) {
            tokens.storeToken(token("stored", "s"), "p");
            tokens.revokeToken(token("revoked", "s"));
            small.command("CONFIG", "SET", "maxmemory", "1mb");
            assertTells(
                    catchThrowable(() -> tokens.revokeToken(token("secret-jti", "secret-subject"))),
                    "maxmemory",
                    "OOM",
                    "Nothing was changed");
            assertTells(catchThrowable(() -> tokens.storeToken(token("secret-jti", "secret-subject"))), "OOM");
            assertTells(catchThrowable(() -> tokens.consume("stored", "p")), "OOM", "Nothing was changed");
            assertTells(catchThrowable(() -> tokens.revokeSubject("secret-subject")), "OOM");
            // Checks still work.
            assertThat(tokens.isRevoked("revoked")).isTrue();
            assertThat(tokens.check(token("stored", "s"))).isEqualTo(TokenStatus.ACTIVE);
            small.command("CONFIG", "SET", "maxmemory", "0");
            assertThat(tokens.inspect("secret-jti")).isEmpty();
            assertThat(tokens.isRevoked("stored")).isFalse();
            assertThat(tokens.revokeToken(token("secret-jti", "secret-subject")))
                    .isEqualTo(RevokeOutcome.REVOKED);
            Scan.assertClean(List.of(small));
        }
    }

    @Test
    void R8_2_aServerThatHasBecomeAReplica() {
        try (RedisServer demoted = RedisServer.start(RedisServer.version(), Map.of());
                TokenResource tokens =
                        builder().url(RedisServer.url(demoted.port())).build()) {
            tokens.isRevoked("t");
            demoted.command("REPLICAOF", "127.0.0.1", "1");
            assertTells(
                    catchThrowable(() -> tokens.revokeToken(token("secret-jti", "secret-subject"))),
                    "read-only replica",
                    "READONLY",
                    "Nothing was changed");
            demoted.command("REPLICAOF", "NO", "ONE");
            assertThat(tokens.revokeToken(token("secret-jti", "secret-subject")))
                    .isEqualTo(RevokeOutcome.REVOKED);
        }
    }

    @Test
    void R8_2_aServerThatLoadsItsData() {
        Map<String, String> slow = Map.of("key-load-delay", "100", "appendfsync", "no");
        try (RedisServer loading = RedisServer.start(RedisServer.version(), slow)) {
            try (RedisConnection connection = loading.connect()) {
                for (int i = 0; i < 40_000; i++) {
                    connection.send("SET", "k" + i, "v");
                }
                for (int i = 0; i < 40_000; i++) {
                    connection.reply();
                }
            }
            try (TokenResource tokens =
                    builder().url(RedisServer.url(loading.port())).build()) {
                tokens.isRevoked("t");
                loading.kill();
                loading.restartLoading();
                // It answers now and then, once in a thousand commands.
                await().pollDelay(Duration.ZERO)
                        .pollInterval(Duration.ofMillis(10))
                        .untilAsserted(() -> assertTells(
                                catchThrowable(() -> tokens.revokeToken(token("secret-jti", "secret-subject"))),
                                "loading its data",
                                "LOADING",
                                "Nothing was changed"));
                await().atMost(Duration.ofSeconds(30))
                        .ignoreException(TokenStoreException.class)
                        .until(() -> tokens.inspect("secret-jti").isEmpty());
            }
        }
    }

    @Test
    void R8_2_aKeyOfTheWrongTypeInOurPlace() {
        try (TokenResource tokens = builder().url(url()).build()) {
            String key = Keys.record(Fixture.scope(domain), "secret-jti");
            server.command("SET", key, "somebody else's", "EX", "100");
            for (Throwable thrown : List.of(
                    catchThrowable(() -> tokens.isRevoked("secret-jti")),
                    catchThrowable(() -> tokens.check(token("secret-jti", "secret-subject"))),
                    catchThrowable(() -> tokens.getToken("secret-jti")),
                    catchThrowable(() -> tokens.revokeJti("secret-jti")),
                    catchThrowable(() -> tokens.consume("secret-jti", "p")),
                    catchThrowable(() -> tokens.storeToken(token("secret-jti", "secret-subject"))))) {
                assertTells(thrown, "another type", "WRONGTYPE", "begin with curfew:");
            }
            assertThat(server.command("GET", key)).isEqualTo("somebody else's");
            String watermark = Keys.watermark(Fixture.scope(domain), "secret-subject");
            server.command("HSET", watermark, "f", "v");
            server.command("EXPIRE", watermark, "100");
            assertTells(catchThrowable(() -> tokens.revokeSubject("secret-subject")), "another type");
            assertTells(catchThrowable(() -> tokens.check(token("t", "secret-subject"))), "another type");
        }
    }

    @Test
    void R9_2_aRecordThatSomebodyHasSpoiled() {
        try (TokenResource tokens = builder().url(url()).build()) {
            tokens.storeToken(token("secret-jti", "secret-subject"), "p", Map.of("k", "secret"));
            String key = Keys.record(Fixture.scope(domain), "secret-jti");
            server.command("HSET", key, "d", "{secret");
            assertTells(catchThrowable(() -> tokens.getToken("secret-jti")), "not a record of Curfew's");
            server.command("HSET", key, "d", "{}", "e", "secret");
            assertTells(catchThrowable(() -> tokens.getToken("secret-jti")), "not a record of Curfew's");
            assertThat(catchThrowable(() -> tokens.revokeJti("secret-jti"))).isInstanceOf(TokenStoreException.class);
        }
    }
}
