package dev.curfew.micrometer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.ActionOutcome;
import dev.curfew.ExpungeReport;
import dev.curfew.RevocationFeed;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenAction;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.memory.MemoryTokenStore;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.search.RequiredSearch;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class CurfewMetricsTest {
    private static final Instant NOW = Instant.parse("2100-01-01T00:00:00Z");
    private static final Token TOKEN = Token.of("secret-jti", "secret-ada", NOW, NOW.plusSeconds(3600));

    private final MeterRegistry registry = new SimpleMeterRegistry();
    private final CurfewMetrics metrics = new CurfewMetrics();

    /** A bound of one record: the second one fails as a store fails. */
    private TokenResource resource(String domain) {
        return TokenResource.builder()
                .store(MemoryTokenStore.create(1))
                .domain(domain)
                .clock(() -> NOW)
                .maxTokenLifetime(Duration.ofDays(1))
                .actionName(TokenAction.REVOKE_TOKEN, "log_out")
                .onOutcome(metrics)
                .build();
    }

    private long calls(String domain, String action, String outcome) {
        return registry.get("curfew.action")
                .tags("domain", domain, "action", action, "outcome", outcome)
                .timer()
                .count();
    }

    @Test
    void everyCallIsTimedByDomainActionAndOutcome() {
        metrics.bindTo(registry);
        try (TokenResource tokens = resource("accounts");
                TokenResource others = resource("links")) {
            tokens.check(TOKEN);
            tokens.check(TOKEN);
            tokens.forTenant("secret-tenant").check(TOKEN);
            assertThat(tokens.revokeToken(TOKEN)).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.REVOKED);
            tokens.isRevoked("secret-jti");
            others.check(TOKEN);
        }
        assertThat(calls("accounts", "check", "active")).isEqualTo(3);
        assertThat(calls("accounts", "check", "revoked")).isEqualTo(1);
        assertThat(calls("accounts", "log_out", "revoked")).isEqualTo(1);
        assertThat(calls("accounts", "revoked?", "revoked")).isEqualTo(1);
        assertThat(calls("links", "check", "active")).isEqualTo(1);
        assertThat(registry.get("curfew.action").timers()).allMatch(timer -> timer.totalTime(TimeUnit.NANOSECONDS) > 0);
        assertThat(registry.getMeters())
                .flatExtracting(meter -> meter.getId().getTags())
                .extracting(Tag::getValue)
                .noneMatch(value -> value.contains("secret"));
        assertThat(registry.getMeters())
                .extracting(Meter::getId)
                .flatExtracting(Meter.Id::getTags)
                .extracting(Tag::getKey)
                .containsOnly("domain", "action", "outcome");
    }

    @Test
    void failuresAreCountedApart() {
        try (TokenResource tokens = resource("accounts")) {
            tokens.revokeJti("first");
            assertThatThrownBy(() -> tokens.revokeJti("second")).isInstanceOf(TokenStoreException.class);
            metrics.bindTo(registry); // what was before is counted too
            assertThat(failures()).isEqualTo(1);
            assertThatThrownBy(() -> tokens.revokeJti("second")).isInstanceOf(TokenStoreException.class);
            assertThat(failures()).isEqualTo(2);
            assertThat(calls("accounts", "revoke_jti", "unavailable")).isEqualTo(1);
            assertThat(failures()).isEqualTo(tokens.storeFailures());
        }
    }

    private double failures() {
        return registry.get("curfew.store.failures")
                .tags("domain", "accounts")
                .functionCounter()
                .count();
    }

    @Test
    void cleanUpsAreCountedAndTheLastOneIsDated() {
        metrics.bindTo(registry);
        try (TokenResource tokens = resource("accounts")) {
            tokens.check(TOKEN);
            assertThat(registry.find("curfew.expunge.last.success").timeGauge()).isNull();
            tokens.expungeExpired();
        }
        assertThat(registry.get("curfew.expunge.removed")
                        .tags("domain", "accounts")
                        .functionCounter()
                        .count())
                .isZero(); // a store in memory has Caffeine remove what is past its retention end
        assertThat(registry.get("curfew.expunge.last.success")
                        .tags("domain", "accounts")
                        .timeGauge()
                        .value(TimeUnit.SECONDS))
                .isEqualTo(NOW.getEpochSecond());
    }

    /** As a store without a native TTL answers it. */
    @Test
    void removedRecordsAreSummedUp() {
        metrics.bindTo(registry);
        for (long removed : new long[] {7, 5}) {
            var report = new ExpungeReport("accounts", removed, 1, NOW, Duration.ofSeconds(2));
            metrics.accept(new ActionOutcome(
                    TokenAction.EXPUNGE_EXPIRED, "clean", "accounts", Duration.ofSeconds(2), report, null, false));
        }
        assertThat(registry.get("curfew.expunge.removed").functionCounter().count())
                .isEqualTo(12);
        assertThat(registry.get("curfew.expunge.last.success").timeGauge().value(TimeUnit.SECONDS))
                .isEqualTo(NOW.plusSeconds(2).getEpochSecond());
    }

    @Test
    void severalRegistriesMayBeBound() {
        var second = new SimpleMeterRegistry();
        metrics.bindTo(registry);
        metrics.bindTo(second);
        try (TokenResource tokens = resource("accounts")) {
            tokens.check(TOKEN);
        }
        Tags tags = Tags.of("domain", "accounts", "action", "check", "outcome", "active");
        assertThat(registry.get("curfew.action").tags(tags).timer().count()).isEqualTo(1);
        assertThat(second.get("curfew.action").tags(tags).timer().count()).isEqualTo(1);
    }

    /** Each poll of the feed waits to be allowed. */
    @Test
    void theReplicaIsMeasuredFromItsFirstPollOn() throws InterruptedException {
        var begun = new Semaphore(0);
        var allowed = new Semaphore(0);
        RevocationFeed feed = new RevocationFeed() {
            @Override
            public String follow(StoreScope scope, String after, Sink sink, Instant now) {
                begun.release();
                try {
                    allowed.acquire();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e); // the resource is closed
                }
                sink.revoked("secret-tenant", "secret-jti", now.plusSeconds(60));
                sink.sessionRevoked("secret-tenant", "secret-session", now.plusSeconds(60));
                return "position";
            }

            @Override
            public boolean isInTransaction() {
                return false;
            }
        };
        try (TokenResource tokens = TokenResource.builder()
                .store(memoryWith(feed))
                .domain("accounts")
                .clock(() -> NOW)
                .maxTokenLifetime(Duration.ofDays(1))
                .localReplica(Duration.ofMinutes(1))
                .replicaPollInterval(Duration.ofMillis(1))
                .build()) {
            CurfewMetrics.ofReplica(tokens).bindTo(registry);
            begun.acquire();
            assertThat(replica("serving").gauge().value()).isZero();
            assertThat(replica("age").timeGauge().value(TimeUnit.SECONDS)).isNaN();
            assertThat(replica("loads").functionCounter().count()).isZero();
            assertThat(tokens.check(TOKEN.withSession("s"))).isEqualTo(TokenStatus.ACTIVE); // by the store
            allowed.release();
            begun.acquire(); // so the first poll has ended
            assertThat(replica("serving").gauge().value()).isEqualTo(1);
            assertThat(replica("age").timeGauge().value(TimeUnit.SECONDS)).isBetween(0.0, 60.0);
            assertThat(replica("loads").functionCounter().count()).isEqualTo(1);
            assertThat(replica("entries").gauge().value()).isEqualTo(2);
            assertThat(replica("memory").gauge().value()).isPositive();
            assertThat(tokens.check(TOKEN.withSession("s"))).isEqualTo(TokenStatus.ACTIVE);
            assertThat(replica("local.share").gauge().value()).isEqualTo(0.5);
        }
        assertThat(replica("serving").gauge().value()).isZero();
    }

    private static TokenStore memoryWith(RevocationFeed feed) {
        var memory = MemoryTokenStore.create();
        return (TokenStore) Proxy.newProxyInstance(
                TokenStore.class.getClassLoader(),
                new Class<?>[] {TokenStore.class},
                (proxy, verb, arguments) -> verb.getName().equals("feed") ? feed : verb.invoke(memory, arguments));
    }

    private RequiredSearch replica(String name) {
        return registry.get("curfew.replica." + name).tags("domain", "accounts");
    }

    @Test
    void aResourceWithoutAReplicaHasNoMetersOfIt() {
        try (TokenResource tokens = resource("accounts")) {
            CurfewMetrics.ofReplica(tokens).bindTo(registry);
        }
        assertThat(registry.getMeters()).isEmpty();
    }
}
