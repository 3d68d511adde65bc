package dev.curfew.mongo;

import static dev.curfew.servers.Fixture.HOUR;
import static dev.curfew.servers.Fixture.NOW;
import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.mongodb.ConnectionString;
import com.mongodb.MongoClientSettings;
import com.mongodb.ReadConcern;
import com.mongodb.ReadPreference;
import com.mongodb.WriteConcern;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.mongodb.client.MongoCollection;
import com.mongodb.client.MongoDatabase;
import dev.curfew.Rotation;
import dev.curfew.StoreScope;
import dev.curfew.SubjectMismatchException;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.MongoServer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.bson.BsonDocument;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Which commands go to the server, and with which concerns: by a command listener. */
class CommandsTest {
    private static final Commands COMMANDS = new Commands();
    private static MongoClient client;
    private static MongoDatabase database;

    private final String domain = Fixture.newDomain();

    @BeforeAll
    static void connect() {
        // Of an application that is careless: nothing of this may reach the store.
        client = MongoClients.create(MongoClientSettings.builder()
                .applyConnectionString(new ConnectionString(MongoServer.shared().url()))
                .addCommandListener(COMMANDS)
                .writeConcern(WriteConcern.W1)
                .readConcern(ReadConcern.AVAILABLE)
                .readPreference(ReadPreference.secondaryPreferred())
                .build());
        database = client.getDatabase("curfew_commands");
        database.drop();
    }

    @AfterAll
    static void disconnect() {
        database.drop();
        client.close();
    }

    @Test
    void R3_8_everyActionThatIsDoneIsOneCommand() {
        MongoTokenStore store = MongoTokenStore.create(database);
        try (TokenResource tokens = Fixture.resource(store, domain)) {
            Token longer = Token.of("unknown", "s", NOW, NOW.plus(HOUR.multipliedBy(2)));
            Set<String> hundred = IntStream.range(0, 100).mapToObj(i -> "t" + i).collect(Collectors.toSet());
            Map<String, Runnable> updates = new LinkedHashMap<>();
            updates.put("store", () -> tokens.storeToken(token("stored", "s"), "p", Map.of("k", 1)));
            updates.put("store again", () -> tokens.storeToken(token("stored", "s"), "p"));
            updates.put("store another", () -> tokens.storeToken(token("used", "s"), "p"));
            updates.put("revoke unknown", () -> tokens.revokeToken(token("unknown", "s")));
            updates.put("revoke stored", () -> tokens.revokeJti("stored"));
            updates.put("revoke subject", () -> tokens.revokeSubject("s2"));
            updates.put("revoke subject again", () -> tokens.revokeSubject("s2"));
            updates.forEach((name, action) ->
                    assertThat(COMMANDS.namesOf(action)).as(name).containsExactly("update"));
            assertThat(COMMANDS.namesOf(() -> tokens.consume("used", "p"))).containsExactly("findAndModify", "find");
            // The second one is for the watermark of the record's subject, where that may decide.
            tokens.storeToken(token("live", "s"), "p");
            assertThat(COMMANDS.namesOf(() -> tokens.getToken("live"))).containsExactly("find", "find");
            assertThat(COMMANDS.namesOf(() -> tokens.listTokens("s"))).containsExactly("find", "find");
            Map<String, Runnable> looks = new LinkedHashMap<>();
            looks.put("is revoked", () -> tokens.isRevoked("stored"));
            looks.put("is not revoked", () -> tokens.isRevoked("nothing"));
            looks.put("check", () -> tokens.check(token("stored", "s2")));
            looks.put("is revoked, with a watermark", () -> tokens.isRevoked(token("nothing", "s2")));
            looks.put("which are revoked", () -> tokens.isRevoked(hundred));
            looks.put("get", () -> tokens.getToken("stored"));
            looks.put("inspect", () -> tokens.inspect("stored"));
            looks.put("read expired", () -> tokens.readExpired(10));
            looks.forEach((name, action) ->
                    assertThat(COMMANDS.namesOf(action)).as(name).containsExactly("find"));

            // What is refused, or done already, is looked at once more, so that nobody is told of it too early.
            Map<String, Runnable> refused = new LinkedHashMap<>();
            refused.put("store revoked", () -> tokens.storeToken(token("unknown", "s"), "p"));
            refused.put(
                    "store for another subject",
                    () -> assertThatThrownBy(() -> tokens.storeToken(token("stored", "x")))
                            .isInstanceOf(SubjectMismatchException.class));
            refused.forEach((name, action) ->
                    assertThat(COMMANDS.namesOf(action)).as(name).containsExactly("update", "findAndModify"));
            // Then the record is read: a rotation may have used it (R14.6).
            assertThat(COMMANDS.namesOf(() -> tokens.revokeToken(token("unknown", "s"))))
                    .containsExactly("update", "findAndModify", "find");
            assertThat(COMMANDS.namesOf(() -> tokens.revokeToken(longer)))
                    .containsExactly("update", "findAndModify", "update", "find");
            for (String jti : List.of("used", "nothing")) {
                assertThat(COMMANDS.namesOf(() -> tokens.consume(jti, "p")))
                        .containsExactly("findAndModify", "findAndModify");
            }

            // Two for each batch, and two to be sure that there are no more.
            tokens.storeToken(token("a", "s3"), "p");
            tokens.storeToken(token("b", "s3"), "p");
            assertThat(COMMANDS.namesOf(() -> tokens.revokeAllStoredForSubject("s3")))
                    .containsExactly("find", "update", "find", "update");
            // Also where others have done it: a majority has to confirm that (R8.5).
            assertThat(COMMANDS.namesOf(() -> tokens.revokeAllStoredForSubject("s3")))
                    .containsExactly("find", "update");
            // The first one is for the domain's skew.
            assertThat(COMMANDS.namesOf(() -> tokens.expungeExpired())).containsExactly("find", "find");
            assertThat(COMMANDS.namesOf(() -> store.expunge(Fixture.scope(domain), 10, NOW.plus(HOUR.multipliedBy(9)))))
                    .containsExactly("find", "delete");
        }
    }

