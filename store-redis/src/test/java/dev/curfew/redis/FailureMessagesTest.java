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
import dev.curfew.StoreScope;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisConnection;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.TcpProxy;
import io.lettuce.core.RedisClient;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

/** The messages when something fails, which tell what to do and no secret. */
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

    /** Neither the log nor an exception tells a secret. */
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

    private static Outcome outcome(ThrowingCallable call) {
        Throwable thrown = catchThrowable(call);
        assertTells(thrown, "Redis failed");
        Outcome outcome = ((TokenStoreException) thrown).outcome();
        assertThat(thrown)
                .message()
                .endsWith(
                        switch (outcome) {
                            case UNCHANGED -> "Nothing was changed";
                            case UNKNOWN -> "Whether it applied the action is not known";
                            case APPLIED_NOT_REPLICATED -> "a failover now may lose it";
                        });
        return outcome;
    }

    @Test
    void R8_2_theOutcomeOfWhatAServerRefuses() {
        try (RedisServer strict = RedisServer.start(RedisServer.version(), Map.of())) {
            strict.command("ACL", "SETUSER", "clerk", "on", ">Pw7-of-test", "~*", "+@all");
            try (TokenResource tokens = builder()
                    .url(url("clerk:Pw7-of-test", strict.port()))
                    .expungeBatchSize(10)
                    .build()) {
                tokens.revokeToken(token("known", "s"));
                tokens.storeToken(token("a", "two"));
                tokens.storeToken(token("b", "two"));
                tokens.storeToken(token("c", "one"));
                strict.command("CONFIG", "SET", "maxmemory", "1mb");
                assertThat(outcome(() -> tokens.revokeToken(token("t", "s")))).isEqualTo(Outcome.UNCHANGED);
                assertThat(outcome(() -> tokens.revokeAllStoredForSubject("one")))
                        .isEqualTo(Outcome.UNCHANGED);
                // Of two requests that are sent at once, one may be done.
                assertThat(outcome(() -> tokens.revokeAllStoredForSubject("two")))
                        .isEqualTo(Outcome.UNKNOWN);
                strict.command("CONFIG", "SET", "maxmemory", "0");
                // The first call fails before anything is done, the second one half way.
                strict.command("ACL", "SETUSER", "clerk", "-evalsha");
                assertThat(outcome(() -> tokens.revokeToken(token("t", "s")))).isEqualTo(Outcome.UNCHANGED);
                strict.command("ACL", "SETUSER", "clerk", "+evalsha", "-pexpire");
                assertThat(outcome(() -> tokens.revokeToken(token("t", "s")))).isEqualTo(Outcome.UNKNOWN);
                assertThat(tokens.isRevoked("t")).isTrue();
                strict.command("ACL", "SETUSER", "clerk", "+pexpire");
            }
        }
    }

    /** Without the right to ask for the time a script changes nothing. */
    @Test
    void R8_2_aRightThatAnOlderVersionDidNotNeed() {
        try (TokenResource tokens = builder().url(url()).build()) {
            tokens.storeToken(token("stored", "s"));
            server.command("ACL", "SETUSER", "secret-user", "-time");
            for (ThrowingCallable call : List.<ThrowingCallable>of(
                    () -> tokens.revokeToken(token("t", "s")),
                    () -> tokens.revokeJti("stored"),
                    () -> tokens.storeToken(token("t", "s")))) {
                assertTells(catchThrowable(call), "a right is missing", "NOPERM");
            }
            server.command("ACL", "SETUSER", "secret-user", "+time");
            assertThat(tokens.inspect("t")).isEmpty();
            assertThat(tokens.isRevoked("stored")).isFalse();
        }
    }

    @Test
    void R8_2_theOutcomeOfSilence() {
        try (TcpProxy proxy = TcpProxy.to("127.0.0.1", server.port());
                TokenResource tokens = builder()
                        .url(url("secret-user:secret-password", proxy.port()))
                        .callDeadline(Duration.ofSeconds(2))
                        .build()) {
            await().ignoreException(TokenStoreException.class).until(() -> !tokens.isRevoked("t"));
            proxy.swallow();
            assertThat(outcome(() -> tokens.revokeToken(token("secret-jti", "s"))))
                    .isEqualTo(Outcome.UNKNOWN);
            // This call finds no connection, and so sends nothing.
            assertThat(outcome(() -> tokens.revokeToken(token("secret-jti", "s"))))
                    .isEqualTo(Outcome.UNCHANGED);
            // A question changes nothing.
            assertThat(outcome(() -> tokens.getToken("secret-jti"))).isEqualTo(Outcome.UNCHANGED);
        }
    }

    /** Ends connections in an orderly way, with the reply to a script's first attempt lost; then the driver sends it again. */
    private static final class FarewellProxy implements AutoCloseable {
        private final ServerSocket listener = new ServerSocket(0);
        private final AtomicInteger attempts = new AtomicInteger();
        private final RedisServer server;
        private final AtomicBoolean ended = new AtomicBoolean();
        private volatile boolean armed;

        FarewellProxy(RedisServer server) throws IOException {
            this.server = server;
            start(this::accept);
        }

        private interface Work {
            void run() throws IOException;
        }

        private static void start(Work work) {
            var thread = new Thread(() -> {
                try {
                    work.run();
                } catch (IOException e) {
                    // Ended.
                }
            });
            thread.setDaemon(true);
            thread.start();
        }

        private void accept() throws IOException {
            while (true) {
                Socket client = listener.accept();
                var behind = new Socket("127.0.0.1", server.port());
                start(() -> pump(client, behind, true));
                start(() -> pump(behind, client, false));
            }
        }

        private void pump(Socket from, Socket to, boolean requests) throws IOException {
            try (from;
                    to) {
                byte[] buffer = new byte[65_536];
                for (int read = from.getInputStream().read(buffer);
                        read >= 0;
                        read = from.getInputStream().read(buffer)) {
                    if (armed
                            && requests
                            && new String(buffer, 0, read, StandardCharsets.UTF_8).contains("EVALSHA")
                            && attempts.incrementAndGet() == 2) {
                        server.command("REPLICAOF", "127.0.0.1", "1");
                    } else if (!requests && attempts.get() == 1 && ended.compareAndSet(false, true)) {
                        return;
                    }
                    to.getOutputStream().write(buffer, 0, read);
                }
            }
        }

        @Override
        public void close() throws IOException {
            listener.close();
        }
    }

    /** An application's driver or the store sends a command again: the first attempt is done, the second is refused. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void R8_7_aRefusalOfTheSecondAttemptDoesNotMeanThatNothingWasChanged(boolean byUrl) throws IOException {
        Map<String, String> refusing = Map.of("replica-serve-stale-data", "no");
        try (RedisServer demoted = RedisServer.start(RedisServer.version(), refusing);
                var proxy = new FarewellProxy(demoted)) {
            String url = RedisServer.url(proxy.listener.getLocalPort());
            var client = RedisClient.create(url);
            try (RedisTokenStore store = RedisTokenStore.create(client);
                    TokenResource tokens =
                            (byUrl ? builder().url(url) : builder().store(store)).build()) {
                tokens.revokeToken(token("known", "s"));
                proxy.armed = true;
                Throwable thrown = catchThrowable(() -> tokens.revokeToken(token("secret-jti", "s")));
                demoted.command("REPLICAOF", "NO", "ONE");
                assertTells(thrown, "MASTERDOWN");
                assertThat(proxy.attempts).hasValue(2);
                assertThat(outcome(() -> {
                            throw thrown;
                        }))
                        .isEqualTo(Outcome.UNKNOWN);
                assertThat(tokens.isRevoked("secret-jti")).isTrue();
            }
            client.shutdown();
        }
    }

    /** The server is demoted between two commands of one call. */
    @Test
    void R8_2_theOutcomeOfACallThatFailsHalfWay() {
        try (RedisServer demoted = RedisServer.start(RedisServer.version(), Map.of());
                TcpProxy proxy = TcpProxy.to("127.0.0.1", demoted.port());
                TokenResource tokens =
                        builder().url(RedisServer.url(proxy.port())).build()) {
            tokens.storeToken(token("secret-jti", "s"));
            proxy.onRequest((connection, bytes) -> {
                if (new String(bytes, StandardCharsets.UTF_8).contains(Script.DROP.digest)) {
                    demoted.command("REPLICAOF", "127.0.0.1", "1");
                }
            });
            assertThat(outcome(() -> tokens.revokeAllStoredForSubject("s"))).isEqualTo(Outcome.UNKNOWN);
            demoted.command("REPLICAOF", "NO", "ONE");
        }
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
    void aDatabaseThatIsNotThere() {
        assertTells(
                opening(url() + "/99"),
                "no such database",
                "Correct the number at the end of the URL",
                "Nothing was changed");
    }

    /** A server that refuses all connections is not asked by every call, nor is there a thread for each call. */
    @Test
    void R8_2_aServerThatRefusesIsLeftAloneForAMoment() {
        server.command("ACL", "SETUSER", "secret-turn", "on", ">Pw7-of-test", "~*", "+@all");
        try (TokenResource tokens =
                builder().url(url("secret-turn:Pw7-of-test", server.port())).build()) {
            server.command("ACL", "SETUSER", "secret-turn", "resetpass", ">Pw8-of-test");
            server.command("CLIENT", "KILL", "USER", "secret-turn");
            int before = Integer.parseInt(server.info("total_connections_received"));
            long begun = System.nanoTime();
            List<String> said = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                Throwable thrown = catchThrowable(() -> tokens.revokeJti("t"));
                assertTells(thrown, "Nothing was changed");
                said.add(thrown.getMessage());
            }
            // On a busy machine the driver may see the end of a connection before the reason for it.
            assertThat(said).anyMatch(message -> message.contains("refused the user or the password"));
            long tenths = (System.nanoTime() - begun) / 100_000_000;
            int connections = Integer.parseInt(server.info("total_connections_received")) - before;
            // Each call looks again and again for a second: there are a hundred looks in it.
            assertThat((long) connections).isLessThan(tenths + 10);
            server.command("ACL", "SETUSER", "secret-turn", "resetpass", ">Pw7-of-test");
            await().ignoreException(TokenStoreException.class).until(() -> !tokens.isRevoked("t"));
        }
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
                                .openDeadline(Duration.ofSeconds(2))
                                .url(url)
                                .build()
                                .close()),
                        "Redis failed");
            }
        }
    }

    /** The longest that one attempt to connect may take is less than this call may take. */
    @Test
    void R8_3_aConnectionThatHangsIsTriedAgainWithinTheDeadline() {
        try (TcpProxy proxy = TcpProxy.to("127.0.0.1", server.port())) {
            var begun = new AtomicBoolean();
            proxy.onRequest((connection, bytes) -> {
                if (begun.compareAndSet(false, true)) {
                    // This connection gets no answer.
                    proxy.swallow();
                } else {
                    proxy.pass();
                }
            });
            var client = RedisClient.create(url("secret-user:secret-password", proxy.port()));
            try (RedisTokenStore store = RedisTokenStore.create(client)) {
                var scope = new StoreScope(domain, "", Fixture.SKEW, Duration.ofSeconds(30));
                assertThat(store.isRevoked(scope, "t", Fixture.NOW)).isFalse();
                assertThat(begun).isTrue();
            }
            client.shutdown();
        }
    }

    @Test
    void R8_2_theOutcomeWhereNoConnectionIsMade() throws IOException {
        try (var socket = new ServerSocket(0)) {
            var client = RedisClient.create(RedisServer.url(socket.getLocalPort()));
            try (RedisTokenStore store = RedisTokenStore.create(client)) {
                var scope = new StoreScope(domain, "", Fixture.SKEW, Duration.ofSeconds(6));
                assertThat(outcome(() -> store.revokeSubject(
                                scope, "secret", Fixture.NOW, Fixture.NOW.plus(Fixture.HOUR), Fixture.NOW)))
                        .isEqualTo(Outcome.UNCHANGED);
            }
            client.shutdown();
        }
    }

    @Test
    void aUrlThatIsNone() {
        assertTells(opening("redis://secret-user:secret@host:port:secret"), "redis");
        assertTells(opening("redis://secret-user:secret word@host"), "redis");
        assertTells(opening(url() + "?minReplicas=secret"), "minReplicas");
    }

    @Test
    void aSettingThatIsNeitherTrueNorFalseIsNotTakenForFalse() {
        assertTells(opening(url() + "?strictDurability=yes"), "strictDurability=true");
        assertTells(opening(url() + "?STRICTdurability=secret"), "strictDurability=true");
        assertThat(opening(url() + "?strictDurability=TRUE")).isNull();
    }

    @Test
    void whatAServerRefusesWithoutAWordOfItsOwn() {
        assertTells(opening(url() + "/99"), "has no such database", "Nothing was changed");
        try (RedisServer full = RedisServer.start(RedisServer.version(), Map.of());
                RedisConnection administrator = full.connect()) {
            administrator.command("CONFIG", "SET", "maxclients", "1");
            assertTells(opening(RedisServer.url(full.port())), "maxclients", "Nothing was changed");
            administrator.command("CONFIG", "SET", "maxclients", "100");
        }
    }

    @Test
    void aCertificateThatNobodyTrusts() {
        Certificate certificate = Certificate.create();
        try (RedisServer withTls = RedisServer.start(RedisServer.version(), certificate.settings(Map.of()))) {
            String address = "127.0.0.1:" + withTls.setting("tls-port");
            assertTells(opening("rediss://" + address), "could not be reached", "certificate");
            assertThat(opening("rediss://" + address + "?verifyPeer=NONE")).isNull();
            // Without TLS, to the port for TLS.
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
            assertThat(outcome(() -> tokens.consume("stored", "p"))).isEqualTo(Outcome.UNCHANGED);
            assertTells(catchThrowable(() -> tokens.storeToken(token("secret-jti", "secret-subject"))), "OOM");
            assertTells(catchThrowable(() -> tokens.consume("stored", "p")), "OOM", "Nothing was changed");
            assertTells(catchThrowable(() -> tokens.revokeSubject("secret-subject")), "OOM");
            assertTells(catchThrowable(() -> tokens.revokeSession("secret-session")), "OOM", "Nothing was changed");
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
            assertThat(outcome(() -> tokens.revokeToken(token("t", "s")))).isEqualTo(Outcome.UNCHANGED);
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
                // While it loads, the server answers once in a thousand commands.
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
            String key = Keys.of(Fixture.scope(domain)).record("secret-jti");
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
            String watermark = Keys.of(Fixture.scope(domain)).watermark("secret-subject");
            server.command("SET", watermark, "somebody else's", "EX", "100");
            assertTells(catchThrowable(() -> tokens.revokeSubject("secret-subject")), "another type");
            assertTells(catchThrowable(() -> tokens.check(token("t", "secret-subject"))), "another type");
            String session = Keys.of(Fixture.scope(domain)).session("secret-session");
            server.command("SET", session, "somebody else's", "EX", "100");
            assertTells(catchThrowable(() -> tokens.revokeSession("secret-session")), "another type");
            assertTells(
                    catchThrowable(() -> tokens.check(token("t", "s").withSession("secret-session"))), "another type");
        }
    }

    @Test
    void R9_2_aRecordThatSomebodyHasSpoiled() {
        try (TokenResource tokens = builder().url(url()).build()) {
            tokens.storeToken(token("secret-jti", "secret-subject"), "p", Map.of("k", "secret"));
            String key = Keys.of(Fixture.scope(domain)).record("secret-jti");
            server.command("HSET", key, "e", "secret");
            assertTells(catchThrowable(() -> tokens.getToken("secret-jti")), "not a record of Curfew's");
            assertThat(catchThrowable(() -> tokens.revokeJti("secret-jti"))).isInstanceOf(TokenStoreException.class);
            // It is used up, and then found to be spoiled.
            tokens.storeToken(token("secret-too", "secret-subject"), "p", Map.of("k", "secret"));
            server.command("HSET", Keys.of(Fixture.scope(domain)).record("secret-too"), "c", "secret");
            assertThat(outcome(() -> tokens.getToken("secret-too"))).isEqualTo(Outcome.UNCHANGED);
            assertThat(outcome(() -> tokens.consume("secret-too", "p"))).isEqualTo(Outcome.UNKNOWN);
        }
    }

    /** A number beyond 64 bits breaks no other record of the page. */
    @Test
    void R2_7_extraDataOfSomebodyElsesBreakNoPage() {
        try (TokenResource tokens = builder().url(url()).build()) {
            for (String jti : List.of("a", "secret-b", "c")) {
                tokens.storeToken(token(jti, "s"), "p", Map.of("k", jti));
            }
            String key = Keys.of(Fixture.scope(domain)).record("secret-b");
            server.command("HSET", key, "d", "{\"secret\": 18446744073709551616}");
            List<TokenRecord> page = tokens.listTokens("s");
            assertThat(page).extracting(TokenRecord::jti).containsExactly("a", "c", "secret-b");
            assertThat(page.get(1).extraData()).isEqualTo(Map.of("k", "c"));
            assertTells(catchThrowable(() -> page.get(2).extraData().get("k")), "extra data", "Correct");
            assertThat(tokens.getToken("secret-b")).isPresent();
            assertThat(tokens.check(token("secret-b", "s"))).isEqualTo(TokenStatus.ACTIVE);
        }
    }
}
