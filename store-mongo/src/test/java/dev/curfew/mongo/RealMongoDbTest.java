package dev.curfew.mongo;

import static dev.curfew.servers.Fixture.HOUR;
import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.mongodb.ConnectionString;
import com.mongodb.MongoClientSettings;
import com.mongodb.ReadConcern;
import com.mongodb.ServerAddress;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.mongodb.client.MongoCollection;
import com.mongodb.client.MongoDatabase;
import com.mongodb.client.model.Collation;
import com.mongodb.client.model.CreateCollectionOptions;
import com.mongodb.client.model.IndexOptions;
import com.mongodb.client.model.ValidationOptions;
import com.mongodb.connection.ClusterConnectionMode;
import dev.curfew.Consumption.Consumed;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.Load;
import dev.curfew.servers.MongoServer;
import dev.curfew.servers.RealServersOnly;
import dev.curfew.servers.TcpProxy;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.bson.BsonDocument;
import org.bson.Document;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/** What no stand-in can tell. The kit and the other tests of this module run on a MongoDB, too, where there is one. */
@Tag(RealServersOnly.MONGODB)
class RealMongoDbTest {
    private static final Commands COMMANDS = new Commands();
    private static MongoServer server;
    private static MongoClient client;
    private static MongoDatabase database;

    private final String domain = Fixture.newDomain();
    private final MongoCollection<Document> collection = database.getCollection("curfew_" + domain);

    @BeforeAll
    static void connect() {
        server = MongoServer.shared();
        client = MongoClients.create(settings().build());
        database = client.getDatabase("curfew_real");
    }

    private static MongoClientSettings.Builder settings() {
        return MongoClientSettings.builder()
                .applyConnectionString(new ConnectionString(server.url()))
                .addCommandListener(COMMANDS);
    }

    /** Of one address alone, with the user and the TLS that the server was named with. */
    private static MongoClient client(ServerAddress address, ClusterConnectionMode mode) {
        return MongoClients.create(settings()
                .applyToClusterSettings(
                        cluster -> cluster.hosts(List.of(address)).mode(mode))
                .build());
    }

    private static ServerAddress primary() {
        String[] me = hello().getString("me").split(":", 2);
        return new ServerAddress(me[0], Integer.parseInt(me[1]));
    }

    @AfterEach
    void drop() {
        database.drop();
    }

    @AfterAll
    static void disconnect() {
        client.close();
    }

    private static void requireReplicaSet() {
        assertThat(hello())
                .as("the MongoDB that " + MongoServer.VARIABLE + " names")
                .containsKey("setName");
    }

    private static Document hello() {
        return client.getDatabase("admin").runCommand(new Document("hello", 1));
    }

    private TokenResource resource() {
        return Fixture.resource(MongoTokenStore.create(database), domain);
    }

    // TTL

    /** By the server's clock; the monitor looks once a minute. */
    @Test
    void R7_7_theTtlMonitorRemovesWhatIsPastItsEndAndNothingElse() {
        MongoTokenStore store = MongoTokenStore.create(database);
        var scope = new StoreScope(domain, "", Duration.ofSeconds(30), Fixture.DEADLINE);
        store.prepare(scope);
        Instant now = hello().getDate("localTime").toInstant();
        // Past its end, past its expiry, and live.
        for (Instant end : List.of(now.minusSeconds(61), now.minusSeconds(1), now.plusSeconds(600))) {
            var revocation = new TokenRecord(
                    "until" + Duration.between(now, end).toSeconds(),
                    "s",
                    "p",
                    null,
                    end,
                    null,
                    now,
                    now,
                    now,
                    null,
                    null);
            store.revoke(scope, revocation, end, now);
        }
        await().atMost(Duration.ofMinutes(3))
                .untilAsserted(() ->
                        assertThat(store.find(scope, "until-61", now).record()).isNull());
        assertThat(store.isRevoked(scope, "until600", now)).isTrue();
        assertThat(collection.countDocuments()).isIn(1L, 2L);
    }

