package dev.curfew.redis;

import static dev.curfew.servers.Fixture.token;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.awaitility.Awaitility.await;

import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.RedisServer;
import dev.curfew.servers.TcpProxy;
import io.lettuce.core.RedisClient;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Calls with {@code minReplicas} while the replica does not answer. */
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
        // The earlier waits delay no later call.
        assertThat(careful.revokeToken(token("t0", "s"))).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        assertThat(careful.revokeToken(token("after", "s"))).isEqualTo(RevokeOutcome.REVOKED);
        assertThat(careful.revokeSession("after")).isEqualTo(RevokeOutcome.REVOKED);
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
        hasty.revokeSession("ended");
        // This store has written nothing of its own yet.
        try (TokenResource fresh = resource(1)) {
            assertUnreplicated(catchThrowable(() -> fresh.revokeToken(token("t", "s"))));
            assertUnreplicated(catchThrowable(() -> fresh.consume("used", "link")));
            assertUnreplicated(catchThrowable(() -> fresh.revokeAllStoredForSubject("all")));
            assertUnreplicated(catchThrowable(() -> fresh.revokeSubject("s")));
            assertUnreplicated(catchThrowable(() -> fresh.revokeSession("ended")));
            assertUnreplicated(catchThrowable(() -> fresh.revokeSession("new")));
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

    /** A caller who is told that a token is revoked relies on it, also when storing it. */
    @Test
    void R8_5_aStoreThatFindsTheTokenRevokedWaitsToo() {
        hasty.revokeToken(token("t", "s"));
        assertThat(careful.storeToken(token("t", "s"))).isEqualTo(StoreOutcome.REVOKED);
        replica.pause();
        hasty.revokeToken(token("late", "s"));
        assertUnreplicated(catchThrowable(() -> careful.storeToken(token("late", "s"))));
        // For a stored token nobody waits.
        assertThat(careful.storeToken(token("new", "s"))).isEqualTo(StoreOutcome.STORED);
    }

    /** Checks have a connection of their own: their answers say nothing about the other connection. */
    @Test
    void R8_4_aConnectionThatIsSilentIsLeftAlsoWhileChecksAreAnswered() throws Exception {
        try (TcpProxy network = TcpProxy.to("127.0.0.1", master.port());
                TokenResource tokens = Fixture.builder(domain)
                        .url(RedisServer.url(network.port()) + "?minReplicas=1")
                        .callDeadline(Duration.ofSeconds(2))
                        .failurePolicy(FailurePolicy.THROW)
                        .build()) {
            assertThat(tokens.revokeToken(token("first", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            var over = new AtomicBoolean();
            Future<?> checks = threads.submit(() -> {
                while (!over.get()) {
                    assertThat(tokens.isRevoked("first")).isTrue();
                }
            });
            network.silenceOnReplyTo("WAIT");
            assertThat(catchThrowable(() -> tokens.revokeToken(token("second", "s"))))
                    .isInstanceOf(TokenStoreException.class);
            assertThat(network.hasStruck()).isTrue();
            assertThat(tokens.revokeToken(token("third", "s"))).isEqualTo(RevokeOutcome.REVOKED);
            over.set(true);
            checks.get();
        }
    }

    /** A server that is full takes no write before the WAIT, which is then for an earlier one. */
    @Test
    void R8_5_aWaitBehindARefusedWriteCountsForNothing() {
        hasty.revokeToken(token("t", "s"));
        replica.pause();
        hasty.revokeToken(token("late", "s"));
        master.command("CONFIG", "SET", "maxmemory", "1mb");
        Throwable thrown = catchThrowable(() -> careful.revokeToken(token("late", "s")));
        assertThat(thrown).isInstanceOf(TokenStoreException.class);
        master.command("CONFIG", "SET", "maxmemory", "0");
    }

    /** A change on the old master, and its confirmation by the new one, where somebody else has used the token. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void R5_1_aFailoverBetweenAChangeAndItsConfirmationMakesNoSecondWinner(boolean byUrl) {
        try (RedisServer next = RedisServer.start(RedisServer.version(), Map.of("repl-diskless-sync-delay", "0"));
                RedisServer nextReplica =
                        RedisServer.start(RedisServer.version(), Map.of("replicaof", "127.0.0.1 " + next.port()));
                TcpProxy address = TcpProxy.to("127.0.0.1", master.port())) {
            await().until(() -> nextReplica.info("master_link_status").equals("up"));
            var own = RedisClient.create(RedisServer.url(address.port()));
            RedisTokenStore store = RedisTokenStore.builder(own).minReplicas(1).build();
            TokenResource.Builder builder = Fixture.builder(domain).failurePolicy(FailurePolicy.THROW);
            try (TokenResource moved = (byUrl
                                    ? builder.url(RedisServer.url(address.port()) + "?minReplicas=1")
                                    : builder.store(store))
                            .build();
                    TokenResource other = Fixture.opened(Fixture.builder(domain).url(next.url()))) {
                for (TokenResource each : List.of(hasty, other)) {
                    each.storeToken(token("warm", "s"), "link");
                    each.consume("warm", "link");
                }
                for (String change : List.of("EVALSHA", "WAIT")) {
                    hasty.storeToken(token(change, "s"), "link");
                    other.storeToken(token(change, "s"), "link");
                    assertThat(other.consume(change, "link")).isInstanceOf(Consumed.class);
                    address.redirect(next.port());
                    address.cutOnReplyTo(change);
                    Object answer;
                    try {
                        answer = moved.consume(change, "link");
                    } catch (TokenStoreException e) {
                        answer = e.outcome();
                    }
                    assertThat(address.hasStruck()).isTrue();
                    assertThat(hasty.isRevoked(change))
                            .as("done on the old master")
                            .isTrue();
                    assertThat(answer).isIn(Refused.ALREADY_USED, Outcome.UNKNOWN, Outcome.APPLIED_NOT_REPLICATED);
                    address.pass();
                    address.redirect(master.port());
                    address.cut();
                    await().ignoreException(TokenStoreException.class)
                            .until(() -> moved.inspect(change).isPresent());
                }
            } finally {
                store.close();
                own.shutdown();
            }
        }
    }

    /** Where a sentinel may lead for some seconds after a failover: to a former master that was started again. */
    @Test
    void R8_8_aFormerMasterThatComesBackAnswersNothing() {
        try (RedisServer former = RedisServer.start(RedisServer.version(), Map.of());
                TcpProxy address = TcpProxy.to("127.0.0.1", master.port());
                TokenResource tokens = Fixture.builder(domain)
                        .url(RedisServer.url(address.port()) + "?minReplicas=1")
                        .failurePolicy(FailurePolicy.THROW)
                        .build()) {
            tokens.revokeToken(token("t", "s"));
            for (int other : List.of(former.port(), replica.port())) {
                address.redirect(other);
                address.cut();
                for (int i = 0; i < 5; i++) {
                    assertThatThrownBy(() -> tokens.check(token("t", "s")))
                            .isInstanceOf(TokenStoreException.class)
                            .hasMessageContaining("former master");
                }
                address.redirect(master.port());
                address.cut();
                await().ignoreException(TokenStoreException.class)
                        .until(() -> tokens.check(token("t", "s")) == TokenStatus.REVOKED);
            }
        }
    }

    /** A replica may join the former master again, until the sentinels lead it to the new one. */
    @Test
    void R8_8_aFormerMasterIsLeftWhenItsReplicasLeaveIt() {
        try (RedisServer former = RedisServer.start(RedisServer.version(), Map.of("repl-diskless-sync-delay", "0"));
                RedisServer joining =
                        RedisServer.start(RedisServer.version(), Map.of("replicaof", "127.0.0.1 " + former.port()));
                TcpProxy address = TcpProxy.to("127.0.0.1", master.port());
                TokenResource tokens = Fixture.builder(domain)
                        .url(RedisServer.url(address.port()) + "?minReplicas=1")
                        .failurePolicy(FailurePolicy.THROW)
                        .build()) {
            await().until(() -> joining.info("master_link_status").equals("up"));
            address.redirect(former.port());
            address.cut();
            await().ignoreException(TokenStoreException.class)
                    .until(() -> tokens.check(token("t", "s")) == TokenStatus.ACTIVE);
            joining.command("REPLICAOF", "127.0.0.1", Integer.toString(master.port()));
            await().until(() -> {
                try {
                    tokens.check(token("t", "s"));
                    return false;
                } catch (TokenStoreException e) {
                    return e.getMessage().contains("former master");
                }
            });
        }
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
