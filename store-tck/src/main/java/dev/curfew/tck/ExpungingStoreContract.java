package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * What a store must keep of CONTRACT.md that removes records when it is told to. To test a store, extend this class:
 *
 * <pre>{@code
 * class MyTokenStoreTest extends ExpungingStoreContract {
 *     @Override
 *     protected TokenStore newStore() {
 *         return new MyTokenStore(server);
 *     }
 * }
 * }</pre>
 */
public abstract class ExpungingStoreContract extends TokenStoreContract {

    /** For subclasses. */
    protected ExpungingStoreContract() {}

    private static final Duration MINUTE = Duration.ofMinutes(1);

    @Test
    final void R7_1_readExpiredKnowsTheMillisecondOfTheRetentionEnd() {
        tokens.storeToken(token("stored", "s", HOUR));
        tokens.revokeToken(token("revoked", "s", HOUR));
        for (int offset : List.of(-1, 0, 1)) {
            clock.set(START.plus(HOUR).plus(SKEW).plusMillis(offset));
            assertThat(tokens.readExpired(10)).as("at %d ms", offset).hasSize(offset < 0 ? 0 : 2);
        }
    }

    @Test
    final void R7_1_readExpiredPagesByExpiry() {
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            // Some at the same time, across the boundary of a page.
            tokens.storeToken(token("t" + i, "s" + i % 3, MINUTE.plusSeconds(i * 7 % 20)), "p", Map.of("n", i));
            expected.add("t" + i);
        }
        tokens.storeToken(token("live", "s", HOUR));
        clock.advance(Duration.ofMinutes(30));
        List<TokenRecord> all = new ArrayList<>();
        List<TokenRecord> page = tokens.readExpired(7);
        while (!page.isEmpty()) {
            assertThat(page).hasSizeLessThanOrEqualTo(7);
            all.addAll(page);
            page = tokens.readExpired(7, page.get(page.size() - 1));
        }
        assertThat(all.stream().map(TokenRecord::jti)).hasSize(60).hasSameElementsAs(expected);
        assertThat(all.stream().map(TokenRecord::expiresAt).toList()).isSorted();
        assertThat(all.get(3)).isEqualTo(inspected(all.get(3).jti()));
    }

    @Test
    final void R7_2_expungeKnowsTheMillisecondOfTheRetentionEnd() {
        for (int offset : List.of(-1, 0, 1)) {
            clock.set(START.plus(Duration.ofDays(offset + 1)));
            Instant end = clock.instant().plus(HOUR).plus(SKEW).plusMillis(offset);
            tokens.storeToken(token("stored" + offset, "s", HOUR));
            clock.set(end);
            assertThat(tokens.expungeExpired().removed()).as("at %d ms", offset).isEqualTo(offset < 0 ? 0 : 1);
            assertThat(tokens.inspect("stored" + offset).isPresent()).isEqualTo(offset < 0);
            clock.advance(Duration.ofSeconds(1));
            tokens.expungeExpired();
        }
    }

    @Test
    final void R7_2_expungesInBatchesTheEarliestFirstAndOfAllTenants() {
        for (int i = 0; i < 25; i++) {
            tokens.forTenant("tenant" + i % 3).storeToken(token("t" + i, "s", MINUTE.plusSeconds(i)));
        }
        tokens.storeToken(token("live", "s", HOUR));
        clock.advance(Duration.ofMinutes(10));
        assertThat(store.expunge(scope, 10, clock.instant())).isEqualTo(10);
        Set<String> left = new HashSet<>();
        for (int tenant = 0; tenant < 3; tenant++) {
            tokens.forTenant("tenant" + tenant).readExpired(100).forEach(record -> left.add(record.jti()));
        }
        assertThat(left)
                .containsExactlyInAnyOrderElementsOf(
                        IntStream.range(10, 25).mapToObj(i -> "t" + i).toList());
        var counting = new CountingStore(store);
        try (TokenResource small = builder(domain, counting)
                .maxTokenLifetime(LONGEST)
                .expungeBatchSize(4)
                .build()) {
            assertThat(small.expungeExpired().removed()).isEqualTo(15);
            assertThat(counting.largest()).isEqualTo(4);
            assertThat(small.expungeExpired().removed()).isZero();
        }
        assertThat(tokens.inspect("live")).isPresent();
    }

    @Test
    final void R7_2_endedWatermarksAreRemovedToo() {
        tokens.revokeSubject("s");
        clock.set(START.plus(LONGEST).plus(SKEW));
        assertThat(tokens.expungeExpired().removed()).isEqualTo(1);
        assertThat(store.state(scope, "none", "s", clock.instant()).watermark()).isNull();
    }

    @Test
    final void R7_2_anotherDomainIsLeftAlone() {
        try (TokenResource other = resource(domain + "-other", store)) {
            other.storeToken(token("t", "s", MINUTE));
            clock.advance(Duration.ofMinutes(10));
            assertThat(tokens.expungeExpired().removed()).isZero();
            assertThat(other.inspect("t")).isPresent();
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
            assertThat(read).isEqualTo(Math.min(many, 10_000));
            assertThat(counted.expungeExpired().removed()).isEqualTo(many);
            assertThat(counting.largest()).isLessThanOrEqualTo(1000);
            assertThat(counted.readExpired(1)).isEmpty();
        }
    }

    @Test
    final void R7_3_anyNumberOfNodesExpungeAtOnce() {
        int many = 5000;
        for (int i = 0; i < many; i++) {
            tokens.storeToken(token("t" + i, "s", MINUTE.plusMillis(i % 100)));
        }
        clock.advance(HOUR);
        var removed = new AtomicLong();
        Runnable node = () -> {
            int batch;
            do {
                batch = store.expunge(scope, 100, clock.instant());
                removed.addAndGet(batch);
            } while (batch > 0);
        };
        Race.together(Collections.nCopies(4, node));
        // What one node had locked when another looked is left for the next look.
        removed.addAndGet(tokens.expungeExpired().removed());
        assertThat(removed).hasValue(many);
        assertThat(tokens.readExpired(1)).isEmpty();
    }

    /** A record past its retention is revoked anew, with a later expiry, while the expunger is about to remove it. */
    @Test
    final void R3_2_anExpungeRacingARevocationDoesNotUndoIt() {
        Race.run(
                Math.min(races(), 2000),
                round -> tokens.storeToken(token("t" + round, "s", MINUTE.plusMillis(round))),
                (round, racer) -> {
                    // When this round's record has just become garbage, and the next round's has not.
                    Instant now = START.plus(MINUTE).plusMillis(round).plus(SKEW);
                    Instant until = now.plus(HOUR);
                    return racer == 0
                            ? store.revoke(
                                    scope,
                                    new TokenRecord("t" + round, "s", "revocation", null, until, null, now, now, now),
                                    until,
                                    now)
                            : store.expunge(scope, 10, now);
                },
                (round, answers) -> {
                    assertThat(answers).noneMatch(Throwable.class::isInstance);
                    assertThat(tokens.isRevoked("t" + round))
                            .as("round %d", round)
                            .isTrue();
                });
    }
}
