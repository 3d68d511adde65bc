package dev.curfew.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.sun.management.ThreadMXBean;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Type;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

/** What is peculiar to the store in memory. */
class MemoryTokenStoreBehaviourTest {
    private static final Instant NOW = Instant.parse("2100-01-01T00:00:00Z");
    private Instant time = NOW;
    private long nanos;

    private MemoryTokenStore store() {
        return store(Long.MAX_VALUE);
    }

    private MemoryTokenStore store(long maxRecords) {
        return new MemoryTokenStore(maxRecords, () -> nanos);
    }

    private void timePasses(Duration by) {
        time = time.plus(by);
        nanos += by.toNanos();
    }

    private TokenResource resource(MemoryTokenStore store) {
        return TokenResource.builder()
                .store(store)
                .maxTokenLifetime(Duration.ofDays(1))
                .clock(() -> time)
                .build();
    }

    private static Token token(String jti) {
        return Token.of(jti, "s", NOW, NOW.plusSeconds(3600));
    }

    @ParameterizedTest
    @ValueSource(strings = {"memory:", "MEMORY:", "memory:?maxRecords=1000"})
    void itIsFoundByItsUrl(String url) {
        try (TokenResource tokens = TokenResource.open(url)) {
            Token token = Token.withoutIssuedAt("t", "s", Instant.now().plusSeconds(60));
            assertThat(tokens.revokeToken(token)).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.check(token)).isEqualTo(TokenStatus.REVOKED);
        }
    }

    @Test
    void itIsTheStoreWhereNoneIsNamed() {
        try (TokenResource tokens = TokenResource.open()) {
            assertThat(tokens.isRevoked("t")).isFalse();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "memory:x",
                "memory://host",
                "memory:?",
                "memory:?maxRecords",
                "memory:?maxRecords=",
                "memory:?maxRecords=0",
                "memory:?maxRecords=many",
                "memory:?maxRecord=5",
                "memory:?maxRecords=5&strict=true"
            })
    void R11_5_anotherUrlIsRefusedWithAdvice(String url) {
        assertThatThrownBy(() -> TokenResource.open(url))
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("memory:?maxRecords=N");
    }

    @Test
    void R8_5_openingSaysThatRevocationsEndWithTheProcess() {
        var logger = (Logger) LoggerFactory.getLogger(MemoryTokenStore.class);
        var lines = new ListAppender<ILoggingEvent>();
        lines.start();
        logger.addAppender(lines);
        logger.setLevel(Level.WARN);
        try {
            TokenResource.open("memory:").close();
        } finally {
            logger.setLevel(null);
            logger.detachAppender(lines);
        }
        assertThat(lines.list).hasSize(1);
        assertThat(lines.list.get(0).getLevel()).isEqualTo(Level.WARN);
        assertThat(lines.list.get(0).getFormattedMessage()).contains("forgotten");
    }

    @Test
    void aFullStoreRefusesNewRecordsAndForgetsNone() {
        try (TokenResource tokens = resource(store(2))) {
            tokens.storeToken(token("a"));
            tokens.revokeToken(token("b"));
            assertThatThrownBy(() -> tokens.storeToken(token("c")))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("maximum of 2 records (maxRecords)")
                    .hasMessageContaining("Nothing was changed");
            assertThatThrownBy(() -> tokens.revokeJti("c")).isInstanceOf(TokenStoreException.class);
            // What is there can be revoked, stored again, and asked for.
            assertThat(tokens.storeToken(token("a"))).isEqualTo(StoreOutcome.STORED);
            assertThat(tokens.revokeToken(token("a"))).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.isRevoked("b")).isTrue();
            // What has expired makes room.
            timePasses(Duration.ofHours(3));
            assertThat(tokens.storeToken(Token.withoutIssuedAt("c", "s", time.plusSeconds(60))))
                    .isEqualTo(StoreOutcome.STORED);
        }
    }

    /** The number of users bounds them only where nobody makes up subjects. */
    @Test
    void aFullStoreRefusesNewWatermarksAndForgetsNone() {
        // One of the three is for the skew of the domain.
        try (TokenResource tokens = resource(store(3))) {
            tokens.revokeSubject("a");
            tokens.revokeSubject("b");
            assertThatThrownBy(() -> tokens.revokeSubject("c"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("maximum of 3 ")
                    .hasMessageContaining("Nothing was changed");
            tokens.revokeSubject("a");
            assertThat(tokens.check(Token.of("t", "b", NOW, NOW.plusSeconds(60))))
                    .isEqualTo(TokenStatus.REVOKED);
            timePasses(Duration.ofDays(3));
            tokens.revokeSubject("c");
        }
    }

    @Test
    void byUrlItIsBoundedWithoutBeingTold() {
        try (TokenResource tokens = TokenResource.open("memory:")) {
            for (int i = 0; i < 1_000_000; i++) {
                tokens.revokeJti("t" + i);
            }
            assertThatThrownBy(() -> tokens.revokeJti("one more"))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("maximum of 1000000 records");
            assertThat(tokens.isRevoked("t0")).isTrue();
        }
    }

    @Test
    void theSubjectIndexHoldsNothingThatTheCacheHasDropped() throws ReflectiveOperationException {
        MemoryTokenStore store = store();
        try (TokenResource tokens = resource(store)) {
            for (int i = 0; i < 1000; i++) {
                tokens.storeToken(Token.withoutIssuedAt("t" + i, "s" + i % 600, NOW.plusSeconds(i)));
            }
            tokens.storeToken(Token.withoutIssuedAt("live", "s1", NOW.plus(Duration.ofDays(1))));
            timePasses(Duration.ofHours(3));
            tokens.expungeExpired();
            assertThat(store.size()).isEqualTo(1);
            var index = MemoryTokenStore.class.getDeclaredField("unrevoked");
            index.setAccessible(true);
            assertThat((java.util.Map<?, ?>) index.get(store)).hasSize(1);
            tokens.revokeJti("live");
            assertThat((java.util.Map<?, ?>) index.get(store)).isEmpty();
        }
    }

    /** A use that is refused changes nothing, so that nobody can hide a token from a log-out of the other devices. */
    @Test
    void R2_7_aLiveTokenIsListedWhateverElseIsTriedWithIt() throws Exception {
        ExecutorService thread = Executors.newSingleThreadExecutor();
        try (TokenResource tokens = resource(store())) {
            tokens.storeToken(token("t"), "link");
            Future<?> tries = thread.submit(() -> {
                for (int i = 0; i < 20_000; i++) {
                    tokens.consume("t", "another purpose");
                    tokens.storeToken(token("t"), "link");
                }
            });
            while (!tries.isDone()) {
                assertThat(tokens.listTokens("s")).hasSize(1);
            }
            tries.get();
        } finally {
            thread.shutdownNow();
        }
    }

    /** Caffeine drops records by itself: a clean-up has nothing to remove, and gives their memory back (R7.7). */
    @Test
    void R7_7_aCleanUpGivesBackTheMemoryOfWhatHasEnded() {
        MemoryTokenStore store = store();
        try (TokenResource tokens = resource(store)) {
            for (int i = 0; i < 100; i++) {
                tokens.revokeToken(Token.withoutIssuedAt("t" + i, "s", NOW.plusSeconds(60)));
            }
            timePasses(Duration.ofHours(1));
            assertThat(store.size()).isEqualTo(100);
            assertThat(tokens.expungeExpired().removed()).isZero();
            assertThat(store.size()).isZero();
        }
    }

    /** The kit asks at once; here time goes on until the memory would be given back. */
    @Test
    void R1_6_whatWasRevokedWhileTheClockWasAheadIsKeptUntilItsRetentionEnd() {
        Duration ahead = Duration.ofHours(3);
        MemoryTokenStore store = store();
        try (TokenResource tokens = resource(store)) {
            tokens.isRevoked("t");
            time = time.plus(ahead);
            Token during = Token.withoutIssuedAt("during", "s", NOW.plus(Duration.ofHours(4)));
            assertThat(tokens.revokeToken(during)).isEqualTo(RevokeOutcome.REVOKED);
            tokens.revokeSubject("s2");
            timePasses(Duration.ofMinutes(5));
            time = time.minus(ahead);
            for (int minute = 5; minute < 4 * 60; minute += 5) {
                assertThat(tokens.check(during)).as("%d min later", minute).isEqualTo(TokenStatus.REVOKED);
                timePasses(Duration.ofMinutes(5));
                tokens.expungeExpired();
            }
            assertThat(tokens.check(Token.withoutIssuedAt("of s2", "s2", time.plusSeconds(60))))
                    .isEqualTo(TokenStatus.REVOKED);
            // And its memory is given back in the end.
            timePasses(Duration.ofHours(5));
            tokens.expungeExpired();
            assertThat(store.size()).isZero();
        }
    }

    /** Two nodes' clocks in one process, one after the other: what either has revoked stays so. */
    @Test
    void R1_6_twoResourcesWhoseClocksAreApartLoseNothing() {
        MemoryTokenStore store = store();
        try (TokenResource right = resource(store);
                TokenResource ahead = TokenResource.builder()
                        .store(store)
                        .maxTokenLifetime(Duration.ofDays(1))
                        .clock(() -> time.plus(Duration.ofHours(3)))
                        .build()) {
            for (int i = 0; i < 100; i++) {
                ahead.isRevoked("t");
                assertThat(right.revokeToken(token("t" + i))).isEqualTo(RevokeOutcome.REVOKED);
                assertThat(right.revokeToken(token("t" + i))).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
                ahead.expungeExpired();
                assertThat(right.check(token("t" + i))).isEqualTo(TokenStatus.REVOKED);
                timePasses(Duration.ofSeconds(30));
            }
        }
    }

    /** One that Caffeine holds for ended, and has not dropped, is no reason to look for it again and again. */
    @Test
    @Timeout(60)
    void R4_1_revokingAllStoredEndsWhateverCaffeineHasNotDroppedYet() {
        var scope = new StoreScope("d", "", Duration.ZERO, Duration.ofSeconds(1));
        MemoryTokenStore store = store();
        TokenRecord record = new TokenRecord("t", "s", "p", null, NOW.plusSeconds(3), null, NOW, NOW, null, null, null);
        store.store(scope, record, NOW);
        nanos += Duration.ofSeconds(14).toNanos();
        store.isRevoked(scope, "other", NOW.plusSeconds(14));
        // A call that was under way for longer than the margin.
        assertThat(store.revokeStored(scope, "s", 10, NOW)).isLessThanOrEqualTo(1);
        assertThat(store.revokeStored(scope, "s", 10, NOW)).isZero();
    }

    @Test
    void R8_6_noThreadStaysBehind() {
        List<Thread> before = List.copyOf(Thread.getAllStackTraces().keySet());
        TokenResource tokens = TokenResource.open("memory:");
        for (int i = 0; i < 10_000; i++) {
            tokens.revokeJti("t" + i);
        }
        tokens.close();
        assertThat(Thread.getAllStackTraces().keySet())
                .filteredOn(thread -> !before.contains(thread) && thread.isAlive())
                .noneMatch(thread ->
                        thread.getName().contains("curfew") || thread.getName().contains("ForkJoin"));
    }

    /** A map has those in a tree, if its keys compare with their own kind; else it passes one after another. */
    @Test
    void idsOfOneHashCompareInEveryTenant() {
        MemoryTokenStore store = store();
        try (TokenResource first = resource(store)) {
            first.revokeJti("t");
            TokenResource second = first.forTenant("second");
            var scope = new StoreScope("tokens", "second", Duration.ofSeconds(60), Duration.ofSeconds(2));
            Set<Object> keys = new TreeSet<>();
            for (int n = 0; n < 16_384; n++) {
                String jti =
                        Integer.toBinaryString(16_384 + n).replace("0", "Aa").replace("1", "BB");
                second.revokeJti(jti);
                keys.add(store.key(scope, jti));
            }
            assertThat(keys).hasSize(16_384);
            assertThat(keys)
                    .extracting(Object::hashCode)
                    .containsOnly(keys.iterator().next().hashCode());
            Class<?> type = keys.iterator().next().getClass();
            assertThat(type.getGenericInterfaces())
                    .extracting(Type::getTypeName)
                    .containsExactly("java.lang.Comparable<" + type.getName() + ">");
            assertThat(second.isRevoked("Aa".repeat(15))).isFalse();
            assertThat(second.isRevoked("BB".repeat(15))).isTrue();
        }
    }

    /** Counted, not timed: the same on every machine. */
    @Test
    void aCheckOfALiveTokenAllocatesNothing() {
        String[] jtis = new String[1000];
        Cache<String, String> bare = Caffeine.newBuilder()
                .expireAfterWrite(Duration.ofHours(1))
                .executor(Runnable::run)
                .build();
        try (TokenResource tokens = TokenResource.builder()
                .store(MemoryTokenStore.create())
                .maxTokenLifetime(Duration.ofDays(1))
                .build()) {
            for (int i = 0; i < jtis.length; i++) {
                jtis[i] = "jti-" + i;
                bare.put(jtis[i], jtis[i]);
                if (i % 2 == 0) {
                    tokens.revokeJti(jtis[i]);
                }
            }
            double limit = allocated(i -> bare.getIfPresent(jtis[i % jtis.length]));
            double lookUp = allocated(i -> tokens.isRevoked(jtis[i % jtis.length]));
            System.out.printf("isRevoked allocates %.1f bytes a call, a bare look-up %.1f%n", lookUp, limit);
            assertThat(lookUp - limit).isLessThanOrEqualTo(1);
            Token[] live = new Token[jtis.length];
            for (int i = 0; i < live.length; i++) {
                Instant now = InstantSource.system().instant();
                live[i] = Token.of("live-" + i, "s" + i, now, now.plusSeconds(3600));
            }
            double unstored = allocated(i -> tokens.check(live[i % live.length]));
            for (Token token : live) {
                tokens.storeToken(token);
            }
            double stored = allocated(i -> tokens.check(live[i % live.length]));
            System.out.printf("check allocates %.1f bytes a call, %.1f of a stored token%n", unstored, stored);
            assertThat(unstored - limit).isLessThanOrEqualTo(1);
            assertThat(stored - limit).isLessThanOrEqualTo(32);
        }
    }

    private static double allocated(IntFunction<Object> call) {
        var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        int calls = 1_000_000;
        double least = Double.MAX_VALUE;
        for (int round = 0; round < 5; round++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            int hits = 0;
            for (int i = 0; i < calls; i++) {
                hits += Boolean.FALSE.equals(call.apply(i)) ? 0 : 1;
            }
            long after = threads.getCurrentThreadAllocatedBytes();
            assertThat(hits).isPositive();
            least = Math.min(least, (after - before) / (double) calls);
        }
        return least;
    }
}
