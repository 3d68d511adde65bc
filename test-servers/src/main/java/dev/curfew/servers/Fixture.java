package dev.curfew.servers;

import static org.awaitility.Awaitility.await;

import dev.curfew.FailurePolicy;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.random.RandomGenerator;

/** What tests of a store share. */
public final class Fixture {
    /** What the clock says. */
    public static final Instant NOW = Instant.parse("2100-01-01T00:00:00Z");
    /** How long a token lives. */
    public static final Duration HOUR = Duration.ofHours(1);
    /** The clock skew. */
    public static final Duration SKEW = Duration.ofSeconds(60);
    /** How long a call may take, for tests of other things than deadlines, on a machine as busy as can be. */
    public static final Duration DEADLINE = Duration.ofMinutes(1);

    private static final AtomicInteger DOMAINS = new AtomicInteger();
    // A server may still have the records of another run.
    private static final String RUN =
            "test-" + Integer.toHexString(RandomGenerator.getDefault().nextInt()) + "-";

    private Fixture() {}

    /** A domain that nobody has used. */
    public static String newDomain() {
        return RUN + DOMAINS.incrementAndGet();
    }

    /** The domain, its default tenant. */
    public static StoreScope scope(String domain) {
        return new StoreScope(domain, "", SKEW, DEADLINE);
    }

    /** Of a resource that throws when the store fails. */
    public static TokenResource.Builder builder(String domain) {
        return TokenResource.builder()
                .domain(domain)
                .clock(() -> NOW)
                .clockSkew(SKEW)
                .callDeadline(DEADLINE)
                .failurePolicy(FailurePolicy.THROW)
                .maxTokenLifetime(Duration.ofDays(1));
    }

    /** One on this store. */
    public static TokenResource resource(TokenStore store, String domain) {
        return builder(domain).store(store).build();
    }

    /** A token of an hour. */
    public static Token token(String jti, String subject) {
        return Token.of(jti, subject, NOW, NOW.plus(HOUR));
    }

    /** Opens a resource. On a busy machine the first connections may take longer than a call may: then once more. */
    public static TokenResource opened(TokenResource.Builder builder) {
        return await().atMost(Duration.ofSeconds(60))
                .pollDelay(Duration.ZERO)
                .ignoreException(TokenStoreException.class)
                .until(builder::build, tokens -> true);
    }
}