    @Test
    void R13_3_aSessionIsAskedForInTheSameCommand() {
        try (TokenResource tokens = Fixture.resource(MongoTokenStore.create(database), domain)) {
            assertThat(COMMANDS.of(() -> tokens.check(token("t", "s"))))
                    .singleElement()
                    .satisfies(
                            command -> assertThat(command.getDocument("filter").toJson())
                                    .isEqualTo("{\"_id\": {\"$in\": [\":t\", \"@s\"]}}"));
            assertThat(COMMANDS.of(() -> tokens.check(token("t", "s").withSession("one"))))
                    .singleElement()
                    .satisfies(
                            command -> assertThat(command.getDocument("filter").toJson())
                                    .isEqualTo("{\"_id\": {\"$in\": [\":t\", \"@s\", \"#one\"]}}"));
            // The first one revokes, and the second one is told that it is done.
            for (int call = 0; call < 2; call++) {
                assertThat(COMMANDS.namesOf(() -> tokens.revokeSession("one"))).containsExactly("findAndModify");
            }
            assertThat(COMMANDS.namesOf(() -> tokens.check(token("t", "s").withSession("one"))))
                    .containsExactly("find");
            // Where only the record tells the session, the last command asks for it.
            tokens.storeToken(token("live", "s").withSession("two"), "p");
            assertThat(COMMANDS.namesOf(() -> tokens.getToken("live"))).containsExactly("find", "find", "find");
            assertThat(COMMANDS.namesOf(() -> tokens.listTokens("s"))).containsExactly("find", "find", "find");
            assertThat(COMMANDS.namesOf(() -> tokens.check(token("live", "s")))).containsExactly("find", "find");
            assertThat(COMMANDS.namesOf(() -> tokens.consume("live", "p")))
                    .containsExactly("findAndModify", "find", "find");
        }
    }

