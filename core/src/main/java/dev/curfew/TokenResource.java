package dev.curfew;

import static dev.curfew.Limits.present;
import static dev.curfew.TokenAction.CHECK;
import static dev.curfew.TokenAction.CONSUME;
import static dev.curfew.TokenAction.CONSUME_CONFIRMATION_CHANGES;
import static dev.curfew.TokenAction.EXPUNGE_EXPIRED;
import static dev.curfew.TokenAction.GET_CONFIRMATION_CHANGES;
import static dev.curfew.TokenAction.GET_TOKEN;
import static dev.curfew.TokenAction.INSPECT;
import static dev.curfew.TokenAction.IS_REVOKED;
import static dev.curfew.TokenAction.LIST_TOKENS;
import static dev.curfew.TokenAction.READ_EXPIRED;
import static dev.curfew.TokenAction.REVOKE_ALL_STORED_FOR_SUBJECT;
import static dev.curfew.TokenAction.REVOKE_JTI;
import static dev.curfew.TokenAction.REVOKE_SESSION;
import static dev.curfew.TokenAction.REVOKE_STORED_FOR_SUBJECT;
import static dev.curfew.TokenAction.REVOKE_SUBJECT;
import static dev.curfew.TokenAction.REVOKE_TOKEN;
import static dev.curfew.TokenAction.ROTATE;
import static dev.curfew.TokenAction.STORE_CONFIRMATION_CHANGES;
import static dev.curfew.TokenAction.STORE_TOKEN;

import dev.curfew.TokenAction.Check;
import dev.curfew.TokenAction.JtiRevocation;
import dev.curfew.TokenAction.Lookup;
import dev.curfew.TokenAction.Page;
import dev.curfew.TokenAction.Rotating;
import dev.curfew.TokenAction.Selection;
import dev.curfew.TokenAction.Storing;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;

/**
 * What an application knows about its tokens: which are revoked, which are used, which wait for confirmation.
 *
 * <pre>{@code
 * try (var tokens = TokenResource.open()) {
 *     Token token = Token.peek(jwt); // verified before, by a JOSE library
 *     tokens.revokeToken(token);     // REVOKED, once
 *     tokens.check(token);           // REVOKED, from now on
 * }
 * }</pre>
 *
 * <p>It is safe for use by many threads, and made once for an application. Every call ends within the call deadline.
 * When the store fails, {@link #isRevoked} and {@link #check} answer by the {@link FailurePolicy}, and every other
 * action throws {@link TokenStoreException}. When several checks in a row have failed, one at a time asks the store, and
 * the others are answered at once (R8.9). Arguments outside their limits are an {@link IllegalArgumentException} that
 * names the field. After {@link #close}, every action is an {@link IllegalStateException}.
 */
public final class TokenResource implements AutoCloseable {
    private final Actions actions;
    private final @Nullable Closing closing;
    private volatile StoreScope scope;

    private TokenResource(Actions actions, StoreScope scope, @Nullable Closing closing) {
        this.actions = actions;
        this.scope = scope;
        this.closing = closing;
    }

    /** What the resource itself, and no view of it, has to close. */
    private record Closing(@Nullable TokenStore ownStore, Expunger expunger, boolean ownExpunger) {}

    /**
     * Opens the store that the system property {@code curfew.store.url} names, else the environment variable
     * {@code CURFEW_STORE_URL}, else the only store on the class path that needs no server.
     *
     * @throws TokenStoreException if none or several come into question, or it cannot be opened; the message says what to do
     */
    public static TokenResource open() {
        return builder().build();
    }

    /**
     * Opens the store of a URL: {@code memory:}, or one that an adapter on the class path claims.
     *
     * @throws TokenStoreException if none or several adapters claim it, or it cannot be opened; the message says what to
     *     do, and keeps the URL's credentials to itself
     */
    public static TokenResource open(String url) {
        return builder().url(url).build();
    }

    /** Configures a resource. */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * A view of the same domain with another tenant's records; it closes nothing.
     *
     * @param tenant at most 128 bytes, without control characters
     */
    public TokenResource forTenant(String tenant) {
        return new TokenResource(actions, scope().forTenant(tenant), null);
    }

    /** Stores a token for the purpose {@value Token#DEFAULT_PURPOSE}: see {@link #storeToken(Token, String, Map)}. */
    public StoreOutcome storeToken(Token token) {
        return storeToken(token, Token.DEFAULT_PURPOSE);
    }

