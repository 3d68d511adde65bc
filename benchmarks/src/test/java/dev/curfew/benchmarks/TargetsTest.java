package dev.curfew.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

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
    private static final String WATERMARKED = Data.jti(7);
    private static final String UNKNOWN = Data.jti(Data.Kind.ABSENT.number(1));

    private static Target open(Clients clients, String store, String who) {
        Servers.start(store);
        Load.once(store, RECORDS);
        return switch (store) {
            case "redis" -> RedisTargets.open(who, clients.redis(), RECORDS);
            case "postgresql" -> PostgresTargets.open(who, clients, RECORDS);
            case "mongodb" -> MongoTargets.open(who, clients.mongo(), RECORDS);
            default -> MemoryTargets.open(who, RECORDS);
        };
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
                for (String subject : List.of(Data.subject(5), Data.subject(7))) {
                    assertThat(each.check(LIVE, subject)).isNotNull();
                }
                String[] fresh = {jti(), jti(), jti()};
                each.store(fresh[0]);
                each.revoke(fresh[1]);
                each.prepareUse(new String[] {fresh[2]});
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
            assertThat(curfew.check(WATERMARKED, Data.subject(7))).isEqualTo(TokenStatus.ACTIVE);
            assertThat(curfew.store(jti())).isEqualTo(StoreOutcome.STORED);
            String used = jti();
            curfew.prepareUse(new String[] {used});
            assertThat(curfew.consume(used)).isInstanceOf(Consumed.class);
        }
    }

    @Test
    void peersDoTheirJobs() {
        try (Clients clients = new Clients()) {
            for (String store : List.of("memory", "redis")) {
                Servers.start(store);
                String who = store.equals("memory") ? "map" : "setex";
                Load.peer(store, who, RECORDS);
                try (Target denied = open(clients, store, who)) {
                    assertThat(denied.isRevoked(REVOKED)).isEqualTo(true);
                    assertThat(denied.isRevoked(UNKNOWN)).isEqualTo(false);
                    String fresh = jti();
                    denied.revoke(fresh);
                    assertThat(denied.isRevoked(fresh)).isEqualTo(true);
                }
            }
            Load.peer("redis", "session", RECORDS);
            try (Target sessions = SpringPeers.redisSessions()) {
                sessions.find(LIVE);
                sessions.store(jti());
            }
            Servers.start("postgresql");
            for (String who : List.of("session", "authorizationserver")) {
                Load.peer("postgresql", who, RECORDS);
                try (Target peer = PostgresTargets.open(who, clients, RECORDS)) {
                    peer.find(LIVE);
                    peer.store(jti());
                }
            }
            Load.peer("postgresql", "onetimetoken", RECORDS);
            try (Target tokens = PostgresTargets.open("onetimetoken", clients, RECORDS)) {
                tokens.consume(LIVE);
                String fresh = jti();
                tokens.prepareUse(new String[] {fresh});
                tokens.consume(fresh);
            }
        }
    }

    private static String jti() {
        return UUID.randomUUID().toString();
    }
}
