package dev.curfew.tck;

import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.curfew.ExtraData;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Section R8 of CONTRACT.md: failure. */
abstract class R8Failure extends R7Expunge {

    /** Runs where the kit can block the server. */
    @TestFactory
    final Stream<DynamicTest> R8_3_everyCallOfABlockedServerEndsByItsDeadline() {
        tokens.storeToken(token("secret-jti", "secret-subject", HOUR), "p", Map.of("secret-key", "secret-value"));
        return where(blockServer(domain), "R8_3_everyCallOfABlockedServerEndsByItsDeadline", this::assertCallsEnd);
    }

    private void assertCallsEnd(Runnable unblock) throws InterruptedException, ExecutionException {
        StoreScope brief = new StoreScope(domain, "", SKEW, Duration.ofMillis(200));
        ExecutorService thread = Executors.newSingleThreadExecutor();
        try {
            for (Map.Entry<String, Runnable> verb : verbs(brief).entrySet()) {
                // 5 s more, since the machine may be busy.
                Throwable failure = thread.submit(() -> catchThrowable(verb.getValue()::run))
                        .get(5_200, MILLISECONDS);
                assertFailsAsItShould(verb.getKey(), failure);
            }
        } catch (TimeoutException e) {
            throw new AssertionError("A call has not ended 5 s after its deadline of 200 ms; the server is blocked", e);
        } finally {
            unblock.run();
            thread.shutdown();
        }
        Race.awaitThat(
                "the store answers, now that its server answers again",
                () -> catchThrowable(() -> store.find(scope, "secret-jti", clock.instant())) == null);
    }

    /** A verb that has nothing to do in this store may answer, and then there is no failure. */
    private static void assertFailsAsItShould(String verb, @Nullable Throwable failure) {
        if (failure != null && !(failure instanceof TokenStoreException)) {
            throw new RuleViolation("R8.2", verb + " of a blocked server throws " + failure.getClass(), failure);
        }
        causes(failure).filter(cause -> cause.toString().contains("secret-")).forEach(cause -> {
            throw new RuleViolation(
                    "R9.2", "the exception of " + verb + " shows a jti, a subject or extra data: " + cause.getClass());
        });
    }

    /** An exception, and its causes. */
    static Stream<Throwable> causes(@Nullable Throwable failure) {
        return Stream.iterate(failure, Objects::nonNull, Throwable::getCause);
    }

    @Test
    final void R8_6_aStoreMayBeClosedTwiceAndThenSaysSo() {
        store.close();
        store.close();
        verbs(scope)
                .forEach((verb, call) -> assertThatThrownBy(call::run, "%s of a store that is closed", verb)
                        .isInstanceOf(IllegalStateException.class)
                        .hasMessageContaining("closed"));
    }

    /** One call of every verb. */
    private Map<String, Runnable> verbs(StoreScope in) {
        Instant now = clock.instant();
        String jti = "secret-jti";
        String subject = "secret-subject";
        TokenRecord record = new TokenRecord(
                jti,
                subject,
                "p",
                null,
                now.plus(HOUR),
                ExtraData.of(Map.of("secret-key", "secret-value")),
                now,
                now,
                null,
                null,
                null);
        Map<String, Runnable> verbs = new LinkedHashMap<>();
        verbs.put("store", () -> store.store(in, record, now));
        verbs.put("find", () -> store.find(in, jti, now));
        verbs.put("isRevoked", () -> store.isRevoked(in, jti, now));
        verbs.put("revoked", () -> store.revoked(in, Set.of(jti), now));
        verbs.put("state", () -> store.state(in, jti, subject, "secret-session", now));
        verbs.put("revoke", () -> store.revoke(in, record.revoked(now, now), now, now));
        verbs.put("consume", () -> store.consume(in, jti, subject, "p", null, now));
        verbs.put("revokeSubject", () -> store.revokeSubject(in, subject, now, now.plus(HOUR), now));
        verbs.put("revokeSession", () -> store.revokeSession(in, "secret-session", now.plus(HOUR), now));
        verbs.put("revokedSessions", () -> store.revokedSessions(in, Set.of("secret-session"), now));
        verbs.put("revokeStored", () -> store.revokeStored(in, subject, 1, now));
        verbs.put("list", () -> store.list(in, subject, null, 1, now));
        verbs.put("readExpired", () -> store.readExpired(in, null, 1, now));
        verbs.put("expunge", () -> store.expunge(in, 1, now));
        return verbs;
    }

    /** Runs where the store has a URL. */
    @TestFactory
    final Stream<DynamicTest> R8_6_aStoreThatWasOpenedByItsUrlLeavesNothingBehind() {
        return where(url(), "R8_6_aStoreThatWasOpenedByItsUrlLeavesNothingBehind", this::assertNothingIsLeftOf);
    }

    private void assertNothingIsLeftOf(String url) throws InterruptedException {
        Set<Thread> threads = Thread.getAllStackTraces().keySet();
        int before = connections();
        int open;
        Token token = token("by URL", "s", HOUR);
        try (TokenResource opened =
                settings(domain).url(url).maxTokenLifetime(LONGEST).build()) {
            assertThat(opened.storeToken(token, "link", Map.of("k", 1)))
                    .as("storeToken of a store that was opened by its URL")
                    .isEqualTo(StoreOutcome.STORED);
            assertThat(opened.check(token)).as("check").isEqualTo(TokenStatus.ACTIVE);
            assertThat(opened.revokeToken(token)).as("revokeToken").isEqualTo(RevokeOutcome.REVOKED);
            assertThat(opened.check(token)).as("check").isEqualTo(TokenStatus.REVOKED);
            open = connections();
        }
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (!threads.contains(thread)) {
                thread.join(deadline().toMillis());
                assertThat(thread.isAlive())
                        .as(
                                "thread '%s' is there after the store that was opened by its URL was closed",
                                thread.getName())
                        .isFalse();
            }
        }
        if (before >= 0) {
            Race.awaitThat(
                    "the connections of the store that was opened by its URL are closed",
                    () -> connections() <= before && connections() < open);
        }
    }
}
