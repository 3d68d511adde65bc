package dev.curfew;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the actions do: the meaning of the contract on top of the verbs of a store, between the interceptors above and
 * the failure policy below. Shared by the views of a resource on all its tenants.
 */
final class Actions {
    private static final Logger LOG = LoggerFactory.getLogger(TokenResource.class);

    private static final Duration QUIET = Duration.ofSeconds(30);
    private static final Duration LONGEST_REST = Duration.ofMillis(100);

    private final TokenStore store;
    private final InstantSource clock;
    private final boolean onSystemClock;
    private final Duration issuerSkew;
    private final String domain;
    private final @Nullable Duration maxTokenLifetime;
    private final boolean requirePresence;
    private final FailurePolicy failurePolicy;
    private final int batchSize;
    private final Map<TokenAction, String> names;
    private final Map<TokenAction, List<ActionInterceptor>> interceptors;
    private final List<Consumer<RevocationEvent>> listeners;

    private final Breaker breaker;
    private final LongAdder failures = new LongAdder();
    private final AtomicLong failuresOfThisOutage = new AtomicLong();
    private final AtomicBoolean longLivedTokenReported = new AtomicBoolean();
    private volatile boolean outage;
    private volatile long lastFailure;
    // During an outage.
    private volatile long lastSuccess = Long.MIN_VALUE / 2;
    private volatile boolean closed;
    private volatile @Nullable ExpungeReport lastExpunge;
    // The domain's: that of this node, or the larger one of another.
    private volatile Duration skew;

    Actions(TokenResource.Builder settings, TokenStore store, Duration skew) {
        this.store = store;
        this.clock = settings.clock;
        this.onSystemClock = settings.onSystemClock;
        this.issuerSkew = settings.issuerSkew;
        this.skew = skew;
        this.domain = settings.domain;
        this.maxTokenLifetime = settings.maxTokenLifetime;
        this.requirePresence = settings.requirePresence;
        this.failurePolicy = settings.failurePolicy;
        this.batchSize = settings.expungeBatchSize;
        this.breaker = new Breaker(settings.callDeadline);
        this.names = new EnumMap<>(settings.names);
        this.interceptors = new EnumMap<>(TokenAction.class);
        settings.interceptors.forEach((action, chain) -> this.interceptors.put(action, List.copyOf(chain)));
        this.listeners = List.copyOf(settings.listeners);
    }

    // Names and interceptors

    String name(TokenAction action) {
        return names.getOrDefault(action, action.defaultName());
    }

    TokenAction named(String name) {
        for (TokenAction action : TokenAction.values()) {
            if (name(action).equals(name)) {
                return action;
            }
        }
        throw new IllegalArgumentException("No action of domain '" + domain + "' is named '" + name + "'; there are "
                + Arrays.stream(TokenAction.values()).map(this::name).toList());
    }

    boolean isPlain(TokenAction action) {
        return !interceptors.containsKey(action);
    }

    Object perform(StoreScope scope, TokenAction action, Object... arguments) {
        ensureOpen();
        return proceed(
                0, new ActionCall(action, name(action), scope, Arrays.asList(Limits.present("arguments", arguments))));
    }

    private Object proceed(int index, ActionCall call) {
        List<ActionInterceptor> chain = interceptors.getOrDefault(call.action(), List.of());
        return index == chain.size()
                ? act(call)
                : chain.get(index)
                        // Others may change the arguments, not what is done, nor where.
                        .intercept(
                                call,
                                changed -> proceed(
                                        index + 1,
                                        new ActionCall(call.action(), call.name(), call.scope(), changed.arguments())));
    }

