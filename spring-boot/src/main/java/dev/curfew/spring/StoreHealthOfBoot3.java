package dev.curfew.spring;

import dev.curfew.TokenResource;
import org.springframework.boot.actuate.health.AbstractHealthIndicator;
import org.springframework.boot.actuate.health.Health;

/** As {@link StoreHealth}, for Boot 3.5: the classes moved to another package. */
final class StoreHealthOfBoot3 extends AbstractHealthIndicator {
    private final TokenResource tokens;

    StoreHealthOfBoot3(TokenResource tokens) {
        super("The token store does not answer");
        this.tokens = tokens;
    }

    @Override
    protected void doHealthCheck(Health.Builder builder) {
        tokens.inspect("curfew-health");
        builder.up();
    }
}