    @Test
    void R14_1_theSuccessorIsKeptByTheCommandThatUses() {
        MongoTokenStore store = MongoTokenStore.create(database);
        StoreScope scope = Fixture.scope(domain);
        try (TokenResource tokens = Fixture.resource(store, domain)) {
            Token first = token("first", "s").withSession("one");
            Token second = token("second", "s").withSession("one");
            tokens.storeToken(first, "p");
            assertThat(COMMANDS.namesOf(
                            () -> assertThat(tokens.rotate(first, "p", second)).isInstanceOf(Rotation.Rotated.class)))
                    .containsExactly("find", "update", "findAndModify", "find");
            assertThat(tokens.inspect("first").orElseThrow().successor()).isEqualTo("second");
            // A token that is presented again ends its session.
            tokens.rotate(second, "p", token("third", "s").withSession("one"));
            assertThat(COMMANDS.namesOf(() -> assertThat(tokens.rotate(
                                    second, "p", token("fourth", "s").withSession("one")))
                            .isInstanceOf(Rotation.Reused.class)))
                    .containsExactly("find", "findAndModify");
            assertThat(store.state(scope, "third", "s", "one", NOW).isSessionRevoked())
                    .isTrue();
            // A revocation that finds the token revoked looks whether it was rotated, and then ends its session
            // (R14.6).
            Token other = token("other", "s").withSession("two");
            tokens.storeToken(other, "p");
            tokens.rotate(other, "p", token("other next", "s").withSession("two"));
            assertThat(COMMANDS.namesOf(() -> tokens.revokeToken(other)))
                    .containsExactly("update", "findAndModify", "find", "findAndModify");
        }
    }

    @Test
    void R3_9_veryManyAreAskedForInAFewCommands() {
        try (TokenResource tokens = Fixture.resource(MongoTokenStore.create(database), domain)) {
            Set<String> many = IntStream.range(0, 10_001).mapToObj(i -> "t" + i).collect(Collectors.toSet());
            List.of("t0", "t5000", "t10000").forEach(jti -> tokens.revokeJti(jti));
            List<BsonDocument> sent = COMMANDS.of(
                    () -> assertThat(tokens.isRevoked(many)).containsExactlyInAnyOrder("t0", "t5000", "t10000"));
            assertThat(sent).hasSize(2);
            assertThat(millis(sent)).allMatch(ms -> ms <= Fixture.DEADLINE.toMillis() * 3 / 4);
        }
    }

    @Test
    void R13_4_veryManySessionsAreAskedForInAFewCommands() {
        try (MongoTokenStore store = MongoTokenStore.create(database)) {
            StoreScope scope = Fixture.scope(domain);
            Set<String> many = IntStream.range(0, 10_001).mapToObj(i -> "s" + i).collect(Collectors.toSet());
            Set<String> revoked = Set.of("s0", "s5000", "s10000");
            revoked.forEach(session -> store.revokeSession(scope, session, NOW.plus(HOUR), NOW));
            assertThat(COMMANDS.namesOf(() ->
                            assertThat(store.revokedSessions(scope, many, NOW)).isEqualTo(revoked)))
                    .containsExactly("find", "find");
        }
    }

    @Test
    void everyCommandHasItsConcern() {
        BsonDocument majority = BsonDocument.parse("{w: 'majority', j: true}");
        BsonDocument local = BsonDocument.parse("{level: 'local'}");
        BsonDocument linearizable = BsonDocument.parse("{level: 'linearizable'}");
        MongoCollection<?> collection = database.getCollection("of_its_own");
        for (boolean strict : List.of(false, true)) {
            for (MongoTokenStore.Builder builder :
                    List.of(MongoTokenStore.builder(database), MongoTokenStore.builder(collection))) {
                TokenStore store = (strict ? builder.linearizableReads() : builder).build();
                // A stand-in that knows no read concern answers all the same.
                try (TokenResource tokens = Fixture.resource(store, domain)) {
                    for (Runnable write : List.<Runnable>of(
                            () -> tokens.storeToken(token("t", "s"), "p"),
                            () -> tokens.consume("t", "p"),
                            () -> tokens.consume("t", "p"),
                            () -> tokens.revokeJti("t"),
                            () -> tokens.revokeSubject("s"),
                            () -> tokens.revokeSession("one"))) {
                        assertThat(COMMANDS.of(write)).isNotEmpty().allSatisfy(command -> {
                            boolean reads = command.getFirstKey().equals("find");
                            assertThat(command.get(reads ? "readConcern" : "writeConcern"))
                                    .isEqualTo(reads ? strict ? linearizable : local : majority);
                            assertPrimary(command);
                        });
                    }
                    for (Runnable look : List.<Runnable>of(
                            () -> tokens.isRevoked("t"),
                            () -> tokens.isRevoked(Set.of("t", "u")),
                            () -> tokens.check(token("t", "s")),
                            () -> tokens.check(token("t", "s").withSession("one")),
                            () -> store.revokedSessions(Fixture.scope(domain), Set.of("one", "two"), NOW),
                            () -> tokens.inspect("t"))) {
                        assertThat(COMMANDS.of(look)).isNotEmpty().allSatisfy(command -> {
                            assertThat(command.get("readConcern")).isEqualTo(strict ? linearizable : local);
                            assertPrimary(command);
                        });
                    }
                    for (Runnable look :
                            List.<Runnable>of(() -> tokens.listTokens("s"), () -> tokens.readExpired(10))) {
                        // The page; a watermark is read like everything that is looked up.
                        assertThat(COMMANDS.of(look)).isNotEmpty().first().satisfies(command -> {
                            assertThat(command.get("readConcern")).isEqualTo(local);
                            assertPrimary(command);
                        });
                    }
                    tokens.storeToken(token("another", "s"), "p");
                    assertThat(COMMANDS.of(() -> tokens.revokeAllStoredForSubject("s")))
                            .filteredOn(command -> command.getFirstKey().equals("update"))
                            .isNotEmpty()
                            .allSatisfy(command ->
                                    assertThat(command.get("writeConcern")).isEqualTo(majority));
                    assertThat(COMMANDS.of(
                                    () -> store.expunge(Fixture.scope(domain), 10, NOW.plus(HOUR.multipliedBy(9)))))
                            .filteredOn(command -> command.getFirstKey().equals("delete"))
                            .isNotEmpty()
                            .allSatisfy(command ->
                                    assertThat(command.get("writeConcern")).isEqualTo(majority));
                }
            }
        }
    }

