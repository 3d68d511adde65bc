package dev.curfew;

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
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Implements the actions of the contract with the verbs of a store, and runs each action through its interceptors. One
 * object serves all tenants of a resource.
 */
final class Actions {
    private static final Logger LOG = LoggerFactory.getLogger(TokenResource.class);
    // A clean-up asks for this jti to see how long a check takes. It does not matter whether there is such a token.
    private static final String ANY_JTI = "curfew-expunge";
    // An issuer may round an expiry up to a whole second.
    private static final long ROUNDING_MILLIS = 1000;
    private static final Duration UNTIL_THE_FEED_TELLS = Duration.ofHours(1);
    // No two times are further apart (R1.3).
    private static final long LONGEST_DAYS = 10_000 * 366L;

    private final TokenStore store;
    private final InstantSource clock;
    private final boolean isOnSystemClock;
    private final Duration issuerSkew;
    private final Duration reuseGrace;
    private final String domain;
    private final @Nullable Duration maxTokenLifetime;
    private final long maxLifetimeMillis;
    private final boolean requirePresence;
    private final int batchSize;
    private final Map<TokenAction<?, ?>, String> names;
    private final Map<TokenAction<?, ?>, List<ActionInterceptor<?, ?>>> interceptors;
    private final List<Consumer<RevocationEvent>> listeners;
    private final Outcomes outcomes;

    private final DomainSkew skew;
    private final Outage outage;
    private final @Nullable Replica replica;
    private final AtomicBoolean longLivedTokenReported = new AtomicBoolean();
    private final CountDownLatch closing = new CountDownLatch(1);
    // Not volatile: a thread that sees an old Instant only makes a new one.
    private Instant lastNow = Instant.EPOCH;
    private volatile @Nullable ExpungeReport lastExpunge;

    Actions(TokenResource.Builder settings, TokenStore store, Duration skew) {
        this.store = store;
        this.clock = settings.clock;
        this.isOnSystemClock = settings.onSystemClock;
        this.issuerSkew = settings.issuerSkew;
        this.reuseGrace = settings.reuseGrace;
        this.skew = new DomainSkew(store, settings.domain, skew);
        this.domain = settings.domain;
        this.maxTokenLifetime = settings.maxTokenLifetime;
        this.maxLifetimeMillis = maxTokenLifetime == null || maxTokenLifetime.toDays() > LONGEST_DAYS
                ? Long.MAX_VALUE
                : maxTokenLifetime.toMillis() + ROUNDING_MILLIS;
        this.requirePresence = settings.requirePresence;
        this.batchSize = settings.expungeBatchSize;
        this.outcomes = new Outcomes(domain, settings.outcomeListeners);
        this.outage = new Outage(domain, settings.failurePolicy, clock, settings.callDeadline, outcomes);
        this.names = Map.copyOf(settings.names);
        this.interceptors = new HashMap<>();
        settings.interceptors.forEach((action, chain) -> interceptors.put(action, List.copyOf(chain)));
        this.listeners = List.copyOf(settings.listeners);
        var whole = new StoreScope(domain, "", skew, settings.callDeadline);
        this.replica = settings.localReplica == null
                ? null
                : new Replica(settings, settings.localReplica, store.feed(), () -> current(whole));
    }

    // Names and interceptors (R11)

    String name(TokenAction<?, ?> action) {
        return names.getOrDefault(action, action.defaultName());
    }

