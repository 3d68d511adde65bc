package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.ActionOutcome;
import dev.curfew.Expunger;
import dev.curfew.FailurePolicy;
import dev.curfew.ReplicaStatus;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.WhenStale;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The local replica (R12), on a store whose feed fails, waits and forgets when it is told to. */
class ReplicaTest {
    private static final Instant NOW = Instant.parse("2100-01-01T00:00:00.500Z");
    private static final Duration BOUND = Duration.ofMinutes(10);
    private static final Token TOKEN = Token.of("secret-jti", "secret-subject", NOW, NOW.plusSeconds(7200));

    private final ManualClock clock = new ManualClock(NOW);
    private final Expunger idle = Expunger.manual();
    private final FaultyStore faulty = new FaultyStore();
    private final CountDownLatch gate = new CountDownLatch(1);
    private final Logs logs = new Logs();

    @AfterEach
    void openTheGate() {
        gate.countDown();
        logs.close();
        idle.close();
    }

    private TokenResource.Builder builder() {
        return withoutLongestLifetime().maxTokenLifetime(Duration.ofDays(1));
    }

    private TokenResource.Builder withoutLongestLifetime() {
        return TokenResource.builder()
                .store(faulty.store)
                .domain("accounts")
                .clock(clock)
                .expunger(idle)
                .localReplica(BOUND)
                .replicaPollInterval(Duration.ofMillis(2));
    }

    private static ReplicaStatus status(TokenResource tokens) {
        return tokens.replicaStatus().orElseThrow();
    }

    private static TokenResource served(TokenResource.Builder builder) {
        TokenResource tokens = builder.build();
        awaitServing(tokens);
        return tokens;
    }

    private static void awaitServing(TokenResource tokens) {
        R12Replica.await("a complete poll", () -> status(tokens).isServing());
    }

    /** From now on no poll ends, and none is under way that could. */
    private void holdPolls() {
        var isHeld = new CountDownLatch(1);
        faulty.poll = () -> {
            isHeld.countDown();
            awaitQuietly(gate);
        };
        awaitQuietly(isHeld);
    }

    private static void awaitQuietly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** From now on each poll fails; at least one has. */
    private void failPolls() {
        var failed = new CountDownLatch(2);
        faulty.poll = () -> {
            failed.countDown();
            throw new TokenStoreException(Outcome.UNCHANGED, "The server is down", null);
        };
        awaitQuietly(failed);
    }

    private List<String> callsOf(Runnable action) {
        faulty.calls.clear();
        action.run();
        return List.copyOf(faulty.calls);
    }

    private void assertLocal(TokenResource tokens, Token token, TokenStatus status) {
        assertThat(callsOf(() -> assertThat(tokens.check(token)).isEqualTo(status)))
                .isEmpty();
        assertThat(tokens.checkLocally(token)).contains(status);
    }

    private void assertAsks(TokenResource tokens, Token token, TokenStatus status) {
        assertThat(callsOf(() -> assertThat(tokens.check(token)).isEqualTo(status)))
                .contains("state");
        assertThat(tokens.checkLocally(token)).isEmpty();
    }

    private static Token token(String jti, String subject) {
        return Token.of(jti, subject, NOW, NOW.plusSeconds(7200));
    }

    @Test
    void R12_1_onlyChecksAreAnsweredByTheReplica() {
        try (TokenResource tokens = served(builder())) {
            tokens.storeToken(TOKEN, "link", Map.of());
            tokens.revokeToken(token("revoked", "s"));
            assertLocal(tokens, TOKEN, TokenStatus.ACTIVE);
            assertLocal(tokens, token("revoked", "s"), TokenStatus.REVOKED);
            assertThat(callsOf(() -> {
                        assertThat(tokens.isRevoked("revoked")).isTrue();
                        assertThat(tokens.isRevoked("other")).isFalse();
                        assertThat(tokens.isRevoked(TOKEN)).isFalse();
                        assertThat(tokens.isRevoked(Set.of("revoked", "other"))).containsExactly("revoked");
                        assertThat(tokens.forTenant("x").isRevoked("revoked")).isFalse();
                    }))
                    .isEmpty();
            for (Runnable other : List.<Runnable>of(
                    () -> tokens.getToken("secret-jti"),
                    () -> tokens.checkInStore(TOKEN),
                    () -> tokens.inspect("secret-jti"),
                    () -> tokens.listTokens("secret-subject"),
                    () -> tokens.consume("none", "link"),
                    () -> tokens.revokeToken(token("revoked", "s")))) {
                assertThat(callsOf(other)).isNotEmpty();
            }
            assertThat(status(tokens).localShare()).isEqualTo(1);
            assertThat(status(tokens).loads()).isEqualTo(1);
        }
    }

