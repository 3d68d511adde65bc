package dev.curfew.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.Consumption.Consumed;
import dev.curfew.StoreOutcome;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStatus;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** That everybody who is measured does what is measured: a benchmark of something else is worse than none. */
class TargetsTest {
    private static final int RECORDS = 1000;
    private static final String REVOKED = Data.jti(2);
    private static final String LIVE = Data.jti(5);
    private static final String UNKNOWN = Data.jti(Data.NEVER_STORED);

    private static Target open(Clients clients, String store, String who) {
        Servers.start(store);
        Load.once(store, who, RECORDS);
        return Target.open(store, who, clients, RECORDS);
    }

    @ParameterizedTest
    @ValueSource(strings = {"memory", "redis", "postgresql", "mongodb"})
    void curfewAndTheLimitAnswerAlike(String store) {
        try (Clients clients = new Clients();
                Target curfew = open(clients, store, "curfew");
                Target limit = open(clients, store, "limit")) {
            for (Target each : List.of(curfew, limit)) {
                assertThat(each.isRevoked(REVOKED)).isEqualTo(true);
                assertThat(each.isRevoked(LIVE)).isEqualTo(false);
                assertThat(each.isRevoked(UNKNOWN)).isEqualTo(false);
                assertThat(each.check(LIVE, Data.subject(5))).isNotNull();
                String[] fresh = {jti(), jti(), jti()};
                each.store(fresh[0]);
                each.revoke(fresh[1]);
                each.store(fresh[2]);
                assertThat(curfew.isRevoked(fresh[2])).isEqualTo(false);
                each.consume(fresh[2]);
                if (each == curfew || !store.equals("memory")) {
                    // By Curfew's own word: what the limit writes is a record like its own.
                    assertThat(curfew.find(fresh[0])).isInstanceOf(TokenRecord.class);
                    assertThat(curfew.isRevoked(fresh[0])).isEqualTo(false);
                    assertThat(curfew.isRevoked(fresh[1])).isEqualTo(true);
                    assertThat(curfew.isRevoked(fresh[2])).isEqualTo(true);
                }
            }
            assertThat(curfew.revoked(List.of(REVOKED, LIVE, UNKNOWN))).isEqualTo(Set.of(REVOKED));
            assertThat(curfew.check(LIVE, Data.subject(5))).isEqualTo(TokenStatus.ACTIVE);
            assertThat(curfew.store(jti())).isEqualTo(StoreOutcome.STORED);
            String used = jti();
            curfew.store(used);
            assertThat(curfew.consume(used)).isInstanceOf(Consumed.class);
        }
    }

    @Test
    void peersDoTheirJobs() {
        try (Clients clients = new Clients();
                Target denied = open(clients, "redis", "setex");
                Target ofRedis = open(clients, "redis", "session");
                Target sessions = open(clients, "postgresql", "session");
                Target authorizations = open(clients, "postgresql", "authorizationserver");
                Target oneTime = open(clients, "postgresql", "onetimetoken")) {
            assertThat(denied.isRevoked(REVOKED)).isEqualTo(true);
            assertThat(denied.isRevoked(UNKNOWN)).isEqualTo(false);
            String fresh = jti();
            denied.revoke(fresh);
            assertThat(denied.isRevoked(fresh)).isEqualTo(true);
            // Each throws for a token that it does not have.
            for (Target each : List.of(ofRedis, sessions, authorizations)) {
                each.find(LIVE);
                each.store(jti());
            }
            oneTime.consume(LIVE);
            oneTime.store(fresh);
            oneTime.consume(fresh);
            assertThatThrownBy(() -> oneTime.consume(fresh)).isInstanceOf(IllegalStateException.class);
        }
    }

    /** What a figure is named after is what is measured. */
    @ParameterizedTest
    @ValueSource(strings = {"memory", "redis", "postgresql"})
    void aRecordTakesSomeHundredBytes(String store) {
        Servers.start(store);
        assertThat(Load.bytesPerRecord(store, 20_000)).isBetween(100L, 1_500L);
    }

    @Test
    void cleanUpsRemoveWhatIsDueWhileChecksAreAnsweredRightly() throws Exception {
        var form = new Form("test", RECORDS, List.of(1), 1, List.of(), 1, 1, 5_000);
        assertThat(new CleanUp(form).underFire()).hasSize(4).allSatisfy(row -> {
            assertThat(row).containsEntry("due", 5_000).containsEntry("errors", 0L);
            assertThat(Raw.number(row, "idleChecks")).isGreaterThan(100);
            assertThat(Raw.number(row, "busyP99")).isPositive();
        });
    }

    private static String jti() {
        return UUID.randomUUID().toString();
    }
}
