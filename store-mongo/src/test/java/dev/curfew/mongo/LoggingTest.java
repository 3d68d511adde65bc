package dev.curfew.mongo;

import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.read.ListAppender;
import com.mongodb.ConnectionString;
import com.mongodb.MongoClientSettings;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.mongodb.client.MongoCollection;
import dev.curfew.SubjectMismatchException;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.MongoServer;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.bson.Document;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/** What Curfew and the driver write at each level, as the section of docs/mongodb.md on it says. */
class LoggingTest {
    private final String domain = Fixture.newDomain();
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();
    private final List<Logger> loggers = Stream.of("org.mongodb.driver", "dev.curfew")
            .map(name -> (Logger) LoggerFactory.getLogger(name))
            .toList();

    @BeforeEach
    void listen() {
        log.start();
        loggers.forEach(logger -> {
            logger.setLevel(Level.TRACE);
            logger.setAdditive(false);
            logger.addAppender(log);
        });
    }

    @AfterEach
    void stopListening() {
        loggers.forEach(logger -> {
            logger.detachAppender(log);
            logger.setAdditive(true);
        });
        loggers.get(0).setLevel(Level.OFF);
        loggers.get(1).setLevel(null);
    }

    private static String written(ILoggingEvent line) {
        String thrown = line.getThrowableProxy() == null ? "" : ThrowableProxyUtil.asString(line.getThrowableProxy());
        return line.getLevel() + " " + line.getLoggerName() + " " + line.getFormattedMessage() + thrown;
    }

    private List<String> lines() {
        synchronized (log) {
            return List.copyOf(log.list).stream().map(LoggingTest::written).toList();
        }
    }

    private List<String> linesWith(String secret) {
        return lines().stream().filter(line -> line.contains(secret)).toList();
    }

    private static void doAll(TokenResource tokens) {
        tokens.storeToken(token("secret-jti", "secret-subject"), "p", Map.of("k", "secret-data"));
        tokens.storeToken(token("secret-used", "secret-subject"), "p", Map.of("k", "secret-data"));
        tokens.getToken("secret-jti");
        tokens.inspect("secret-jti");
        tokens.listTokens("secret-subject");
        tokens.check(token("secret-jti", "secret-subject"));
        tokens.consume("secret-used", "p");
        tokens.consume("secret-used", "p");
        assertThatThrownBy(() -> tokens.storeToken(token("secret-jti", "secret-other-subject")))
                .isInstanceOf(SubjectMismatchException.class);
        tokens.revokeJti("secret-jti");
        tokens.revokeJti("secret-jti");
        tokens.storeToken(token("secret-jti", "secret-subject"));
        tokens.isRevoked(Set.of("secret-jti", "secret-unknown"));
        tokens.revokeSubject("secret-subject");
        tokens.revokeAllStoredForSubject("secret-subject");
        Token presented = token("secret-rotated", "secret-subject").withSession("secret-session");
        tokens.storeToken(presented, "p");
        tokens.rotate(
                presented, "p", token("secret-successor", "secret-subject").withSession("secret-session"));
        tokens.revokeSession("secret-session");
        tokens.check(presented);
        tokens.readExpired(10);
        tokens.expungeExpired();
    }

    private void doAllOn(MongoClient client) {
        try (TokenResource tokens = Fixture.resource(MongoTokenStore.create(client.getDatabase("curfew")), domain)) {
            doAll(tokens);
        }
        client.getDatabase("curfew").getCollection("curfew_" + domain).drop();
    }

    private void assertNothingIsToldOfTokens() {
        assertThat(linesWith("Command \"find\" started")).isNotEmpty();
        assertThat(linesWith("secret")).isEmpty();
    }

    @Test
    void R9_2_byUrlNothingOfATokenIsWrittenAtAnyLevel() {
        try (TokenResource tokens = Fixture.builder(domain)
                .callDeadline(Duration.ofMinutes(1))
                .url(MongoServer.shared().url())
                .build()) {
            doAll(tokens);
        }
        assertNothingIsToldOfTokens();
    }

