package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.Consumption;
import dev.curfew.Consumption.Refused;
import dev.curfew.Deadline;
import dev.curfew.Expunger;
import dev.curfew.FailurePolicy;
import dev.curfew.RevokeOutcome;
import dev.curfew.Rotation;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.StoredState;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.TokenStoreException.Outcome;
import dev.curfew.Watermarked;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a resource does when its store does not do its part (R8). */
class FailureTest {
    private static final Instant NOW = Instant.parse("2100-01-01T00:00:00Z");
    private static final Token TOKEN = Token.of("secret-jti", "secret-subject", NOW, NOW.plusSeconds(3600));

    private final ManualClock clock = new ManualClock(NOW);
    private final Expunger idle = Expunger.manual();
    private final FaultyStore faulty = new FaultyStore();
    private final Logs logs = new Logs();

    @AfterEach
    void closeLogs() {
        logs.close();
    }

    private TokenResource resource(FailurePolicy policy) {
        return builder().failurePolicy(policy).build();
    }

    private TokenResource.Builder builder() {
        return TokenResource.builder()
                .store(faulty.store)
                .domain("accounts")
                .maxTokenLifetime(Duration.ofDays(1))
                .clock(clock)
                // Else a run of its own may come in between when the clock is moved.
                .expunger(idle);
    }

    /** A driver's exception that quotes the key, as PostgreSQL's do. */
    private static RuntimeException driverFailure() {
        return new RuntimeException("Key (jti)=(secret-jti) is locked", new RuntimeException("secret-subject"));
    }

