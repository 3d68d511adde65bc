package dev.curfew.mongo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.Consumption.Consumed;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.servers.Fixture;
import dev.curfew.servers.MongoServer;
import dev.curfew.servers.ServerFaultsContract;
import dev.curfew.servers.TestServer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What is promised when the server or the network fails, opened by the URL. A stand-in is stopped where it says killed. */
class FaultsTest extends ServerFaultsContract {
    private static MongoServer server;

    private final String domain = Fixture.newDomain();

    @BeforeAll
    static void start() {
        server = MongoServer.start();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @Override
    protected TestServer server() {
        return server;
    }

    @Override
    protected String url(int port) {
        return MongoServer.url(port);
    }

    @Override
    protected String domain() {
        return domain;
    }

    /** A stand-in that keeps its data is slow, and only stopped. */
    @Override
    protected int kills() {
        return server.isReal() ? super.kills() : Math.min(super.kills(), 3);
    }

    private TokenResource direct() {
        return builder(FailurePolicy.THROW).url(url(server.port())).build();
    }

    /** The next reply to this is lost, after the one before has been. */
    private void lose(String command) {
        assertThat(proxy.hasStruck()).isTrue();
        proxy.cutOnReplyTo(command);
    }

    /** The server has done what it was asked, and nobody has heard of it: the store asks again, and knows its own work. */
    @Test
    void R8_7_aRepetitionAnswersAsTheFirstAttemptDid() {
        try (TokenResource direct = direct();
                TokenResource tokens = open(proxy.port(), FailurePolicy.THROW)) {
            for (int round = 0; round < 10; round++) {
                String n = Integer.toString(round);
                direct.storeToken(token("stored" + n, "s"));
                direct.storeToken(token("used" + n, "s"), "link");
                lose("updates");
                assertThat(tokens.revokeToken(token("new" + n, "s"))).isEqualTo(RevokeOutcome.REVOKED);
                lose("updates");
                assertThat(tokens.revokeJti("stored" + n)).isEqualTo(RevokeOutcome.REVOKED);
                lose("findAndModify");
                assertThat(tokens.consume("used" + n, "link")).isInstanceOf(Consumed.class);
                lose("updates");
                assertThat(tokens.storeToken(token("kept" + n, "s"), "link")).isEqualTo(StoreOutcome.STORED);
                lose("updates");
                tokens.revokeSubject("all" + n);
                lose("findAndModify");
                assertThat(tokens.revokeSession("session" + n)).isEqualTo(RevokeOutcome.REVOKED);
                // And what is asked only, is asked again by the driver.
                lose("find");
                assertThat(tokens.isRevoked("new" + n)).isTrue();
                // Others have won; the loss of a reply makes nobody a winner.
                lose("updates");
                assertThat(tokens.revokeToken(token("stored" + n, "s"))).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
                lose("findAndModify");
                assertThat(tokens.consume("used" + n, "link")).isNotInstanceOf(Consumed.class);
                lose("findAndModify");
                assertThat(tokens.revokeSession("session" + n)).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
                assertThat(proxy.hasStruck()).isTrue();
                assertThat(direct.isRevoked("used" + n)).isTrue();
                assertThat(direct.getToken("kept" + n)).isPresent();
                assertThat(direct.check(token("other", "all" + n))).isEqualTo(TokenStatus.REVOKED);
                direct.revokeAllStoredForSubject("s");
            }
        }
    }

    /** Of what changes many, nobody can say how many they were. */
    @Test
    void R8_7_aRevocationOfAllIsUnknownWhenItsReplyIsLost() {
        try (TokenResource direct = direct();
                TokenResource tokens = open(proxy.port(), FailurePolicy.THROW)) {
            direct.storeToken(token("t", "s"));
            tokens.isRevoked("warm");
            lose("updates");
            assertThatThrownBy(() -> tokens.revokeAllStoredForSubject("s"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasFieldOrPropertyWithValue("outcome", Outcome.UNKNOWN);
            assertThat(direct.isRevoked("t")).isTrue();
            assertThat(tokens.revokeAllStoredForSubject("s")).isZero();
        }
    }

    /** As when no majority answers: the reply to the update is not heard, and a look shows that it was applied. */
    @Test
    void R8_5_whatIsAppliedAndNotAcknowledgedInTimeIsSaidSo() {
        try (TokenResource direct = direct();
                TokenResource tokens = open(proxy.port(), FailurePolicy.THROW)) {
            direct.storeToken(token("used", "s"), "link");
            Map<String, Runnable> revocations = new LinkedHashMap<>();
            revocations.put("updates", () -> tokens.revokeToken(token("new", "s")));
            revocations.put("findAndModify", () -> tokens.consume("used", "link"));
            revocations.put("session_revoked_at", () -> tokens.revokeSession("session"));
            revocations.forEach((command, revocation) -> {
                awaitSuccess(tokens);
                proxy.silenceOnReplyTo(command);
                assertThatThrownBy(revocation::run)
                        .isInstanceOf(TokenStoreException.class)
                        .hasFieldOrPropertyWithValue("outcome", Outcome.APPLIED_NOT_REPLICATED)
                        .hasMessageContainingAll("is applied", "not yet replicated", "Try again");
            });
            assertThat(direct.revokeToken(token("new", "s"))).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
            assertThat(direct.isRevoked("used")).isTrue();
            assertThat(direct.revokeSession("session")).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        }
    }

    /** A read has changed nothing, whatever becomes of it. A change that got no answer may be applied. */
    @Test
    void R8_2_whatIsKnownOfACallThatGotNoAnswer() {
        try (TokenResource tokens = open(proxy.port(), FailurePolicy.THROW)) {
            Map<Runnable, Outcome> calls = new LinkedHashMap<>();
            calls.put(() -> tokens.isRevoked("t"), Outcome.UNCHANGED);
            calls.put(() -> tokens.check(token("t", "s")), Outcome.UNCHANGED);
            calls.put(() -> tokens.inspect("t"), Outcome.UNCHANGED);
            calls.put(() -> tokens.isRevoked(Set.of("t", "u")), Outcome.UNCHANGED);
            calls.put(() -> tokens.listTokens("s"), Outcome.UNCHANGED);
            calls.put(() -> tokens.readExpired(10), Outcome.UNCHANGED);
            calls.put(() -> tokens.storeToken(token("t", "s")), Outcome.UNKNOWN);
            calls.put(() -> tokens.revokeSubject("s"), Outcome.UNKNOWN);
            calls.put(() -> tokens.revokeSession("s"), Outcome.UNKNOWN);
            calls.forEach((call, outcome) -> {
                awaitSuccess(tokens);
                proxy.swallow();
                assertThatThrownBy(call::run)
                        .isInstanceOf(TokenStoreException.class)
                        .hasFieldOrPropertyWithValue("outcome", outcome);
                proxy.pass();
            });
        }
    }

    /** A firewall has dropped the connection while it was idle, and says nothing. */
    @Test
    void R8_4_aCheckOnAConnectionThatWasDroppedIsAskedAgain() {
        try (TokenResource tokens = open(proxy.port(), FailurePolicy.THROW)) {
            for (int round = 0; round < 3; round++) {
                awaitSuccess(tokens);
                proxy.swallowExisting();
                assertThat(tokens.check(token("t", "s"))).isEqualTo(TokenStatus.ACTIVE);
            }
        }
    }
}