    @Test
    void R12_3_freshnessCountsFromBeforeThePollWasSent() {
        try (TokenResource tokens = served(builder())) {
            var isHeld = new CountDownLatch(1);
            // By the wall clock this poll takes as long as the bound.
            faulty.poll = () -> {
                clock.advance(BOUND);
                faulty.poll = () -> {
                    isHeld.countDown();
                    awaitQuietly(gate);
                };
            };
            awaitQuietly(isHeld);
            assertAsks(tokens, TOKEN, TokenStatus.ACTIVE);
            faulty.poll = () -> {};
            gate.countDown();
            awaitServing(tokens);
        }
    }

    @Test
    void R12_3_theMonotonicClockIsLookedAtToo() {
        try (TokenResource tokens = served(builder().localReplica(Duration.ofMillis(200)))) {
            holdPolls();
            // The wall clock stands still.
            R12Replica.await("200 ms", () -> tokens.checkLocally(TOKEN).isEmpty());
            assertAsks(tokens, TOKEN, TokenStatus.ACTIVE);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 0, 1})
    void R12_3_theBoundIsExact(int millis) {
        try (TokenResource tokens = served(builder())) {
            holdPolls();
            clock.set(NOW.plus(BOUND).plusMillis(millis));
            if (millis < 0) {
                assertLocal(tokens, TOKEN, TokenStatus.ACTIVE);
            } else {
                assertAsks(tokens, TOKEN, TokenStatus.ACTIVE);
            }
        }
    }

    @Test
    void R12_3_aWallClockThatHasGoneBackIsNotTrusted() {
        try (TokenResource tokens = served(builder())) {
            holdPolls();
            clock.set(NOW.minusMillis(1));
            assertAsks(tokens, TOKEN, TokenStatus.ACTIVE);
            assertThat(status(tokens).isServing()).isFalse();
        }
    }

    @Test
    void R12_3_pastTheBoundCallsAreDeniedWhereTheApplicationSaysSo() {
        try (TokenResource tokens = builder().whenReplicaIsStale(WhenStale.DENY).build()) {
            awaitServing(tokens);
            holdPolls();
            clock.set(NOW.plus(BOUND));
            assertLocal(tokens, TOKEN, TokenStatus.UNAVAILABLE);
            assertThat(callsOf(() -> {
                        assertThat(tokens.isRevoked("t")).isTrue();
                        assertThat(tokens.isRevoked(Set.of("t"))).containsExactly("t");
                    }))
                    .isEmpty();
            // The store must answer where the replica never can.
            assertThat(callsOf(() -> tokens.getToken("t"))).isNotEmpty();
        }
    }

    @Test
    void R12_3_whileTheStoreFailsTheReplicaMayServeForLonger() {
        Duration longer = Duration.ofMinutes(30);
        try (TokenResource tokens = served(builder().serveWhileStoreFails(longer))) {
            failPolls();
            faulty.failure = new RuntimeException("down");
            clock.set(NOW.plus(BOUND));
            assertLocal(tokens, TOKEN, TokenStatus.ACTIVE);
            clock.set(NOW.plus(BOUND).plus(longer).minusMillis(1));
            assertLocal(tokens, TOKEN, TokenStatus.ACTIVE);
            clock.set(NOW.plus(BOUND).plus(longer));
            assertAsks(tokens, TOKEN, TokenStatus.UNAVAILABLE);
        }
    }