    /** Stores a token without extra data: see {@link #storeToken(Token, String, Map)}. */
    public StoreOutcome storeToken(Token token, String purpose) {
        return perform(STORE_TOKEN, new Storing(token, purpose, null));
    }

    /**
     * Keeps a record of a token, or updates the one that is there. Storing never undoes a revocation. The session is a part
     * of the record: a token that is stored again without its session no longer belongs to it.
     *
     * @param purpose what it is for, 1 to 64 bytes
     * @param extraData a JSON object of at most 64 KiB; comes back as {@link ExtraData} says
     * @throws SubjectMismatchException if the jti belongs to another subject
     */
    public StoreOutcome storeToken(Token token, String purpose, Map<String, ?> extraData) {
        return perform(STORE_TOKEN, new Storing(token, purpose, ExtraData.of(extraData)));
    }

    /** The live, unrevoked record of a jti, whatever its purpose. */
    public Optional<TokenRecord> getToken(String jti) {
        return perform(GET_TOKEN, new Lookup(jti, null, null));
    }

    /** The live, unrevoked record of a jti and purpose. */
    public Optional<TokenRecord> getToken(String jti, String purpose) {
        return perform(GET_TOKEN, new Lookup(jti, null, present("purpose", purpose)));
    }

    /** The live, unrevoked record of a token's jti and subject, whatever its purpose. */
    public Optional<TokenRecord> getToken(Token token) {
        return perform(GET_TOKEN, Lookup.of(token, null));
    }

    /** The live, unrevoked record of a token's jti and subject, of this purpose. */
    public Optional<TokenRecord> getToken(Token token, String purpose) {
        return perform(GET_TOKEN, Lookup.of(token, present("purpose", purpose)));
    }

    /** The record of a jti whatever its state, for people and audits (R2.7); not for deciding who gets in. */
    public Optional<TokenRecord> inspect(String jti) {
        return perform(INSPECT, present("jti", jti));
    }

    /** The first 100 of a subject's live, unrevoked tokens, the soonest to expire first: a page of "your devices". */
    public List<TokenRecord> listTokens(String subject) {
        return listTokens(subject, 100);
    }

    /**
     * The first of a subject's live, unrevoked tokens, the soonest to expire first.
     *
     * @param limit how many at most, from 1 to 1,000
     */
    public List<TokenRecord> listTokens(String subject, int limit) {
        return perform(LIST_TOKENS, new Page(present("subject", subject), limit, null));
    }

    /**
     * The next page of a subject's live, unrevoked tokens.
     *
     * @param after the last record of the page before
     */
    public List<TokenRecord> listTokens(String subject, int limit, TokenRecord after) {
        return perform(LIST_TOKENS, new Page(present("subject", subject), limit, present("after", after)));
    }

    /**
     * Revokes a token, stored or not, until it is expired for every verifier. Of concurrent calls one gets REVOKED. Pass only
     * a token that you have verified: it is revoked even if the stored record names another subject. For a jti that a browser
     * sends, use {@link #revokeStoredForSubject}. A token that was rotated takes its session with it (R14.6).
     */
    public RevokeOutcome revokeToken(Token token) {
        return perform(REVOKE_TOKEN, present("token", token));
    }

    /**
     * Revokes a token of which only the jti is known. The revocation is kept for {@link Builder#maxTokenLifetime}, or until
     * the stored expiry where that is later. Without a longest lifetime a stored expiry is trusted; where nothing is
     * stored, the revocation is kept until 9999-12-31 (R3.5).
     */
    public RevokeOutcome revokeJti(String jti) {
        return perform(REVOKE_JTI, new JtiRevocation(jti, null));
    }

    /** Revokes a token of which the jti and the expiry are known. */
    public RevokeOutcome revokeJti(String jti, Instant expiresAt) {
        return perform(REVOKE_JTI, new JtiRevocation(jti, present("expiresAt", expiresAt)));
    }

    /**
     * Revokes one of a subject's stored tokens: for a page of "your devices", whose user picks the jti. What is not stored
     * for this subject, or has expired, is not touched, and UNKNOWN. The revocation is kept as that of {@link #revokeJti} is.
     * It takes two round trips.
     */
    public RevokeOutcome revokeStoredForSubject(String subject, String jti) {
        return perform(REVOKE_STORED_FOR_SUBJECT, new Lookup(jti, present("subject", subject), null));
    }

