package dev.curfew.benchmarks;

import dev.curfew.Consumption;
import dev.curfew.FailurePolicy;
import dev.curfew.Token;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStore;
import dev.curfew.jdbc.JdbcTokenStore;
import dev.curfew.memory.MemoryTokenStore;
import dev.curfew.mongo.MongoTokenStore;
import dev.curfew.redis.RedisTokenStore;
import java.time.Duration;
import java.time.Instant;
import java.util.List;

/** Curfew on a store, as an application has it: the system's clock, the default tenant, and no interceptors. */
final class CurfewTarget implements Target {
    private final TokenStore store;
    private final TokenResource tokens;
    private final Instant now = Data.now();

    private CurfewTarget(TokenStore store, int records) {
        this.store = store;
        this.tokens = TokenResource.builder()
                .store(store)
                .domain(Data.domain(records))
                .maxTokenLifetime(Data.LONGEST)
                // How long something takes is what we want to know.
                .callDeadline(Duration.ofMinutes(1))
                .failurePolicy(FailurePolicy.THROW)
                .build();
    }

    static CurfewTarget open(String store, Clients clients, int records) {
        var target = new CurfewTarget(
                switch (store) {
                    case "memory" -> MemoryTokenStore.create();
                    case "redis" -> RedisTokenStore.create(clients.redis());
                    case "postgresql" -> JdbcTokenStore.create(clients.pool());
                    default -> MongoTokenStore.create(clients.mongo().getDatabase(MongoLimit.DATABASE));
                },
                records);
        if (store.equals("memory")) {
            target.fill(records);
        }
        return target;
    }

    /** Stores and revokes the records of {@link Data}. */
    void fill(int records) {
        Load.each(records, i -> {
            var token = token(Data.jti(i), Data.subject(i));
            if (Data.isRevoked(i)) {
                tokens.revokeToken(token);
            } else {
                tokens.storeToken(token);
            }
        });
    }

    private Token token(String jti, String subject) {
        return Data.token(jti, subject, now);
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
    public void close() {
        tokens.close();
        store.close();
    }
}
