package dev.curfew;

import java.time.Duration;
import java.time.Instant;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The clock skew of a domain: the largest that any of its nodes has had (R1.7). It is kept in the store as the watermark
 * of the empty subject, which belongs to no token, since of several watermarks the latest stands.
 */
final class DomainSkew {
    private static final Logger LOG = LoggerFactory.getLogger(TokenResource.class);

    private final TokenStore store;
    private final String domain;
    private volatile Duration skew;

    DomainSkew(TokenStore store, String domain, Duration own) {
        this.store = store;
        this.domain = domain;
        this.skew = own;
    }

    Duration get() {
        return skew;
    }

    /** The same scope with the domain's skew, as this node knows it. */
    StoreScope applied(StoreScope scope) {
        return scope.skew().equals(skew)
                ? scope
                : new StoreScope(scope.domain(), scope.tenant(), skew, scope.deadline());
    }

    /** Reads the skew that is kept in the store, and raises the smaller one of the two: the kept one or this node's. */
    StoreScope agreed(StoreScope scope, Instant now) {
        StoreScope whole = scope.forTenant("");
        Instant own = Instant.EPOCH.plus(skew);
        Instant kept = store.state(whole, "", "", null, now).watermark();
        if (kept == null || kept.isBefore(own)) {
            keep(whole, own, now);
        } else {
            raise(Duration.between(Instant.EPOCH, kept));
        }
        return applied(scope);
    }

    private void keep(StoreScope whole, Instant own, Instant now) {
        try {
            store.revokeSubject(whole, "", own, Times.FOREVER, now);
        } catch (TokenStoreException e) {
            if (e.outcome() != TokenStoreException.Outcome.UNCHANGED) {
                throw e;
            }
            // A node that may only read can still check.
            LOG.warn(
                    "The clockSkew of domain '{}' could not be kept in the store: nodes with a smaller one may remove what"
                            + " this one must honour. Open a node that may write with a clockSkew of {}. {}",
                    domain,
                    skew,
                    e.getMessage());
        }
    }

    private synchronized void raise(Duration kept) {
        if (kept.compareTo(StoreScope.LONGEST) > 0) {
            throw new TokenStoreException(
                    TokenStoreException.Outcome.UNCHANGED,
                    "The store says that domain '" + domain + "' has a clockSkew of " + kept
                            + ", and none is longer than"
                            + " a day. Correct or remove the watermark of the empty subject in the empty tenant",
                    null);
        }
        if (kept.compareTo(skew) > 0) {
            LOG.warn(
                    "Domain '{}' has had a clockSkew of {} on another node, and of {} on this one, which takes the larger. Set"
                            + " clockSkew to the same on every node.",
                    domain,
                    kept,
                    skew);
            skew = kept;
        }
    }
}