    /**
     * Revokes every live token of a subject that was stored before the call began, and answers how many. One stored
     * meanwhile may be among them. {@link #revokeSubject} revokes also what was never stored, and what a {@link #rotate} that
     * is under way is about to store.
     */
    public long revokeAllStoredForSubject(String subject) {
        return perform(REVOKE_ALL_STORED_FOR_SUBJECT, new Selection(subject, null, Set.of()));
    }

    /** Does so for these purposes only: all magic links of hers. An empty set is an {@link IllegalArgumentException}. */
    public long revokeAllStoredForSubject(String subject, Set<String> purposes) {
        if (present("purposes", purposes).isEmpty()) {
            throw new IllegalArgumentException("purposes must not be empty");
        }
        return perform(REVOKE_ALL_STORED_FOR_SUBJECT, new Selection(subject, null, purposes));
    }

    /** Does so for all tokens but those of one session: "log out my other devices". */
    public long revokeAllStoredForSubjectExcept(String subject, String session) {
        return perform(REVOKE_ALL_STORED_FOR_SUBJECT, new Selection(subject, present("session", session), Set.of()));
    }

    /**
     * Ends a session, with one write: every token of it is revoked, stored or not, issued before or after. A session that has
     * ended does not come back (R13.2). The name must be unique among all users: it is not looked up by subject. {@link #check}, {@link #isRevoked(Token)}, {@link #consume}, {@link #getToken},
     * {@link #getConfirmationChanges}, {@link #listTokens} and {@link #rotate} look at it; {@link #isRevoked(String)} and
     * {@link #inspect} do not.
     *
     * @param session the claim {@code sid} of its tokens, 1 to 512 bytes
     * @return REVOKED to exactly one of all concurrent callers, ALREADY_REVOKED to the others
     */
    public RevokeOutcome revokeSession(String session) {
        return perform(REVOKE_SESSION, present("session", session));
    }

    /**
     * Logs a subject out everywhere, with one write: sets a watermark, by which every token of the subject is revoked that
     * was issued at or before it, stored or not. Tokens without a time of issue are revoked as long as there is a
     * watermark (R4.2 to R4.5).
     *
     * <p>{@link #check}, {@link #isRevoked(Token)}, {@link #consume}, {@link #getToken}, {@link #getConfirmationChanges} and
     * {@link #listTokens} look at the watermark. {@link #isRevoked(String)} and {@link #inspect} look at records alone.
     *
     * @return the watermark
     */
    public Instant revokeSubject(String subject) {
        return perform(REVOKE_SUBJECT, present("subject", subject));
    }

    /**
     * Whether a jti is revoked or used, be it expired or not. It cannot know the subject, so it sees no watermark of
     * {@link #revokeSubject}: where that is used, ask {@link #check}.
     */
    public boolean isRevoked(String jti) {
        return actions.isPlain(IS_REVOKED)
                ? actions.isRevoked(scope(), jti)
                : perform(IS_REVOKED, Set.of(Limits.jti(jti))).contains(jti);
    }

    /**
     * Whether a token is revoked or used, by itself or by a watermark of its subject, be it expired or not: whether
     * {@link #check} answers REVOKED, or UNAVAILABLE.
     */
    public boolean isRevoked(Token token) {
        TokenStatus status = check(token);
        return status == TokenStatus.REVOKED || status == TokenStatus.UNAVAILABLE;
    }

    /** Those of the jtis that are revoked or used, in one round trip to the store; sees no watermarks. */
    public Set<String> isRevoked(Collection<String> jtis) {
        return perform(IS_REVOKED, new HashSet<>(present("jtis", jtis)));
    }

    /** Whether to accept a token stored for the purpose {@value Token#DEFAULT_PURPOSE}, or not stored at all. */
    public TokenStatus check(Token token) {
        return check(token, Token.DEFAULT_PURPOSE);
    }

    /**
     * Whether to accept a token, in one round trip: only if the answer is ACTIVE.
     *
     * <p>Without {@link Builder#requirePresence} the purpose is not looked at: a JWT that was issued to confirm an e-mail
     * address is ACTIVE, and would pass for a session. Give the kinds of JWTs different {@code typ} headers, and verify
     * them (RFC 8725 section 3.11).
     *
     * @param purpose what it must be stored for, where {@link Builder#requirePresence} is set; else of no matter
     */
    public TokenStatus check(Token token, String purpose) {
        return actions.isPlain(CHECK)
                ? actions.check(scope(), present("token", token), purpose, false)
                : perform(CHECK, new Check(token, purpose, false));
    }

