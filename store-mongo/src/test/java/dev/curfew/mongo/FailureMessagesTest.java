package dev.curfew.mongo;

import static dev.curfew.servers.Fixture.token;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.mongodb.ConnectionString;
import com.mongodb.MongoCommandException;
import com.mongodb.MongoException;
import com.mongodb.MongoInterruptedException;
import com.mongodb.MongoNotPrimaryException;
import com.mongodb.MongoOperationTimeoutException;
import com.mongodb.MongoSocketReadException;
import com.mongodb.MongoWriteConcernException;
import com.mongodb.MongoWriteException;
import com.mongodb.ServerAddress;
import com.mongodb.WriteConcernResult;
import com.mongodb.WriteError;
import com.mongodb.bulk.WriteConcernError;
import dev.curfew.FailurePolicy;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.MongoServer;
import dev.curfew.servers.TcpProxy;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.bson.BsonDocument;
import org.bson.BsonInt32;
import org.bson.BsonString;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/** What people read when something is wrong, and what they do not read. */
class FailureMessagesTest {
    private static final ServerAddress ADDRESS = new ServerAddress("localhost", 27017);

    // Where a primary is waited for that does not come.
    private static final Duration SHORTLY = Duration.ofSeconds(2);

    private final String domain = Fixture.newDomain();
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();
    private final Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);

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
    }

    private static void assertTells(Throwable thrown, String... words) {
        assertThat(thrown).isInstanceOf(TokenStoreException.class).hasMessageContainingAll(words);
        var everything = new StringWriter();
        thrown.printStackTrace(new PrintWriter(everything));
        assertThat(everything.toString()).doesNotContain("secret");
    }

    private Throwable opening(String url) {
        return opening(url, Fixture.DEADLINE);
    }

    private Throwable opening(String url, Duration deadline) {
        return catchThrowable(() -> Fixture.builder(domain)
                .callDeadline(deadline)
                .failurePolicy(FailurePolicy.THROW)
                .url(url)
                .build()
                .close());
    }

    private static String url(String userAndPassword, int port) {
        return "mongodb://" + userAndPassword + "@localhost:" + port + "/secret";
    }

    /** A stand-in knows no users, and refuses them all. */
    @Test
    void aWrongPassword() {
        List<String> hosts = new ConnectionString(MongoServer.shared().url()).getHosts();
        String url = "mongodb://secret-user:secret-password@" + String.join(",", hosts) + "/";
        assertTells(opening(url), "refused the user or the password", "authSource", "Nothing was changed");
    }

    @Test
    void aServerThatIsNotThere() throws IOException {
        int port;
        try (var socket = new ServerSocket(0)) {
            port = socket.getLocalPort();
        }
        assertTells(
                opening(url("secret-user:secret", port), SHORTLY),
                "MongoDB failed",
                "no primary was found",
                "Check the hosts");
        assertTells(opening("mongodb://localhost:" + port + "/?replicaSet=secret", SHORTLY), "no primary was found");
    }

    @Test
    void aServerThatAcceptsAndNeverAnswers() throws IOException {
        try (var socket = new ServerSocket(0)) {
            assertTells(
                    opening(url("secret-user:secret", socket.getLocalPort()), SHORTLY),
                    "MongoDB failed",
                    "within the call deadline");
        }
    }

    @Test
    void aUrlThatIsNone() {
        assertTells(opening("mongodb://secret-user:secret@host:secret"), "mongodb://user:password@host");
        assertTells(opening("mongodb://secret-user:sec@ret@host"), "mongodb://user:password@host");
        assertTells(opening("mongodb://"), "mongodb://user:password@host");
        assertTells(opening("mongodb+srv://host.invalid/"), "MongoDB failed", "SRV");
    }

    /** As people write it, so that the driver looks for the whole replica set. */
    @Test
    void aUrlMayAskForMore() {
        String plain =
                MongoServer.shared().url().replaceFirst("^mongodb", "MongoDB").replace("directConnection=true", "");
        String url = plain + (plain.contains("?") ? "&" : "/?");
        for (String more : List.of("", "appName=x", "linearizableReads=false&appName=x", "linearizablereads=true")) {
            try (TokenResource tokens = Fixture.builder(domain).url(url + more).build()) {
                assertThat(tokens.revokeJti("t")).isNotNull();
                assertThat(tokens.isRevoked("t")).isTrue();
            }
        }
        assertTells(opening(url + "linearizableReads=secret"), "linearizableReads", "neither true nor false");
        assertTells(opening(url + "linearizableReads="), "neither true nor false");
    }

    @Test
    void whatTheUrlAsksForIsDone() {
        try (TcpProxy proxy = TcpProxy.to("localhost", port())) {
            var asked = new AtomicBoolean();
            proxy.onRequest((connection, bytes) -> {
                if (new String(bytes, ISO_8859_1).contains("linearizable")) {
                    asked.set(true);
                }
            });
            for (boolean strict : List.of(false, true)) {
                String url = "mongodb://localhost:" + proxy.port()
                        + "/curfew_url?directConnection=true&linearizableReads=" + strict;
                try (TokenResource tokens = Fixture.builder(domain).url(url).build()) {
                    tokens.isRevoked("t");
                    assertThat(asked.get()).isEqualTo(strict);
                }
            }
        }
    }

    private static int port() {
        String host =
                new ConnectionString(MongoServer.shared().url()).getHosts().get(0);
        return new ServerAddress(host).getPort();
    }

    // What the driver throws, and no server can be made to say

    private static MongoException refusal(int code) {
        BsonDocument said = new BsonDocument("ok", new BsonInt32(0))
                .append("code", new BsonInt32(code))
                .append("errmsg", new BsonString("secret"));
        return new MongoCommandException(said, ADDRESS);
    }

    private static void assertTells(MongoException e, boolean unsure, String... words) {
        assertTells(Failures.of("tokens", e, unsure), words);
        assertThat(Failures.of("tokens", e, unsure)).hasMessageContaining("'tokens'");
    }

    @Test
    void whatTheServerRefuses() {
        assertTells(refusal(13), false, "a right is missing", "readWrite", "code 13", "Nothing was changed");
        assertTells(refusal(121), false, "validator", "db.getCollectionInfos()", "code 121", "Nothing was changed");
        assertTells(refusal(14031), false, "disk is full", "Nothing was changed");
        assertTells(refusal(50), false, "code 50", "not known");
        assertTells(refusal(77_777), false, "refused the command", "code 77777", "not known");
        assertTells(refusal(13), true, "not known");
        var invalid = new MongoWriteException(
                new WriteError(121, "secret", new BsonDocument("secret", new BsonInt32(1))), ADDRESS, Set.of());
        assertTells(invalid, false, "validator", "Nothing was changed");
    }

    @Test
    void whatIsNotKnown() {
        assertTells(new MongoOperationTimeoutException("secret"), false, "call deadline", "not known");
        assertTells(new MongoSocketReadException("read failed", ADDRESS), false, "connection failed", "not known");
        assertTells(
                new MongoNotPrimaryException(new BsonDocument("secret", new BsonInt32(1)), ADDRESS),
                false,
                "not the primary",
                "not known");
        assertTells(
                new MongoInterruptedException("secret", new InterruptedException()), false, "interrupted", "not known");
    }

    @Test
    void R8_5_whatIsAppliedAndNotReplicatedIsSaidSo() {
        var unreplicated = new MongoWriteConcernException(
                new WriteConcernError(64, "WriteConcernTimeout", "secret", new BsonDocument()),
                WriteConcernResult.acknowledged(1, true, null),
                ADDRESS,
                Set.of());
        assertTells(unreplicated, false, "is applied", "not yet replicated", "Try again", "rs.status()");
        // What has changed nothing waits for a majority, too.
        var unconfirmed = new MongoWriteConcernException(
                new WriteConcernError(64, "WriteConcernTimeout", "secret", new BsonDocument()),
                WriteConcernResult.acknowledged(0, false, null),
                ADDRESS,
                Set.of());
        assertTells(unconfirmed, false, "no majority", "has confirmed", "Nothing was changed");
        assertTells(unconfirmed, true, "no majority", "has confirmed", "not known");
    }

    @Test
    void R8_2_anIndexThatCannotBeBuiltComesWithItsCommand() {
        assertTells(
                Failures.indexes(
                        "tokens", refusal(13), Failures.shell(new BsonDocument("createIndexes", new BsonString("c")))),
                "'tokens'",
                "a right is missing",
                "db.runCommand({\"createIndexes\": \"c\"})",
                "open the store again");
    }

    @Test
    void R9_2_theLogOfAllActionsTellsNothing() {
        try (TokenResource tokens =
                Fixture.builder(domain).url(MongoServer.shared().url()).build()) {
            root.getLoggerContext().getLogger("org.mongodb.driver").setLevel(Level.DEBUG);
            tokens.storeToken(token("secret", "secret"), "link", Map.of("secret", "secret"));
            tokens.consume("secret", "link");
            tokens.revokeSubject("secret");
            tokens.isRevoked("secret");
            assertThat(log.list).anyMatch(line -> line.getFormattedMessage().startsWith("Command \"find\""));
        } finally {
            root.getLoggerContext().getLogger("org.mongodb.driver").setLevel(Level.OFF);
        }
    }
}
