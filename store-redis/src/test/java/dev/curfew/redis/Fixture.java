package dev.curfew.redis;

import dev.curfew.FailurePolicy;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.atomic.AtomicInteger;

/** What the tests of this store share. */
final class Fixture {
    static final Instant NOW = Instant.parse("2100-01-01T00:00:00Z");
    static final Duration HOUR = Duration.ofHours(1);
    static final Duration SKEW = Duration.ofSeconds(60);
    static final Duration DEADLINE = Duration.ofSeconds(10);
    private static final AtomicInteger DOMAINS = new AtomicInteger();

    private Fixture() {}

    static String newDomain() {
        return "test-" + DOMAINS.incrementAndGet();
    }

    static StoreScope scope(String domain) {
        return new StoreScope(domain, "", SKEW, DEADLINE);
    }

    static TokenResource.Builder builder(String domain) {
        return TokenResource.builder()
                .domain(domain)
                .clock(() -> NOW)
                .clockSkew(SKEW)
                .callDeadline(DEADLINE)
                .failurePolicy(FailurePolicy.THROW)
                .maxTokenLifetime(Duration.ofDays(1));
    }

    static TokenResource resource(TokenStore store, String domain) {
        return builder(domain).store(store).build();
    }

    static Token token(String jti, String subject) {
        return Token.of(jti, subject, NOW, NOW.plus(HOUR));
    }
}