    /** The answer of {@link #check(Token)} by the store: see {@link #checkInStore(Token, String)}. */
    public TokenStatus checkInStore(Token token) {
        return checkInStore(token, Token.DEFAULT_PURPOSE);
    }

    /**
     * The answer of {@link #check(Token, String)} by the store, also where there is a local replica: for requests that must not
     * be accepted by an answer as old as the replica's bound, such as a change of the password, or a refresh. What the replica
     * knows to be revoked is REVOKED without asking.
     *
     * @param purpose as for {@code check}
     */
    public TokenStatus checkInStore(Token token, String purpose) {
        return perform(CHECK, new Check(token, purpose, true));
    }

    /**
     * The answer of {@link #check(Token)} where the local replica has it, at once and without the store; empty where the
     * store must be asked, where there is no replica, and where {@code check} has interceptors. An empty answer is no outcome
     * for {@link Builder#onOutcome}. For callers that must not block.
     */
    public Optional<TokenStatus> checkLocally(Token token) {
        return Optional.ofNullable(actions.checkLocally(scope(), present("token", token)));
    }

    /**
     * Uses a stored token, once: of any number of callers exactly one gets the record (R5.1).
     *
     * @param purpose what it must be stored for; a token for another purpose is not touched, and UNKNOWN
     */
    public Consumption consume(String jti, String purpose) {
        return perform(CONSUME, new Lookup(jti, null, present("purpose", purpose)));
    }

    /** Uses a stored token, once, if it is stored for this subject and purpose; else it is not touched, and UNKNOWN. */
    public Consumption consume(Token token, String purpose) {
        return perform(CONSUME, Lookup.of(token, present("purpose", purpose)));
    }

    /** Rotates a token without extra data: see {@link #rotate(Token, String, Token, Map)}. */
    public Rotation rotate(Token presented, String purpose, Token successor) {
        return perform(ROTATE, new Rotating(presented, purpose, successor, null));
    }

    /**
     * Uses a refresh token and stores its successor, for exactly one of any number of callers. A token that is presented again
     * later has been copied: its session is revoked (R14; RFC 9700 section 4.14.2). After an exception, call again with the
     * same successor. Within a transaction of yours, commit also after Reused: else the session is not revoked.
     *
     * @param presented the token that its holder has sent, which was stored for this purpose; it has a session
     * @param successor a new token of the same subject and session; hand it out only if the answer is Rotated
     * @param extraData the successor's extra data
     * @throws IllegalArgumentException also if the two have no session, or are of two sessions or of two subjects
     */
    public Rotation rotate(Token presented, String purpose, Token successor, Map<String, ?> extraData) {
        return perform(ROTATE, new Rotating(presented, purpose, successor, ExtraData.of(extraData)));
    }

    /**
     * Keeps changes that wait for confirmation as the token's extra data.
     *
     * @param changes a JSON object of at most 64 KiB
     * @throws SubjectMismatchException if the jti belongs to another subject
     */
    public StoreOutcome storeConfirmationChanges(Token token, String purpose, Map<String, ?> changes) {
        return perform(
                STORE_CONFIRMATION_CHANGES, new Storing(token, purpose, ExtraData.of(present("changes", changes))));
    }

    /** The changes that wait for confirmation by this token, while the token is live and unrevoked. */
    public Optional<ExtraData> getConfirmationChanges(Token token, String purpose) {
        return perform(GET_CONFIRMATION_CHANGES, Lookup.of(token, present("purpose", purpose)));
    }

    /**
     * Uses the token whose changes wait for confirmation, once (R6.1): of any number of callers exactly one gets the record,
     * and in its {@link TokenRecord#extraData} the changes.
     */
    public Consumption consumeConfirmationChanges(Token token, String purpose) {
        return perform(CONSUME_CONFIRMATION_CHANGES, Lookup.of(token, present("purpose", purpose)));
    }

    /**
     * The first of the tenant's records past their retention end, by expiry (R7.1).
     *
     * @param limit how many at most, from 1 to 1,000
     */
    public List<TokenRecord> readExpired(int limit) {
        return perform(READ_EXPIRED, new Page(null, limit, null));
    }