    private Object act(ActionCall call) {
        StoreScope scope = call.scope();
        return switch (call.action()) {
            case STORE_TOKEN -> store(call, call.has(2) ? call.argument(2, Map.class) : null);
            case STORE_CONFIRMATION_CHANGES -> store(call, call.argument(2, Map.class));
            case GET_TOKEN -> get(call, call.token(), call.has(1) ? call.argument(1, String.class) : null);
            case REVOKE_TOKEN -> revoke(call, call.argument(0, Token.class));
            case REVOKE_JTI -> revokeJti(call, Limits.jti(call.argument(0, String.class)));
            case REVOKE_STORED_FOR_SUBJECT ->
                revokeOwn(
                        call,
                        Limits.subject(call.argument(0, String.class)),
                        Limits.jti(call.argument(1, String.class)));
            case REVOKE_ALL_STORED_FOR_SUBJECT -> revokeStored(call, Limits.subject(call.argument(0, String.class)));
            case REVOKE_SUBJECT -> revokeSubject(call, Limits.subject(call.argument(0, String.class)));
            case IS_REVOKED -> isRevoked(call);
            case CHECK ->
                check(
                        scope,
                        call.argument(0, Token.class),
                        call.has(1) ? call.argument(1, String.class) : Token.DEFAULT_PURPOSE);
            case CONSUME -> consume(call, call.token());
            case CONSUME_CONFIRMATION_CHANGES ->
                consume(call, call.argument(0, Token.class)) instanceof Consumption.Consumed consumed
                        ? changes(consumed.record())
                        : Optional.empty();
            case GET_CONFIRMATION_CHANGES ->
                get(call, call.argument(0, Token.class), call.argument(1, String.class))
                        .flatMap(Actions::changes);
            case INSPECT ->
                Optional.ofNullable(find(call, Limits.jti(call.argument(0, String.class)), now())
                        .record());
            case LIST_TOKENS -> {
                String subject = Limits.subject(call.argument(0, String.class));
                int limit = limit(call.argument(1, Integer.class));
                TokenRecord after = after(call, 2);
                yield list(call, subject, limit, after);
            }
            case READ_EXPIRED -> {
                int limit = limit(call.argument(0, Integer.class));
                TokenRecord after = after(call, 1);
                yield stored(call, () -> store.readExpired(scope, after, limit, now()));
            }
            case EXPUNGE_EXPIRED -> expunge(call);
        };
    }

    // The actions

    private StoreOutcome store(ActionCall call, @Nullable Map<?, ?> data) {
        Token token = call.argument(0, Token.class);
        String purpose = Limits.purpose(call.argument(1, String.class));
        ExtraData extraData = data == null ? null : ExtraData.of(data);
        Instant now = now();
        if (!Times.isLive(token.expiresAt(), now)) {
            return StoreOutcome.EXPIRED;
        }
        reportLongLived(token, now);
        var record = new TokenRecord(
                token.jti(), token.subject(), purpose, token.issuedAt(), token.expiresAt(), extraData, now, now, null);
        return stored(call, () -> store.store(call.scope(), record, now));
    }

    private Optional<TokenRecord> get(ActionCall call, @Nullable Token token, @Nullable String purpose) {
        String jti = token == null ? Limits.jti(call.argument(0, String.class)) : token.jti();
        if (purpose != null) {
            Limits.purpose(purpose);
        }
        Instant now = now();
        StoredState state = find(call, jti, now);
        TokenRecord record = state.record();
        return record != null
                        && record.isLive(now)
                        && !record.isRevoked()
                        && (purpose == null || purpose.equals(record.purpose()))
                        && (token == null || token.subject().equals(record.subject()))
                        && !isCovered(call.scope(), record.issuedAt(), state.watermark(), now)
                ? Optional.of(record)
                : Optional.empty();
    }

    private StoredState find(ActionCall call, String jti, Instant now) {
        return stored(call, () -> store.find(call.scope(), jti, now));
    }

    /**
     * Pages of the store, without what the watermark covers, until this page is full (R2.7, R4.5). Where the watermark covers
     * more than can be passed over within the deadline, the call fails.
     */
    private List<TokenRecord> list(ActionCall call, String subject, int limit, @Nullable TokenRecord after) {
        Instant now = now();
        List<TokenRecord> page = new ArrayList<>();
        TokenRecord last = after;
        int asked = limit;
        boolean more;
        do {
            TokenRecord from = last;
            int most = asked;
            if (Duration.between(now, now()).compareTo(call.scope().deadline()) > 0) {
                throw new TokenStoreException(
                        TokenStoreException.Outcome.UNCHANGED,
                        call.name() + " in domain '" + domain
                                + "' was not done within the call deadline: the subject was"
                                + " logged out everywhere, and has too many tokens from before that. Call "
                                + name(TokenAction.REVOKE_ALL_STORED_FOR_SUBJECT) + " for the subject",
                        null);
            }
            Watermarked<List<TokenRecord>> next =
                    stored(call, () -> store.list(call.scope(), subject, from, most, now));
            for (TokenRecord record : next.answer()) {
                if (page.size() < limit && !isCovered(call.scope(), record.issuedAt(), next.watermark(), now)) {
                    page.add(record);
                }
                last = record;
            }
            more = next.answer().size() >= asked;
            asked = Math.max(limit, batchSize);
        } while (more && page.size() < limit);
        return page;
    }