    @Test
    void R9_2_onAClientThatIsMadeAsThePageAdvisesNothingOfATokenIsWritten() {
        MongoClientSettings.Builder settings = MongoClientSettings.builder()
                .applyConnectionString(new ConnectionString(MongoServer.shared().url()))
                .applyToLoggerSettings(logger -> logger.maxDocumentLength(1));
        try (MongoClient client = MongoClients.create(settings.build())) {
            doAllOn(client);
        }
        assertNothingIsToldOfTokens();
    }

    /** As the page says, so that people know. */
    @Test
    void onAnyOtherClientTheDriverWritesCommandsAtDebug() {
        try (MongoClient client = MongoServer.shared().connect()) {
            doAllOn(client);
        }
        for (String secret : List.of("secret-jti", "secret-subject", "secret-data")) {
            assertThat(linesWith(secret))
                    .isNotEmpty()
                    .allMatch(line -> line.startsWith("DEBUG org.mongodb.driver.protocol.command "));
        }
    }

    /** The driver writes the name of the user. */
    @Test
    void R9_2_thePasswordIsWrittenAtNoLevel() {
        List<String> hosts = new ConnectionString(MongoServer.shared().url()).getHosts();
        // A stand-in knows no users, and refuses them all.
        String url = "mongodb://the-user:secret-password@" + String.join(",", hosts) + "/?directConnection=true";
        Throwable thrown = catchThrowable(() -> Fixture.builder(domain)
                .callDeadline(Duration.ofMinutes(1))
                .url(url)
                .build()
                .close());
        assertThat(thrown).hasMessageContaining("refused the user or the password");
        assertThat(linesWith("secret-password")).isEmpty();
        assertThat(linesWith("the-user"))
                .isNotEmpty()
                .allMatch(line -> line.startsWith("INFO org.mongodb.driver.client ")
                        || line.startsWith("DEBUG org.mongodb.driver."));
    }

    /** A connection that is idle is closed before a firewall drops it; the URL may say otherwise. */
    @Test
    void R8_4_byUrlAnIdleConnectionIsNotTakenAgain() {
        String url = MongoServer.shared().url();
        log.list.clear(); // of those that waited for a server that had to be started
        for (String more : List.of("", "&maxIdleTimeMS=5000")) {
            new MongoTokenStoreProvider()
                    .open(url + more, Duration.ofMinutes(1), Duration.ofMinutes(1))
                    .close();
        }
        assertThat(linesWith("MongoClient with metadata"))
                .hasSize(2)
                .satisfiesExactly(
                        line -> assertThat(line).contains("maxConnectionIdleTimeMS=60000"),
                        line -> assertThat(line).contains("maxConnectionIdleTimeMS=5000"));
    }

    /** A number beyond 64 bits: those that are listed with it must not suffer. */
    @Test
    void R2_7_extraDataOfSomebodyElsesBreakNoPage() {
        try (MongoClient client = MongoServer.shared().connect();
                MongoTokenStore store = MongoTokenStore.create(client.getDatabase("curfew"));
                TokenResource tokens = Fixture.resource(store, domain)) {
            for (String jti : List.of("a", "secret-b", "c")) {
                tokens.storeToken(token(jti, "s"), "p", Map.of("k", jti));
            }
            MongoCollection<Document> collection = client.getDatabase("curfew").getCollection("curfew_" + domain);
            collection.updateOne(
                    new Document("_id", ":secret-b"),
                    new Document("$set", new Document("extra_data", "{\"secret\": 18446744073709551616}")));
            Instant later = Fixture.NOW.plus(Duration.ofHours(2));
            for (List<TokenRecord> page :
                    List.of(tokens.listTokens("s"), store.readExpired(Fixture.scope(domain), null, 10, later))) {
                assertThat(page).extracting(TokenRecord::jti).containsExactly("a", "c", "secret-b");
                assertThat(page.get(1).extraData()).isEqualTo(Map.of("k", "c"));
                assertThatThrownBy(() -> page.get(2).extraData().get("k"))
                        .hasMessageContaining("extra data")
                        .hasMessageNotContaining("secret");
            }
            assertThat(tokens.getToken("secret-b")).isPresent();
            assertThat(tokens.check(token("secret-b", "s"))).isEqualTo(TokenStatus.ACTIVE);
            collection.drop();
        }
    }
}
