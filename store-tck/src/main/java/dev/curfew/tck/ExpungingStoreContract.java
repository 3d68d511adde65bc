package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.ExpungePace;
import dev.curfew.StoreScope;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * What CONTRACT.md asks of a store that removes records when it is told to. To test such a store, extend this class:
 *
 * <pre>{@code
 * class MyTokenStoreTest extends ExpungingStoreContract {
 *     @Override
 *     protected TokenStore newStore() {
 *         return new MyTokenStore(pool);
 *     }
 *
 *     @Override
 *     protected TokenStore anotherStore() {
 *         return new MyTokenStore(poolOfAnotherNode);
 *     }
 * }
 * }</pre>
 */
public abstract class ExpungingStoreContract extends EveryRule {

    /** For subclasses. */
    protected ExpungingStoreContract() {}

    private static final Duration MINUTE = Duration.ofMinutes(1);

    @Test
    final void R7_1_readExpiredKnowsTheMillisecondOfTheRetentionEnd() {
        inEachEra(() -> {
            tokens.storeToken(token("stored", "s", HOUR));
            tokens.revokeToken(token("revoked", "s", HOUR));
            assertAround(
                    HOUR.plus(SKEW),
                    "the number of readExpired",
                    at -> tokens.readExpired(10).size(),
                    0,
                    2);
        });
    }

    @Test
    final void R7_1_readExpiredPagesByExpiry() {
        inEachEra(() -> {
            List<String> expected = new ArrayList<>();
            for (int i = 0; i < 60; i++) {
                // Some expire at the same time, and a page may end between two of them.
                tokens.storeToken(token("t" + i, "s" + i % 3, MINUTE.plusSeconds(i * 7 % 20)), "p", Map.of("n", i));
                expected.add("t" + i);
            }
            tokens.storeToken(token("live", "s", HOUR));
            clock.advance(Duration.ofMinutes(30));
            List<TokenRecord> all = expiredByPages(60, 7);
            assertThat(all.stream().map(TokenRecord::jti))
                    .as("the jti of all pages")
                    .containsExactlyInAnyOrderElementsOf(expected);
            assertThat(all.stream().map(TokenRecord::expiresAt).toList())
                    .as("the expiresAt of all pages")
                    .isSorted();
            Records.assertEqual(
                    "that readExpired answers", all.get(3), inspected(all.get(3).jti()));
        });
    }

    @Test
    final void R7_1_aPageIsFullWhileThereIsMore() {
        for (int i = 0; i < 40; i++) {
            // Some are revoked. Some of the revocations last longer.
            tokens.storeToken(token("t" + i, "s", MINUTE.plusSeconds(i / 4)));
            if (i % 4 == 1) {
                tokens.revokeToken(token("t" + i, "s", i % 8 == 1 ? HOUR : MINUTE));
            }
        }
        clock.advance(Duration.ofMinutes(30));
        expiredByPages(40 - 5, 7);
    }

    @Test
    final void R7_1_thoseThatExpireAtOnceAreOrderedByTheBytesOfTheirJti() {
        List<String> ordered = jtisByBytes();
        for (String jti : shuffled(ordered)) {
            tokens.storeToken(token(jti, "s", MINUTE));
        }
        clock.advance(HOUR);
        assertThat(expiredByPages(ordered.size(), 2).stream().map(TokenRecord::jti))
                .as("the order of readExpired by pages, where all expire at once")
                .containsExactlyElementsOf(ordered);
    }

    /** Reads all records past their retention end by pages, and asserts how many there are. */
    private List<TokenRecord> expiredByPages(int many, int limit) {
        return fullPages(
                "readExpired",
                many,
                limit,
                after -> after == null ? tokens.readExpired(limit) : tokens.readExpired(limit, after));
    }

    @Test
    final void R7_2_expungeKnowsTheMillisecondOfTheRetentionEnd() {
        inEachEra(() -> {
            for (int offset : BEFORE_AT_AFTER) {
                clock.set(start.plus(Duration.ofDays(offset + 1)));
                Instant end = clock.instant().plus(HOUR).plus(SKEW).plusMillis(offset);
                tokens.storeToken(token("stored" + offset, "s", HOUR));
                clock.set(end);
                assertThat(tokens.expungeExpired().removed())
                        .as("expungeExpired at %d ms", offset)
                        .isEqualTo(offset < 0 ? 0 : 1);
                assertThat(tokens.inspect("stored" + offset).isPresent())
                        .as("inspect")
                        .isEqualTo(offset < 0);
                clock.advance(Duration.ofSeconds(1));
                tokens.expungeExpired();
            }
        });
    }

