package dev.curfew.spring;

import dev.curfew.TokenResource;
import org.springframework.boot.health.contributor.AbstractHealthIndicator;
import org.springframework.boot.health.contributor.Health;

/** Whether the store answers, for Boot 4. A look-up throws under every failure policy, where a check would not. */
final class StoreHealth extends AbstractHealthIndicator {
    private final TokenResource tokens;

    StoreHealth(TokenResource tokens) {
        super("The token store does not answer");
        this.tokens = tokens;
    }

    @Override
    protected void doHealthCheck(Health.Builder builder) {
        tokens.inspect("curfew-health");
        builder.up();
    }
}
