package dev.curfew.mongo;

import static dev.curfew.servers.Fixture.NOW;
import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoCollection;
import com.mongodb.client.MongoDatabase;
import com.mongodb.client.model.IndexOptions;
import com.mongodb.client.model.Indexes;
import dev.curfew.RecordField;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.MongoServer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.bson.Document;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What is made and looked at when a store is opened. */
class PreparationTest {
    private static final Document EXPIRY = new Document("expires_at", 1);
    private static final Document SUBJECT = new Document("tenant", 1)
            .append("subject", 1)
            .append("revoked_at", 1)
            .append("expires_at", 1)
            .append("_id", 1);
    private static final Document ORDER =
            new Document("tenant", 1).append("expires_at", 1).append("_id", 1);

    private static MongoClient client;
    private static MongoDatabase database;

    private final String domain = Fixture.newDomain();
    private final MongoCollection<Document> collection = database.getCollection("curfew_" + domain);

    @BeforeAll
    static void connect() {
        client = MongoServer.shared().connect();
        database = client.getDatabase("curfew_preparation");
    }

    @AfterEach
    void drop() {
        database.drop();
    }

    @AfterAll
    static void disconnect() {
        client.close();
    }

    private void prepare() {
        prepare(Fixture.SKEW);
    }

    private void prepare(Duration skew) {
        MongoTokenStore.create(database).prepare(new StoreScope(domain, "", skew, Fixture.DEADLINE));
    }

    private List<Document> indexes() {
        return collection.listIndexes().into(new ArrayList<>());
    }

    private void assertIndexes() {
        assertThat(indexes())
                .extracting(index -> index.get("key"))
                .containsExactlyInAnyOrder(new Document("_id", 1), EXPIRY, SUBJECT, ORDER);
    }

    @Test
    void R1_4_theServersDeadlineIsASkewPastTheRetentionEnd() {
        for (long skew : List.of(0L, 1L, 60_000L, 60_001L)) {
            prepare(Duration.ofMillis(skew));
            assertThat(indexes())
                    .filteredOn(index -> EXPIRY.equals(index.get("key")))
                    .singleElement()
                    .satisfies(ttl -> assertThat(((Number) ttl.get("expireAfterSeconds")).longValue())
                            .isEqualTo((2 * skew + 999) / 1000));
            drop();
        }
        // A watermark and a revoked session end where a record does that expires a skew before them.
        MongoTokenStore store = MongoTokenStore.create(database);
        StoreScope scope = Fixture.scope(domain);
        store.revokeSubject(scope, "s", NOW, NOW.plus(Fixture.HOUR), NOW);
        store.revokeSession(scope, "s", NOW.plus(Fixture.HOUR), NOW);
        assertThat(collection.find())
                .hasSize(2)
                .allSatisfy(
                        document -> assertThat(document.getDate("expires_at").toInstant())
                                .isEqualTo(NOW.plus(Fixture.HOUR).minus(Fixture.SKEW)));
    }

    @Test
    void tenNodesMayMakeThemAtOnce() throws Exception {
        ExecutorService nodes = Executors.newFixedThreadPool(10);
        try {
            for (int round = 0; round < 5; round++) {
                List<Future<?>> running = new ArrayList<>();
                for (int node = 0; node < 10; node++) {
                    running.add(nodes.submit(() -> prepare()));
                }
                for (Future<?> each : running) {
                    each.get(30, TimeUnit.SECONDS);
                }
                assertIndexes();
                database.drop();
            }
        } finally {
            nodes.shutdownNow();
        }
    }

    @Test
    void whatIsThereIsLeftAsItIs() {
        collection.createIndex(SUBJECT, new IndexOptions().name("by_subject"));
        collection.createIndex(EXPIRY, new IndexOptions().name("ttl").expireAfter(7L, TimeUnit.DAYS));
        collection.createIndex(Indexes.descending("purpose"));
        List<Document> before = indexes();
        prepare();
        prepare();
        assertThat(indexes()).containsAll(before).hasSize(before.size() + 1);
    }

