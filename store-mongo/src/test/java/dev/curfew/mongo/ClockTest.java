package dev.curfew.mongo;

import static dev.curfew.servers.Fixture.HOUR;
import static dev.curfew.servers.Fixture.NOW;
import static dev.curfew.servers.Fixture.SKEW;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoDatabase;
import dev.curfew.Consumption.Consumed;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.StoredState;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.MongoServer;
import dev.curfew.servers.TcpProxy;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import org.bson.Document;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Clocks that are wrong, the server's clock, and times that are far away. */
class ClockTest {
    private static MongoClient client;
    private static MongoDatabase database;

    private final String domain = Fixture.newDomain();
    private final StoreScope scope = new StoreScope(domain, "", SKEW, Duration.ofMinutes(1));

    @BeforeAll
    static void connect() {
        client = MongoServer.shared().connect();
        database = client.getDatabase("curfew_clock");
    }

    @AfterAll
    static void disconnect() {
        database.drop();
        client.close();
    }

    @Test
    void R7_8_theServersTimeIsThatOfItsClock() {
        for (MongoTokenStore store : List.of(
                MongoTokenStore.create(database),
                MongoTokenStore.builder(database).linearizableReads().build(),
                MongoTokenStore.create(database.getCollection("of_its_own")))) {
            store.prepare(scope);
            // Of an empty collection, and of one that has a record.
            Instant before = Instant.now().truncatedTo(ChronoUnit.MILLIS);
            Instant first = store.serverTime(scope);
            store.revoke(scope, revocation("t", NOW.plus(HOUR), NOW), NOW, NOW);
            Instant last = store.serverTime(scope);
            assertThat(first).isNotNull();
            assertThat(last).isAfterOrEqualTo(first);
            // The stand-in runs on this machine. A MongoDB may run on another one, whose clock is about right.
            Duration tolerance = MongoServer.shared().isReal() ? Duration.ofMinutes(1) : Duration.ZERO;
            assertThat(first).isAfterOrEqualTo(before.minus(tolerance));
            assertThat(last).isBeforeOrEqualTo(Instant.now().plus(tolerance));
        }
        client.getDatabase("curfew").getCollection("curfew_" + domain).drop();
    }

    @Test
    void R7_8_aServerThatCannotBeAskedIsSaid() {
        try (TcpProxy proxy = TcpProxy.to("localhost", FailureMessagesTest.port());
                TokenStore store = new MongoTokenStoreProvider()
                        .open(MongoServer.url(proxy.port()), Duration.ofSeconds(2), Duration.ofSeconds(2))) {
            StoreScope hasty = new StoreScope(domain, "", SKEW, Duration.ofMillis(500));
            proxy.swallow();
            TokenStoreException thrown = catchThrowableOfType(TokenStoreException.class, () -> store.serverTime(hasty));
            assertThat(thrown).hasMessageContainingAll(domain, "within the call deadline");
            assertThat(thrown.outcome()).isEqualTo(Outcome.UNCHANGED);
        }
    }