    /** Where one server alone is spoken to, whatever it is, the driver asks it as one that may be a secondary. */
    private static void assertPrimary(BsonDocument command) {
        BsonDocument mode = command.getDocument("$readPreference", new BsonDocument());
        assertThat(mode)
                .isIn(
                        new BsonDocument(),
                        BsonDocument.parse("{mode: 'primary'}"),
                        BsonDocument.parse("{mode: 'primaryPreferred'}"));
    }

    /** What is left of it after the commands before, and not a share that was fixed in advance. */
    @Test
    void R8_3_everyCommandHasThreeQuartersOfTheTimeThatIsLeft() {
        try (TokenResource tokens = Fixture.resource(MongoTokenStore.create(database), domain)) {
            tokens.storeToken(token("t", "s"), "p");
            tokens.storeToken(token("u", "s"), "p");
            long deadline = Fixture.DEADLINE.toMillis();
            Map<Runnable, Integer> calls = Map.of(
                    () -> tokens.isRevoked("t"), 1,
                    () -> tokens.listTokens("s"), 2,
                    () -> tokens.consume("nothing", "p"), 2,
                    () -> tokens.revokeAllStoredForSubject("s"), 4);
            calls.forEach((call, commands) -> assertThat(millis(COMMANDS.of(call)))
                    .hasSize(commands)
                    .allMatch(ms -> ms <= deadline * 3 / 4 && ms > deadline / 2));
        }
    }

    /** Each takes some of what the others have looked up, and looks again: that takes more commands, and little time. */
    @Test
    void R8_3_manyNodesThatRevokeTheSameTokensAreNotTooLate() throws Exception {
        StoreScope scope = Fixture.scope(domain);
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try (MongoTokenStore store = MongoTokenStore.create(database);
                TokenResource tokens = Fixture.resource(store, domain)) {
            for (int round = 0; round < 5; round++) {
                for (int i = 0; i < 60; i++) {
                    tokens.storeToken(token("r" + round + "t" + i, "all"));
                }
                List<Future<Integer>> nodes = new ArrayList<>();
                for (int i = 0; i < 8; i++) {
                    nodes.add(threads.submit(() -> {
                        int all = 0;
                        for (int some = 1; some > 0; all += some) {
                            some = store.revokeStored(scope, "all", 7, NOW);
                        }
                        return all;
                    }));
                }
                int revoked = 0;
                for (Future<Integer> node : nodes) {
                    revoked += node.get();
                }
                assertThat(revoked).isEqualTo(60);
            }
        } finally {
            threads.shutdown();
        }
    }

    /** How long the server may take, which is what the driver has left after the way there. */
    private static List<Long> millis(List<BsonDocument> commands) {
        return commands.stream()
                .map(command -> command.getNumber("maxTimeMS").longValue())
                .toList();
    }
}
