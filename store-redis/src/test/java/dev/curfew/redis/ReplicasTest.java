package dev.curfew.redis;

import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.awaitility.Awaitility.await;

import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreScope;
import dev.curfew.TokenResource;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisServer;
import io.lettuce.core.RedisClient;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What {@code minReplicas} waits for, when the replica does not answer. */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class ReplicasTest {
    private final String domain = Fixture.newDomain();
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private RedisServer master;
    private RedisServer replica;
    private RedisClient client;
    private TokenResource careful;
    private TokenResource hasty;

    @BeforeEach
    void start() {
        master = RedisServer.start(RedisServer.version(), Map.of("repl-diskless-sync-delay", "0"));
        replica = RedisServer.start(RedisServer.version(), Map.of("replicaof", "127.0.0.1 " + master.port()));
        await().until(() -> replica.info("master_link_status").equals("up"));
        client = RedisClient.create(master.url());
        careful = resource(1);
        hasty = resource(0);
        careful.revokeToken(token("warm", "s"));
    }

    private TokenResource resource(int minReplicas) {
        return Fixture.builder(domain)
                .store(RedisTokenStore.builder(client).minReplicas(minReplicas).build())
                .callDeadline(Duration.ofSeconds(2))
                .failurePolicy(FailurePolicy.THROW)
                .build();
    }

    @AfterEach
    void stop() {
        threads.shutdownNow();
        careful.close();
        hasty.close();
        client.shutdown();
        replica.close();
        master.close();
    }

    private static void assertUnreplicated(Throwable thrown) {
        assertThat(thrown)
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("is applied")
                .hasMessageContaining("not yet replicated");
        assertThat(((TokenStoreException) thrown).outcome()).isEqualTo(Outcome.APPLIED_NOT_REPLICATED);
    }

    @Test
    void R8_5_whatIsNotReplicatedIsAppliedAllTheSame() throws Exception {
        replica.pause();
        List<Future<Throwable>> revocations = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            String jti = "t" + i;
            revocations.add(threads.submit(() -> catchThrowable(() -> careful.revokeToken(token(jti, "s")))));
        }
        for (Future<Throwable> each : revocations) {
            assertUnreplicated(each.get());
        }
        for (int i = 0; i < 40; i++) {
            assertThat(hasty.isRevoked("t" + i)).isTrue();
        }
        replica.resume();
        // Those that were left waiting hold nobody up.
        assertThat(careful.revokeToken(token("t0", "s"))).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        assertThat(careful.revokeToken(token("after", "s"))).isEqualTo(RevokeOutcome.REVOKED);
    }

    @Test
    void R8_5_whatOthersHaveDoneIsWaitedForToo() {
        hasty.storeToken(token("listed", "all"));
        hasty.storeToken(token("used", "s"), "link");
        replica.pause();
        hasty.revokeToken(token("t", "s"));
        hasty.revokeJti("listed");
        hasty.consume("used", "link");
        hasty.revokeSubject("s");
        // By a store that has written nothing of its own yet.
        try (TokenResource fresh = resource(1)) {
            assertUnreplicated(catchThrowable(() -> fresh.revokeToken(token("t", "s"))));
            assertUnreplicated(catchThrowable(() -> fresh.consume("used", "link")));
            assertUnreplicated(catchThrowable(() -> fresh.revokeAllStoredForSubject("all")));
            assertUnreplicated(catchThrowable(() -> fresh.revokeSubject("s")));
            // There is nothing to wait for.
            assertThat(fresh.consume("unknown", "link")).isNotNull();
            assertThat(fresh.isRevoked("t")).isTrue();
        }
    }

    /** Of several batches the first is revoked, and no replica has it; the others are not revoked yet. */
    @Test
    void R8_5_aBatchThatIsNotReplicatedIsNotTheWholeAction() {
        for (int i = 0; i < 3; i++) {
            hasty.storeToken(token("t" + i, "many"));
        }
        replica.pause();
        try (RedisTokenStore store =
                RedisTokenStore.builder(client).minReplicas(1).build()) {
            var scope = new StoreScope(domain, "", Fixture.SKEW, Duration.ofSeconds(2));
            Throwable thrown = catchThrowable(() -> store.revokeStored(scope, "many", 2, Fixture.NOW));
            assertThat(((TokenStoreException) thrown).outcome()).isEqualTo(Outcome.UNKNOWN);
            assertUnreplicated(catchThrowable(() -> store.revokeStored(scope, "many", 10, Fixture.NOW)));
        }
    }

    @Test
    void R8_5_aWaitThatIsSentAgainOnANewConnectionCountsForNothing() throws Exception {
        replica.pause();
        Future<Throwable> revocation = threads.submit(() -> catchThrowable(() -> careful.revokeToken(token("t", "s"))));
        await().until(() -> String.valueOf(master.command("CLIENT", "LIST")).contains("cmd=wait"));
        master.command("CLIENT", "KILL", "TYPE", "normal");
        assertUnreplicated(revocation.get());
        assertThat(hasty.isRevoked("t")).isTrue();
    }

    @Test
    void R8_5_aServerWithTooFewReplicasIsSaidWhenItOpens() {
        assertThatThrownBy(() -> Fixture.builder(domain)
                        .url(master.url() + "?minReplicas=2&strictDurability=true")
                        .build())
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("has 1 replicas, and minReplicas asks for 2");
        master.command("ACL", "SETUSER", "patient", "on", ">Pw7-of-test", "~*", "+@all", "-wait");
        assertThatThrownBy(() -> Fixture.builder(domain)
                        .url("redis://patient:Pw7-of-test@127.0.0.1:" + master.port()
                                + "?minReplicas=1&strictDurability=true")
                        .build())
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("lacks a right: WAIT");
    }
}