    @Test
    void anIndexThatDoesNotDoIsToldWithTheCommandThatMendsIt() {
        collection.createIndex(SUBJECT, new IndexOptions().name("odd").sparse(true));
        assertThatThrownBy(this::prepare)
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContainingAll(
                        domain,
                        "index 'odd'",
                        "'sparse'",
                        "db.runCommand({\"dropIndexes\": \"curfew_" + domain + "\", \"index\": \"odd\"})",
                        "curfew_preparation",
                        "open the store again");
        collection.dropIndex("odd");
        // One that would refuse a second token of the same subject.
        collection.createIndex(new Document("subject", 1), new IndexOptions().unique(true));
        assertThatThrownBy(this::prepare).hasMessageContainingAll("index 'subject_1'", "'unique'", "dropIndexes");
        collection.dropIndex("subject_1");
        // One that would remove revocations.
        collection.createIndex(new Document("created_at", 1), new IndexOptions().expireAfter(1L, TimeUnit.HOURS));
        assertThatThrownBy(this::prepare)
                .hasMessageContainingAll("index 'created_at_1'", "'expireAfterSeconds'", "dropIndexes");
        collection.dropIndex("created_at_1");
        prepare();
        assertIndexes();
    }

    /** It answers no query of the store's. */
    @Test
    void anIndexWithTheSameFieldsInAnotherOrderIsAnotherIndex() {
        Document reversed = new Document("_id", 1).append("expires_at", 1).append("tenant", 1);
        collection.createIndex(reversed);
        prepare();
        assertThat(indexes())
                .extracting(index -> index.get("key", Document.class).toJson())
                .contains(reversed.toJson(), ORDER.toJson())
                .hasSize(5);
    }

    @Test
    void R1_4_aTtlThatIsTooShortIsMendedOrRefused() {
        collection.createIndex(EXPIRY, new IndexOptions().expireAfter(60L, TimeUnit.SECONDS));
        String command = "db.runCommand({\"collMod\": \"curfew_" + domain
                + "\", \"index\": {\"keyPattern\": {\"expires_at\": 1}, \"expireAfterSeconds\": 120}, \"writeConcern\": {\"w\": \"majority\"}})";
        MongoTokenStore onCollection = MongoTokenStore.create(collection);
        assertThatThrownBy(() -> onCollection.prepare(Fixture.scope(domain)))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContainingAll("120 seconds", command);
        if (MongoServer.shared().isReal()) {
            prepare();
            assertThat(indexes())
                    .anySatisfy(index -> assertThat(index)
                            .containsEntry("key", EXPIRY)
                            .satisfies(ttl -> assertThat(((Number) ttl.get("expireAfterSeconds")).longValue())
                                    .isEqualTo(120)));
        } else {
            // It knows no collMod.
            assertThatThrownBy(this::prepare).hasMessageContainingAll("120 seconds", command);
        }
    }

