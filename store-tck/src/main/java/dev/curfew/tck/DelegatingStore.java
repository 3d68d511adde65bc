package dev.curfew.tck;

import dev.curfew.Consumption;
import dev.curfew.RevocationFeed;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.StoredState;
import dev.curfew.TokenRecord;
import dev.curfew.TokenStore;
import dev.curfew.Watermarked;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A second store object on the records of a first one. */
class DelegatingStore implements TokenStore {
    private final TokenStore store;

    DelegatingStore(TokenStore store) {
        this.store = store;
    }

    @Override
    public @Nullable Instant serverTime(StoreScope scope) {
        return store.serverTime(scope);
    }

    @Override
    public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
        return store.store(scope, record, now);
    }

    @Override
    public StoredState find(StoreScope scope, String jti, Instant now) {
        return store.find(scope, jti, now);
    }

    @Override
    public boolean isRevoked(StoreScope scope, String jti, Instant now) {
        return store.isRevoked(scope, jti, now);
    }

    @Override
    public Set<String> revoked(StoreScope scope, Collection<String> jtis, Instant now) {
        return store.revoked(scope, jtis, now);
    }

    @Override
    public StoredState state(StoreScope scope, String jti, String subject, @Nullable String session, Instant now) {
        return store.state(scope, jti, subject, session, now);
    }

    @Override
    public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
        return store.revoke(scope, revocation, keepUntil, now);
    }

    @Override
    public Watermarked<Consumption> consume(
            StoreScope scope,
            String jti,
            @Nullable String subject,
            String purpose,
            @Nullable String successor,
            Instant now) {
        return store.consume(scope, jti, subject, purpose, successor, now);
    }

    @Override
    public void revokeSubject(StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
        store.revokeSubject(scope, subject, watermark, keepUntil, now);
    }

    @Override
    public RevokeOutcome revokeSession(StoreScope scope, String session, Instant keepUntil, Instant now) {
        return store.revokeSession(scope, session, keepUntil, now);
    }

    @Override
    public Set<String> revokedSessions(StoreScope scope, Collection<String> sessions, Instant now) {
        return store.revokedSessions(scope, sessions, now);
    }

    @Override
    public int revokeStored(StoreScope scope, String subject, int limit, Instant now) {
        return store.revokeStored(scope, subject, limit, now);
    }

    @Override
    public Watermarked<List<TokenRecord>> list(
            StoreScope scope, String subject, @Nullable TokenRecord after, int limit, Instant now) {
        return store.list(scope, subject, after, limit, now);
    }

    @Override
    public List<TokenRecord> readExpired(StoreScope scope, @Nullable TokenRecord after, int limit, Instant now) {
        return store.readExpired(scope, after, limit, now);
    }

    @Override
    public int expunge(StoreScope scope, int limit, Instant now) {
        return store.expunge(scope, limit, now);
    }

    @Override
    public RevocationFeed feed() {
        return store.feed();
    }

    @Override
    public void close() {
        store.close();
    }
}
