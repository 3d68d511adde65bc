package dev.curfew.spring;

import dev.curfew.FailurePolicy;
import dev.curfew.TokenResource;
import dev.curfew.WhenStale;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * The settings of the token resource; {@code toString} shows no URL.
 *
 * @param url URL of a store that the token resource opens and closes, such as redis://localhost or memory:
 * @param store Which store to use, where the application has the means for several
 * @param domain Name of the token resource: its own table, collection or key prefix
 * @param maxTokenLifetime Longest lifetime of any token that is issued; revocations without expiry are kept so long
 * @param clockSkew Greatest leeway that any verifier of the tokens grants
 * @param issuerSkew How far the clock of the issuer may be ahead
 * @param requirePresence Whether only tokens that were stored are accepted
 * @param failurePolicy What checks answer while the store fails
 * @param callDeadline How long a call of the store may take
 */
@ConfigurationProperties("curfew")
record CurfewProperties(
        @Nullable String url,
        @Nullable Store store,
        @DefaultValue("tokens") String domain,
        @Nullable Duration maxTokenLifetime,
        @DefaultValue("60s") Duration clockSkew,
        @DefaultValue("0s") Duration issuerSkew,
        @DefaultValue("false") boolean requirePresence,
        @DefaultValue("deny") FailurePolicy failurePolicy,
        @DefaultValue("2s") Duration callDeadline,
        @DefaultValue Replica replica,
        @DefaultValue Expunge expunge,
        @DefaultValue Jdbc jdbc,
        @DefaultValue Jwt jwt,
        @DefaultValue Security security,
        @DefaultValue Logout logout) {

    /** Where records are kept. */
    enum Store {
        /** The application's DataSource. */
        JDBC,
        /** The application's Lettuce connection factory. */
        REDIS,
        /** The application's MongoDB database factory. */
        MONGO,
        /** The store of curfew.url. */
        URL,
        /** The memory of this process. */
        MEMORY
    }

    /**
     * The local replica.
     *
     * @param bound How late this instance may learn of a revocation by another one; no local replica by default
     * @param pollInterval How often the local replica reads what is new; a quarter of the bound by default
     * @param capacity How many revocations the local replica may hold
     * @param serveWhileStoreFails How much longer than the bound the local replica may answer while the store fails
     * @param whenStale What a check does when the local replica is older than its bound
     */
    record Replica(
            @Nullable Duration bound,
            @Nullable Duration pollInterval,
            @DefaultValue("20000000") long capacity,
            @DefaultValue("0s") Duration serveWhileStoreFails,
            @DefaultValue("ask") WhenStale whenStale) {

        void apply(TokenResource.Builder builder) {
            if (bound != null) {
                builder.localReplica(bound);
            }
            if (pollInterval != null) {
                builder.replicaPollInterval(pollInterval);
            }
            builder.replicaCapacity(capacity)
                    .serveWhileStoreFails(serveWhileStoreFails)
                    .whenReplicaIsStale(whenStale);
        }
    }

    /**
     * The clean-up.
     *
     * @param interval How often records past their retention end are removed
     * @param batchSize How many records a batch of a clean-up has at most
     */
    record Expunge(
            @DefaultValue("12h") Duration interval,
            @DefaultValue("1000") int batchSize) {}

    /** When something is done at the start. */
    enum Initialization {
        /** At every start; what is there already is left alone. */
        ALWAYS,
        /** Never: the application's own migration does it. */
        NEVER
    }

    /**
     * The store in the application's DataSource.
     *
     * @param initializeSchema Whether to create the tables that are missing
     */
    record Jdbc(@DefaultValue("never") Initialization initializeSchema) {}

    /** What to do with a JWT without an id. */
    enum MissingJti {
        /** Answer 401. */
        REFUSE,
        /** Take a digest of the header and the payload. */
        DIGEST
    }

    /**
     * How JWTs are read.
     *
     * @param jtiClaim Claim that has the unique id of a JWT
     * @param subjectClaim Claim that has the subject of a JWT
     * @param missingJti What to do with a JWT without a unique id
     * @param tenantByIssuer Whether the issuer of a token is its tenant: needed where several issuers are trusted
     */
    record Jwt(
            @DefaultValue("jti") String jtiClaim,
            @DefaultValue("sub") String subjectClaim,
            @DefaultValue("refuse") MissingJti missingJti,
            @DefaultValue("false") boolean tenantByIssuer) {

        /** Two issuers may give the same id to two tokens. */
        String tenant(@Nullable Object issuer) {
            if (!tenantByIssuer) {
                return "";
            } else if (issuer == null) {
                throw new IllegalArgumentException("The token has no issuer, and curfew.jwt.tenant-by-issuer is set");
            }
            return issuer.toString();
        }
    }

    /**
     * The check of bearer tokens.
     *
     * @param unavailableStatus HTTP status of a request whose token could not be checked
     * @param retryAfter Value of the Retry-After header of such a response
     */
    record Security(
            @DefaultValue("503") int unavailableStatus,
            @DefaultValue("1s") Duration retryAfter) {}

    /** What a log-out ends. */
    enum Ends {
        /** The token of the request. */
        TOKEN,
        /** All tokens of its session; only the token, where it has none. */
        SESSION,
        /** The stored tokens of its subject that are not of its session; only the token, where it has none. */
        OTHER_SESSIONS,
        /** All tokens of its subject. */
        EVERYWHERE
    }

    /**
     * Logging out with a bearer token.
     *
     * @param path Path of POST requests that log out; empty for none
     * @param ends What such a request ends
     * @param otherSessionsPath Path of POST requests that end the other sessions of their subject; none by default
     * @param everywherePath Path of POST requests that revoke all tokens of their subject; none by default
     * @param backChannelPath Path of POST requests with a logout token of the identity provider; none by default
     */
    record Logout(
            @DefaultValue("/logout") String path,
            @DefaultValue("token") Ends ends,
            @DefaultValue("") String otherSessionsPath,
            @DefaultValue("") String everywherePath,
            @DefaultValue("") String backChannelPath) {

        /** What a request of this path ends, or {@code null} where it is no log-out. */
        @Nullable
        Ends ends(String requestPath) {
            if (requestPath.isEmpty()) {
                return null; // as a path that is not set
            } else if (requestPath.equals(everywherePath)) {
                return Ends.EVERYWHERE;
            } else if (requestPath.equals(otherSessionsPath)) {
                return Ends.OTHER_SESSIONS;
            }
            return requestPath.equals(path) ? ends : null;
        }
    }

    @Override
    public String toString() {
        return "CurfewProperties[domain=" + domain + ", store=" + store + "]";
    }
}