    /**
     * The next page of the tenant's records past their retention end.
     *
     * @param after the last record of the page before
     */
    public List<TokenRecord> readExpired(int limit, TokenRecord after) {
        return perform(READ_EXPIRED, new Page(null, limit, present("after", after)));
    }

    /**
     * Removes what is past its retention end, of all tenants, so gently that nobody notices; the {@link Expunger} does so
     * periodically. It takes as long as it takes: for a maintenance window see {@link #expungeExpired(ExpungePace)}.
     */
    public ExpungeReport expungeExpired() {
        return expungeExpired(ExpungePace.GENTLE);
    }

    /**
     * Removes what is past its retention end, of all tenants, in batches.
     *
     * @param pace how fast
     */
    public ExpungeReport expungeExpired(ExpungePace pace) {
        return perform(EXPUNGE_EXPIRED, present("pace", pace));
    }

    /** What the last completed {@link #expungeExpired()} did, by hand or by the expunger. */
    public Optional<ExpungeReport> lastExpunge() {
        return actions.lastExpunge();
    }

    /** How the local replica is doing; empty if the resource has none. */
    public Optional<ReplicaStatus> replicaStatus() {
        return actions.replicaStatus();
    }

    /**
     * Changes how often the expunger cleans this domain, from now on.
     *
     * @throws IllegalArgumentException if the interval is shorter than a millisecond
     */
    public void setExpungeInterval(Duration expungeInterval) {
        if (closing == null) {
            throw new IllegalStateException(
                    "The expunger serves all tenants: change its interval on the resource itself");
        }
        closing.expunger().reschedule(actions, interval(expungeInterval));
    }

    /** The name of this token resource, and of its views. */
    public String domain() {
        return scope.domain();
    }

    /**
     * How many calls of the store failed since the resource was built, of whatever action. Checks that the failure policy
     * answered without asking the store are among them (R8.9).
     */
    public long storeFailures() {
        return actions.failures();
    }

    /** The action of this name, as configured, to be called by name. */
    public BoundAction action(String name) {
        TokenAction<?, ?> action = actions.named(present("name", name));
        return new BoundAction() {
            @Override
            public TokenAction<?, ?> action() {
                return action;
            }

            @Override
            public Object call(Object argument) {
                return performAs(action, argument);
            }
        };
    }

    /** An action of a resource, found by its name. */
    public interface BoundAction {
        /** Which action the name stands for. */
        TokenAction<?, ?> action();

        /**
         * Calls the action.
         *
         * @param argument of the action's {@link TokenAction#argumentType}
         * @throws IllegalArgumentException if the argument is of another type or null
         */
        Object call(Object argument);
    }

    private <A, R> R performAs(TokenAction<A, R> action, Object argument) {
        if (!action.argumentType().isInstance(present("argument", argument))) {
            throw new IllegalArgumentException(actions.name(action) + " takes a "
                    + action.argumentType().getSimpleName() + ", not a "
                    + argument.getClass().getName() + "; see TokenAction");
        }
        return perform(action, action.argumentType().cast(argument));
    }

    private <A, R> R perform(TokenAction<A, R> action, A argument) {
        return actions.perform(scope(), action, argument);
    }

    /** Another node's skew may have become this one's (R1.7). */
    private StoreScope scope() {
        if (!scope.skew().equals(actions.skew())) {
            scope = actions.current(scope);
        }
        return scope;
    }

    /**
     * Ends a run of the expunger within a batch, and closes what the resource itself opened: a store that was passed in
     * stays open. A second call does nothing.
     */
    @Override
    public void close() {
        if (closing == null || !actions.close()) {
            return;
        }
        closing.expunger().remove(actions);
        if (closing.ownExpunger()) {
            closing.expunger().close();
        }
        if (closing.ownStore() != null) {
            closing.ownStore().close();
        }
    }

    @Override
    public String toString() {
        return "TokenResource[domain=" + scope.domain() + "]";
    }

    /** A longer one than a hundred years never comes, and cannot be counted. */
    private static Duration interval(Duration interval) {
        Duration longest = Duration.ofDays(36_500);
        return positive("expungeInterval", interval).compareTo(longest) < 0 ? interval : longest;
    }