    @Test
    final void R7_2_expungesInBatchesTheEarliestFirstAndOfAllTenants() {
        inEachEra(() -> {
            for (int i = 0; i < 25; i++) {
                tokens.forTenant("tenant" + i % 3).storeToken(token("t" + i, "s", MINUTE.plusSeconds(i)));
            }
            tokens.storeToken(token("live", "s", HOUR));
            clock.advance(Duration.ofMinutes(10));
            assertThat(store.expunge(scope, 10, clock.instant())).as("expunge").isEqualTo(10);
            Set<String> left = new HashSet<>();
            for (int tenant = 0; tenant < 3; tenant++) {
                tokens.forTenant("tenant" + tenant).readExpired(100).forEach(record -> left.add(record.jti()));
            }
            assertThat(left)
                    .as("the records that expunge left of two and a half batches")
                    .containsExactlyInAnyOrderElementsOf(
                            IntStream.range(10, 25).mapToObj(i -> "t" + i).toList());
            var counting = new CountingStore(store);
            try (TokenResource small =
                    builder(domain, counting).expungeBatchSize(4).build()) {
                assertThat(small.expungeExpired(ExpungePace.FULL_SPEED).removed())
                        .as("expungeExpired")
                        .isEqualTo(15);
                assertThat(counting.largest()).as("largest").isEqualTo(4);
                assertThat(small.expungeExpired().removed())
                        .as("expungeExpired")
                        .isZero();
            }
            assertThat(tokens.inspect("live")).as("inspect").isPresent();
        });
    }

    @Test
    final void R7_2_endedWatermarksAndSessionsAreRemovedToo() {
        inEachEra(() -> {
            StoreScope tenant = new StoreScope(domain, "tenant", SKEW, deadline());
            tokens.revokeSubject("s");
            tokens.forTenant("tenant").revokeSubject("s");
            tokens.revokeSession("s");
            tokens.forTenant("tenant").revokeSession("s");
            clock.set(start.plus(LONGEST).plus(LONGEST_SKEW));
            assertThat(tokens.expungeExpired().removed())
                    .as("how many watermarks and sessions expungeExpired removed, of two tenants")
                    .isEqualTo(4);
            for (StoreScope each : List.of(scope, tenant)) {
                assertThat(watermark(each, "s"))
                        .as("the watermark of tenant '%s' after its end", each.tenant())
                        .isNull();
                assertThat(store.revokedSessions(each, Set.of("s"), clock.instant()))
                        .as("the revoked sessions of tenant '%s' after their end", each.tenant())
                        .isEmpty();
            }
        });
    }

    @Test
    final void R7_2_recordsAndWatermarksTogetherAreAtMostABatch() {
        for (int i = 0; i < 6; i++) {
            tokens.storeToken(token("t" + i, "s" + i, MINUTE));
            store.revokeSubject(scope, "s" + i, start, start.plus(MINUTE), start);
            store.revokeSession(scope, "s" + i, start.plus(MINUTE), start);
        }
        clock.advance(HOUR);
        for (int left = 18; left > 0; ) {
            int removed = store.expunge(scope, 4, clock.instant());
            assertThat(removed)
                    .as("the answer of expunge to a limit of 4, with %d left", left)
                    .isBetween(1, 4);
            int before = left;
            left = tokens.readExpired(100).size();
            for (int i = 0; i < 6; i++) {
                left += watermark("s" + i) == null ? 0 : 1;
                left += store.revokedSessions(scope, Set.of("s" + i), clock.instant())
                        .size();
            }
            assertThat(before - left)
                    .as("how many records, watermarks and sessions are gone after an expunge that answered %d", removed)
                    .isEqualTo(removed);
        }
        assertThat(store.expunge(scope, 4, clock.instant()))
                .as("expunge when all are gone")
                .isZero();
    }

    @Test
    final void R7_2_anotherDomainIsLeftAlone() {
        try (TokenResource other = resource(domain + "-other", store)) {
            other.storeToken(token("t", "s", MINUTE));
            clock.advance(Duration.ofMinutes(10));
            assertThat(tokens.expungeExpired().removed()).as("expungeExpired").isZero();
            assertThat(other.inspect("t")).as("a record of another domain").isPresent();
        }
    }

    @Test
    final void R7_2_pagingAndExpungingVeryManyTakesBoundedMemory() {
        int many = Math.max(manyRecords() / 10, 1000);
        Race.share(8, many, i -> tokens.storeToken(token("t" + i, "s" + i % 1000, MINUTE.plusMillis(i))));
        clock.advance(HOUR);
        var counting = new CountingStore(store);
        try (TokenResource counted = resource(domain, counting)) {
            long read = 0;
            List<TokenRecord> page = counted.readExpired(500);
            for (int pages = 0; !page.isEmpty() && pages < 20; pages++) {
                read += page.size();
                page = counted.readExpired(500, page.get(page.size() - 1));
            }
            assertThat(read)
                    .as("the number of records that readExpired answered")
                    .isEqualTo(Math.min(many, 10_000));
            assertThat(counted.expungeExpired(ExpungePace.FULL_SPEED).removed())
                    .as("expungeExpired")
                    .isEqualTo(many);
            assertThat(counting.largest()).as("largest").isLessThanOrEqualTo(1000);
            assertThat(counted.readExpired(1)).as("readExpired").isEmpty();
        }
    }

