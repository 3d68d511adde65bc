package dev.curfew.mongo;

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
import com.mongodb.MongoNamespace;
import com.mongodb.MongoNotPrimaryException;
import com.mongodb.MongoOperationTimeoutException;
import com.mongodb.MongoSocketReadException;
import com.mongodb.MongoWriteConcernException;
import com.mongodb.MongoWriteException;
import com.mongodb.ServerAddress;
import com.mongodb.WriteConcernResult;
import com.mongodb.WriteError;
import com.mongodb.bulk.WriteConcernError;
import dev.curfew.StoreScope;
import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
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
    /** For calls that nobody answers. */
    private static final Duration SHORT = Duration.ofSeconds(2);

    private static final ServerAddress ADDRESS = new ServerAddress("localhost", 27017);

    private static final Map<Outcome, String> LAST = Map.of(
            Outcome.UNCHANGED, ". Nothing was changed",
            Outcome.UNKNOWN, ". Whether MongoDB applied the action is not known",
            Outcome.APPLIED_NOT_REPLICATED,
                    ". The action is applied, but not yet replicated: a failover now may lose it");

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

    private static void assertTells(Throwable thrown, Outcome outcome, String... words) {
        assertTells(thrown, words);
        assertThat(((TokenStoreException) thrown).outcome()).isEqualTo(outcome);
        assertThat(thrown).message().endsWith(LAST.get(outcome));
    }

    private static void assertTells(Throwable thrown, String... words) {
        assertThat(thrown).isInstanceOf(TokenStoreException.class).hasMessageContainingAll(words);
        var everything = new StringWriter();
        thrown.printStackTrace(new PrintWriter(everything));
        assertThat(everything.toString()).doesNotContain("secret");
    }

    private Throwable opening(String url) {
        return opening(url, Duration.ofMinutes(1));
    }

    /** Without the core, which has a message of its own around that of a store. */
    private Throwable opening(String url, Duration deadline) {
        return catchThrowable(() -> {
            try (TokenStore store = new MongoTokenStoreProvider().open(url, deadline, deadline)) {
                store.prepare(new StoreScope(domain, "", Fixture.SKEW, deadline));
            }
        });
    }

    private static String url(String userAndPassword, int port) {
        return "mongodb://" + userAndPassword + "@localhost:" + port + "/secret";
    }

    /** A stand-in knows no users, and refuses them all. */
    @Test
    void aWrongPassword() {
        List<String> hosts = new ConnectionString(MongoServer.shared().url()).getHosts();
        String url = "mongodb://secret-user:secret-password@" + String.join(",", hosts) + "/";
        assertTells(opening(url), Outcome.UNCHANGED, "refused the user or the password", "authSource");
    }

    @Test
    void aServerThatIsNotThere() throws IOException {
        int port;
        try (var socket = new ServerSocket(0)) {
            port = socket.getLocalPort();
        }
        assertTells(
                opening(url("secret-user:secret", port), SHORT),
                Outcome.UNCHANGED,
                "MongoDB failed",
                "no primary was found",
                "Check the hosts");
        assertTells(
                opening("mongodb://localhost:" + port + "/?replicaSet=secret", SHORT),
                Outcome.UNCHANGED,
                "no primary was found");
    }

    @Test
    void aServerThatAcceptsAndNeverAnswers() throws IOException {
        try (var socket = new ServerSocket(0)) {
            assertTells(
                    opening(url("secret-user:secret", socket.getLocalPort()), SHORT),
                    Outcome.UNCHANGED,
                    "MongoDB failed",
                    "within the call deadline");
        }
    }

    @Test
    void aUrlThatIsNone() {
        assertTells(opening("mongodb://secret-user:secret@host:secret"), "mongodb://user:password@host");
        assertTells(opening("mongodb://secret-user:sec@ret@host"), "mongodb://user:password@host");
        assertTells(opening("mongodb://"), "mongodb://user:password@host");
        assertTells(opening("mongodb+srv://host.invalid/", SHORT), "MongoDB failed", "SRV");
        // A URL of the right form, with parameters that are not.
        for (String wrong : List.of(
                "mongodb://secret,host/?directConnection=true",
                "mongodb://host/?maxIdleTimeMS=secret",
                "mongodb://host/?timeoutMS=-1",
                "mongodb://host/?minPoolSize=5&maxPoolSize=2",
                "mongodb://host/?authMechanism=secret",
                "mongodb://secret@host/secret%20name",
                "mongodb://secret@host/?readConcernLevel=secret")) {
            assertThat(opening(wrong)).as(wrong).hasFieldOrPropertyWithValue("outcome", Outcome.UNCHANGED);
            assertTells(opening(wrong), "parameters", "values that it knows");
        }
    }

    /** As people write it, so that the driver looks for the whole replica set. */
    @Test
    void aUrlMayAskForMore() {
        String plain =
                MongoServer.shared().url().replaceFirst("^mongodb", "MongoDB").replace("directConnection=true", "");
        String url = plain + (plain.contains("?") ? "&" : "/?");
        for (String more : List.of(
                "",
                "appName=x",
                "linearizableReads=false&appName=x",
                "linearizablereads=true",
                "linearizableReads=true;appName=x")) {
            try (TokenResource tokens = Fixture.builder(domain).url(url + more).build()) {
                assertThat(tokens.revokeJti("t")).isNotNull();
                assertThat(tokens.isRevoked("t")).isTrue();
            }
        }
        assertTells(opening(url + "linearizableReads=secret"), "linearizableReads", "neither true nor false");
        for (String wrong : List.of("linearizableReads=", "linearizablereads=True", "linearizableReads=1&appName=x")) {
            assertTells(opening(url + wrong), "linearizableReads", "neither true nor false");
        }
        assertTells(opening(url + "linearizableReads=false&linearizableReads=true"), "linearizableReads", "once");
    }

    /** Each of them opened a store without linearizable reads; the driver says so at WARN, and quotes the name. */
    @Test
    void R11_5_aSwitchThatWouldNotSwitchIsRefused() {
        for (String parameter : List.of(
                "linearizableRead=true",
                "linearizable=true",
                "linearizableReads",
                "%6CinearizableReads=true",
                "secret=secret",
                "secret",
                "=secret")) {
            assertTells(
                    opening("mongodb://secret-user:secret@localhost/?appName=x;" + parameter, SHORT),
                    "linearizableReads",
                    "true");
            assertThat(opening("mongodb://localhost/?" + parameter, SHORT))
                    .hasFieldOrPropertyWithValue("outcome", Outcome.UNCHANGED);
        }
    }

    /** What the driver knows is a constant of it that nobody can ask for. */
    @Test
    void theDriversParametersAreThoseOfTheDriver() throws ReflectiveOperationException {
        assertThat(constant(MongoTokenStoreProvider.class, "OF_DRIVER"))
                .isEqualTo(constant(ConnectionString.class, "ALL_KEYS"));
    }

    private static Object constant(Class<?> type, String name) throws ReflectiveOperationException {
        var field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field.get(null);
    }

    @Test
    void anotherHostWithoutTlsIsWarnedOfOnce() {
        for (String url : List.of(
                "mongodb://secret-user:secret@db.invalid/",
                "mongodb://localhost,db.invalid:27018/?replicaSet=rs0",
                "mongodb://10.0.0.1/?tls=false")) {
            assertThat(warnings(url)).as(url).singleElement().asString().contains("without TLS", "tls=true");
        }
        for (String insecure : List.of("tlsInsecure", "tlsAllowInvalidHostnames")) {
            assertThat(warnings("mongodb://db.invalid/?tls=true&" + insecure + "=true"))
                    .as(insecure)
                    .singleElement()
                    .asString()
                    .contains("any certificate", insecure);
        }
        for (String url : List.of(
                "mongodb://localhost:1/",
                "mongodb://127.0.0.1,[::1]:27018/",
                "mongodb://db.invalid/?tls=true",
                "mongodb://db.invalid/?ssl=true")) {
            assertThat(warnings(url)).as(url).isEmpty();
        }
    }

    private List<String> warnings(String url) {
        log.list.clear();
        new MongoTokenStoreProvider().open(url, SHORT, SHORT).close();
        return List.copyOf(log.list).stream()
                .filter(line ->
                        line.getLevel() == Level.WARN && line.getLoggerName().startsWith("dev.curfew"))
                .map(ILoggingEvent::getFormattedMessage)
                .toList();
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
            String plain = "mongodb://localhost:" + proxy.port() + "/curfew_url?directConnection=true";
            for (String more :
                    List.of("", "&linearizableReads=false", "&linearizableReads=true", ";LinearizableReads=true")) {
                asked.set(false);
                try (TokenResource tokens =
                        Fixture.builder(domain).url(plain + more).build()) {
                    tokens.isRevoked("t");
                    assertThat(asked.get()).as(more).isEqualTo(more.endsWith("true"));
                }
            }
        }
    }

    static int port() {
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

    /** By a change that fails so, before which nothing was done. */
    private static void assertTells(MongoException e, Outcome outcome, String... words) {
        Outcome known = Failures.isUndone(e) ? Outcome.UNCHANGED : Outcome.UNKNOWN;
        TokenStoreException told = Failures.of("tokens", known, e);
        assertTells(told, outcome, words);
        assertThat(told).hasMessageContaining("'tokens'");
    }

    @Test
    void R8_2_whatTheServerRefuses() {
        assertTells(refusal(13), Outcome.UNCHANGED, "a right is missing", "readWrite", "code 13");
        assertTells(refusal(121), Outcome.UNCHANGED, "validator", "db.getCollectionInfos()", "code 121");
        assertTells(refusal(14031), Outcome.UNCHANGED, "disk is full");
        assertTells(refusal(50), Outcome.UNKNOWN, "code 50");
        assertTells(refusal(77_777), Outcome.UNKNOWN, "refused the command", "log", "code 77777");
        assertTells(Failures.of("tokens", Outcome.UNKNOWN, refusal(13)), Outcome.UNKNOWN, "a right is missing");
        var invalid = new MongoWriteException(
                new WriteError(121, "secret", new BsonDocument("secret", new BsonInt32(1))), ADDRESS, Set.of());
        assertTells(invalid, Outcome.UNCHANGED, "validator");
    }

    @Test
    void R8_2_whatIsNotKnown() {
        assertTells(new MongoOperationTimeoutException("secret"), Outcome.UNKNOWN, "call deadline", "network");
        assertTells(new MongoSocketReadException("read failed", ADDRESS), Outcome.UNKNOWN, "connection failed");
        assertTells(
                new MongoNotPrimaryException(new BsonDocument("secret", new BsonInt32(1)), ADDRESS),
                Outcome.UNKNOWN,
                "not the primary");
        assertTells(
                new MongoInterruptedException("secret", new InterruptedException()), Outcome.UNKNOWN, "interrupted");
    }

    private static MongoWriteConcernException unreplicated(int count) {
        return new MongoWriteConcernException(
                new WriteConcernError(64, "WriteConcernTimeout", "secret", new BsonDocument()),
                WriteConcernResult.acknowledged(count, count > 0, null),
                ADDRESS,
                Set.of());
    }

    @Test
    void R8_5_whatIsAppliedAndNotReplicatedIsSaidSo() {
        assertTells(
                Failures.of("tokens", Outcome.APPLIED_NOT_REPLICATED, unreplicated(1)),
                Outcome.APPLIED_NOT_REPLICATED,
                "'tokens'",
                "Try again",
                "rs.status()");
        // A command that has changed nothing waits for a majority, too.
        assertTells(unreplicated(0), Outcome.UNCHANGED, "no majority", "has confirmed");
        // A batch is a part of an action.
        assertTells(unreplicated(2), Outcome.UNKNOWN, "no majority", "has confirmed");
    }

    @Test
    void R8_2_anIndexThatCannotBeBuiltComesWithItsCommand() {
        assertTells(
                unfit(refusal(13)),
                Outcome.UNCHANGED,
                "'tokens'",
                "could not be built",
                "a right is missing",
                "code 13",
                "db.runCommand({\"createIndexes\": \"c\"})",
                "open the store again");
        assertTells(unfit(new MongoSocketReadException("read failed", ADDRESS)), Outcome.UNKNOWN, "could not be built");
    }

    private static TokenStoreException unfit(MongoException e) {
        return Failures.unfit(
                new MongoNamespace("db", "c"),
                "tokens",
                "its indexes could not be built",
                new BsonDocument("createIndexes", new BsonString("c")),
                e);
    }
}
