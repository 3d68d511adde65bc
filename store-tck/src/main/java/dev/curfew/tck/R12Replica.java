package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.Deadline;
import dev.curfew.ReplicaStatus;
import dev.curfew.RevocationFeed;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Section R12 of CONTRACT.md: the feed of a store, which local replicas read. Most run where the store has one. */
abstract class R12Replica extends R11Actions {
    private static final int WRITERS = 4;

    /** What a feed has told: of each name the latest end, and of each subject the latest watermark. */
    private static final class Told implements RevocationFeed.Sink {
        final Map<String, Instant> ends = new HashMap<>();
        final Map<String, Instant> watermarks = new HashMap<>();

        @Override
        public void revoked(String tenant, String jti, Instant expiresAt) {
            ends.merge(tenant + "/jti " + jti, expiresAt, ModelTokenStore::later);
        }

        @Override
        public void sessionRevoked(String tenant, String session, Instant keptUntil) {
            ends.merge(tenant + "/session " + session, keptUntil, ModelTokenStore::later);
        }

        @Override
        public void watermark(String tenant, String subject, Instant watermark, Instant keptUntil) {
            ends.merge(tenant + "/subject " + subject, keptUntil, ModelTokenStore::later);
            watermarks.merge(tenant + "/subject " + subject, watermark, ModelTokenStore::later);
        }
    }

    /** What is told after a position, and the next position in its only element. */
    private Told told(RevocationFeed feed, @Nullable String[] position) {
        var told = new Told();
        position[0] = feed.follow(scope, position[0], told, clock.instant());
        assertThat(position[0]).as("the position that follow answers").isNotNull();
        return told;
    }

    @TestFactory
    final Stream<DynamicTest> R12_6_everyRevocationIsTold() {
        return where(feed(), "R12_6_everyRevocationIsTold", feed -> {
            @Nullable String[] position = {null};
            tokens.revokeToken(token("before", "s", HOUR));
            tokens.revokeToken(token("extended", "s", HOUR));
            told(feed, position);
            revokeInEveryWay();
            assertTold("after a position", told(feed, position), false);
            assertTold("without a position", told(another.feed(), new String[1]), true);
            told(feed, position);
            tokens.revokeToken(token("at last", "s", HOUR));
            assertThat(told(feed, position).ends).as("what is told").containsKey("/jti at last");
        });
    }

    private void revokeInEveryWay() {
        Instant hour = start.plus(HOUR);
        tokens.storeToken(token("live", "s", HOUR));
        tokens.storeToken(token("stored", "s", HOUR));
        tokens.revokeToken(token("stored", "s", HOUR));
        tokens.revokeToken(token("unstored", "s", HOUR));
        tokens.revokeJti("by jti", hour);
        tokens.revokeJti("extended", hour.plus(HOUR));
        tokens.storeToken(token("used", "s", HOUR), "link", Map.of());
        tokens.consume("used", "link");
        tokens.storeToken(token("picked", "s", HOUR));
        tokens.revokeStoredForSubject("s", "picked");
        tokens.storeToken(token("one of all", "all", HOUR));
        tokens.storeToken(token("two of all", "all", HOUR));
        tokens.revokeAllStoredForSubject("all");
        Token presented = token("presented", "r", HOUR);
        Token next = token("next", "r", HOUR);
        tokens.storeToken(presented.withSession("laptop"), "refresh", Map.of());
        tokens.rotate(presented.withSession("laptop"), "refresh", next.withSession("laptop"));
        tokens.revokeSession("phone");
        tokens.revokeSubject("everywhere");
        TokenResource tenant = tokens.forTenant("x");
        tenant.revokeToken(token("of a tenant", "s", HOUR));
        tenant.revokeSession("of a tenant");
        tenant.revokeSubject("of a tenant");
    }