    /** By the same command on a collection alone; on an empty one, too. */
    @Test
    void R7_8_theServersTimeIsThatOfHello() {
        for (MongoTokenStore store : List.of(MongoTokenStore.create(database), MongoTokenStore.create(collection))) {
            StoreScope scope = Fixture.scope(domain);
            store.prepare(scope);
            for (int records = 0; records < 2; records++) {
                Instant before = hello().getDate("localTime").toInstant();
                Instant time = store.serverTime(scope);
                assertThat(time).isBetween(before, hello().getDate("localTime").toInstant());
                Instant end = time.plus(HOUR);
                store.revoke(
                        scope,
                        new TokenRecord("t", "s", "p", null, end, null, time, time, time, null, null),
                        end,
                        time);
            }
        }
    }

    // Concerns

    @Test
    void R8_5_whatIsAcknowledgedIsWhatAMajorityHas() {
        requireReplicaSet();
        try (TokenResource tokens = resource()) {
            MongoCollection<Document> majority = collection.withReadConcern(ReadConcern.MAJORITY);
            for (int i = 0; i < 100; i++) {
                tokens.revokeToken(token("t" + i, "s"));
                assertThat(majority.find(new Document("_id", ":t" + i)).first()).isNotNull();
                assertThat(tokens.revokeToken(token("t" + i, "s"))).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
            }
        }
    }

    @Test
    void linearizableReadsAreAnswered() {
        requireReplicaSet();
        MongoTokenStore store =
                MongoTokenStore.builder(database).linearizableReads().build();
        try (TokenResource tokens = Fixture.resource(store, domain)) {
            tokens.storeToken(token("t", "s"), "p");
            tokens.revokeJti("t");
            tokens.revokeSubject("s");
            assertThat(tokens.isRevoked("t")).isTrue();
            assertThat(tokens.isRevoked(Set.of("t", "u"))).containsExactly("t");
            assertThat(tokens.isRevoked(token("u", "s"))).isTrue();
            assertThat(tokens.inspect("t")).isPresent();
        }
    }

    // Repetitions and failovers