    private static Duration positive(String what, Duration duration) {
        if (present(what, duration).compareTo(Duration.ofMillis(1)) < 0) {
            throw new IllegalArgumentException(what + " must be at least a millisecond, not " + duration);
        }
        return duration;
    }

    /** Settings of a resource; every one has a default. */
    public static final class Builder {
        private static final long REPLICA_CAPACITY = 20_000_000;

        private @Nullable TokenStore store;
        private @Nullable String url;
        private Duration clockSkew = Duration.ofSeconds(60);
        private Duration expungeInterval = Duration.ofHours(12);
        private @Nullable Expunger expunger;
        String domain = "tokens";
        InstantSource clock = InstantSource.system();
        boolean onSystemClock = true;
        Duration issuerSkew = Duration.ZERO;
        Duration reuseGrace = Duration.ZERO;
        Duration callDeadline = Duration.ofSeconds(2);
        private Duration openDeadline = Duration.ofSeconds(30);

        @Nullable
        Duration maxTokenLifetime;

        @Nullable
        Duration localReplica;

        @Nullable
        Duration replicaPollInterval;

        long replicaCapacity = REPLICA_CAPACITY;
        WhenStale whenReplicaIsStale = WhenStale.ASK;
        Duration serveWhileStoreFails = Duration.ZERO;
        boolean requirePresence;
        FailurePolicy failurePolicy = FailurePolicy.DENY;
        int expungeBatchSize = 1000;
        final Map<TokenAction<?, ?>, String> names = new HashMap<>();
        final Map<TokenAction<?, ?>, List<ActionInterceptor<?, ?>>> interceptors = new HashMap<>();
        final List<Consumer<RevocationEvent>> listeners = new ArrayList<>();
        final List<Consumer<ActionOutcome>> outcomeListeners = new ArrayList<>();

        private Builder() {}

        /** A store that the application made, from its own pool or client; closing the resource leaves it open. */
        public Builder store(TokenStore store) {
            this.store = present("store", store);
            return this;
        }

        /** The URL of a store, which the resource then opens and closes. */
        public Builder url(String url) {
            this.url = present("url", url);
            return this;
        }

        /**
         * The name of this token resource: its own table, collection or key prefix. 1 to 64 bytes without control characters,
         * "tokens" by default.
         */
        public Builder domain(String domain) {
            this.domain = Limits.domain(domain);
            return this;
        }

        /** Where time comes from, the system by default. Nothing else in Curfew asks a clock. */
        public Builder clock(InstantSource clock) {
            this.clock = present("clock", clock);
            this.onSystemClock = false;
            return this;
        }

        /** The greatest leeway that any verifier of these tokens grants, 60 s by default: records are kept so much longer. */
        public Builder clockSkew(Duration clockSkew) {
            this.clockSkew = present("clockSkew", clockSkew);
            return this;
        }

        /**
         * How far the clock of the tokens' issuer may be ahead of this resource's clock; zero by default.
         * {@link #revokeSubject} also revokes tokens whose time of issue is up to this long after the watermark (R4.4). So for
         * this long after a "log out everywhere", a new log-in may be refused.
         */
        public Builder issuerSkew(Duration issuerSkew) {
            if (present("issuerSkew", issuerSkew).isNegative() || issuerSkew.compareTo(Duration.ofDays(1)) > 0) {
                throw new IllegalArgumentException("issuerSkew must not be negative, nor longer than a day");
            }
            this.issuerSkew = issuerSkew;
            return this;
        }

        /**
         * For how long after its first use a token can be given to {@link #rotate} again, zero by default. Then a client whose
         * reply was lost, or that has two tabs, is not logged out. But a thief who presents a copy within that time gets
         * tokens of the session that nobody notices, as long as they are rotated in time (R14.3). It must be longer than the
         * clocks of the nodes are apart, and than a call may take.
         */
        public Builder reuseGrace(Duration reuseGrace) {
            if (present("reuseGrace", reuseGrace).isNegative() || reuseGrace.compareTo(Duration.ofDays(1)) > 0) {
                throw new IllegalArgumentException("reuseGrace must not be negative, nor longer than a day");
            }
            this.reuseGrace = reuseGrace;
            return this;
        }

        /**
         * The longest lifetime of any token of this resource. A revocation of a subject or a session, and one without expiry,
         * is kept so long; without it all are kept until 9999-12-31, and building warns.
         */
        public Builder maxTokenLifetime(Duration maxTokenLifetime) {
            this.maxTokenLifetime = positive("maxTokenLifetime", maxTokenLifetime);
            return this;
        }