    @Test
    final void R7_3_anyNumberOfNodesExpungeAtOnce() {
        int many = Math.max(1000, Math.min(races() * 10, 5000));
        for (int i = 0; i < many; i++) {
            tokens.storeToken(token("t" + i, "s", MINUTE.plusMillis(i % 100)));
        }
        clock.advance(HOUR);
        var removed = new AtomicLong();
        IntFunction<Runnable> node = number -> () -> {
            int batch;
            do {
                batch = storeOf(number).expunge(scope, 100, clock.instant());
                removed.addAndGet(batch);
            } while (batch > 0);
        };
        Race.together(IntStream.range(0, 4).mapToObj(node).toList());
        // A node may skip records that another node has locked. This last run finds them.
        removed.addAndGet(tokens.expungeExpired(ExpungePace.FULL_SPEED).removed());
        assertThat(removed).as("how many records the nodes removed together").hasValue(many);
        assertThat(tokens.readExpired(1)).as("readExpired after that").isEmpty();
    }

    @Test
    final void R7_2_nothingIsLeftForTheNextRun() {
        tokens.storeToken(token("t", "s", MINUTE));
        tokens.revokeSubject("s1");
        tokens.forTenant("other").revokeSubject("s2");
        tokens.revokeSession("s3");
        clock.set(start.plus(LONGEST).plus(LONGEST_SKEW).plus(HOUR));
        assertThat(tokens.expungeExpired().removed())
                .as("records, watermarks and sessions removed by one run")
                .isEqualTo(4);
    }

    /** A watermark past its end is set again, with a later end, while an expunge is about to remove it. */
    @Test
    final void R4_2_anExpungeRacingARevocationOfASubjectDoesNotUndoIt() {
        Race.run(
                "revokeSubject against expunge",
                Math.min(races(), 2000),
                round -> {
                    Instant end = start.plus(MINUTE).plusMillis(round);
                    store.revokeSubject(scope, "s" + round, start, end, start);
                },
                (round, racer) -> {
                    Instant now = start.plus(MINUTE).plusMillis(round);
                    if (racer != 0) {
                        return storeOf(racer).expunge(scope, 10, now);
                    }
                    store.revokeSubject(scope, "s" + round, now, now.plus(HOUR), now);
                    return "raised";
                },
                (round, answers) -> {
                    Instant now = start.plus(MINUTE).plusMillis(round);
                    assertThat(store.state(scope, "none", "s" + round, null, now)
                                    .watermark())
                            .as("the watermark that was raised in round %d", round)
                            .isEqualTo(now);
                });
    }

    /**
     * The revocation of a session has ended. The session is revoked again while an expunge is about to remove the old
     * revocation.
     */
    @Test
    final void R13_2_anExpungeRacingARevocationOfASessionDoesNotUndoIt() {
        Race.run(
                "revokeSession against expunge",
                Math.min(races(), 2000),
                round -> store.revokeSession(
                        scope, "s" + round, start.plus(MINUTE).plusMillis(round), start),
                (round, racer) -> {
                    Instant now = start.plus(MINUTE).plusMillis(round);
                    return racer == 0
                            ? store.revokeSession(scope, "s" + round, now.plus(HOUR), now)
                            : storeOf(racer).expunge(scope, 10, now);
                },
                (round, answers) -> {
                    Instant now = start.plus(MINUTE).plusMillis(round);
                    assertThat(store.revokedSessions(scope, Set.of("s" + round), now))
                            .as("the revoked sessions, of one that was revoked anew in round %d", round)
                            .hasSize(1);
                });
    }

    /**
     * A stored token past its retention end is revoked, with a later expiry, while an expunge is about to remove its
     * record.
     */
    @Test
    final void R3_2_anExpungeRacingARevocationDoesNotUndoIt() {
        Race.run(
                "revoke against expunge",
                Math.min(races(), 2000),
                round -> tokens.storeToken(token("t" + round, "s", MINUTE.plusMillis(round))),
                (round, racer) -> {
                    // The record of this round has just become garbage, and the record of the next round has not.
                    Instant now = start.plus(MINUTE).plusMillis(round).plus(SKEW);
                    Instant until = now.plus(HOUR);
                    return racer == 0
                            ? store.revoke(
                                    scope,
                                    new TokenRecord(
                                            "t" + round,
                                            "s",
                                            "revocation",
                                            null,
                                            until,
                                            null,
                                            now,
                                            now,
                                            now,
                                            null,
                                            null),
                                    until,
                                    now)
                            : storeOf(racer).expunge(scope, 10, now);
                },
                (round, answers) -> {
                    assertThat(answers).as("answers").noneMatch(Throwable.class::isInstance);
                    assertThat(tokens.isRevoked("t" + round)).as("isRevoked").isTrue();
                });
    }
}
