package dev.curfew.benchmarks;

import dev.curfew.Consumption;
import dev.curfew.FailurePolicy;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStore;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Curfew on a store, as an application has it: the system's clock, the default tenant, and no interceptors. */
final class CurfewTarget implements Target {
    private final TokenResource tokens;
    private final Instant now = Data.now();
    private final @Nullable Bulk bulk;
    private final AutoCloseable[] owned;

    /** Stores many tokens at once, where one after another would take long. */
    interface Bulk {
        void store(String[] jtis);
    }

    /** @param owned what is closed with it, in this order */
    CurfewTarget(TokenStore store, int records, @Nullable Bulk bulk, AutoCloseable... owned) {
        this.tokens = resource(store, records);
        this.bulk = bulk;
        this.owned = owned;
    }

    static TokenResource resource(TokenStore store, int records) {
        return builder(records).store(store).build();
    }

    static TokenResource.Builder builder(int records) {
        return TokenResource.builder()
                .domain(Data.domain(records))
                .maxTokenLifetime(Data.LONGEST)
                // How long something takes is what we want to know.
                .callDeadline(Duration.ofMinutes(1))
                .failurePolicy(FailurePolicy.THROW);
    }

    @Override
    public Object isRevoked(String jti) {
        return tokens.isRevoked(jti);
    }

    @Override
    public Object revoked(List<String> jtis) {
        return tokens.isRevoked(jtis);
    }

    @Override
    public Object check(String jti, String subject) {
        TokenStatus status = tokens.check(token(jti, subject));
        if (status != TokenStatus.ACTIVE) {
            throw new IllegalStateException("A live token is " + status);
        }
        return status;
    }

    private Token token(String jti, String subject) {
        return Data.token(jti, subject, now);
    }

    @Override
    public Object find(String jti) {
        return tokens.getToken(jti).orElseThrow();
    }

    @Override
    public Object store(String jti) {
        return tokens.storeToken(token(jti, jti));
    }

    @Override
    public Object revoke(String jti) {
        return tokens.revokeToken(token(jti, jti));
    }

    @Override
    public Object consume(String jti) {
        if (tokens.consume(jti, Token.DEFAULT_PURPOSE) instanceof Consumption.Consumed consumed) {
            return consumed;
        }
        throw new IllegalStateException("A token that was just stored could not be used");
    }

    @Override
    public void prepareUse(String[] jtis) {
        if (bulk == null) {
            Target.super.prepareUse(jtis);
        } else {
            bulk.store(jtis);
        }
    }

    @Override
    public void close() {
        tokens.close();
        closeAll(owned);
    }

    static void closeAll(AutoCloseable... all) {
        for (AutoCloseable each : all) {
            try {
                each.close();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
    }
}