    @Test
    void aForeignDocumentUnderAnIdOfOursIsSaidAndLeftAlone() {
        Document foreign = new Document("_id", ":t").append("secret", "secret");
        Document foreignSubject = new Document("_id", "@secret").append("secret", 1);
        Document foreignSession = new Document("_id", "#secret").append("secret", 1);
        collection.insertMany(List.of(foreign, foreignSubject, foreignSession));
        MongoTokenStore store = MongoTokenStore.create(database);
        try (TokenResource tokens = Fixture.resource(store, domain)) {
            for (Runnable action : List.<Runnable>of(
                    () -> tokens.isRevoked("t"),
                    () -> tokens.isRevoked(Set.of("t", "u")),
                    () -> tokens.check(token("t", "s")),
                    () -> tokens.check(token("u", "secret")),
                    () -> tokens.check(token("u", "s").withSession("secret")),
                    () -> store.revokedSessions(Fixture.scope(domain), Set.of("secret"), NOW),
                    () -> tokens.inspect("t"),
                    () -> tokens.revokeJti("t"),
                    () -> tokens.storeToken(token("t", "s")),
                    () -> tokens.consume("t", "p"),
                    () -> tokens.revokeSubject("secret"),
                    () -> tokens.revokeSession("secret"))) {
                assertThatThrownBy(action::run)
                        .isInstanceOf(TokenStoreException.class)
                        .hasMessageContainingAll("curfew_" + domain, "somebody else", "\"find\"")
                        .hasFieldOrPropertyWithValue("outcome", Outcome.UNCHANGED)
                        .hasMessageNotContaining("secret")
                        .hasNoCause();
            }
            // And where the skew of the domain is kept.
            assertThat(collection
                            .find(new Document("_id", new Document("$ne", "@")))
                            .into(new ArrayList<>()))
                    .containsExactlyInAnyOrder(foreign, foreignSubject, foreignSession);
            assertThat(tokens.revokeAllStoredForSubject("s")).isZero();
            assertThat(tokens.expungeExpired().removed()).isZero();
        }
    }

    /** The command of the message finds the document that the message is about, and none of Curfew's. */
    @Test
    void aForeignDocumentIsFoundByTheCommandOfTheMessage() {
        try (TokenResource tokens = Fixture.resource(MongoTokenStore.create(database), domain)) {
            tokens.storeToken(token("stored", "s"), "p", Map.of("k", 1));
            tokens.revokeToken(token("revoked", "s"));
            tokens.revokeJti("revoked by its jti");
            tokens.revokeSubject("s");
            tokens.revokeSession("one");
            for (Document foreign : List.of(
                    new Document("_id", ":t"),
                    new Document("_id", ":t").append("expires_at", "tomorrow"),
                    new Document("_id", ":t").append("expires_at", Date.from(NOW)),
                    new Document("_id", ":t")
                            .append("expires_at", Date.from(NOW))
                            .append("purpose", 1))) {
                collection.insertOne(foreign);
                Throwable thrown = catchThrowable(() -> tokens.inspect("t"));
                assertThat(thrown)
                        .isInstanceOf(TokenStoreException.class)
                        .hasFieldOrPropertyWithValue("outcome", Outcome.UNCHANGED);
                String command = thrown.getMessage().replaceFirst(".*?db\\.runCommand\\((.*?\\})\\), .*", "$1");
                Document found = database.runCommand(Document.parse(command));
                assertThat(found.get("cursor", Document.class).getList("firstBatch", Document.class))
                        .as(command)
                        .containsExactly(foreign);
                collection.deleteOne(foreign);
            }
        }
    }