    @Test
    void R8_7_theDriverRepeatsAndTheServerKnowsIt() {
        requireReplicaSet();
        ServerAddress primary = primary();
        try (TcpProxy proxy = TcpProxy.to(primary.getHost(), primary.getPort());
                MongoClient through =
                        client(new ServerAddress("localhost", proxy.port()), ClusterConnectionMode.SINGLE);
                TokenResource tokens =
                        Fixture.resource(MongoTokenStore.create(through.getDatabase("curfew_real")), domain)) {
            tokens.storeToken(token("used", "s"), "p");
            proxy.cutOnReplyTo("findAndModify");
            // The same transaction number twice, so that the server answers as it did.
            List<BsonDocument> sent =
                    COMMANDS.of(() -> assertThat(tokens.consume("used", "p")).isInstanceOf(Consumed.class));
            assertThat(sent)
                    .hasSize(2)
                    .allSatisfy(command -> assertThat(command.get("txnNumber"))
                            .isNotNull()
                            .isEqualTo(sent.get(0).get("txnNumber")));
            proxy.cutOnReplyTo("updates");
            assertThat(tokens.revokeToken(token("new", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            proxy.cutOnReplyTo("updates");
            assertThat(tokens.storeToken(token("kept", "s"))).isEqualTo(StoreOutcome.STORED);
        }
    }

    @Test
    void R8_5_nothingAcknowledgedIsLostWhenThePrimaryStepsDown() throws Exception {
        requireReplicaSet();
        ExecutorService threads = Executors.newCachedThreadPool();
        try (TokenResource tokens = Fixture.builder(domain)
                .clock(() -> Load.NOW)
                .store(MongoTokenStore.create(database))
                .callDeadline(Duration.ofSeconds(2))
                .failurePolicy(FailurePolicy.THROW)
                .build()) {
            for (int round = 0; round < 3; round++) {
                var load = new Load(tokens, "s" + round, threads);
                load.awaitSuccesses(200);
                // The primary steps down for some seconds; where it is alone, it is elected again after them.
                client.getDatabase("admin")
                        .runCommand(new Document("replSetStepDown", 5)
                                .append("secondaryCatchUpPeriodSecs", 2)
                                .append("force", true));
                load.awaitSuccesses(200);
                load.stop();
                load.assertNothingLost(tokens);
            }
        } finally {
            threads.shutdownNow();
        }
    }

    /** As the provider opens it by a URL. */
    private static MongoTokenStore owned(MongoClient client) {
        return MongoTokenStore.builder(client.getDatabase("curfew"))
                .owning(client)
                .build();
    }

    @Test
    void aConnectionToOneMemberAloneIsWarnedOf() {
        requireReplicaSet();
        ListAppender<ILoggingEvent> log = new ListAppender<>();
        Logger logger = (Logger) LoggerFactory.getLogger(MongoTokenStore.class);
        logger.setLevel(Level.WARN);
        log.start();
        logger.addAppender(log);
        try (MongoClient direct = client(primary(), ClusterConnectionMode.SINGLE);
                MongoClient whole = client(primary(), ClusterConnectionMode.MULTIPLE)) {
            owned(whole).prepare(Fixture.scope(domain));
            assertThat(log.list).isEmpty();
            owned(direct).prepare(Fixture.scope(domain));
            assertThat(log.list)
                    .singleElement()
                    .satisfies(line ->
                            assertThat(line.getFormattedMessage()).contains("one member of a replica set", domain));
            whole.getDatabase("curfew").drop();
        } finally {
            logger.detachAppender(log);
            logger.setLevel(null);
        }
    }

    // Plans

    @Test
    void everyQueryIsAnsweredByAnIndex() {
        MongoTokenStore store = MongoTokenStore.create(database);
        StoreScope scope = Fixture.scope(domain);
        Instant now = Fixture.NOW;
        try (TokenResource tokens = Fixture.resource(store, domain)) {
            IntStream.range(0, 2_000).forEach(i -> {
                Token token = Token.of("t" + i, "s" + i % 50, now, now.plusMillis(60_000 + i));
                if (i % 2 == 0) {
                    tokens.storeToken(token, "p");
                } else {
                    tokens.revokeToken(token);
                }
            });
            TokenRecord after = tokens.inspect("t100").orElseThrow();
            List<BsonDocument> queries = new ArrayList<>();
            for (Runnable action : List.<Runnable>of(
                    () -> tokens.isRevoked("t1"),
                    () -> tokens.isRevoked(Set.of("t1", "t2", "t3")),
                    () -> tokens.check(token("t1", "s1")),
                    () -> tokens.check(token("t1", "s1").withSession("one")),
                    () -> tokens.inspect("t1"),
                    () -> tokens.storeToken(token("t2", "s2")),
                    () -> tokens.consume("t2", "other"),
                    () -> tokens.revokeToken(token("t1", "s1")),
                    () -> tokens.revokeToken(Token.of("t1", "s1", now, now.plus(HOUR.multipliedBy(2)))),
                    () -> tokens.revokeSession("one"),
                    () -> store.revokedSessions(scope, Set.of("one", "two"), now),
                    () -> tokens.revokeSubject("s1"),
                    () -> tokens.listTokens("s0"),
                    () -> tokens.listTokens("s0", 10, after),
                    () -> tokens.revokeAllStoredForSubject("s4"),
                    () -> store.readExpired(scope, null, 10, now.plus(HOUR)),
                    () -> store.readExpired(scope, after, 10, now.plus(HOUR)),
                    () -> store.expunge(scope, 10, now.plus(HOUR)))) {
                queries.addAll(COMMANDS.of(action));
            }
            assertThat(queries).hasSizeGreaterThan(15).allSatisfy(query -> {
                String plan = explained(query);
                assertThat(plan)
                        .as(query.toJson())
                        .doesNotContain("COLLSCAN")
                        .doesNotContain("\"SORT\"")
                        .containsAnyOf("IXSCAN", "IDHACK", "EXPRESS", "CLUSTERED_IXSCAN");
            });
        }
    }

    private static String explained(BsonDocument command) {
        BsonDocument query = command.clone();
        List.of(
                        "$db",
                        "lsid",
                        "$clusterTime",
                        "txnNumber",
                        "$readPreference",
                        "maxTimeMS",
                        "writeConcern",
                        "readConcern",
                        "ordered")
                .forEach(query::remove);
        for (String many : List.of("updates", "deletes")) {
            if (query.containsKey(many)) {
                assertThat(query.getArray(many)).hasSize(1);
            }
        }
        Document explained = database.runCommand(new Document("explain", query).append("verbosity", "queryPlanner"));
        return explained
                .get("queryPlanner", Document.class)
                .get("winningPlan", Document.class)
                .toJson();
    }

    // What is refused when it is opened

    private void assertRefused(String... words) {
        assertThatThrownBy(() -> MongoTokenStore.create(database).prepare(Fixture.scope(domain)))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContainingAll(words);
    }

    @Test
    void collectionsThatLoseOrConfuseRecordsAreRefused() {
        String name = "curfew_" + domain;
        database.createCollection(
                name, new CreateCollectionOptions().capped(true).sizeInBytes(1_000_000));
        assertRefused("'capped'", "another collection");
        collection.drop();
        database.createCollection(
                name,
                new CreateCollectionOptions()
                        .collation(Collation.builder().locale("en").build()));
        assertRefused("collation", "another collection");
        collection.drop();
        database.createView(name, "others", List.of());
        assertRefused("'viewOn'", "another collection");
    }

    @Test
    void indexesThatAreInTheWayAreSaid() {
        // The name that ours would have (code 86).
        collection.createIndex(new Document("purpose", 1), new IndexOptions().name("expires_at_1"));
        assertRefused(domain, "could not be built", "code 86", "db.runCommand({\"createIndexes\"");
        collection.dropIndex("expires_at_1");
        // The same keys with options that are of no use, and of the same name (code 85, had it not been looked at).
        collection.createIndex(
                new Document("tenant", 1).append("expires_at", 1).append("_id", 1),
                new IndexOptions().partialFilterExpression(new Document("purpose", "p")));
        assertRefused("'partialFilterExpression'", "dropIndexes");
    }

    @Test
    void anIndexThatCannotBeBuiltIsSaid() {
        // No index can be on two lists of one document (code 171).
        collection.insertOne(new Document("tenant", List.of(1, 2)).append("subject", List.of(1, 2)));
        assertRefused(
                domain, "could not be built", "code 171", "db.runCommand({\"createIndexes\"", "open the store again");
    }

    @Test
    void R1_4_ofSeveralSkewsTheLongestStands() {
        for (int skew : List.of(30, 90, 60, 120)) {
            MongoTokenStore.create(database)
                    .prepare(new StoreScope(domain, "", Duration.ofSeconds(skew), Fixture.DEADLINE));
        }
        assertThat(collection.listIndexes())
                .filteredOn(index -> index.containsKey("expireAfterSeconds"))
                .singleElement()
                .satisfies(index -> assertThat(((Number) index.get("expireAfterSeconds")).longValue())
                        .isEqualTo(240));
    }

    @Test
    void R8_2_aValidatorThatRefusesIsSaidAndNothingIsDone() {
        database.createCollection(
                "curfew_" + domain,
                new CreateCollectionOptions()
                        .validationOptions(new ValidationOptions().validator(new Document("never", 1))));
        try (TokenResource tokens = resource()) {
            assertThatThrownBy(() -> tokens.revokeToken(token("secret", "secret")))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContainingAll("validator", "code 121", "Nothing was changed")
                    .hasStackTraceContaining("MongoWriteException")
                    .extracting(Throwable::getCause)
                    .satisfies(cause -> assertThat(String.valueOf(cause)).doesNotContain("secret"));
            assertThat(collection.countDocuments()).isZero();
        }
    }
}