    private RevokeOutcome revoke(ActionCall call, Token token) {
        reportLongLived(token, now());
        return revoke(call, token.jti(), token.subject(), token.issuedAt(), token.expiresAt(), token.expiresAt());
    }

    private RevokeOutcome revokeJti(ActionCall call, String jti) {
        if (call.has(1)) {
            Instant expiresAt = Times.roundedUp("expiresAt", call.argument(1, Instant.class));
            return revoke(call, jti, null, null, expiresAt, expiresAt);
        }
        return revoke(call, jti, null, null, longest(now().plus(issuerSkew)), longest());
    }

    /** Only what is stored for this subject, whose record keeps its subject (R2.3). */
    private RevokeOutcome revokeOwn(ActionCall call, String subject, String jti) {
        Instant now = now();
        TokenRecord record =
                stored(call, () -> store.state(call.scope(), jti, subject, now)).record();
        return record != null && subject.equals(record.subject()) && record.isLive(now)
                ? revoke(call, jti, subject, record.issuedAt(), record.expiresAt(), longest())
                : RevokeOutcome.UNKNOWN;
    }

    /**
     * Until when a revocation is kept where the token's own expiry is not known, or {@code EPOCH} where only a stored expiry
     * can tell: that may be shorter than the token's (R3.5).
     */
    private Instant longest() {
        return maxTokenLifetime == null ? Instant.EPOCH : longest(now().plus(issuerSkew));
    }

    private RevokeOutcome revoke(
            ActionCall call,
            String jti,
            @Nullable String subject,
            @Nullable Instant issuedAt,
            Instant expiresAt,
            Instant keepUntil) {
        StoreScope scope = call.scope();
        Instant now = now();
        if (scope.isPastRetention(expiresAt, now)) {
            return RevokeOutcome.EXPIRED;
        }
        var revocation =
                new TokenRecord(jti, subject, TokenRecord.REVOCATION, issuedAt, expiresAt, null, now, now, now);
        RevokeOutcome outcome = stored(call, () -> store.revoke(scope, revocation, keepUntil, now));
        if (outcome == RevokeOutcome.REVOKED) {
            tell(call, jti, subject, 1, now);
        }
        return outcome;
    }

    private Long revokeStored(ActionCall call, String subject) {
        Instant now = now();
        long revoked = 0;
        try {
            int batch;
            do {
                batch = stored(call, () -> store.revokeStored(call.scope(), subject, batchSize, now));
                revoked += batch;
            } while (batch >= batchSize);
        } catch (TokenStoreException e) {
            throw afterOthers(call, e, revoked);
        } finally {
            if (revoked > 0) {
                tell(call, null, subject, revoked, now);
            }
        }
        return revoked;
    }

    private Instant revokeSubject(ActionCall call, String subject) {
        Instant watermark = Times.roundedUp("now", clock.instant()); // never early (R1.3)
        // A token may have been issued before it by a clock that was ahead, and lives so much longer. A node with a
        // larger
        // skew may open later: the longest skew that there is costs no more.
        Instant keepUntil = longest(watermark.plus(issuerSkew)).plus(StoreScope.LONGEST);
        stored(call, () -> {
            store.revokeSubject(call.scope(), subject, watermark, keepUntil, now());
            return true;
        });
        tell(call, null, subject, 0, watermark);
        return watermark;
    }

    private Object isRevoked(ActionCall call) {
        Object asked = call.has(0) ? call.arguments().get(0) : "";
        if (asked instanceof Token token) {
            return isRevoked(call.scope(), token);
        } else if (asked instanceof Collection<?> several) {
            Set<String> jtis =
                    several.stream().map(jti -> Limits.jti((String) jti)).collect(Collectors.toUnmodifiableSet());
            return jtis.isEmpty()
                    ? jtis
                    : checked(TokenAction.IS_REVOKED, jtis, Set.of(), () -> store.revoked(call.scope(), jtis, now()));
        }
        return isRevoked(call.scope(), call.argument(0, String.class));
    }