    /** When it was made after the store was opened, which refuses it. */
    @Test
    void aUniqueIndexThatRefusesRecordsIsSaid() {
        try (TokenResource tokens = Fixture.resource(MongoTokenStore.create(database), domain)) {
            collection.createIndex(Indexes.ascending("subject", "revoked_at"), new IndexOptions().unique(true));
            tokens.storeToken(token("t", "s"), "p");
            tokens.consume("t", "p");
            tokens.storeToken(token("u", "s"), "p");
            assertThatThrownBy(() -> tokens.consume("u", "p"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContainingAll(domain, "unique index", "callDeadline")
                    .hasFieldOrPropertyWithValue("outcome", Outcome.UNCHANGED);
            assertThat(tokens.isRevoked("u")).isFalse();
        }
    }

    @Test
    void aNullIsRefusedByItsName() {
        Map<String, ThrowingCallable> calls = new LinkedHashMap<>();
        calls.put("database", () -> MongoTokenStore.create((MongoDatabase) null));
        calls.put("database must", () -> MongoTokenStore.builder((MongoDatabase) null));
        calls.put("collection", () -> MongoTokenStore.create((MongoCollection<?>) null));
        calls.put("collection must", () -> MongoTokenStore.builder((MongoCollection<?>) null));
        calls.put("field", () -> MongoTokenStore.builder(database).field(null, "name"));
        calls.put("name", () -> MongoTokenStore.builder(database).field(RecordField.PURPOSE, null));
        calls.forEach((name, call) -> assertThatThrownBy(call)
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith(name)
                .hasMessageEndingWith("must not be null"));
    }

    @Test
    void R11_3_fieldsMayHaveOtherNames() {
        MongoTokenStore store = MongoTokenStore.builder(database)
                .field(RecordField.CREATED_AT, "inserted_at")
                .field(RecordField.EXPIRES_AT, "exp")
                .field(RecordField.SUBJECT, "sub")
                .field(RecordField.SESSION, "sid")
                .field(RecordField.SUCCESSOR, "next")
                .build();
        try (TokenResource tokens = Fixture.resource(store, domain)) {
            assertThat(indexes())
                    .extracting(index -> ((Document) index.get("key")).keySet())
                    .contains(Set.of("exp"), Set.of("tenant", "sub", "revoked_at", "exp", "_id"));
            Token first = token("t", "s").withSession("one");
            assertThat(tokens.storeToken(first, "p", Map.of("k", 1))).isEqualTo(StoreOutcome.STORED);
            TokenRecord record = tokens.inspect("t").orElseThrow();
            assertThat(record.subject()).isEqualTo("s");
            assertThat(record.createdAt()).isEqualTo(NOW);
            Document found = collection.find(new Document("_id", ":t")).first();
            assertThat(found)
                    .containsOnlyKeys(
                            "_id",
                            "tenant",
                            "sub",
                            "purpose",
                            "issued_at",
                            "exp",
                            "extra_data",
                            "inserted_at",
                            "updated_at",
                            "revoked_at",
                            "sid");
            tokens.rotate(first, "p", token("u", "s").withSession("one"));
            assertThat(collection.find(new Document("_id", ":t")).first()).containsEntry("next", "u");
            assertThat(tokens.listTokens("s")).hasSize(1);
            assertThat(tokens.revokeAllStoredForSubject("s")).isEqualTo(1);
            tokens.revokeSubject("s");
            assertThat(tokens.check(token("u", "s"))).isEqualTo(TokenStatus.REVOKED);
        }
        for (String name : List.of("a.b", "$a", "_id", "attempt", "watermark", "session_revoked_at")) {
            assertThatThrownBy(() -> MongoTokenStore.builder(database).field(RecordField.PURPOSE, name))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("PURPOSE");
        }
        assertThatThrownBy(() -> MongoTokenStore.builder(database).field(RecordField.JTI, "j"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("_id");
        assertThatThrownBy(() -> MongoTokenStore.builder(database)
                        .field(RecordField.PURPOSE, "subject")
                        .build())
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void R10_1_everyDomainHasItsCollection() {
        assertThat(Stream.of("tokens", "a.b:c-d_e", "A").map(MongoTokenStore::collection))
                .containsExactly("curfew_tokens", "curfew_a.b:c-d_e", "curfew_A");
        // What MongoDB gives a meaning to, or a shell.
        assertThat(Stream.of("a$b", "$", "_a", "a.", ".a", "a b", "ä", "'", "🔑", "x".repeat(64) + "$")
                        .map(MongoTokenStore::collection))
                .allMatch(name -> name.matches("curfew__[0-9a-f-]{36}"))
                .doesNotHaveDuplicates();
    }

    @Test
    void R10_1_aCollectionThatIsNamedServesOneDomain() {
        MongoTokenStore store = MongoTokenStore.create(collection);
        store.prepare(Fixture.scope(domain));
        assertThatThrownBy(() -> store.prepare(Fixture.scope("another")))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContainingAll(domain, "another");
    }
}