    @Test
    void R12_3_aStoreThatIsOnlySlowDoesNotFail() {
        try (TokenResource tokens = served(builder().serveWhileStoreFails(Duration.ofMinutes(30)))) {
            holdPolls();
            clock.set(NOW.plus(BOUND));
            assertAsks(tokens, TOKEN, TokenStatus.ACTIVE);
        }
    }

    /** As a pool does that has no connection, and waits for one for 30 s. */
    @Test
    void R12_3_aPollThatDoesNotEndByItsDeadlineHasFailed() {
        try (TokenResource tokens =
                served(builder().callDeadline(Duration.ofMillis(100)).serveWhileStoreFails(Duration.ofMinutes(30)))) {
            holdPolls();
            clock.set(NOW.plus(BOUND));
            R12Replica.await("100 ms", () -> tokens.checkLocally(TOKEN).isPresent());
            assertLocal(tokens, TOKEN, TokenStatus.ACTIVE);
            faulty.poll = () -> {};
            gate.countDown();
            R12Replica.await(
                    "a complete poll",
                    () -> status(tokens).age().compareTo(BOUND) < 0
                            && status(tokens).isServing());
        }
    }

    @Test
    void R11_6_outcomesOfLocalAnswersAreHeard() {
        List<ActionOutcome> heard = new CopyOnWriteArrayList<>();
        try (TokenResource tokens = served(
                builder().whenReplicaIsStale(WhenStale.DENY).requirePresence().onOutcome(heard::add))) {
            holdPolls();
            tokens.revokeToken(TOKEN);
            heard.clear();
            assertThat(tokens.checkLocally(TOKEN)).contains(TokenStatus.REVOKED);
            assertThat(tokens.checkLocally(token("t", "s"))).isEmpty();
            clock.set(NOW.plusSeconds(7200));
            assertThat(tokens.checkLocally(token("t", "s"))).contains(TokenStatus.UNAVAILABLE);
            assertThat(heard).extracting(ActionOutcome::word).containsExactly("revoked", "unavailable");
            assertThat(heard).extracting(ActionOutcome::isUnavailable).containsExactly(false, true);
        }
    }