    boolean isRevoked(StoreScope scope, String jti) {
        ensureOpen();
        Limits.jti(jti);
        if (breaker.isTripped()) {
            return inTurn(TokenAction.IS_REVOKED, true, false, () -> store.isRevoked(scope, jti, now()));
        }
        // As asked() does it, without making a lambda: the hottest path.
        try {
            boolean revoked = store.isRevoked(scope, jti, now());
            succeeded();
            return revoked;
        } catch (RuntimeException e) {
            return failed(TokenAction.IS_REVOKED, e, true, false);
        }
    }

    boolean isRevoked(StoreScope scope, Token token) {
        ensureOpen();
        Instant now = now();
        return checked(
                TokenAction.IS_REVOKED, true, false, () -> isRevoked(scope, token, state(scope, token, now), now));
    }

    TokenStatus check(StoreScope scope, Token token, String purpose) {
        ensureOpen();
        Limits.purpose(purpose);
        Instant now = now();
        // What the token says of itself needs no store.
        TokenStatus allowed = Times.isLive(token.expiresAt(), now) ? TokenStatus.ACTIVE : TokenStatus.EXPIRED;
        reportLongLived(token, now);
        return checked(TokenAction.CHECK, TokenStatus.UNAVAILABLE, allowed, () -> {
            StoredState state = state(scope, token, now);
            if (isRevoked(scope, token, state, now)) {
                return TokenStatus.REVOKED;
            }
            return allowed == TokenStatus.ACTIVE && requirePresence && !isPresent(token, purpose, state.record(), now)
                    ? TokenStatus.UNKNOWN
                    : allowed;
        });
    }

    private StoredState state(StoreScope scope, Token token, Instant now) {
        return store.state(scope, token.jti(), token.subject(), now);
    }

    private static boolean isPresent(Token token, String purpose, @Nullable TokenRecord record, Instant now) {
        return record != null
                && record.isLive(now)
                && purpose.equals(record.purpose())
                && token.subject().equals(record.subject());
    }

    private boolean isRevoked(StoreScope scope, Token token, StoredState state, Instant now) {
        TokenRecord record = state.record();
        if (record != null && record.isRevoked()) {
            return true;
        }
        return isCovered(scope, issuedAt(token, record), state.watermark(), now);
    }

    /** As fine as it is known: the record's, if it is this token's and within the second that the token tells (R4.4). */
    private static @Nullable Instant issuedAt(Token token, @Nullable TokenRecord record) {
        Instant told = token.issuedAt();
        Instant stored = record != null && token.subject().equals(record.subject()) ? record.issuedAt() : null;
        boolean finer = told != null
                && told.getNano() == 0
                && stored != null
                && stored.getEpochSecond() == told.getEpochSecond();
        return finer ? stored : told;
    }

    /**
     * Whether a watermark revokes what was issued then (R4.2 to R4.4). A whole second may stand for any time within it, and
     * the issuer's clock may be ahead: where that leaves a doubt, it does.
     */
    private boolean isCovered(StoreScope scope, @Nullable Instant issuedAt, @Nullable Instant watermark, Instant now) {
        if (watermark == null) {
            return false;
        } else if (issuedAt == null || isInTheFuture(scope, issuedAt, now)) {
            return true;
        }
        Instant latest = watermark.plus(issuerSkew);
        return issuedAt.getNano() == 0
                ? issuedAt.getEpochSecond() <= latest.getEpochSecond()
                : !issuedAt.isAfter(latest);
    }

    /** Such a time of issue says nothing (R4.3): any watermark could be put behind it. */
    private boolean isInTheFuture(StoreScope scope, Instant issuedAt, Instant now) {
        Duration skew = issuerSkew.compareTo(scope.skew()) > 0 ? issuerSkew : scope.skew();
        return issuedAt.isAfter(now.plus(skew));
    }