    /** Three hours ahead, and put right: nothing ends before the time that was asked for. */
    @Test
    void R1_6_aClockThatWasAheadLosesNothing() {
        MongoTokenStore store = MongoTokenStore.create(database);
        store.prepare(scope);
        Instant ahead = NOW.plus(HOUR.multipliedBy(3));
        Instant end = NOW.plus(HOUR.multipliedBy(4));
        // Before, by a clock that is right.
        store.revoke(scope, revocation("before", end, NOW), end, NOW);
        store.store(scope, stored("stored before", end, NOW), NOW);
        store.revokeSubject(scope, "s", NOW, end, NOW);
        store.revokeSession(scope, "s", end, NOW);
        // By the clock that is ahead.
        assertThat(store.revoke(scope, revocation("before", end, ahead), NOW, ahead))
                .isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        assertThat(store.revoke(scope, revocation("during", end, ahead), end, ahead))
                .isEqualTo(RevokeOutcome.REVOKED);
        assertThat(store.store(scope, stored("stored during", end, ahead), ahead))
                .isEqualTo(StoreOutcome.STORED);
        assertThat(store.consume(scope, "stored before", "s", "p", null, ahead).answer())
                .isInstanceOf(Consumed.class);
        store.revokeSubject(scope, "s", ahead, end.plus(HOUR), ahead);
        store.revokeSubject(scope, "during", ahead, end, ahead);
        assertThat(store.revokeSession(scope, "s", end, ahead)).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        assertThat(store.revokeSession(scope, "during", end, ahead)).isEqualTo(RevokeOutcome.REVOKED);
        // After, by the clock that is right again, on what the other one wrote.
        assertThat(store.revoke(scope, revocation("during", end, NOW), end, NOW))
                .isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        assertThat(store.revoke(scope, revocation("stored during", end, NOW), NOW, NOW))
                .isEqualTo(RevokeOutcome.REVOKED);
        store.revokeSubject(scope, "s", NOW, end, NOW);
        store.revokeSubject(scope, "during", NOW, NOW.plus(HOUR), NOW);
        assertThat(store.revokeSession(scope, "during", NOW.plus(HOUR), NOW)).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        // A clean-up by the right clock removes nothing of it until its retention end.
        assertThat(store.expunge(scope, 100, end.minusMillis(1))).isZero();
        for (String jti : List.of("before", "during", "stored before", "stored during")) {
            assertThat(store.isRevoked(scope, jti, NOW)).as(jti).isTrue();
            assertThat(store.find(scope, jti, NOW).record().expiresAt()).as(jti).isEqualTo(end);
        }
        assertThat(store.revokedSessions(scope, List.of("s", "during", "none"), NOW))
                .containsExactlyInAnyOrder("s", "during");
        StoredState state = store.state(scope, "none", "s", null, NOW);
        assertThat(state.watermark()).isEqualTo(ahead);
        assertThat(store.state(scope, "none", "during", null, NOW).watermark()).isEqualTo(ahead);
        // The TTL monitor goes by these, and by the server's clock.
        assertThat(database.getCollection(MongoTokenStore.collection(domain)).find())
                .hasSize(8)
                .allSatisfy(document -> assertThat(end(document)).isAfterOrEqualTo(end.minus(SKEW)));
    }

    private static Instant end(Document document) {
        return document.getDate("expires_at").toInstant();
    }

    @Test
    void R2_6_timesThatAreFarAwayComeBackEqual() {
        MongoTokenStore store = MongoTokenStore.create(database);
        store.prepare(scope);
        List<Instant> times = List.of(
                Instant.parse("0000-01-01T00:00:00Z"),
                Instant.parse("0001-01-01T00:00:00Z"),
                Instant.parse("1582-10-10T12:00:00.001Z"),
                Instant.EPOCH.minusMillis(1),
                Instant.EPOCH,
                Instant.EPOCH.plusMillis(1),
                Instant.parse("9999-12-31T23:59:59.999Z"));
        Instant last = Instant.parse("9999-12-31T23:59:59.999Z");
        for (Instant time : times) {
            String jti = time.toString();
            var record = new TokenRecord(jti, "s", "p", time, last, null, time, time, null, null, null);
            assertThat(store.store(scope, record, time)).isEqualTo(StoreOutcome.STORED);
            assertThat(store.find(scope, jti, NOW).record()).isEqualTo(record);
            store.revoke(
                    scope,
                    new TokenRecord("r" + jti, "s", "p", time, time, null, time, time, time, null, null),
                    time,
                    time);
            TokenRecord revoked = store.find(scope, "r" + jti, NOW).record();
            assertThat(List.of(revoked.issuedAt(), revoked.expiresAt(), revoked.createdAt(), revoked.revokedAt()))
                    .containsOnly(time);
            store.revokeSubject(scope, jti, time, last, time);
            assertThat(store.state(scope, jti, jti, null, NOW).watermark()).isEqualTo(time);
        }
    }

    private static TokenRecord stored(String jti, Instant end, Instant now) {
        return new TokenRecord(jti, "s", "p", null, end, null, now, now, null, null, null);
    }

    private static TokenRecord revocation(String jti, Instant end, Instant now) {
        return new TokenRecord(jti, "s", "revocation", null, end, null, now, now, now, null, null);
    }
}