        /** Makes {@link #check} answer UNKNOWN for what is not stored: only stored tokens are accepted. */
        public Builder requirePresence() {
            this.requirePresence = true;
            return this;
        }

        /** What checks answer while the store fails: {@link FailurePolicy#DENY} by default. */
        public Builder failurePolicy(FailurePolicy failurePolicy) {
            this.failurePolicy = present("failurePolicy", failurePolicy);
            return this;
        }

        /** How long a call of the store may take, 2 s by default; the store keeps it by its driver's own means. */
        public Builder callDeadline(Duration callDeadline) {
            this.callDeadline = present("callDeadline", callDeadline);
            return this;
        }

        /**
         * How long opening may take, 30 s by default: a first connection on a busy machine takes longer than a call. A server
         * that refuses fails it at once; one that is slow does not.
         */
        public Builder openDeadline(Duration openDeadline) {
            if (StoreScope.isOutOfRange(present("openDeadline", openDeadline))) {
                throw new IllegalArgumentException("openDeadline must be at least a millisecond, and at most a day");
            }
            this.openDeadline = openDeadline;
            return this;
        }

        /**
         * Keeps all that is revoked in the domain in this node's memory, too. Then {@link #check} and {@link #isRevoked} ask the
         * store only where that leaves a doubt (R12). A thread reads what is new. Memory: some 13 bytes a revocation.
         *
         * @param bound how late this node may learn of a revocation by another one; at least 10 ms, at most a day
         */
        public Builder localReplica(Duration bound) {
            this.localReplica = within("the bound of localReplica", bound, 10);
            return this;
        }

        /** How often the local replica reads what is new: a quarter of its bound by default, at most half of it. */
        public Builder replicaPollInterval(Duration replicaPollInterval) {
            this.replicaPollInterval = within("replicaPollInterval", replicaPollInterval, 1);
            return this;
        }

        /**
         * How many revocations the local replica may hold, 20,000,000 by default, which take 260 MB of heap. With one more, the
         * replica stops for good and says so in the log, and checks ask the store.
         */
        public Builder replicaCapacity(long entries) {
            if (entries < 1) {
                throw new IllegalArgumentException("replicaCapacity must be at least 1, not " + entries);
            }
            this.replicaCapacity = entries;
            return this;
        }

        /** What a check does when the local replica is older than its bound: {@link WhenStale#ASK} by default. */
        public Builder whenReplicaIsStale(WhenStale whenStale) {
            this.whenReplicaIsStale = present("whenStale", whenStale);
            return this;
        }

        /**
         * For how much longer than its bound the local replica may answer while the store fails; not at all by default. Then an
         * outage of the store logs nobody out. But what another node revoked shortly before the outage is accepted here for as
         * long.
         *
         * @param serveWhileStoreFails at most a day
         */
        public Builder serveWhileStoreFails(Duration serveWhileStoreFails) {
            this.serveWhileStoreFails = within("serveWhileStoreFails", serveWhileStoreFails, 0);
            return this;
        }

        private static Duration within(String name, Duration duration, long leastMillis) {
            if (present(name, duration).compareTo(Duration.ofMillis(leastMillis)) < 0
                    || duration.compareTo(Duration.ofDays(1)) > 0) {
                throw new IllegalArgumentException(
                        name + " must be at least " + leastMillis + " ms and at most a day, not " + duration);
            }
            return duration;
        }

        /** How often what has expired is cleared out, every 12 hours by default, the first time within a tenth of it. */
        public Builder expungeInterval(Duration expungeInterval) {
            this.expungeInterval = interval(expungeInterval);
            return this;
        }

        /**
         * How many records a batch of {@link #expungeExpired()} or {@link #revokeAllStoredForSubject} has at most, 1,000 by
         * default.
         */
        public Builder expungeBatchSize(int size) {
            if (size < 1) {
                throw new IllegalArgumentException("expungeBatchSize must be at least 1, not " + size);
            }
            this.expungeBatchSize = size;
            return this;
        }

        /** An expunger that serves several resources, each at its own interval; the application closes it. */
        public Builder expunger(Expunger expunger) {
            this.expunger = present("expunger", expunger);
            return this;
        }