    private Consumption consume(ActionCall call, @Nullable Token token) {
        String jti = token == null ? Limits.jti(call.argument(0, String.class)) : token.jti();
        String subject = token == null ? null : token.subject();
        String purpose = Limits.purpose(call.argument(1, String.class));
        Instant now = now();
        Watermarked<Consumption> stored = stored(call, () -> store.consume(call.scope(), jti, subject, purpose, now));
        if (stored.answer() instanceof Consumption.Consumed consumed) {
            TokenRecord record = consumed.record();
            if (isCovered(call.scope(), record.issuedAt(), stored.watermark(), now)) {
                return Consumption.Refused.ALREADY_USED; // it had been revoked with all others of its subject
            }
            tell(call, jti, record.subject(), 1, now);
        }
        return stored.answer();
    }

    private static Optional<Map<String, @Nullable Object>> changes(TokenRecord record) {
        return Optional.ofNullable(record.extraData());
    }

    /** Ends after the batch in flight when the resource closes, or when the thread is interrupted (R7.5). */
    private ExpungeReport expunge(ActionCall call) {
        Instant startedAt = now();
        long removed = 0;
        long batches = 0;
        int batch;
        StoreScope scope = stored(call, () -> agreed(call.scope()));
        if (isAheadOfTheServer(call, startedAt)) {
            return new ExpungeReport(domain, 0, 0, startedAt, Duration.ZERO);
        }
        do {
            Instant began = now();
            try {
                batch = stored(call, () -> store.expunge(scope, batchSize, startedAt));
            } catch (TokenStoreException e) {
                throw afterOthers(call, e, removed);
            }
            removed += batch;
            batches++;
            if (batch >= batchSize) {
                rest(Duration.between(began, now()));
            }
        } while (batch >= batchSize && !closed && !Thread.currentThread().isInterrupted());
        var report = new ExpungeReport(domain, removed, batches, startedAt, Duration.between(startedAt, now()));
        lastExpunge = report;
        return report;
    }

    /**
     * Whether this node would remove what others must still honour (R7.8). A clock that the application passed in is its own
     * affair, such as one that a test moves by hand.
     */
    private boolean isAheadOfTheServer(ActionCall call, Instant now) {
        Instant server = onSystemClock ? stored(call, () -> store.serverTime(call.scope())) : null;
        if (server == null || !now.isAfter(server.plus(skew))) {
            return false;
        }
        LOG.warn(
                "Domain '{}' was not cleaned up: the clock of this node is {} ahead of the clock of the store's server, and"
                        + " clockSkew is {}. Set the clocks right, for example by NTP.",
                domain,
                Duration.between(server, now).plusMillis(500).truncatedTo(ChronoUnit.SECONDS),
                skew);
        return true;
    }

    /**
     * The scope with the largest skew that any node of the domain has had (R1.7), which this node uses from now on. It is kept
     * as the watermark of the empty subject, which is nobody's, since of watermarks the latest stands.
     */
    StoreScope agreed(StoreScope scope) {
        StoreScope whole = scope.forTenant("");
        Instant own = Instant.EPOCH.plus(skew);
        Instant kept = store.state(whole, "", "", now()).watermark();
        if (kept == null || kept.isBefore(own)) {
            keep(whole, own);
        } else {
            raise(Duration.between(Instant.EPOCH, kept));
        }
        return withSkew(scope);
    }

    /** A node that may only read can still check. */
    private void keep(StoreScope whole, Instant own) {
        try {
            store.revokeSubject(whole, "", own, Times.FOREVER, now());
        } catch (TokenStoreException e) {
            if (e.outcome() != TokenStoreException.Outcome.UNCHANGED) {
                throw e;
            }
            LOG.warn(
                    "The clockSkew of domain '{}' could not be kept in the store: nodes with a smaller one may remove what"
                            + " this one must honour. Open a node that may write with a clockSkew of {}. {}",
                    domain,
                    skew,
                    e.getMessage());
        }
    }

    private synchronized void raise(Duration larger) {
        if (larger.compareTo(StoreScope.LONGEST) > 0) {
            throw new TokenStoreException(
                    TokenStoreException.Outcome.UNCHANGED,
                    "The store says that domain '" + domain + "' has a clockSkew of " + larger
                            + ", and none is longer than"
                            + " a day. Correct or remove the watermark of the empty subject in the empty tenant",
                    null);
        }
        if (larger.compareTo(skew) > 0) {
            LOG.warn(
                    "Domain '{}' has had a clockSkew of {} on another node, and of {} on this one, which takes the larger. Set"
                            + " clockSkew to the same on every node.",
                    domain,
                    larger,
                    skew);
            skew = larger;
        }
    }