    /** Compares what is told with what the store itself says. */
    private void assertTold(String when, Told told, boolean isAll) {
        for (String tenant : List.of("", "x")) {
            StoreScope in = new StoreScope(domain, tenant, SKEW, deadline());
            for (String jti : List.of(
                    "before",
                    "extended",
                    "live",
                    "stored",
                    "unstored",
                    "by jti",
                    "used",
                    "picked",
                    "one of all",
                    "two of all",
                    "presented",
                    "next",
                    "of a tenant")) {
                TokenRecord record = store.find(in, jti, clock.instant()).record();
                Instant end = told.ends.get(tenant + "/jti " + jti);
                if (record == null || !record.isRevoked()) {
                    assertThat(end)
                            .as("what is told of '%s', which is not revoked, %s", jti, when)
                            .isNull();
                } else if (isAll || !jti.equals("before")) {
                    assertThat(end).as("what is told of '%s', %s", jti, when).isNotNull();
                    assertThat(end).as("the end of '%s', %s", jti, when).isAfterOrEqualTo(record.expiresAt());
                }
            }
            for (String name : List.of("phone", "everywhere", "of a tenant")) {
                if (!store.revokedSessions(in, Set.of(name), clock.instant()).isEmpty()) {
                    assertThat(told.ends).as("what is told, %s", when).containsKey(tenant + "/session " + name);
                }
                Instant watermark = watermark(in, name);
                if (watermark != null) {
                    assertThat(told.watermarks)
                            .as("the watermarks that are told, %s", when)
                            .containsEntry(tenant + "/subject " + name, watermark);
                }
            }
        }
        Instant longest = start.plus(LONGEST).plus(LONGEST_SKEW);
        told.ends.forEach((name, end) -> {
            if (!name.contains("/jti ")) {
                assertThat(end).as("the end of %s, %s", name, when).isAfterOrEqualTo(longest);
            }
        });
    }

    @TestFactory
    final Stream<DynamicTest> R12_6_aLaterWatermarkIsTold() {
        return where(feed(), "R12_6_aLaterWatermarkIsTold", feed -> {
            @Nullable String[] position = {null};
            tokens.revokeSubject("s");
            told(feed, position);
            clock.advance(Duration.ofSeconds(5));
            others.revokeSubject("s");
            Instant latest = start.plusSeconds(5);
            assertThat(told(feed, position).watermarks).as("the watermarks").containsEntry("/subject s", latest);
            assertThat(told(feed, new String[1]).watermarks)
                    .as("the watermarks")
                    .containsEntry("/subject s", latest);
        });
    }

    /** Each poll must tell everything whose call returned before the poll began. */
    @TestFactory
    final Stream<DynamicTest> R12_6_nothingIsLeftOutUnderConcurrentWriters() {
        return where(feed(), "R12_6_nothingIsLeftOutUnderConcurrentWriters", feed -> {
            int each = Math.min(races(), 2_000) / WRITERS;
            Queue<String> acknowledged = new ConcurrentLinkedQueue<>();
            ExecutorService writers = Executors.newFixedThreadPool(WRITERS);
            try {
                List<Future<?>> work = new ArrayList<>();
                for (int writer = 0; writer < WRITERS; writer++) {
                    String name = "w" + writer + "-";
                    TokenResource node = node(writer);
                    work.add(writers.submit(() -> revokeMany(node, name, each, acknowledged)));
                }
                var told = new Told();
                @Nullable String[] position = {null};
                boolean isLast;
                do {
                    isLast = work.stream().allMatch(Future::isDone);
                    List<String> before = List.copyOf(acknowledged);
                    told.ends.putAll(told(feed, position).ends);
                    assertThat(told.ends.keySet())
                            .as("what is told after %d revocations", before.size())
                            .containsAll(before);
                } while (!isLast);
                for (Future<?> done : work) {
                    done.get();
                }
            } finally {
                writers.shutdownNow();
            }
        });
    }