        /** Another name for an action, for logs, metrics and {@link TokenResource#action}. */
        public Builder actionName(TokenAction<?, ?> action, String name) {
            names.put(present("action", action), Limits.text("the name of " + action, name, 1, 128));
            return this;
        }

        /** Wraps or replaces an action. Several of one action are called in the order given, the first one outermost. */
        public <A, R> Builder intercept(TokenAction<A, R> action, ActionInterceptor<A, R> interceptor) {
            interceptors
                    .computeIfAbsent(present("action", action), a -> new ArrayList<>())
                    .add(present("interceptor", interceptor));
            return this;
        }

        /** Hears of every revocation that this node performed, after it is acknowledged, before its call returns. */
        public Builder onRevocation(Consumer<RevocationEvent> listener) {
            listeners.add(present("listener", listener));
            return this;
        }

        /**
         * Hears how every call of an action ended, also those that failed and those of the expunger, on the call's thread: for
         * metrics. Without such a listener nothing is measured (R11.6).
         */
        public Builder onOutcome(Consumer<ActionOutcome> listener) {
            outcomeListeners.add(present("listener", listener));
            return this;
        }

        /**
         * Opens the resource.
         *
         * @throws IllegalArgumentException if settings contradict each other or are outside their limits
         * @throws TokenStoreException if the store cannot be opened; the message says what to do
         */
        public TokenResource build() {
            var scope = new StoreScope(domain, "", clockSkew, callDeadline);
            StoreScope opening = scope.withDeadline(openDeadline);
            ensureDistinctNames();
            if (store != null && url != null) {
                throw new IllegalArgumentException("A store and a URL are given: leave one of them out");
            }
            ensureReplica();
            if (maxTokenLifetime == null) {
                LoggerFactory.getLogger(TokenResource.class)
                        .warn(
                                "Domain '{}' has no maxTokenLifetime: revocations without expiry, of subjects and of sessions are kept"
                                        + " until 9999-12-31. Set it to the longest lifetime that is issued.",
                                domain);
            }
            TokenStore own = store == null ? Discovery.open(url, callDeadline, opening) : null;
            Expunger expunges = expunger == null ? Expunger.create() : expunger;
            try {
                TokenStore used = prepared(own, opening);
                var actions = new Actions(this, used, scope.skew());
                StoreScope agreed = agreed(actions, opening).withDeadline(callDeadline);
                expunges.add(actions, agreed, expungeInterval);
                actions.startReplica();
                return new TokenResource(actions, agreed, new Closing(own, expunges, expunger == null));
            } catch (RuntimeException e) {
                if (own != null) {
                    own.close();
                }
                throw e;
            }
        }

        private void ensureReplica() {
            if (localReplica == null
                    && (replicaPollInterval != null
                            || replicaCapacity != REPLICA_CAPACITY
                            || whenReplicaIsStale != WhenStale.ASK
                            || !serveWhileStoreFails.isZero())) {
                throw new IllegalArgumentException("Settings of a local replica are given, and localReplica is not");
            }
            if (localReplica != null
                    && replicaPollInterval != null
                    && replicaPollInterval.multipliedBy(2).compareTo(localReplica) > 0) {
                throw new IllegalArgumentException(
                        "replicaPollInterval must be at most half of the bound of localReplica");
            }
        }

        /** Asks the store for the domain's skew. A driver's exception may contain the URL, and is then no cause. */
        private StoreScope agreed(Actions actions, StoreScope scope) {
            try {
                return actions.agreed(scope);
            } catch (CurfewException e) {
                throw e;
            } catch (RuntimeException e) {
                throw new TokenStoreException(
                        "The store could not tell the clockSkew of domain '" + domain + "': "
                                + Outage.described(e, false),
                        store == null ? null : e);
            }
        }

        /** Discovery has already prepared a store that it opened, since an exception of that may contain the URL. */
        private TokenStore prepared(@Nullable TokenStore own, StoreScope scope) {
            if (own != null) {
                return own;
            }
            TokenStore given = present("store", store);
            given.prepare(scope);
            return given;
        }

        private void ensureDistinctNames() {
            var taken = new HashSet<String>();
            for (TokenAction<?, ?> action : TokenAction.values()) {
                String name = names.getOrDefault(action, action.defaultName());
                if (!taken.add(name)) {
                    throw new IllegalArgumentException("Two actions of domain '" + domain + "' are named '" + name
                            + "'; " + action + " is one of them: give it another name");
                }
            }
        }
    }
}