    @Test
    void R8_1_checksAreDeniedWhileTheStoreFails() {
        try (TokenResource tokens = resource(FailurePolicy.DENY)) {
            faulty.failure = driverFailure();
            assertThat(tokens.isRevoked("t")).isTrue();
            assertThat(tokens.isRevoked(TOKEN)).isTrue();
            assertThat(tokens.isRevoked(Set.of("t", "u"))).containsExactlyInAnyOrder("t", "u");
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.UNAVAILABLE);
            // Also a token that is expired by its own word: a verifier with leeway might still take it.
            clock.set(TOKEN.expiresAt());
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.UNAVAILABLE);
            assertThat(tokens.storeFailures()).isEqualTo(5);
        }
    }

    @Test
    void R8_1_denyIsTheDefault() {
        try (TokenResource tokens = builder().build()) {
            faulty.failure = driverFailure();
            assertThat(tokens.isRevoked("t")).isTrue();
        }
    }

    @Test
    void R8_1_otherPoliciesAreByChoice() {
        try (TokenResource throwing = resource(FailurePolicy.THROW);
                TokenResource allowing = resource(FailurePolicy.ALLOW)) {
            faulty.failure = driverFailure();
            assertThatThrownBy(() -> throwing.isRevoked("t")).isInstanceOf(TokenStoreException.class);
            assertThatThrownBy(() -> throwing.isRevoked(Set.of("t"))).isInstanceOf(TokenStoreException.class);
            assertThatThrownBy(() -> throwing.check(TOKEN))
                    .isInstanceOf(TokenStoreException.class)
                    .hasCause(faulty.failure);
            assertThat(allowing.isRevoked("t")).isFalse();
            assertThat(allowing.isRevoked(Set.of("t"))).isEmpty();
            assertThat(allowing.check(TOKEN)).isEqualTo(TokenStatus.ACTIVE);
            // What the token says of itself still counts.
            clock.set(TOKEN.expiresAt());
            assertThat(allowing.check(TOKEN)).isEqualTo(TokenStatus.EXPIRED);
        }
    }

    @Test
    void R8_1_anOutageIsLoggedOnceAndItsEndOnce() {
        try (TokenResource tokens = resource(FailurePolicy.DENY)) {
            for (int outage = 1; outage <= 2; outage++) {
                faulty.failure = driverFailure();
                for (int i = 0; i < 100; i++) {
                    tokens.isRevoked("secret-jti");
                    tokens.check(TOKEN);
                }
                assertThat(logs.warnings()).hasSize(outage);
                assertThat(logs.warnings().get(outage - 1))
                        .contains("'accounts'", "revoked?", "DENY", "java.lang.RuntimeException");
                faulty.failure = null;
                // Not yet: a store may work for every other call.
                assertThat(tokens.isRevoked("secret-jti")).isFalse();
                faulty.failure = driverFailure();
                tokens.check(TOKEN);
                faulty.failure = null;
                clock.advance(Duration.ofMillis(29_999));
                tokens.check(TOKEN);
                assertThat(logs.warnings()).hasSize(outage);
                assertThat(logs.lines())
                        .filteredOn(line -> line.startsWith("INFO"))
                        .hasSize(outage - 1);
                clock.advance(Duration.ofMillis(1));
                tokens.check(TOKEN);
                assertThat(logs.lines())
                        .filteredOn(line -> line.startsWith("INFO") && line.contains("works again; 201 checks"))
                        .hasSize(outage);
            }
        }
        assertThat(logs.lines()).noneMatch(line -> line.contains("secret"));
    }

    @Test
    void R8_2_everyOtherActionThrowsWithTheCause() {
        try (TokenResource tokens = resource(FailurePolicy.ALLOW)) {
            faulty.failure = driverFailure();
            List<Runnable> actions = List.of(
                    () -> tokens.storeToken(TOKEN, "p", Map.of("secret", 1)),
                    () -> tokens.getToken("secret-jti"),
                    () -> tokens.inspect("secret-jti"),
                    () -> tokens.listTokens("secret-subject"),
                    () -> tokens.revokeToken(TOKEN),
                    () -> tokens.revokeJti("secret-jti"),
                    () -> tokens.revokeAllStoredForSubject("secret-subject"),
                    () -> tokens.revokeSubject("secret-subject"),
                    () -> tokens.consume("secret-jti", "p"),
                    () -> tokens.storeConfirmationChanges(TOKEN, "p", Map.of()),
                    () -> tokens.getConfirmationChanges(TOKEN, "p"),
                    () -> tokens.consumeConfirmationChanges(TOKEN, "p"),
                    () -> tokens.readExpired(10),
                    tokens::expungeExpired);
            for (Runnable action : actions) {
                assertThatThrownBy(action::run)
                        .isInstanceOf(TokenStoreException.class)
                        .hasMessageContaining("domain 'accounts'")
                        .hasMessageContaining("whether the store applied it is not known")
                        .hasMessageNotContaining("secret")
                        .hasCause(faulty.failure);
            }
            assertThat(tokens.storeFailures()).isEqualTo(actions.size());
        }
    }

    @Test
    void R8_2_whatAStoreSaysItselfReachesTheCaller() {
        try (TokenResource tokens = resource(FailurePolicy.DENY)) {
            for (Outcome outcome : Outcome.values()) {
                faulty.failure = new TokenStoreException(outcome, "The server at db:5432 is read-only", null);
                assertThatThrownBy(() -> tokens.revokeToken(TOKEN)).isSameAs(faulty.failure);
            }
            faulty.failure = new TokenStoreException("The server at db:5432 is read-only");
            assertOutcome(Outcome.UNKNOWN, () -> tokens.revokeToken(TOKEN));
            faulty.failure = driverFailure();
            assertOutcome(Outcome.UNKNOWN, () -> tokens.revokeToken(TOKEN));
        }
    }

    private static void assertOutcome(Outcome expected, Runnable action) {
        assertThatThrownBy(action::run)
                .isInstanceOfSatisfying(
                        TokenStoreException.class, e -> assertThat(e.outcome()).isEqualTo(expected));
    }

    /** In the middle of an expunge, and of a revocation of all: what was done is done, and is told to the listeners. */
    @Test
    void R8_2_aFailureInTheMiddleOfManyBatchesLeavesTheOthersDone() {
        List<Long> told = new ArrayList<>();
        try (TokenResource tokens = builder()
                .expungeBatchSize(10)
                .onRevocation(event -> told.add(event.count()))
                .build()) {
            for (int i = 0; i < 35; i++) {
                tokens.storeToken(Token.of("t" + i, "s", NOW, NOW.plusSeconds(3600)));
            }
            failAfterTwoBatches();
            assertThatThrownBy(() -> tokens.revokeAllStoredForSubject("s")).isInstanceOf(TokenStoreException.class);
            assertThat(told).containsExactly(20L);
            faulty.failure = null;
            assertThat(tokens.listTokens("s")).hasSize(15);
            assertThat(tokens.revokeAllStoredForSubject("s")).isEqualTo(15);

            clock.advance(Duration.ofHours(2));
            failAfterTwoBatches();
            assertThatThrownBy(tokens::expungeExpired).isInstanceOf(TokenStoreException.class);
            assertThat(tokens.lastExpunge()).isEmpty();
            faulty.failure = null;
            assertThat(tokens.expungeExpired().removed()).isEqualTo(15);
            assertThat(tokens.lastExpunge().orElseThrow().removed()).isEqualTo(15);
        }
    }

    /** A store that works for a tenth of a second before it stores. */
    @Test
    void R8_3_theStepsOfARotationHaveOneDeadlineTogether() {
        List<Duration> deadlines = new ArrayList<>();
        var slow = new DelegatingStore(new ModelTokenStore()) {
            @Override
            public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
                for (Deadline work = Deadline.after(Duration.ofMillis(100)); !work.isOver(); ) {
                    Thread.onSpinWait();
                }
                return super.store(scope, record, now);
            }

            @Override
            public Watermarked<Consumption> consume(
                    StoreScope scope, String jti, String subject, String purpose, String successor, Instant now) {
                deadlines.add(scope.deadline());
                return super.consume(scope, jti, subject, purpose, successor, now);
            }
        };
        try (TokenResource tokens =
                builder().store(slow).callDeadline(Duration.ofMinutes(1)).build()) {
            Token presented = Token.of("r1", "s", NOW, NOW.plusSeconds(3600)).withSession("session");
            Token successor = Token.of("r2", "s", NOW, NOW.plusSeconds(3600)).withSession("session");
            tokens.storeToken(presented, "refresh");
            assertThat(tokens.rotate(presented, "refresh", successor)).isInstanceOf(Rotation.Rotated.class);
            assertThat(deadlines)
                    .singleElement()
                    .satisfies(
                            left -> assertThat(left).isPositive().isLessThanOrEqualTo(Duration.ofMillis(60_000 - 100)));
        }
    }

    /** As in a failover, where two servers take themselves for the master. */
    @Test
    void R8_2_twoAnswersAboutOneTokenAreAFailureOfTheStore() {
        var earlier = new AtomicReference<StoredState>();
        try (TokenResource tokens = builder().build()) {
            Token presented = Token.of("r1", "s", NOW, NOW.plusSeconds(3600)).withSession("session");
            Token successor = Token.of("r2", "s", NOW, NOW.plusSeconds(3600)).withSession("session");
            tokens.storeToken(presented, "refresh");
            faulty.answer = answer -> {
                if (answer instanceof StoredState state) {
                    earlier.compareAndSet(null, state);
                    return earlier.get();
                }
                return answer instanceof Watermarked<?> ? new Watermarked<>(Refused.ALREADY_USED, null) : answer;
            };
            assertOutcome(Outcome.UNKNOWN, () -> tokens.rotate(presented, "refresh", successor));
        }
    }

    /** The batch that failed has changed nothing, but the action has. */
    @Test
    void R8_2_theOutcomeIsThatOfTheActionAndNotOfItsLastBatch() {
        var refused = new TokenStoreException(Outcome.UNCHANGED, "The server is full", null);
        try (TokenResource tokens = builder().expungeBatchSize(10).build()) {
            for (int i = 0; i < 35; i++) {
                tokens.storeToken(Token.of("t" + i, "s", NOW, NOW.plusSeconds(3600)));
            }
            faulty.failure = refused;
            assertOutcome(Outcome.UNCHANGED, () -> tokens.revokeAllStoredForSubject("s"));
            faulty.failure = null;
            failAfterTwoBatches(refused);
            assertThatThrownBy(() -> tokens.revokeAllStoredForSubject("s"))
                    .isInstanceOfSatisfying(
                            TokenStoreException.class,
                            e -> assertThat(e.outcome()).isEqualTo(Outcome.UNKNOWN))
                    .hasMessageContaining("failed after it had changed 20 record")
                    .hasCause(refused);
            faulty.failure = null;
            clock.advance(Duration.ofHours(2));
            failAfterTwoBatches(refused);
            assertOutcome(Outcome.UNKNOWN, tokens::expungeExpired);
        }
    }

    private void failAfterTwoBatches() {
        failAfterTwoBatches(driverFailure());
    }

    private void failAfterTwoBatches(RuntimeException failure) {
        int[] batches = {0};
        faulty.answer = answer -> {
            if (answer instanceof Integer && ++batches[0] == 2) {
                faulty.failure = failure;
                faulty.answer = java.util.function.UnaryOperator.identity();
            }
            return answer;
        };
    }

    @Test
    void R8_3_theStoreIsHandedTheDeadline() {
        List<StoreScope> scopes = new ArrayList<>();
        var model = new ModelTokenStore();
        var store = (TokenStore) Proxy.newProxyInstance(
                getClass().getClassLoader(), new Class<?>[] {TokenStore.class}, (proxy, verb, arguments) -> {
                    if (arguments != null && arguments[0] instanceof StoreScope scope) {
                        scopes.add(scope);
                    }
                    return verb.invoke(model, arguments);
                });
        try (TokenResource tokens = TokenResource.builder().store(store).build()) {
            scopes.clear();
            tokens.isRevoked("t");
            tokens.forTenant("other").isRevoked("t");
        }
        assertThat(scopes).extracting(StoreScope::deadline).containsOnly(Duration.ofSeconds(2));
        scopes.clear();
        try (TokenResource tokens = TokenResource.builder()
                .store(store)
                .callDeadline(Duration.ofMillis(300))
                .build()) {
            scopes.clear();
            tokens.isRevoked("t");
        }
        assertThat(scopes).singleElement().extracting(StoreScope::deadline).isEqualTo(Duration.ofMillis(300));
    }

    @ParameterizedTest
    @EnumSource(FailurePolicy.class)
    void R8_4_whenTheStoreIsBackCallsWorkAgain(FailurePolicy policy) {
        try (TokenResource tokens = resource(policy)) {
            tokens.revokeToken(TOKEN);
            faulty.failure = driverFailure();
            assertThatThrownBy(() -> tokens.inspect("t")).isInstanceOf(TokenStoreException.class);
            faulty.failure = null;
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.REVOKED);
            assertThat(tokens.isRevoked("unknown")).isFalse();
            assertThat(tokens.inspect(TOKEN.jti())).isPresent();
        }
    }

    @Test
    void R8_6_whatWasPassedInStaysOpenAndACallAfterCloseSaysSo() {
        TokenResource tokens = resource(FailurePolicy.ALLOW);
        TokenResource tenant = tokens.forTenant("t");
        tenant.close();
        assertThat(tokens.isRevoked("t")).isFalse();
        tokens.close();
        tokens.close();
        for (Runnable call : List.<Runnable>of(
                () -> tokens.isRevoked("t"),
                () -> tokens.check(TOKEN),
                () -> tokens.revokeToken(TOKEN),
                () -> tenant.isRevoked("t"),
                tokens::expungeExpired)) {
            assertThatThrownBy(call::run)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("'accounts' is closed");
        }
        // The store is the application's.
        try (TokenResource next = resource(FailurePolicy.THROW)) {
            assertThat(next.isRevoked("t")).isFalse();
        }
    }

    /** A check that meets its own resource's close, or a store that the application has closed, is never let in. */
    @ParameterizedTest
    @EnumSource(FailurePolicy.class)
    void R8_6_whatIsClosedIsNeverAnsweredByThePolicy(FailurePolicy policy) {
        TokenResource tokens = resource(policy);
        tokens.revokeToken(TOKEN);
        faulty.answer = answer -> {
            tokens.close(); // meanwhile, by another thread
            throw new TokenStoreException("The connection was cut");
        };
        for (Runnable call : List.<Runnable>of(
                () -> tokens.check(TOKEN),
                () -> tokens.isRevoked(TOKEN),
                () -> tokens.isRevoked(TOKEN.jti()),
                () -> tokens.isRevoked(Set.of(TOKEN.jti())),
                () -> tokens.revokeToken(TOKEN))) {
            assertThatThrownBy(call::run)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("'accounts' is closed");
        }
        faulty.answer = java.util.function.UnaryOperator.identity();
        try (TokenResource next = resource(policy)) {
            faulty.store.close();
            for (Runnable call : List.<Runnable>of(
                    () -> next.check(TOKEN),
                    () -> next.isRevoked(TOKEN.jti()),
                    () -> next.isRevoked(Set.of(TOKEN.jti())),
                    () -> next.revokeToken(TOKEN))) {
                assertThatThrownBy(call::run)
                        .isInstanceOf(IllegalStateException.class)
                        .hasMessageContaining("closed");
            }
            assertThat(next.storeFailures()).isZero();
        }
    }

    @Test
    void R8_7_aLostReplyIsNotRepeatedAndNotGuessed() {
        try (TokenResource tokens = resource(FailurePolicy.DENY)) {
            tokens.storeToken(TOKEN, "link");
            faulty.calls.clear();
            faulty.lostReply = new RuntimeException("connection reset");
            assertThatThrownBy(() -> tokens.consume(TOKEN.jti(), "link"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("not known");
            assertThatThrownBy(() -> tokens.revokeJti("other"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("not known");
            assertThat(faulty.calls).containsExactly("consume", "revoke");
            faulty.lostReply = null;
            assertThat(tokens.isRevoked(TOKEN.jti())).isTrue();
            assertThat(tokens.revokeJti("other")).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        }
    }

    /** A check of another thread that has asked the store, and gets its answer when it is told to. */
    private record Hanging(Future<TokenStatus> check, CompletableFuture<Void> answered) implements AutoCloseable {
        @Override
        public void close() {
            answered.complete(null);
        }
    }

    private Hanging hangingCheck(TokenResource tokens, ExecutorService threads) throws Exception {
        var asked = new CompletableFuture<Void>();
        var answered = new CompletableFuture<Void>();
        faulty.answer = answer -> {
            if (answer instanceof StoredState && asked.complete(null)) {
                answered.join(); // the first one; the others are answered
            }
            return answer;
        };
        Future<TokenStatus> check = threads.submit(() -> tokens.check(TOKEN));
        asked.get(1, TimeUnit.MINUTES);
        return new Hanging(check, answered);
    }

    private void fail(TokenResource tokens, int checks) {
        faulty.failure = driverFailure();
        for (int i = 0; i < checks; i++) {
            try {
                tokens.check(TOKEN);
            } catch (TokenStoreException e) {
                // The answer of THROW.
            }
        }
        faulty.failure = null;
        faulty.calls.clear();
    }

    private static void assertAnsweredBy(FailurePolicy policy, TokenResource tokens) {
        switch (policy) {
            case DENY -> {
                assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.UNAVAILABLE);
                assertThat(tokens.isRevoked(TOKEN)).isTrue();
                assertThat(tokens.isRevoked("t")).isTrue();
                assertThat(tokens.isRevoked(Set.of("t"))).containsExactly("t");
            }
            case ALLOW -> {
                assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.ACTIVE);
                assertThat(tokens.isRevoked(TOKEN)).isFalse();
                assertThat(tokens.isRevoked("t")).isFalse();
                assertThat(tokens.isRevoked(Set.of("t"))).isEmpty();
            }
            case THROW -> {
                for (Runnable check : List.<Runnable>of(
                        () -> tokens.check(TOKEN),
                        () -> tokens.isRevoked(TOKEN),
                        () -> tokens.isRevoked("t"),
                        () -> tokens.isRevoked(Set.of("t")))) {
                    assertOutcome(Outcome.UNCHANGED, check);
                    assertThatThrownBy(check::run).hasMessageContaining("was not sent to the store");
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(FailurePolicy.class)
    void R8_9_oneCheckAtATimeAsksAStoreThatHangs(FailurePolicy policy) throws Exception {
        ExecutorService threads = Executors.newCachedThreadPool();
        try (TokenResource tokens = resource(policy)) {
            fail(tokens, 5);
            try (Hanging probe = hangingCheck(tokens, threads)) {
                List<Callable<Object>> others = Collections.nCopies(50, () -> {
                    for (int i = 0; i < 100; i++) {
                        assertAnsweredBy(policy, tokens);
                    }
                    return true;
                });
                for (Future<Object> other : threads.invokeAll(others)) {
                    other.get();
                }
                assertThat(faulty.calls).containsExactly("state");
                probe.answered().complete(null);
                assertThat(probe.check().get(1, TimeUnit.MINUTES)).isEqualTo(TokenStatus.ACTIVE);
            }
            faulty.calls.clear();
            assertThat(tokens.isRevoked("t")).isFalse();
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.ACTIVE);
            assertThat(faulty.calls).containsExactly("isRevoked", "state");
            // Each check of THROW is made twice.
            int answered = 5 + 50 * 100 * (policy == FailurePolicy.THROW ? 8 : 4);
            assertThat(tokens.storeFailures()).isEqualTo(answered);
            clock.advance(Duration.ofSeconds(30));
            tokens.check(TOKEN);
            assertThat(logs.lines()).hasSize(2);
            assertThat(logs.lines().get(1)).contains("works again; " + answered + " checks");
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void R8_9_theFirstSuccessOfAnyVerbEndsIt() throws Exception {
        ExecutorService threads = Executors.newCachedThreadPool();
        try (TokenResource tokens = resource(FailurePolicy.DENY)) {
            for (Runnable verb : List.<Runnable>of(
                    () -> tokens.inspect("t"), () -> tokens.revokeToken(TOKEN), () -> tokens.revokeSubject("s"))) {
                clock.advance(Duration.ofSeconds(2));
                fail(tokens, 5);
                try (Hanging probe = hangingCheck(tokens, threads)) {
                    assertThat(tokens.isRevoked("t")).isTrue();
                    verb.run();
                    assertThat(tokens.isRevoked("t")).isFalse();
                    probe.answered().complete(null);
                    probe.check().get(1, TimeUnit.MINUTES);
                }
            }
        } finally {
            threads.shutdownNow();
        }
    }

    /** The last success then seems to be in the future. */
    @Test
    void R8_9_aClockThatHasGoneBackDoesNotKeepEveryCheckWaiting() throws Exception {
        ExecutorService threads = Executors.newCachedThreadPool();
        try (TokenResource tokens = resource(FailurePolicy.DENY)) {
            clock.advance(Duration.ofHours(1));
            fail(tokens, 1);
            assertThat(tokens.isRevoked("t")).isFalse();
            clock.set(NOW);
            fail(tokens, 5);
            try (Hanging hanging = hangingCheck(tokens, threads)) {
                assertThat(tokens.isRevoked("t")).isTrue();
                assertThat(hanging.check()).isNotDone();
            }
        } finally {
            threads.shutdownNow();
        }
    }

    /** A part of a cluster is down: what the others hold is still asked for. */
    @Test
    void R8_9_aStoreThatAnswersSomeChecksIsAskedByAll() {
        try (TokenResource tokens = resource(FailurePolicy.DENY)) {
            tokens.revokeToken(TOKEN);
            fail(tokens, 1);
            assertThat(tokens.isRevoked(TOKEN.jti())).isTrue();
            fail(tokens, 100);
            faulty.calls.clear();
            tokens.isRevoked("unknown");
            tokens.isRevoked(TOKEN.jti());
            assertThat(faulty.calls).containsExactly("isRevoked", "isRevoked");
            assertThat(tokens.isRevoked("unknown")).isFalse();
        }
    }

    @Test
    void R8_9_fewerFailuresAndThoseOfOtherActionsChangeNothing() throws Exception {
        ExecutorService threads = Executors.newCachedThreadPool();
        try (TokenResource tokens = resource(FailurePolicy.DENY)) {
            fail(tokens, 4);
            tokens.check(TOKEN);
            faulty.failure = driverFailure();
            for (int i = 0; i < 100; i++) {
                assertThatThrownBy(() -> tokens.inspect("t")).isInstanceOf(TokenStoreException.class);
            }
            fail(tokens, 4);
            try (Hanging hanging = hangingCheck(tokens, threads)) {
                assertThat(tokens.isRevoked("t")).isFalse();
                assertThat(hanging.check()).isNotDone();
            }
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void R8_9_aCallerThatIsAloneIsTheOneThatAsks() {
        try (TokenResource tokens = resource(FailurePolicy.DENY)) {
            faulty.calls.clear();
            faulty.failure = driverFailure();
            for (int i = 0; i < 100; i++) {
                tokens.check(TOKEN);
            }
            assertThat(faulty.calls).hasSize(100);
            faulty.failure = null;
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.ACTIVE);
        }
    }

    /** In a driver that does not keep its deadline. */
    @Test
    void R8_9_aCheckThatIsStuckIsNotWaitedFor() throws Exception {
        ExecutorService threads = Executors.newCachedThreadPool();
        try (TokenResource tokens = resource(FailurePolicy.DENY)) {
            fail(tokens, 5);
            try (Hanging stuck = hangingCheck(tokens, threads)) {
                clock.advance(Duration.ofSeconds(2));
                assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.UNAVAILABLE);
                clock.advance(Duration.ofMillis(1));
                assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.ACTIVE);
                assertThat(stuck.check()).isNotDone();
            }
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void R3_8_aCheckIsOneCallOfTheStore() {
        try (TokenResource tokens = resource(FailurePolicy.DENY)) {
            tokens.revokeSubject(TOKEN.subject());
            faulty.calls.clear();
            tokens.check(TOKEN);
            tokens.isRevoked(TOKEN);
            tokens.isRevoked(TOKEN.jti());
            tokens.isRevoked(Set.of("a", "b", "c"));
            assertThat(faulty.calls).containsExactly("state", "state", "isRevoked", "revoked");
        }
    }

    @Test
    void R9_1_whatIsOutsideTheLimitsDoesNotReachTheStore() {
        try (TokenResource tokens = resource(FailurePolicy.ALLOW)) {
            faulty.calls.clear();
            String longJti = "x".repeat(513);
            String longSubject = "x".repeat(1025);
            var foreign = new dev.curfew.TokenRecord(longJti, "s", "p", null, NOW, null, NOW, NOW, null, null, null);
            Map<String, List<Runnable>> calls = Map.of(
                    "jti",
                            List.of(
                                    () -> tokens.isRevoked(longJti),
                                    () -> tokens.isRevoked(Set.of("t", longJti)),
                                    () -> tokens.isRevoked(""),
                                    () -> tokens.getToken("a\0"),
                                    () -> tokens.inspect(longJti),
                                    () -> tokens.revokeJti("\ud83d"),
                                    () -> tokens.revokeJti(longJti, NOW.plusSeconds(9)),
                                    () -> tokens.consume(longJti, "p")),
                    "session",
                            List.of(
                                    () -> tokens.revokeSession(longJti),
                                    () -> tokens.revokeSession(""),
                                    () -> tokens.revokeAllStoredForSubjectExcept("s", longJti)),
                    "subject",
                            List.of(
                                    () -> tokens.revokeSubject(longSubject),
                                    () -> tokens.revokeAllStoredForSubject(""),
                                    () -> tokens.listTokens(longSubject)),
                    "purpose",
                            List.of(
                                    () -> tokens.storeToken(TOKEN, ""),
                                    () -> tokens.storeToken(TOKEN, "x".repeat(65)),
                                    () -> tokens.check(TOKEN, ""),
                                    () -> tokens.getToken("t", "x".repeat(65)),
                                    () -> tokens.consume("t", "\0")),
                    "extraData", List.of(() -> tokens.storeToken(TOKEN, "p", Map.of("k", "x".repeat(65_536)))),
                    "tenant", List.of(() -> tokens.forTenant("x".repeat(129))),
                    "limit",
                            List.of(
                                    () -> tokens.readExpired(0),
                                    () -> tokens.listTokens("s", -1),
                                    () -> tokens.readExpired(1001),
                                    () -> tokens.listTokens("s", Integer.MAX_VALUE),
                                    () -> tokens.listTokens("s", 1001, foreign)));
            assertThatThrownBy(() -> tokens.listTokens("s", 1, foreign)).hasMessageContaining("jti");
            assertThatThrownBy(() -> tokens.readExpired(1, foreign)).hasMessageContaining("jti");
            calls.forEach((field, all) -> all.forEach(call -> assertThatThrownBy(call::run)
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining(field)));
            assertThat(faulty.calls).isEmpty();
        }
        assertThatThrownBy(() -> builder().domain("").build()).hasMessageContaining("domain");
        for (Duration wrong : List.of(Duration.ZERO, Duration.ofDays(2))) {
            assertThatThrownBy(() -> builder().openDeadline(wrong))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("openDeadline");
        }
    }

    @Test
    void R8_3_openingHasADeadlineOfItsOwn() {
        List<Duration> deadlines = new ArrayList<>();
        TokenStore store = (TokenStore) java.lang.reflect.Proxy.newProxyInstance(
                getClass().getClassLoader(), new Class<?>[] {TokenStore.class}, (proxy, method, arguments) -> {
                    if (arguments != null && arguments[0] instanceof StoreScope scope) {
                        deadlines.add(scope.deadline());
                    }
                    return method.getName().equals("state") ? new StoredState(null, null, false) : null;
                });
        Duration call = Duration.ofSeconds(1);
        Duration opening = Duration.ofSeconds(7);
        try (TokenResource tokens =
                builder().store(store).callDeadline(call).openDeadline(opening).build()) {
            assertThat(deadlines).isNotEmpty().containsOnly(opening);
            deadlines.clear();
            tokens.check(TOKEN);
            assertThat(deadlines).containsExactly(call);
        }
    }

    @Test
    void R3_5_withoutALongestLifetimeBuildingWarnsOnce() {
        TokenResource.builder().store(faulty.store).domain("unlimited").build().close();
        assertThat(logs.warnings())
                .hasSize(1)
                .first()
                .asString()
                .contains("'unlimited'", "maxTokenLifetime", "9999-12-31");
        resource(FailurePolicy.DENY).close();
        assertThat(logs.warnings()).hasSize(1);
    }

    @Test
    void R4_2_aTokenThatOutlivesEveryWatermarkIsReportedOnce() {
        try (TokenResource tokens = resource(FailurePolicy.DENY)) {
            // As long as is allowed, but for what rounding makes of it.
            tokens.check(Token.of("t", "s", NOW, NOW.plus(Duration.ofDays(1)).plusNanos(1)));
            assertThat(logs.warnings()).isEmpty();
            Token tooLong = Token.of("secret-jti", "secret-subject", NOW, NOW.plus(Duration.ofDays(2)));
            tokens.check(tooLong);
            tokens.storeToken(tooLong);
            assertThat(logs.warnings())
                    .hasSize(1)
                    .first()
                    .asString()
                    .contains("maxTokenLifetime")
                    .doesNotContain("secret");
        }
    }
}