    /** The poll has told nothing yet, and the check itself finds out that the store fails. */
    @Test
    void R12_3_theReplicaStandsInForAStoreThatHasJustFailedACheck() {
        Duration longer = Duration.ofMinutes(30);
        try (TokenResource tokens = served(builder().serveWhileStoreFails(longer))) {
            tokens.revokeToken(token("revoked", "s"));
            holdPolls();
            clock.set(NOW.plus(BOUND).plusSeconds(1));
            faulty.failure = new RuntimeException("down");
            // More than there are turns in an outage.
            for (int i = 0; i < 8; i++) {
                assertThat(tokens.checkInStore(TOKEN)).isEqualTo(TokenStatus.UNAVAILABLE);
                assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.ACTIVE);
                assertThat(tokens.isRevoked("other")).isFalse();
                assertThat(tokens.isRevoked(Set.of("other", "revoked"))).containsExactly("revoked");
            }
            assertThat(tokens.storeFailures()).isPositive();
            clock.set(NOW.plus(BOUND).plus(longer));
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.UNAVAILABLE);
            assertThat(tokens.isRevoked(Set.of("other", "revoked"))).containsExactlyInAnyOrder("other", "revoked");
        }
    }

    /** A log-out that fails because the store is down leaves everybody else served. */
    @Test
    void R12_3_aRevocationOfAllThatFailsDoesNotEndTheServing() {
        try (TokenResource tokens = served(builder().serveWhileStoreFails(Duration.ofMinutes(30)))) {
            failPolls();
            faulty.failure = new TokenStoreException(Outcome.UNCHANGED, "down", null);
            assertThatThrownBy(() -> tokens.revokeAllStoredForSubject("all")).isInstanceOf(TokenStoreException.class);
            assertLocal(tokens, TOKEN, TokenStatus.ACTIVE);
        }
    }

    @Test
    void R12_4_aWatermarkThatTheTokenAloneDecides() {
        try (TokenResource tokens = served(builder())) {
            Token earlier = Token.of("a", "s", NOW.minusSeconds(10), NOW.plusSeconds(7200));
            Token sameSecond = Token.of("b", "s", Instant.parse("2100-01-01T00:00:00Z"), NOW.plusSeconds(7200));
            Token undated = Token.withoutIssuedAt("c", "s", NOW.plusSeconds(7200));
            Token finer = Token.of("d", "s", NOW.plusMillis(1), NOW.plusSeconds(7200));
            Token wholeSecondLater = Token.of("e", "s", NOW.plusMillis(500), NOW.plusSeconds(7200));
            tokens.revokeSubject("s");
            assertLocal(tokens, earlier, TokenStatus.REVOKED);
            assertLocal(tokens, undated, TokenStatus.REVOKED);
            assertLocal(tokens, finer, TokenStatus.ACTIVE);
            assertLocal(tokens, wholeSecondLater, TokenStatus.ACTIVE);
            assertLocal(tokens, token("f", "other"), TokenStatus.ACTIVE);
            // The record may have a finer time of issue (R4.4).
            assertAsks(tokens, sameSecond, TokenStatus.REVOKED);
        }
    }

    @Test
    void R12_4_aTokenThatNamesNoSessionIsAskedAboutOnceASessionIsRevoked() {
        try (TokenResource tokens = served(builder())) {
            Token of = TOKEN.withSession("phone");
            assertLocal(tokens, of, TokenStatus.ACTIVE);
            assertLocal(tokens, TOKEN, TokenStatus.ACTIVE);
            tokens.storeToken(of);
            tokens.revokeSession("phone");
            assertLocal(tokens, of, TokenStatus.REVOKED);
            assertLocal(tokens, token("t", "s").withSession("laptop"), TokenStatus.ACTIVE);
            // Its record names the session (R13.3).
            assertAsks(tokens, TOKEN, TokenStatus.REVOKED);
        }
    }

    @Test
    void R12_4_underRequirePresenceTheStoreIsAsked() {
        try (TokenResource tokens = served(builder().requirePresence())) {
            assertAsks(tokens, TOKEN, TokenStatus.UNKNOWN);
            tokens.storeToken(TOKEN);
            assertAsks(tokens, TOKEN, TokenStatus.ACTIVE);
            tokens.revokeToken(TOKEN);
            assertLocal(tokens, TOKEN, TokenStatus.REVOKED);
            assertLocal(tokens, Token.of("old", "s", NOW.minusSeconds(9), NOW.minusSeconds(1)), TokenStatus.EXPIRED);
        }
    }

    @Test
    void R12_5_itsOwnRevocationsAreKnownAtOnce() {
        try (TokenResource tokens = served(builder())) {
            holdPolls();
            Token used = token("used", "s");
            tokens.storeToken(used, "link", Map.of());
            assertLocal(tokens, used, TokenStatus.ACTIVE);
            tokens.consume("used", "link");
            tokens.revokeToken(TOKEN);
            tokens.revokeJti("by jti", NOW.plusSeconds(9));
            tokens.revokeSubject("s2");
            for (Token revoked : List.of(used, TOKEN, token("by jti", "s"), token("t", "s2"))) {
                assertLocal(tokens, revoked, TokenStatus.REVOKED);
            }
            tokens.revokeSession("phone");
            assertLocal(tokens, token("t", "s").withSession("phone"), TokenStatus.REVOKED);
        }
    }

    @Test
    void R12_5_theStoreIsAskedAboutAChangeWithAnUnknownOutcome() {
        try (TokenResource tokens = served(builder())) {
            holdPolls();
            Token ofSession = token("t", "s").withSession("phone");
            faulty.lostReply = new TokenStoreException(Outcome.UNKNOWN, "no reply", null);
            assertThatThrownBy(() -> tokens.revokeToken(TOKEN)).isInstanceOf(TokenStoreException.class);
            faulty.lostReply = null;
            assertAsks(tokens, TOKEN, TokenStatus.REVOKED);
            assertThat(callsOf(() -> assertThat(tokens.isRevoked("secret-jti")).isTrue()))
                    .isNotEmpty();
            assertLocal(tokens, token("other", "s"), TokenStatus.ACTIVE);
            assertLocal(tokens, ofSession, TokenStatus.ACTIVE);

            faulty.lostReply = new TokenStoreException(Outcome.UNKNOWN, "no reply", null);
            assertThatThrownBy(() -> tokens.revokeSession("phone")).isInstanceOf(TokenStoreException.class);
            assertThatThrownBy(() -> tokens.revokeSubject("everywhere")).isInstanceOf(TokenStoreException.class);
            faulty.lostReply = null;
            assertAsks(tokens, ofSession, TokenStatus.REVOKED);
            assertAsks(tokens, token("other", "everywhere").withSession("x"), TokenStatus.REVOKED);
            assertLocal(tokens, token("other", "s").withSession("x"), TokenStatus.ACTIVE);

            // What failed without any change leaves no doubt.
            faulty.failure = new TokenStoreException(Outcome.UNCHANGED, "refused", null);
            assertThatThrownBy(() -> tokens.revokeJti("refused")).isInstanceOf(TokenStoreException.class);
            faulty.failure = null;
            assertLocal(tokens, token("refused", "s").withSession("x"), TokenStatus.ACTIVE);
            gate.countDown();
            faulty.poll = () -> {};
            R12Replica.await("the feed", () -> tokens.checkLocally(TOKEN).isPresent());
        }
    }

    @Test
    void R12_5_insideATransactionTheStoreIsAskedUntilTheFeedHasToldIt() {
        try (TokenResource tokens = served(builder())) {
            holdPolls();
            faulty.isInTransaction = true;
            tokens.storeToken(token("stored", "all"));
            tokens.revokeToken(TOKEN);
            tokens.revokeAllStoredForSubject("all");
            assertAsks(tokens, token("any", "s"), TokenStatus.ACTIVE);
            faulty.isInTransaction = false;
            assertAsks(tokens, TOKEN, TokenStatus.REVOKED);
            assertAsks(tokens, token("stored", "all"), TokenStatus.REVOKED);
            assertLocal(tokens, token("other", "s"), TokenStatus.ACTIVE);
        }
    }

    @Test
    void R12_5_afterRevokingWhatTheStorePicksTheStoreIsAskedUntilTheNextPoll() {
        try (TokenResource tokens = served(builder())) {
            Token stored = token("stored", "all");
            tokens.storeToken(stored);
            holdPolls();
            assertLocal(tokens, stored, TokenStatus.ACTIVE);
            tokens.revokeAllStoredForSubject("all");
            assertAsks(tokens, stored, TokenStatus.REVOKED);
            assertAsks(tokens, token("other", "s"), TokenStatus.ACTIVE);
            // The poll that is held began before.
            faulty.poll = () -> {};
            gate.countDown();
            awaitServing(tokens);
            assertLocal(tokens, stored, TokenStatus.REVOKED);
        }
    }

    @Test
    void R12_7_aPositionOfAnotherHistoryMeansToReadEverythingAnew() {
        try (TokenResource tokens = served(builder().localReplica(Duration.ofMillis(500)))) {
            tokens.revokeToken(TOKEN);
            faulty.isPositionLost = true;
            R12Replica.await("another load", () -> status(tokens).loads() == 2);
            awaitServing(tokens);
            assertLocal(tokens, TOKEN, TokenStatus.REVOKED);
            assertLocal(tokens, token("t", "s"), TokenStatus.ACTIVE);
        }
    }

    @Test
    void R12_8_whatIsPastItsRetentionEndIsRemovedAndNothingElse() {
        try (TokenResource tokens = served(builder())) {
            tokens.revokeToken(TOKEN);
            tokens.revokeJti("longer", NOW.plus(Duration.ofHours(5)));
            assertThat(status(tokens).entries()).isEqualTo(2);
            // The retention of the token ends at 02:01:00.5. Its hour is over at 03:00.
            clock.set(Instant.parse("2100-01-01T02:59:59Z"));
            awaitSweep(tokens, "2100-01-01T02:00:00Z");
            assertThat(status(tokens).entries()).isEqualTo(2);
            clock.set(Instant.parse("2100-01-01T03:00:00Z"));
            R12Replica.await("a removal", () -> status(tokens).entries() == 1);
            assertThat(tokens.isRevoked("longer")).isTrue();

            // Now a time at which the token that was removed is still accepted.
            holdPolls();
            clock.set(NOW.plusSeconds(60));
            assertAsks(tokens, TOKEN, TokenStatus.REVOKED);
            // A later poll reads everything anew, also what was removed.
            faulty.poll = () -> {};
            gate.countDown();
            R12Replica.await("another load", () -> status(tokens).loads() == 2);
            awaitServing(tokens);
            assertLocal(tokens, TOKEN, TokenStatus.REVOKED);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"DENY", "ALLOW"})
    void R12_10_alsoAfterARevocationByJtiAloneAndForTheStore(FailurePolicy policy) {
        try (TokenResource tokens = served(withoutLongestLifetime().failurePolicy(policy))) {
            holdPolls();
            tokens.revokeJti(TOKEN.jti());
            faulty.failure = new RuntimeException("down");
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.REVOKED);
            assertThat(tokens.checkInStore(TOKEN)).isEqualTo(TokenStatus.REVOKED);
            assertThat(tokens.checkInStore(token("other", "s")))
                    .isEqualTo(policy == FailurePolicy.ALLOW ? TokenStatus.ACTIVE : TokenStatus.UNAVAILABLE);
        }
    }

    /** Its end is that of the stored record, which this node has not read. */
    @Test
    void R12_8_aRevocationByJtiAloneIsRemovedWithTheStoredRecord() {
        try (TokenResource tokens = served(withoutLongestLifetime())) {
            tokens.storeToken(TOKEN);
            tokens.revokeJti(TOKEN.jti());
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.REVOKED);
            R12Replica.await("the feed", () -> tokens.checkLocally(TOKEN).isPresent());
            assertLocal(tokens, TOKEN, TokenStatus.REVOKED);
            clock.set(Instant.parse("2100-01-01T03:00:00Z"));
            R12Replica.await("a removal", () -> status(tokens).entries() == 0);
        }
    }

    private void awaitSweep(TokenResource tokens, String hour) {
        var polls = new CountDownLatch(3);
        faulty.poll = polls::countDown;
        awaitQuietly(polls);
        assertThat(clock.instant()).as("the hour that is swept").isAfterOrEqualTo(Instant.parse(hour));
        assertThat(status(tokens).isServing()).isTrue();
    }

    /** A node that starts with a clock that is ahead leaves out what another clock still honours. */
    @Test
    void R12_8_whatALoadHasLeftOutIsReadWhenTheClockIsPutRight() {
        try (TokenResource writer = builder().build()) {
            writer.revokeToken(TOKEN);
        }
        clock.set(NOW.plus(Duration.ofHours(5)));
        try (TokenResource tokens = served(builder())) {
            clock.set(NOW.plus(Duration.ofMinutes(20)));
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.REVOKED);
            R12Replica.await("another load", () -> status(tokens).loads() == 2);
            awaitServing(tokens);
            assertLocal(tokens, TOKEN, TokenStatus.REVOKED);
        }
    }

    /** A poll leaves out less than a clock that is put right within the hour could miss. */
    @Test
    void R12_8_aPollIsToldTheBeginningOfItsHour() {
        clock.set(NOW.plus(Duration.ofMinutes(50)));
        try (TokenResource tokens = served(builder())) {
            R12Replica.awaitPoll(tokens);
            assertThat(faulty.polledAt).containsOnly(Instant.parse("2100-01-01T00:00:00Z"));
        }
    }

    @Test
    void R12_7_aSkewThatWasRaisedMeansToReadEverythingAnew() {
        try (TokenResource tokens = served(builder())) {
            tokens.revokeToken(TOKEN);
            builder().clockSkew(Duration.ofHours(20)).build().close();
            tokens.expungeExpired(); // learns of the larger skew
            R12Replica.await("another load", () -> status(tokens).loads() == 2);
            awaitServing(tokens);
            clock.set(TOKEN.expiresAt().plus(Duration.ofHours(19)));
            awaitServing(tokens);
            assertThat(tokens.isRevoked("secret-jti")).isTrue();
        }
    }

    @Test
    void R12_9_atItsCapacityTheReplicaStopsAndKeepsWhatItHas() {
        try (TokenResource tokens = served(builder().replicaCapacity(3))) {
            for (int i = 0; i < 3; i++) {
                tokens.revokeToken(token("t" + i, "s"));
            }
            assertLocal(tokens, token("other", "s"), TokenStatus.ACTIVE);
            tokens.revokeToken(token("t3", "s"));
            for (int i = 0; i < 3; i++) {
                assertLocal(tokens, token("t" + i, "s"), TokenStatus.REVOKED);
            }
            assertAsks(tokens, token("t3", "s"), TokenStatus.REVOKED);
            assertAsks(tokens, token("other", "s"), TokenStatus.ACTIVE);
            assertThat(status(tokens).isServing()).isFalse();
            assertThat(logs.warnings()).singleElement().asString().contains("capacity of 3 entries");
        }
    }

    @Test
    void R12_9_aFeedWithMoreThanTheCapacityStopsTheReplicaToo() {
        try (TokenResource writer = builder().build()) {
            for (int i = 0; i < 4; i++) {
                writer.revokeToken(token("t" + i, "s"));
            }
        }
        try (TokenResource tokens = builder().replicaCapacity(3).build()) {
            R12Replica.await("the end", () -> !logs.warnings().isEmpty());
            assertAsks(tokens, token("other", "s"), TokenStatus.ACTIVE);
        }
    }

    @Test
    void R12_10_whatIsKnownToBeRevokedStaysSo() {
        try (TokenResource tokens = served(builder().failurePolicy(FailurePolicy.ALLOW))) {
            tokens.revokeToken(TOKEN);
            assertThat(tokens.isRevoked(Set.of("other"))).isEmpty();
            failPolls();
            faulty.failure = new RuntimeException("down");
            clock.set(NOW.plus(BOUND).plusSeconds(1));
            assertThat(tokens.check(token("other", "s"))).isEqualTo(TokenStatus.ACTIVE);
            assertLocal(tokens, TOKEN, TokenStatus.REVOKED);
            assertThat(tokens.isRevoked("secret-jti")).isTrue();
            assertThat(tokens.isRevoked(Set.of("secret-jti", "other"))).containsExactly("secret-jti");
        }
    }

    @Test
    void R12_11_aFailingFeedIsToldOnceAndSoIsItsEnd() {
        try (TokenResource tokens = served(builder().localReplica(Duration.ofMillis(50)))) {
            failPolls();
            R12Replica.await("a warning", () -> !logs.warnings().isEmpty());
            failPolls();
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.ACTIVE);
            assertThat(logs.warnings())
                    .singleElement()
                    .asString()
                    .contains(
                            "'accounts' is older than its bound of PT0.05S",
                            "checks ask the store",
                            "The server is down");
            faulty.poll = () -> {};
            awaitServing(tokens);
            R12Replica.await("a line", () -> logs.lines().stream().anyMatch(line -> line.contains("fresh again")));
        }
        assertThat(logs.lines()).noneMatch(line -> line.contains("secret"));
    }

    @Test
    void R12_11_aFeedThatFailsFromTheStartIsTold() {
        faulty.poll = () -> {
            throw new IllegalStateException("a driver's own words");
        };
        try (TokenResource tokens = builder().build()) {
            R12Replica.await("a warning", () -> !logs.warnings().isEmpty());
            assertAsks(tokens, TOKEN, TokenStatus.ACTIVE);
            assertThat(status(tokens).age()).isNull();
            assertThat(logs.warnings()).singleElement().asString().doesNotContain("own words");
        }
    }

    @Test
    void R12_11_closeEndsTheThread() {
        var thread = new AtomicReference<Thread>();
        faulty.poll = () -> thread.set(Thread.currentThread());
        TokenResource tokens = served(builder());
        tokens.close();
        assertThat(thread.get().isAlive()).isFalse();
        assertThatThrownBy(() -> tokens.check(TOKEN)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> tokens.checkLocally(TOKEN)).isInstanceOf(IllegalStateException.class);
    }

    /** Looks at everything that the resource can reach, apart from the store. */
    @Test
    void R12_12_noNameIsInTheMemoryOfTheReplica() throws Exception {
        try (TokenResource tokens = served(builder())) {
            Token token = Token.of("secret-jti", "secret-subject", NOW, NOW.plusSeconds(7200));
            tokens.revokeToken(token);
            tokens.revokeSubject("secret-subject");
            tokens.revokeSession("secret-session");
            Deque<Object> left = new ArrayDeque<>(List.of(field(field(tokens, "actions"), "replica")));
            Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
            while (!left.isEmpty()) {
                Object next = left.pop();
                if (next instanceof String text) {
                    assertThat(text).doesNotContain("secret");
                } else if (next instanceof Iterable<?> several) {
                    several.forEach(each -> push(left, seen, each));
                } else if (next instanceof Map<?, ?> map) {
                    push(left, seen, map.keySet());
                    push(left, seen, map.values());
                } else if (next instanceof Object[] array) {
                    for (Object each : array) {
                        push(left, seen, each);
                    }
                } else if (next.getClass().getName().matches("dev\\.curfew\\.(Replica|Known|Finger).*")) {
                    for (Field field : next.getClass().getDeclaredFields()) {
                        if (!Modifier.isStatic(field.getModifiers())
                                && !field.getType().isPrimitive()) {
                            field.setAccessible(true);
                            push(left, seen, field.get(next));
                        }
                    }
                }
            }
            assertThat(seen).hasSizeGreaterThan(10);
        }
    }

    private static void push(Deque<Object> left, Set<Object> seen, Object next) {
        if (next != null && seen.add(next)) {
            left.push(next);
        }
    }

    private static Object field(Object of, String name) throws ReflectiveOperationException {
        Field field = of.getClass().getDeclaredField(name);
        field.setAccessible(true);
        return field.get(of);
    }

    @Test
    void aResourceWithoutAReplicaHasNoStatus() {
        try (TokenResource tokens = TokenResource.builder()
                .store(faulty.store)
                .clock(clock)
                .expunger(idle)
                .build()) {
            assertThat(tokens.replicaStatus()).isEmpty();
            assertThat(tokens.checkLocally(TOKEN)).isEmpty();
        }
    }

    @Test
    void settingsThatContradictEachOtherAreRefused() {
        assertThatThrownBy(() -> builder().replicaPollInterval(BOUND).build())
                .hasMessageContaining("replicaPollInterval must be at most half");
        assertThatThrownBy(() -> TokenResource.builder()
                        .store(faulty.store)
                        .serveWhileStoreFails(BOUND)
                        .build())
                .hasMessageContaining("localReplica is not");
        assertThatThrownBy(() -> builder().localReplica(Duration.ofMillis(9)))
                .hasMessageContaining("the bound of localReplica must be at least 10 ms");
        assertThatThrownBy(() -> builder().serveWhileStoreFails(Duration.ofDays(2)))
                .hasMessageContaining("at most a day");
        assertThatThrownBy(() -> builder().replicaCapacity(0)).hasMessageContaining("at least 1");
    }
}