    private void revokeMany(TokenResource node, String name, int count, Queue<String> acknowledged) {
        for (int i = 0; i < count; i++) {
            switch (i % 4) {
                case 0 -> {
                    node.revokeToken(token(name + i, "s", HOUR));
                    acknowledged.add("/jti " + name + i);
                }
                case 1 -> {
                    node.storeToken(token(name + i, "s", HOUR), "link", Map.of());
                    node.consume(name + i, "link");
                    acknowledged.add("/jti " + name + i);
                }
                case 2 -> {
                    node.revokeSession(name + i);
                    acknowledged.add("/session " + name + i);
                }
                default -> {
                    node.revokeSubject(name + i);
                    acknowledged.add("/subject " + name + i);
                }
            }
        }
    }

    @TestFactory
    final Stream<DynamicTest> R12_2_aRevocationOnOneNodeIsRefusedOnAnother() {
        return where(feed(), "R12_2_aRevocationOnOneNodeIsRefusedOnAnother", feed -> {
            Token token = token("t", "s", HOUR);
            Token used = token("used", "s", HOUR);
            Token ofSession = token("of a session", "s", HOUR).withSession("phone");
            Token ofSubject = token("of a subject", "everywhere", HOUR);
            try (TokenResource reader = builder(domain, another)
                    .localReplica(Duration.ofHours(1))
                    .replicaPollInterval(Duration.ofMillis(5))
                    .build()) {
                await(
                        "a complete poll",
                        () -> reader.replicaStatus()
                                .map(ReplicaStatus::isServing)
                                .orElse(false));
                List<Token> all = List.of(token, used, ofSession, ofSubject);
                for (Token each : all) {
                    assertThat(reader.checkLocally(each)).as("check").contains(TokenStatus.ACTIVE);
                }
                tokens.revokeToken(token);
                tokens.storeToken(used, "link", Map.of());
                tokens.consume("used", "link");
                clock.advance(Duration.ofSeconds(1));
                tokens.revokeSession("phone");
                tokens.revokeSubject("everywhere");
                awaitPoll(reader);
                for (Token each : all) {
                    assertThat(reader.checkLocally(each))
                            .as("a check on another node, after its next poll")
                            .contains(TokenStatus.REVOKED);
                    assertThat(reader.check(each)).as("check").isEqualTo(TokenStatus.REVOKED);
                }
                assertThat(reader.isRevoked(Set.of("t", "used", "other")))
                        .as("isRevoked")
                        .containsExactlyInAnyOrder("t", "used");
            }
        });
    }

    /** Waits for a complete poll that began after this call. */
    static void awaitPoll(TokenResource tokens) {
        var minute = Deadline.after(Duration.ofMinutes(1));
        await("a poll", () -> {
            // Before the age is read: only then an age below it is that of a poll which began after this call.
            long passed = Duration.ofMinutes(1).toNanos() - minute.remainingNanos();
            Duration age = tokens.replicaStatus().map(ReplicaStatus::age).orElse(null);
            return age != null && age.toNanos() < passed;
        });
    }

    static void await(String what, BooleanSupplier condition) {
        var deadline = Deadline.after(Duration.ofMinutes(1));
        while (!condition.getAsBoolean()) {
            assertThat(deadline.isOver()).as("waited a minute for " + what).isFalse();
            LockSupport.parkNanos(1_000_000);
        }
    }

    /** Runs where the store refuses a feed. */
    @TestFactory
    final Stream<DynamicTest> R12_13_aStoreWithoutAFeedRefusesAReplica() {
        return where(
                feed() == null ? store : null,
                "R12_13_aStoreWithoutAFeedRefusesAReplica",
                refusing -> assertThatThrownBy(() -> builder(domain, refusing)
                                .localReplica(Duration.ofSeconds(5))
                                .build()
                                .close())
                        .as("localReplica on a store without a feed")
                        .isInstanceOf(IllegalArgumentException.class)
                        .message()
                        .isNotBlank());
    }
}