    TokenAction<?, ?> named(String name) {
        return TokenAction.values().stream()
                .filter(action -> name(action).equals(name))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "No action of domain '" + domain + "' is named '" + name + "'; there are "
                                + TokenAction.values().stream().map(this::name).toList()));
    }

    /**
     * Whether the action has neither an interceptor nor a listener of outcomes. Then isRevoked and check skip {@link
     * #perform}.
     */
    boolean isPlain(TokenAction<?, ?> action) {
        return !outcomes.isHeard() && (interceptors.isEmpty() || !interceptors.containsKey(action));
    }

    <A, R> R perform(StoreScope scope, TokenAction<A, R> action, A argument) {
        ensureOpen();
        return outcomes.isHeard()
                ? outcomes.observed(action, name(action), () -> proceed(0, scope, action, argument))
                : proceed(0, scope, action, argument);
    }

    @SuppressWarnings("unchecked") // the builder accepts an interceptor only with an action of the same types
    private <A, R> R proceed(int index, StoreScope scope, TokenAction<A, R> action, A argument) {
        var call = new ActionCall<>(action, name(action), scope, Limits.present("the argument of " + action, argument));
        List<ActionInterceptor<?, ?>> chain = interceptors.getOrDefault(action, List.of());
        if (index == chain.size()) {
            return action.act(this, call);
        }
        R answer = ((ActionInterceptor<A, R>) chain.get(index))
                .intercept(call, other -> proceed(index + 1, scope, action, other));
        if (answer == null) {
            throw new IllegalStateException("An interceptor of " + call.name() + " answered null");
        }
        return answer;
    }

    // Storing and reading (R2, R6)

    StoreOutcome storeToken(ActionCall<Storing> call) {
        Token token = call.argument().token();
        Instant now = now();
        if (!Times.isLive(token.expiresAt(), now)) {
            return StoreOutcome.EXPIRED;
        }
        reportLongLived(token, now);
        TokenRecord record =
                record(token, call.argument().purpose(), call.argument().extraData(), now);
        return callStore(call, () -> store.store(call.scope(), record, now));
    }

    private static TokenRecord record(Token token, String purpose, @Nullable ExtraData extraData, Instant now) {
        return new TokenRecord(
                token.jti(),
                token.subject(),
                purpose,
                token.issuedAt(),
                token.expiresAt(),
                extraData,
                now,
                now,
                null,
                token.session(),
                null);
    }

    StoreOutcome storeConfirmationChanges(ActionCall<Storing> call) {
        Limits.present("changes", call.argument().extraData());
        return storeToken(call);
    }

    Optional<TokenRecord> getToken(ActionCall<Lookup> call) {
        Instant now = now();
        StoredState state =
                callStore(call, () -> store.find(call.scope(), call.argument().jti(), now));
        TokenRecord record = state.record();
        return record != null
                        && record.isLive(now)
                        && !record.isRevoked()
                        && call.argument().matches(record)
                        && !isCovered(call.scope(), record, state.watermark(), now)
                        && !isOfRevokedSession(call, record, now)
                ? Optional.of(record)
                : Optional.empty();
    }

    Optional<ExtraData> getConfirmationChanges(ActionCall<Lookup> call) {
        requireSubjectAndPurpose(call);
        return getToken(call).map(TokenRecord::extraData);
    }

    Optional<TokenRecord> inspect(ActionCall<String> call) {
        String jti = Limits.jti(call.argument());
        return Optional.ofNullable(
                callStore(call, () -> store.find(call.scope(), jti, now())).record());
    }

    /**
     * Reads pages of the store until its own page is full. Leaves out the records that the watermark covers or whose
     * session is revoked (R2.7, R4.5, R13.4). If there are too many of them to finish within the deadline, the call
     * fails.
     */
    List<TokenRecord> listTokens(ActionCall<Page> call) {
        String subject = Limits.subject(call.argument().subject());
        int limit = call.argument().limit();
        Instant now = now();
        var deadline = Deadline.after(call.scope().deadline());
        List<TokenRecord> page = new ArrayList<>();
        TokenRecord last = call.argument().after();
        int size = limit;
        boolean isMore;
        do {
            if (deadline.isOver()) {
                throw new TokenStoreException(
                        TokenStoreException.Outcome.UNCHANGED,
                        call.name() + " in domain '" + domain
                                + "' did not end within the call deadline. Most likely the subject or its sessions were logged"
                                + " out, and very many of its tokens are from before that. To take them off the list, call "
                                + name(TokenAction.REVOKE_ALL_STORED_FOR_SUBJECT) + " for the subject",
                        null);
            }
            TokenRecord from = last;
            int most = size;
            Watermarked<List<TokenRecord>> next =
                    callStore(call, () -> store.list(call.scope(), subject, from, most, now));
            Set<String> ended = revokedSessions(call, next.answer(), now);
            for (TokenRecord record : next.answer()) {
                if (page.size() < limit
                        && (record.session() == null || !ended.contains(record.session()))
                        && !isCovered(call.scope(), record, next.watermark(), now)) {
                    page.add(record);
                }
                last = record;
            }
            isMore = next.answer().size() >= size;
            size = Math.max(limit, batchSize);
        } while (isMore && page.size() < limit);
        return page;
    }

    // Revoking (R3, R4, R13)

    RevokeOutcome revokeToken(ActionCall<Token> call) {
        Token token = call.argument();
        Instant now = now();
        reportLongLived(token, now);
        return revoke(call, revocation(token, now), token.expiresAt(), now);
    }

    RevokeOutcome revokeJti(ActionCall<JtiRevocation> call) {
        Instant now = now();
        Instant givenExpiry = call.argument().expiresAt();
        Instant expiresAt = givenExpiry == null ? latestExpiry(now.plus(issuerSkew)) : givenExpiry;
        var revocation = new TokenRecord(
                call.argument().jti(), null, TokenRecord.REVOCATION, null, expiresAt, null, now, now, now, null, null);
        return revoke(call, revocation, givenExpiry == null ? keepUntilIfExpiryUnknown() : givenExpiry, now);
    }

    /**
     * Revokes the record only if it belongs to this subject. It looks first, and then revokes: a record cannot change
     * its subject in between (R2.3).
     */
    RevokeOutcome revokeStoredForSubject(ActionCall<Lookup> call) {
        String jti = call.argument().jti();
        String subject = Limits.subject(call.argument().subject());
        Instant now = now();
        TokenRecord record = callStore(call, () -> store.state(call.scope(), jti, subject, null, now))
                .record();
        return record != null && subject.equals(record.subject()) && record.isLive(now)
                ? revoke(call, revocation(record, now), keepUntilIfExpiryUnknown(), now)
                : RevokeOutcome.UNKNOWN;
    }

    /**
     * The time until which a revocation is kept if the token's own expiry is not known. {@code EPOCH} means: keep the
     * stored expiry, which may be earlier than the token's (R3.5).
     */
    private Instant keepUntilIfExpiryUnknown() {
        return maxTokenLifetime == null ? Instant.EPOCH : latestExpiry(now().plus(issuerSkew));
    }

    private static TokenRecord revocation(Token token, Instant now) {
        return revocation(record(token, TokenRecord.REVOCATION, null, now), now);
    }

    /** The record to insert if the stored one has been removed meanwhile. */
    private static TokenRecord revocation(TokenRecord record, Instant now) {
        return new TokenRecord(
                record.jti(),
                record.subject(),
                TokenRecord.REVOCATION,
                record.issuedAt(),
                record.expiresAt(),
                null,
                now,
                now,
                now,
                record.session(),
                null);
    }

    private RevokeOutcome revoke(ActionCall<?> call, TokenRecord revocation, Instant keepUntil, Instant now) {
        if (call.scope().isPastRetention(revocation.expiresAt(), now)) {
            return RevokeOutcome.EXPIRED;
        }
        RevokeOutcome outcome = callRevoke(call, revocation, keepUntil, now);
        if (outcome == RevokeOutcome.REVOKED) {
            notifyListeners(call, revocation.jti(), revocation.subject(), revocation.session(), 1, now);
        } else {
            endSessionOfRotated(call, revocation.jti(), now);
        }
        return outcome;
    }

    private RevokeOutcome callRevoke(ActionCall<?> call, TokenRecord revocation, Instant keepUntil, Instant now) {
        Instant expiresAt = keepUntil.isAfter(revocation.expiresAt()) ? keepUntil : revocation.expiresAt();
        // Of a jti alone the store may know an earlier end. The feed tells it before anything is removed.
        boolean isEndKnown = !keepUntil.equals(Instant.EPOCH) || !expiresAt.equals(Times.FOREVER);
        Instant end = isEndKnown ? expiresAt : now.plus(UNTIL_THE_FEED_TELLS);
        return change(
                call,
                () -> store.revoke(call.scope(), revocation, keepUntil, now),
                (replicated, outcome) -> replicated.revoked(call.scope().tenant(), revocation.jti(), end));
    }

    /** A holder who logs out with a token that has been rotated means its successors, too (R14.6). */
    private void endSessionOfRotated(ActionCall<?> call, String jti, Instant now) {
        TokenRecord record =
                callStore(call, () -> store.find(call.scope(), jti, now)).record();
        if (record != null && record.successor() != null && record.session() != null) {
            revokeSession(call, record.session(), record.subject(), now);
        }
    }

    Long revokeAllStoredForSubject(ActionCall<Selection> call) {
        Instant now = now();
        var revoked = new AtomicLong();
        try {
            if (call.argument().isAll()) {
                revokeAll(call, revoked, now);
            } else {
                revokeSelected(call, revoked, now);
            }
        } catch (TokenStoreException e) {
            throw failureAfterEarlierChanges(call, e, revoked.get());
        } finally {
            if (revoked.get() > 0) {
                notifyListeners(call, null, call.argument().subject(), null, revoked.get(), now);
            }
        }
        return revoked.get();
    }

    private void revokeAll(ActionCall<Selection> call, AtomicLong revoked, Instant now) {
        int batch;
        do {
            batch = revokeStored(call, call.argument().subject(), now);
            revoked.addAndGet(batch);
        } while (batch >= batchSize);
    }

    /**
     * The store picks the tokens, so that the replica learns of them only by the next poll. Inside a caller's transaction,
     * and after a failure, it is not known which poll that is: then the store is asked about the subject (R12.5).
     */
    private int revokeStored(ActionCall<?> call, String subject, Instant now) {
        return change(call, () -> store.revokeStored(call.scope(), subject, batchSize, now), (replicated, count) -> {
            if (replica != null && count != null && !replica.isInTransaction()) {
                replica.refresh();
            } else if (replica != null) {
                replica.attempts().watermark(call.scope().tenant(), subject, Times.FOREVER, Times.FOREVER);
            }
        });
    }

    /**
     * Revokes the selected tokens one by one, since there are few. A token that is stored again with an earlier expiry
     * may move to a place that this pass has already read. So the work ends only after two passes in a row that revoke
     * nothing.
     */
    private void revokeSelected(ActionCall<Selection> call, AtomicLong revoked, Instant now) {
        Selection selection = call.argument();
        for (int idle = 0; idle < 2; idle++) {
            TokenRecord last = null;
            List<TokenRecord> page;
            do {
                TokenRecord after = last;
                page = callStore(call, () -> store.list(call.scope(), selection.subject(), after, batchSize, now))
                        .answer();
                for (TokenRecord record : page) {
                    if (selection.matches(record)
                            && callRevoke(call, revocation(record, now), Instant.EPOCH, now) == RevokeOutcome.REVOKED) {
                        revoked.incrementAndGet();
                        idle = -1;
                    }
                    last = record;
                }
            } while (page.size() >= batchSize);
        }
        if (replica != null) {
            replica.refresh(); // others may have revoked some of them meanwhile
        }
    }

    Instant revokeSubject(ActionCall<String> call) {
        String subject = Limits.subject(call.argument());
        Instant watermark = Times.roundedUp("now", clock.instant()); // never early (R1.3)
        Instant keepUntil = endOfAllTokensIssuedBy(watermark);
        change(
                call,
                () -> {
                    store.revokeSubject(call.scope(), subject, watermark, keepUntil, now());
                    return true;
                },
                (replicated, done) -> replicated.watermark(call.scope().tenant(), subject, watermark, keepUntil));
        notifyListeners(call, null, subject, null, 0, watermark);
        return watermark;
    }

    RevokeOutcome revokeSession(ActionCall<String> call) {
        return revokeSession(call, Limits.session(call.argument()), null, now());
    }

    private RevokeOutcome revokeSession(ActionCall<?> call, String session, @Nullable String subject, Instant now) {
        Instant keepUntil = endOfAllTokensIssuedBy(now);
        RevokeOutcome outcome = change(
                call,
                () -> store.revokeSession(call.scope(), session, keepUntil, now),
                (replicated, answer) -> replicated.sessionRevoked(call.scope().tenant(), session, keepUntil));
        if (outcome == RevokeOutcome.REVOKED) {
            notifyListeners(call, null, subject, session, 0, now);
        }
        return outcome;
    }

    /**
     * The time from which no token that was issued up to now is accepted any more. The issuer's clock may be ahead by
     * the issuer skew: its tokens then live longer by as much. A node with a larger skew may open later, so this adds
     * the longest skew that is allowed. The longer time costs nothing.
     */
    private Instant endOfAllTokensIssuedBy(Instant now) {
        return latestExpiry(now.plus(issuerSkew)).plus(StoreScope.LONGEST);
    }

    // Single use (R5, R6)

    Consumption consume(ActionCall<Lookup> call) {
        Lookup token = call.argument();
        String purpose = Limits.purpose(token.purpose());
        Instant now = now();
        Watermarked<Consumption> stored = callConsume(call, token.jti(), token.subject(), purpose, null, now);
        if (stored.answer() instanceof Consumption.Consumed consumed) {
            TokenRecord record = consumed.record();
            boolean isRevoked;
            try {
                isRevoked = isCovered(call.scope(), record, stored.watermark(), now)
                        || isOfRevokedSession(call, record, now);
            } catch (TokenStoreException e) {
                throw failureAfterEarlierChanges(call, e, 1); // the token is used, and nobody gets its record
            }
            if (isRevoked) {
                return Consumption.Refused.ALREADY_USED; // its subject or its session was revoked
            }
            notifyListeners(call, token.jti(), record.subject(), record.session(), 1, now);
        }
        return stored.answer();
    }

    private Watermarked<Consumption> callConsume(
            ActionCall<?> call,
            String jti,
            @Nullable String subject,
            String purpose,
            @Nullable String successor,
            Instant now) {
        return change(
                call,
                () -> store.consume(call.scope(), jti, subject, purpose, successor, now),
                (replicated, answer) -> {
                    if (answer == null) {
                        replicated.revoked(call.scope().tenant(), jti, latestExpiry(now.plus(issuerSkew)));
                    } else if (answer.answer() instanceof Consumption.Consumed consumed) {
                        replicated.revoked(
                                call.scope().tenant(), jti, consumed.record().expiresAt());
                    }
                });
    }

    Consumption consumeConfirmationChanges(ActionCall<Lookup> call) {
        requireSubjectAndPurpose(call);
        return consume(call);
    }

    private static void requireSubjectAndPurpose(ActionCall<Lookup> call) {
        Limits.subject(call.argument().subject());
        Limits.purpose(call.argument().purpose());
    }

    // Sessions and rotation (R13, R14)

    private boolean isOfRevokedSession(ActionCall<?> call, TokenRecord record, Instant now) {
        return !revokedSessions(call, List.of(record), now).isEmpty();
    }

    private Set<String> revokedSessions(ActionCall<?> call, List<TokenRecord> records, Instant now) {
        Set<String> sessions = new HashSet<>();
        for (TokenRecord record : records) {
            if (record.session() != null) {
                sessions.add(record.session());
            }
        }
        return sessions.isEmpty()
                ? sessions
                : callStore(call, () -> store.revokedSessions(call.scope(), sessions, now));
    }

    /**
     * Looks at the presented token, stores the successor, then consumes the presented token (R14.5). A call that fails
     * in between leaves the presented token unchanged. Nobody has been given the successor that it may leave behind.
     */
    Rotation rotate(ActionCall<Rotating> call) {
        Rotating rotating = call.argument();
        Instant now = now();
        var deadline = Deadline.after(call.scope().deadline());
        reportLongLived(rotating.successor(), now);
        StoredState state = state(call, rotating.presented().jti(), now);
        Rotation refusal = refusal(call, state, now);
        if (refusal != null) {
            return refusal;
        }
        TokenRecord successor = record(rotating.successor(), rotating.purpose(), rotating.extraData(), now);
        TokenRecord stored = Limits.present("record", state.record());
        if (stored.isRevoked()) {
            return presentedAgain(call, deadline, stored, successor, now);
        }
        if (storeSuccessor(until(deadline, call), successor, now) == StoreOutcome.REVOKED) {
            return Rotation.Refused.REVOKED;
        }
        try {
            return consumePresented(call, deadline, successor);
        } catch (TokenStoreException e) {
            throw failureAfterEarlierChanges(call, e, 1);
        }
    }

    /**
     * The same call, whose next step has what is left of the deadline: its steps have one together (R8.3). A step for which
     * nothing is left is not begun: a store would take its end for a server that is silent.
     */
    private <A> ActionCall<A> until(Deadline deadline, ActionCall<A> call) {
        StoreScope scope = call.scope();
        long left = deadline.remainingMillis();
        if (left <= 0) {
            throw new TokenStoreException(
                    TokenStoreException.Outcome.UNCHANGED,
                    call.name() + " took longer than the call deadline in domain '" + domain
                            + "'. The step for which no time was left was not begun",
                    null);
        }
        return new ActionCall<>(
                call.action(),
                call.name(),
                new StoreScope(scope.domain(), scope.tenant(), scope.skew(), Duration.ofMillis(left)),
                call.argument());
    }

    private StoreOutcome storeSuccessor(ActionCall<Rotating> call, TokenRecord successor, Instant now) {
        if (!successor.isLive(now)) {
            throw new IllegalArgumentException("successor has expired");
        }
        return callStore(call, () -> store.store(call.scope(), successor, now));
    }

    private void revokeSuccessor(ActionCall<Rotating> call, TokenRecord successor, Instant now) {
        callRevoke(call, revocation(successor, now), Instant.EPOCH, now);
    }

    /** Consumes the presented token. The successor has been stored before. */
    private Rotation consumePresented(ActionCall<Rotating> call, Deadline deadline, TokenRecord successor) {
        Token presented = call.argument().presented();
        Instant now = now();
        Watermarked<Consumption> used = consume(until(deadline, call), successor, now);
        if (used.answer() instanceof Consumption.Consumed consumed
                && !isCovered(call.scope(), consumed.record(), used.watermark(), now)) {
            notifyListeners(call, presented.jti(), presented.subject(), presented.session(), 1, now);
            return new Rotation.Rotated(successor, false);
        }
        // The token was not consumed, or its subject was logged out: another call was faster, or the token has expired
        // meanwhile.
        StoredState state = state(until(deadline, call), presented.jti(), now);
        Rotation answer = refusal(call, state, now);
        if (answer == null) {
            TokenRecord record = Limits.present("record", state.record());
            if (!record.isRevoked()) {
                throw new TokenStoreException(
                        TokenStoreException.Outcome.UNKNOWN,
                        "The store has said of one token that it cannot be used, and that it is not used. Two servers may"
                                + " have answered, as in a failover. Rotate again, with the same successor",
                        null);
            }
            answer = presentedAgain(call, deadline, record, successor, now);
        }
        if (!(answer instanceof Rotation.Rotated)) {
            revokeSuccessor(until(deadline, call), successor, now);
        }
        return answer;
    }

    private Watermarked<Consumption> consume(ActionCall<Rotating> call, TokenRecord successor, Instant now) {
        Token presented = call.argument().presented();
        return callConsume(
                call, presented.jti(), presented.subject(), call.argument().purpose(), successor.jti(), now);
    }

    private StoredState state(ActionCall<Rotating> call, String jti, Instant now) {
        Token presented = call.argument().presented();
        return callStore(call, () -> store.state(call.scope(), jti, presented.subject(), presented.session(), now));
    }

    /**
     * Why the presented token is refused, or {@code null}. A token that a rotation has used is not refused here: see
     * {@link #presentedAgain}.
     */
    private Rotation.@Nullable Refused refusal(ActionCall<Rotating> call, StoredState state, Instant now) {
        Token presented = call.argument().presented();
        TokenRecord record = state.record();
        if (record == null
                || !call.argument().purpose().equals(record.purpose())
                || !presented.subject().equals(record.subject())
                || !Objects.equals(presented.session(), record.session())) {
            return Rotation.Refused.UNKNOWN;
        } else if (state.isSessionRevoked()
                || isCovered(call.scope(), record, state.watermark(), now)
                || (record.isRevoked() && record.successor() == null)) {
            return Rotation.Refused.REVOKED;
        }
        return record.isRevoked() || record.isLive(now) ? null : Rotation.Refused.EXPIRED;
    }

    /**
     * The presented token has been used before. A call that is repeated with the same successor is answered as the first
     * one was. Within the grace the holder may have lost the reply, and gets another successor. Otherwise the session is
     * revoked (R14.2, R14.3).
     */
    private Rotation presentedAgain(
            ActionCall<Rotating> call, Deadline deadline, TokenRecord used, TokenRecord successor, Instant now) {
        if (successor.jti().equals(used.successor())) {
            TokenRecord first =
                    state(until(deadline, call), successor.jti(), now).record();
            if (first != null && !first.isRevoked()) {
                consume(until(deadline, call), successor, now); // it is used; a store with replicas waits for them
                return new Rotation.Rotated(first, false);
            }
        }
        Instant usedAt = Limits.present("revokedAt", used.revokedAt());
        if (!reuseGrace.isZero() && now.isBefore(usedAt.plus(reuseGrace))) {
            return repeated(call, deadline, used, successor, now);
        }
        revokeSession(until(deadline, call), String.valueOf(used.session()), used.subject(), now);
        return new Rotation.Reused(used);
    }

    /** Looks after the successor is stored: a log-out that ends before this look is seen by it, a later one sees the successor. */
    private Rotation repeated(
            ActionCall<Rotating> call, Deadline deadline, TokenRecord used, TokenRecord successor, Instant now) {
        if (storeSuccessor(until(deadline, call), successor, now) == StoreOutcome.REVOKED) {
            return Rotation.Refused.REVOKED;
        }
        Rotation refusal = refusal(call, state(until(deadline, call), used.jti(), now), now);
        if (refusal == null && isChainAlive(call, deadline, used, now)) {
            return new Rotation.Rotated(successor, true);
        }
        revokeSuccessor(until(deadline, call), successor, now);
        return refusal == null ? Rotation.Refused.REVOKED : refusal;
    }

    /** Whether the last of the tokens that rotations have put in the place of a used one is not revoked. */
    private boolean isChainAlive(ActionCall<Rotating> call, Deadline deadline, TokenRecord used, Instant now) {
        TokenRecord last = used;
        while (last != null && last.successor() != null) {
            last = state(until(deadline, call), last.successor(), now).record();
        }
        return last != null && !last.isRevoked();
    }

    // Checks (R3, R8). The checks of one token make no object, since they are called most.

    Set<String> isRevoked(ActionCall<Set<String>> call) {
        Set<String> jtis =
                ((Set<?>) call.argument()).stream().map(Actions::jti).collect(Collectors.toUnmodifiableSet());
        if (jtis.isEmpty()) {
            return jtis;
        }
        if (replica == null) {
            return revokedByStore(call.scope(), jtis);
        }
        Set<String> revoked = new HashSet<>();
        Set<String> asked = askedAbout(call.scope(), jtis, revoked);
        if (!asked.isEmpty()) {
            noteAsked();
            revoked.addAll(revokedByStore(call.scope(), asked));
        }
        return revoked;
    }

    private Set<String> revokedByStore(StoreScope scope, Set<String> jtis) {
        Instant now = now();
        long turn = outage.takeTurn();
        if (turn == Outage.NO_TURN) {
            return unanswered(TokenAction.IS_REVOKED, null, standsInForAll(scope, jtis, now), jtis, Set.of());
        }
        try {
            Set<String> revoked = store.revoked(scope, jtis, now);
            outage.succeeded();
            return revoked;
        } catch (RuntimeException e) {
            return unanswered(TokenAction.IS_REVOKED, e, standsInForAll(scope, jtis, now), jtis, Set.of());
        } finally {
            outage.giveBack(turn);
        }
    }

    /** Adds those that the replica knows to be revoked; answers those about which the store must be asked. */
    private Set<String> askedAbout(StoreScope scope, Set<String> jtis, Set<String> revoked) {
        Set<String> asked = new HashSet<>();
        for (String jti : jtis) {
            Replica.Answer answer = isRevokedLocally(scope, jti, now());
            if (answer == Replica.Answer.ASK) {
                asked.add(jti);
            } else if (isDenied(answer) || answer == Replica.Answer.REVOKED) {
                revoked.add(jti);
            }
        }
        return asked;
    }

    private Replica.Answer isRevokedLocally(StoreScope scope, String jti, Instant now) {
        return replica == null ? Replica.Answer.ASK : replica.isRevoked(scope, jti, now);
    }

    private boolean standsInForAll(StoreScope scope, Set<String> jtis, Instant now) {
        return replica != null && jtis.stream().allMatch(jti -> replica.mayStandIn(scope, jti, now));
    }

    /** An action that is called by its name is not type-checked: the set may contain any objects. */
    private static String jti(Object jti) {
        if (Limits.present("jti", jti) instanceof String text) {
            return Limits.jti(text);
        }
        throw new IllegalArgumentException("jti must be a String");
    }

    boolean isRevoked(StoreScope scope, String jti) {
        ensureOpen();
        Limits.jti(jti);
        Instant now = now();
        Replica.Answer answer = isRevokedLocally(scope, jti, now);
        if (answer != Replica.Answer.ASK) {
            return isDenied(answer) || answer == Replica.Answer.REVOKED;
        }
        noteAsked();
        long turn = outage.takeTurn();
        if (turn == Outage.NO_TURN) {
            return unanswered(TokenAction.IS_REVOKED, null, standsInForAll(scope, Set.of(jti), now), true, false);
        }
        try {
            boolean isRevoked = store.isRevoked(scope, jti, now);
            outage.succeeded();
            return isRevoked;
        } catch (RuntimeException e) {
            return unanswered(TokenAction.IS_REVOKED, e, standsInForAll(scope, Set.of(jti), now), true, false);
        } finally {
            outage.giveBack(turn);
        }
    }

    TokenStatus check(ActionCall<Check> call) {
        Check argument = call.argument();
        return check(call.scope(), argument.token(), argument.purpose(), argument.isInStore());
    }

    TokenStatus check(StoreScope scope, Token token, String purpose, boolean isInStore) {
        ensureOpen();
        Limits.purpose(purpose);
        Instant now = now();
        reportLongLived(token, now);
        // The expiry can be checked without the store.
        TokenStatus allowed = Times.isLive(token.expiresAt(), now) ? TokenStatus.ACTIVE : TokenStatus.EXPIRED;
        TokenStatus local = isInStore ? knownRevoked(scope, token, now) : checkLocally(scope, token, allowed, now);
        if (local != null) {
            return local;
        }
        if (!isInStore) {
            noteAsked();
        }
        long turn = outage.takeTurn();
        if (turn == Outage.NO_TURN) {
            boolean isKnown = !isInStore && standsIn(scope, token, allowed, now);
            return unanswered(TokenAction.CHECK, null, isKnown, TokenStatus.UNAVAILABLE, allowed);
        }
        try {
            StoredState state = store.state(scope, token.jti(), token.subject(), token.session(), now);
            boolean isRevoked = state.isRevoked(token, now, issuerSkew, scope.skew())
                    || isSessionOfRecordRevoked(scope, token, state.record(), now);
            outage.succeeded();
            if (isRevoked) {
                return TokenStatus.REVOKED;
            }
            return allowed == TokenStatus.ACTIVE && requirePresence && !isPresent(token, purpose, state.record(), now)
                    ? TokenStatus.UNKNOWN
                    : allowed;
        } catch (RuntimeException e) {
            boolean isKnown = !isInStore && standsIn(scope, token, allowed, now);
            return unanswered(TokenAction.CHECK, e, isKnown, TokenStatus.UNAVAILABLE, allowed);
        } finally {
            outage.giveBack(turn);
        }
    }

    /** The answer of {@link #check} by the replica, or null if the store or an interceptor must be asked. */
    @Nullable
    TokenStatus checkLocally(StoreScope scope, Token token) {
        ensureOpen();
        if (interceptors.containsKey(TokenAction.CHECK)) {
            return null;
        }
        return outcomes.isHeard()
                ? outcomes.observed(TokenAction.CHECK, name(TokenAction.CHECK), () -> decidedLocally(scope, token))
                : decidedLocally(scope, token);
    }

    private @Nullable TokenStatus decidedLocally(StoreScope scope, Token token) {
        Instant now = now();
        boolean isLive = Times.isLive(token.expiresAt(), now);
        return checkLocally(scope, token, isLive ? TokenStatus.ACTIVE : TokenStatus.EXPIRED, now);
    }

    private @Nullable TokenStatus checkLocally(StoreScope scope, Token token, TokenStatus allowed, Instant now) {
        if (replica == null) {
            return null;
        }
        Replica.Answer answer = replica.check(scope, token, now, issuerSkew, needsStore(allowed));
        return switch (answer) {
            case ASK -> null;
            case REVOKED -> TokenStatus.REVOKED;
            case NOT_REVOKED -> allowed;
            case DENY -> isDenied(answer) ? TokenStatus.UNAVAILABLE : null;
        };
    }

    /** REVOKED where the replica knows it, which holds however old the replica is (R12.10). */
    private @Nullable TokenStatus knownRevoked(StoreScope scope, Token token, Instant now) {
        return replica != null && replica.knowsRevoked(scope, token, now, issuerSkew) ? TokenStatus.REVOKED : null;
    }

    private boolean needsStore(TokenStatus allowed) {
        return requirePresence && allowed == TokenStatus.ACTIVE;
    }

    private boolean standsIn(StoreScope scope, Token token, TokenStatus allowed, Instant now) {
        return replica != null && replica.mayStandIn(scope, token, now, issuerSkew, needsStore(allowed));
    }

    private void noteAsked() {
        if (replica != null) {
            replica.noteAsked();
        }
    }

    private boolean isDenied(Replica.Answer answer) {
        if (answer == Replica.Answer.DENY) {
            outcomes.noteAnswerByPolicy(); // told as unavailable (R11.6)
        }
        return answer == Replica.Answer.DENY;
    }

    /** Whether the record names a revoked session that the token does not name, as an opaque token does not (R13.3). */
    private boolean isSessionOfRecordRevoked(StoreScope scope, Token token, @Nullable TokenRecord record, Instant now) {
        String session = record == null ? null : record.session();
        return session != null
                && !session.equals(token.session())
                && !store.revokedSessions(scope, Set.of(session), now).isEmpty();
    }

    private static boolean isPresent(Token token, String purpose, @Nullable TokenRecord record, Instant now) {
        return record != null
                && record.isLive(now)
                && purpose.equals(record.purpose())
                && token.subject().equals(record.subject());
    }

    private boolean isCovered(StoreScope scope, TokenRecord record, @Nullable Instant watermark, Instant now) {
        return StoredState.isCovered(watermark, record.issuedAt(), now, issuerSkew, scope.skew());
    }

    // Clearing out (R7)

    List<TokenRecord> readExpired(ActionCall<Page> call) {
        Page page = call.argument();
        return callStore(call, () -> store.readExpired(call.scope(), page.after(), page.limit(), now()));
    }

    ExpungeReport expungeExpired(ActionCall<ExpungePace> call) {
        Instant startedAt = now();
        long removed = 0;
        long batches = 0;
        StoreScope scope = callStore(call, () -> skew.agreed(call.scope(), startedAt));
        if (isAheadOfTheServer(call, startedAt)) {
            return new ExpungeReport(domain, 0, 0, startedAt, Duration.ZERO);
        }
        GentlePace pace = call.argument() == ExpungePace.GENTLE ? new GentlePace(batchSize) : null;
        boolean isMore;
        do {
            int size = pace == null ? batchSize : pace.size();
            int batch;
            long began = Deadline.reading();
            try {
                batch = callStore(call, () -> store.expunge(scope, size, startedAt));
                removed += batch;
                batches++;
                isMore = batch >= size;
                if (isMore && pace != null) {
                    rest(pace.restAfterBatch(Deadline.reading() - began));
                    if (!isStopped()) {
                        long asked = Deadline.reading();
                        callStore(call, () -> store.isRevoked(scope, ANY_JTI, startedAt));
                        rest(pace.restAfterCheck(Deadline.reading() - asked));
                    }
                }
            } catch (TokenStoreException e) {
                throw failureAfterEarlierChanges(call, e, removed);
            }
            // Stops after the current batch if the resource is closed, or the thread is interrupted (R7.5).
        } while (isMore && !isStopped());
        var report = new ExpungeReport(domain, removed, batches, startedAt, Duration.between(startedAt, now()));
        lastExpunge = report;
        return report;
    }

    private boolean isStopped() {
        return isClosed() || Thread.currentThread().isInterrupted();
    }

    /** Waits, and no longer than until the resource is closed. */
    private void rest(long nanos) {
        try {
            boolean ignored = closing.await(nanos, TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /**
     * Whether this node's clock is so far ahead that it would remove records that other nodes must still honour (R7.8).
     * A clock that the application passed in is not compared: a test moves such a clock by hand.
     */
    private boolean isAheadOfTheServer(ActionCall<?> call, Instant now) {
        Instant server = isOnSystemClock ? callStore(call, () -> store.serverTime(call.scope())) : null;
        if (server == null || !now.isAfter(server.plus(skew.get()))) {
            return false;
        }
        LOG.warn(
                "Domain '{}' was not cleaned up: the clock of this node is {} ahead of the clock of the store's server, and"
                        + " clockSkew is {}. Set the clocks right, for example by NTP.",
                domain,
                Duration.between(server, now).plusMillis(500).truncatedTo(ChronoUnit.SECONDS),
                skew.get());
        return true;
    }

    Optional<ExpungeReport> lastExpunge() {
        return Optional.ofNullable(lastExpunge);
    }

    // Time (R1)

    /** The clock's time, cut to milliseconds as in records. Calls within the same millisecond share one Instant. */
    private Instant now() {
        long millis = clock.millis();
        Instant last = lastNow;
        if (last.toEpochMilli() != millis) {
            last = Instant.ofEpochMilli(millis);
            lastNow = last;
        }
        return last;
    }

    Instant instant() {
        return clock.instant();
    }

    /** The same scope, with the domain's skew as this node knows it now. */
    StoreScope current(StoreScope scope) {
        return skew.applied(scope);
    }

    Duration skew() {
        return skew.get();
    }

    StoreScope agreed(StoreScope scope) {
        return skew.agreed(scope, now());
    }

    private Instant latestExpiry(Instant now) {
        return maxTokenLifetime == null ? Times.FOREVER : Times.after(now, maxTokenLifetime);
    }

    private void reportLongLived(Token token, Instant now) {
        if (maxTokenLifetime != null
                && !longLivedTokenReported.get()
                && token.expiresAt().toEpochMilli() - now.toEpochMilli() > maxLifetimeMillis
                && longLivedTokenReported.compareAndSet(false, true)) {
            LOG.warn(
                    "Domain '{}' got a token that lives longer than its maxTokenLifetime of {}. A revocation of a subject"
                            + " or a session can end before such a token expires. Set maxTokenLifetime to the longest"
                            + " lifetime of any token that you issue.",
                    domain,
                    maxTokenLifetime);
        }
    }

    private void notifyListeners(
            ActionCall<?> call,
            @Nullable String jti,
            @Nullable String subject,
            @Nullable String session,
            long count,
            Instant now) {
        if (listeners.isEmpty()) {
            return;
        }
        var event =
                new RevocationEvent(call.action(), domain, call.scope().tenant(), jti, subject, session, count, now);
        Outcomes.tell(listeners, event, domain, call.name());
    }

    // Failure (R8)

    /** Calls the store for an action that is not a check. A failure is thrown (R8.2). */
    private <T extends @Nullable Object> T callStore(ActionCall<?> call, Supplier<T> verb) {
        try {
            T answer = verb.get();
            // A self-expiring store answers READ_EXPIRED without its server, which proves nothing.
            if (call.action() != TokenAction.READ_EXPIRED || !(store instanceof SelfExpiringTokenStore)) {
                outage.succeeded();
            }
            return answer;
        } catch (SubjectMismatchException e) {
            throw e;
        } catch (RuntimeException e) {
            rethrowIfClosed(e);
            throw outage.thrown(call.name(), e);
        }
    }

    /**
     * Calls the store for a change, and tells the replica of it (R12.5). After a failure that leaves the outcome open, and
     * inside a caller's transaction, the replica learns that only the store can tell.
     *
     * @param tell tells what is revoked then; its second argument is null if the call failed
     */
    private <T> T change(ActionCall<?> call, Supplier<T> verb, BiConsumer<RevocationFeed.Sink, @Nullable T> tell) {
        if (replica == null) {
            return callStore(call, verb);
        }
        T answer;
        try {
            answer = callStore(call, verb);
        } catch (TokenStoreException e) {
            if (e.outcome() != TokenStoreException.Outcome.UNCHANGED) {
                tell.accept(replica.attempts(), null);
            }
            throw e;
        } catch (Error e) {
            replica.refresh(); // the store may have done it, and there may be no memory to note that
            throw e;
        }
        tell.accept(replica.isInTransaction() ? replica.attempts() : replica.facts(), answer);
        return answer;
    }

    /**
     * The answer of a check that the store has not answered.
     *
     * @param e what the store has thrown, or null if it was not asked
     * @param isKnown whether the replica stands in for the store
     */
    private <T> T unanswered(
            TokenAction<?, ?> action, @Nullable RuntimeException e, boolean isKnown, T denied, T allowed) {
        if (e != null) {
            rethrowIfClosed(e);
        }
        if (isKnown) {
            outage.endured(name(action), e);
            return allowed;
        }
        return e == null
                ? outage.notAsked(name(action), denied, allowed)
                : outage.failed(name(action), e, denied, allowed);
    }

    /** A call of a closed resource or store is a mistake of the application, and not an outage (R8.6). */
    private void rethrowIfClosed(RuntimeException e) {
        ensureOpen();
        if (e instanceof IllegalStateException) {
            outage.reset();
            throw e;
        }
    }

    /**
     * A step may fail with UNCHANGED after earlier steps have changed something. For the whole action the outcome is
     * then UNKNOWN.
     */
    private TokenStoreException failureAfterEarlierChanges(ActionCall<?> call, TokenStoreException e, long done) {
        return done == 0 || e.outcome() != TokenStoreException.Outcome.UNCHANGED
                ? e
                : new TokenStoreException(
                        TokenStoreException.Outcome.UNKNOWN,
                        call.name() + " in domain '" + domain + "' failed after it had changed " + done
                                + " record(s). Call it again to finish",
                        e);
    }

    long failures() {
        return outage.failures();
    }

    private void ensureOpen() {
        if (isClosed()) {
            throw new IllegalStateException("The token resource of domain '" + domain + "' is closed; open a new one");
        }
    }

    boolean isClosed() {
        return closing.getCount() == 0;
    }

    void startReplica() {
        if (replica != null) {
            replica.start();
        }
    }

    Optional<ReplicaStatus> replicaStatus() {
        return Optional.ofNullable(replica).map(Replica::status);
    }

    /** Closes. Answers whether this call was the first one. */
    synchronized boolean close() {
        boolean isFirst = !isClosed();
        closing.countDown();
        if (isFirst && replica != null) {
            replica.close();
        }
        return isFirst;
    }
}