    /** A scope as it is from now on. */
    StoreScope withSkew(StoreScope scope) {
        return new StoreScope(scope.domain(), scope.tenant(), skew, scope.deadline());
    }

    Duration skew() {
        return skew;
    }

    /** Twice as long as the batch took, so that most of the time the store has nothing to do but to answer (R7.2). */
    private static void rest(Duration batch) {
        try {
            Thread.sleep(Math.max(0, Math.min(2 * batch.toMillis(), LONGEST_REST.toMillis())));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static @Nullable TokenRecord after(ActionCall call, int index) {
        if (!call.has(index)) {
            return null;
        }
        TokenRecord after = call.argument(index, TokenRecord.class);
        Limits.jti(after.jti());
        Times.inRange("expiresAt", after.expiresAt());
        return after;
    }

    private static int limit(int limit) {
        if (limit < 1) {
            throw new IllegalArgumentException("limit must be at least 1, not " + limit);
        }
        return limit;
    }

    /** The facade's clock, in the milliseconds that records have. */
    private Instant now() {
        return Instant.ofEpochMilli(clock.millis());
    }

    private Instant longest(Instant now) {
        return maxTokenLifetime == null ? Times.FOREVER : Times.after(now, maxTokenLifetime);
    }

    private void reportLongLived(Token token, Instant now) {
        if (maxTokenLifetime != null
                && token.expiresAt().isAfter(Times.after(now, maxTokenLifetime))
                && longLivedTokenReported.compareAndSet(false, true)) {
            LOG.warn(
                    "Domain '{}' sees tokens that live longer than its maxTokenLifetime of {}: they outlive the watermark"
                            + " of revoke_subject. Set maxTokenLifetime to the longest lifetime that is issued.",
                    domain,
                    maxTokenLifetime);
        }
    }

    private void tell(ActionCall call, @Nullable String jti, @Nullable String subject, long count, Instant now) {
        if (listeners.isEmpty()) {
            return;
        }
        var event = new RevocationEvent(call.action(), domain, call.scope().tenant(), jti, subject, count, now);
        for (Consumer<RevocationEvent> listener : listeners) {
            try {
                listener.accept(event);
            } catch (Throwable e) {
                // Whatever it is: the caller has won, and must hear so.
                LOG.warn(
                        "A listener of domain '{}' failed on {} with {}; the revocation stands.",
                        domain,
                        call.name(),
                        e.getClass().getName());
            }
        }
    }

    // Failure (R8)

    /** A verb that changes or reads something: what fails is thrown (R8.2). */
    private <T extends @Nullable Object> T stored(ActionCall call, Supplier<T> verb) {
        try {
            T answer = verb.get();
            if (call.action() != TokenAction.READ_EXPIRED || !(store instanceof SelfExpiringTokenStore)) {
                succeeded(); // such a store answers that without asking its server
            }
            return answer;
        } catch (SubjectMismatchException e) {
            throw e;
        } catch (RuntimeException e) {
            ensureNotClosed(e);
            failures.increment();
            throw wrapped(call.action(), e);
        }
    }

    /** A resource or a store that is closed is a mistake of the application's, and no outage (R8.6). */
    private void ensureNotClosed(RuntimeException e) {
        ensureOpen();
        if (e instanceof IllegalStateException) {
            breaker.reset();
            throw e;
        }
    }

    /** A batch that fails and has changed nothing leaves those before it done: so the action has changed something. */
    private TokenStoreException afterOthers(ActionCall call, TokenStoreException e, long done) {
        return done == 0 || e.outcome() != TokenStoreException.Outcome.UNCHANGED
                ? e
                : new TokenStoreException(
                        TokenStoreException.Outcome.UNKNOWN,
                        call.name() + " in domain '" + domain + "' has done " + done
                                + " records, and then failed. Call it again for the others",
                        e);
    }

    /** A verb that decides whether somebody gets in: what fails is answered by the policy (R8.1). */
    private <T> T checked(TokenAction action, T denied, T allowed, Supplier<T> verb) {
        return breaker.isTripped() ? inTurn(action, denied, allowed, verb) : asked(action, denied, allowed, verb);
    }

    /** A check of a store that has failed several in a row: while another one asks it, this one does not (R8.9). */
    private <T> T inTurn(TokenAction action, T denied, T allowed, Supplier<T> verb) {
        long turn = breaker.takeTurn(clock.millis());
        if (turn == Breaker.NONE) {
            return byPolicy(denied, allowed, () -> notAsked(action));
        }
        try {
            return asked(action, denied, allowed, verb);
        } finally {
            breaker.end(turn);
        }
    }

    private <T> T asked(TokenAction action, T denied, T allowed, Supplier<T> verb) {
        try {
            T answer = verb.get();
            succeeded();
            return answer;
        } catch (RuntimeException e) {
            return failed(action, e, denied, allowed);
        }
    }

    private <T> T failed(TokenAction action, RuntimeException e, T denied, T allowed) {
        ensureNotClosed(e);
        noteFailure(action, e);
        return byPolicy(denied, allowed, () -> wrapped(action, e));
    }

    private <T> T byPolicy(T denied, T allowed, Supplier<TokenStoreException> failure) {
        failures.increment();
        failuresOfThisOutage.incrementAndGet();
        lastFailure = clock.millis();
        return switch (failurePolicy) {
            case DENY -> denied;
            case ALLOW -> allowed;
            case THROW -> throw failure.get();
        };
    }

    /** Under one lock with endOutage: else the breaker could be tripped without an outage, and no success would reset it. */
    private synchronized void noteFailure(TokenAction action, RuntimeException e) {
        // A part of a cluster may be down: then others succeed in between, and must go on to be asked.
        if (clock.millis() - lastSuccess >= breaker.deadlineMillis()) {
            breaker.failed();
        }
        if (!outage) {
            outage = true;
            LOG.warn(
                    "The token store of domain '{}' failed in {}; until it works again, checks answer by failure policy"
                            + " {}. {}",
                    domain,
                    name(action),
                    failurePolicy,
                    described(e, true));
        }
    }

    /** An outage has ended when nothing has failed for a while: a store may work for every other call. */
    private void succeeded() {
        if (outage) {
            lastSuccess = clock.millis();
            breaker.reset();
            if (clock.millis() - lastFailure >= QUIET.toMillis()) {
                endOutage();
            }
        }
    }

    private synchronized void endOutage() {
        if (outage) {
            outage = false;
            breaker.reset();
            LOG.info(
                    "The token store of domain '{}' works again; {} checks were answered by failure policy {} meanwhile.",
                    domain,
                    failuresOfThisOutage.getAndSet(0),
                    failurePolicy);
        }
    }

    private TokenStoreException notAsked(TokenAction action) {
        return new TokenStoreException(
                TokenStoreException.Outcome.UNCHANGED,
                name(action) + " in domain '" + domain
                        + "' did not ask the store, which has failed several checks in a row."
                        + " One check at a time asks it, until it works again. Nothing was changed",
                null);
    }

    private TokenStoreException wrapped(TokenAction action, RuntimeException e) {
        return e instanceof TokenStoreException ours
                ? ours
                : new TokenStoreException(
                        name(action) + " failed in domain '" + domain + "' with "
                                + e.getClass().getName() + "; whether the store applied it is not known",
                        e);
    }

    /** The class names of what was thrown, and our own messages: a driver's may quote a key (R9.2). */
    static String described(Throwable e, boolean withMessages) {
        List<String> chain = new ArrayList<>();
        for (Throwable t = e; t != null && chain.size() < 10; t = t.getCause()) {
            boolean ours = withMessages && t instanceof CurfewException;
            chain.add(t.getClass().getName() + (ours ? ": " + t.getMessage() : ""));
        }
        return String.join(", caused by ", chain);
    }

    long failures() {
        return failures.sum();
    }

    Optional<ExpungeReport> lastExpunge() {
        return Optional.ofNullable(lastExpunge);
    }

    Instant instant() {
        return clock.instant();
    }

    private void ensureOpen() {
        if (closed) {
            throw new IllegalStateException("The token resource of domain '" + domain + "' is closed; open a new one");
        }
    }

    boolean isClosed() {
        return closed;
    }

    /** Whether this call was the one that closed. */
    synchronized boolean close() {
        boolean first = !closed;
        closed = true;
        return first;
    }
}
