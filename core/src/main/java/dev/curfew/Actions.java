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
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the actions mean: the contract, on top of the verbs of a store. Also calls them, through the interceptors. Shared by
 * the views of a resource on all its tenants.
 */
final class Actions {
    private static final Logger LOG = LoggerFactory.getLogger(TokenResource.class);
    private static final Duration LONGEST_REST = Duration.ofMillis(100);
    // More than any two times are apart.
    private static final long LONGEST_DAYS = 10_000 * 366L;

    private final TokenStore store;
    private final InstantSource clock;
    private final boolean isOnSystemClock;
    private final Duration issuerSkew;
    private final Duration reuseGrace;
    private final String domain;
    private final @Nullable Duration maxTokenLifetime;
    private final long longestMillis;
    private final boolean requirePresence;
    private final int batchSize;
    private final Map<TokenAction<?, ?>, String> names;
    private final Map<TokenAction<?, ?>, List<ActionInterceptor<?, ?>>> interceptors;
    private final List<Consumer<RevocationEvent>> listeners;
    private final Outcomes outcomes;

    private final DomainSkew skew;
    private final Outage outage;
    private final AtomicBoolean longLivedTokenReported = new AtomicBoolean();
    private volatile boolean isClosed;
    // Not volatile: a thread that sees an old one makes another.
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
        this.longestMillis = maxTokenLifetime == null || maxTokenLifetime.toDays() > LONGEST_DAYS
                ? Long.MAX_VALUE
                : maxTokenLifetime.toMillis();
        this.requirePresence = settings.requirePresence;
        this.batchSize = settings.expungeBatchSize;
        this.outcomes = new Outcomes(domain, settings.outcomeListeners);
        this.outage = new Outage(domain, settings.failurePolicy, clock, settings.callDeadline, outcomes);
        this.names = Map.copyOf(settings.names);
        this.interceptors = new HashMap<>();
        settings.interceptors.forEach((action, chain) -> interceptors.put(action, List.copyOf(chain)));
        this.listeners = List.copyOf(settings.listeners);
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

    /** Whether the action has no interceptor, and nobody hears of outcomes: then the hottest two make no detour. */
    boolean isPlain(TokenAction<?, ?> action) {
        return !outcomes.isHeard() && (interceptors.isEmpty() || !interceptors.containsKey(action));
    }

    <A, R> R perform(StoreScope scope, TokenAction<A, R> action, A argument) {
        ensureOpen();
        return outcomes.isHeard()
                ? outcomes.observed(action, name(action), () -> proceed(0, scope, action, argument))
                : proceed(0, scope, action, argument);
    }

    @SuppressWarnings("unchecked") // the builder takes an interceptor only together with an action of its types
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
        return asked(call, () -> store.store(call.scope(), record, now));
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
                asked(call, () -> store.find(call.scope(), call.argument().jti(), now));
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
        ensureOfToken(call);
        return getToken(call).map(TokenRecord::extraData);
    }

    Optional<TokenRecord> inspect(ActionCall<String> call) {
        String jti = Limits.jti(call.argument());
        return Optional.ofNullable(
                asked(call, () -> store.find(call.scope(), jti, now())).record());
    }

    /**
     * Pages of the store, without the records that the watermark covers or whose session is revoked, until this page is full
     * (R2.7, R4.5, R13.4). Where there are more of these than can be passed over within the deadline, the call fails.
     */
    List<TokenRecord> listTokens(ActionCall<Page> call) {
        String subject = Limits.subject(call.argument().subject());
        int limit = call.argument().limit();
        Instant now = now();
        var deadline = Deadline.after(call.scope().deadline());
        List<TokenRecord> page = new ArrayList<>();
        TokenRecord last = call.argument().after();
        int asked = limit;
        boolean isMore;
        do {
            if (deadline.isOver()) {
                throw new TokenStoreException(
                        TokenStoreException.Outcome.UNCHANGED,
                        call.name() + " in domain '" + domain
                                + "' was not done within the call deadline: the subject was logged out, and has too many tokens"
                                + " from before that. Call "
                                + name(TokenAction.REVOKE_ALL_STORED_FOR_SUBJECT) + " for the subject",
                        null);
            }
            TokenRecord from = last;
            int most = asked;
            Watermarked<List<TokenRecord>> next = asked(call, () -> store.list(call.scope(), subject, from, most, now));
            Set<String> ended = revokedSessions(call, next.answer(), now);
            for (TokenRecord record : next.answer()) {
                if (page.size() < limit
                        && (record.session() == null || !ended.contains(record.session()))
                        && !isCovered(call.scope(), record, next.watermark(), now)) {
                    page.add(record);
                }
                last = record;
            }
            isMore = next.answer().size() >= asked;
            asked = Math.max(limit, batchSize);
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
        Instant told = call.argument().expiresAt();
        Instant expiresAt = told == null ? longest(now.plus(issuerSkew)) : told;
        var revocation = new TokenRecord(
                call.argument().jti(), null, TokenRecord.REVOCATION, null, expiresAt, null, now, now, now, null, null);
        return revoke(call, revocation, told == null ? longest() : told, now);
    }

    /** Revokes only a record of this subject, whose record keeps its subject (R2.3). */
    RevokeOutcome revokeStoredForSubject(ActionCall<Lookup> call) {
        String jti = call.argument().jti();
        String subject = Limits.subject(call.argument().subject());
        Instant now = now();
        TokenRecord record = asked(call, () -> store.state(call.scope(), jti, subject, null, now))
                .record();
        return record != null && subject.equals(record.subject()) && record.isLive(now)
                ? revoke(call, revocation(record, now), longest(), now)
                : RevokeOutcome.UNKNOWN;
    }

    /**
     * Until when a revocation is kept where the token's own expiry is not known. {@code EPOCH} keeps the stored expiry, which
     * may be shorter than the token's (R3.5).
     */
    private Instant longest() {
        return maxTokenLifetime == null ? Instant.EPOCH : longest(now().plus(issuerSkew));
    }

    private static TokenRecord revocation(Token token, Instant now) {
        return revocation(record(token, TokenRecord.REVOCATION, null, now), now);
    }

    /** What is inserted where the record is gone meanwhile. */
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
        RevokeOutcome outcome = asked(call, () -> store.revoke(call.scope(), revocation, keepUntil, now));
        if (outcome == RevokeOutcome.REVOKED) {
            notifyListeners(call, revocation.jti(), revocation.subject(), revocation.session(), 1, now);
        }
        return outcome;
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
            throw afterOthers(call, e, revoked.get());
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
            batch = asked(
                    call, () -> store.revokeStored(call.scope(), call.argument().subject(), batchSize, now));
            revoked.addAndGet(batch);
        } while (batch >= batchSize);
    }

    /**
     * One by one, since a subject has few tokens beside those that are left out. A token that is stored again with an earlier
     * expiry moves behind a pass, so that the passes end with two in a row that revoke nothing.
     */
    private void revokeSelected(ActionCall<Selection> call, AtomicLong revoked, Instant now) {
        Selection selection = call.argument();
        for (int idle = 0; idle < 2; idle++) {
            TokenRecord last = null;
            List<TokenRecord> page;
            do {
                TokenRecord after = last;
                page = asked(call, () -> store.list(call.scope(), selection.subject(), after, batchSize, now))
                        .answer();
                for (TokenRecord record : page) {
                    if (selection.matches(record)
                            && asked(
                                            call,
                                            () -> store.revoke(
                                                    call.scope(), revocation(record, now), Instant.EPOCH, now))
                                    == RevokeOutcome.REVOKED) {
                        revoked.incrementAndGet();
                        idle = -1;
                    }
                    last = record;
                }
            } while (page.size() >= batchSize);
        }
    }

    Instant revokeSubject(ActionCall<String> call) {
        String subject = Limits.subject(call.argument());
        Instant watermark = Times.roundedUp("now", clock.instant()); // never early (R1.3)
        Instant keepUntil = untilNoneIsLeft(watermark);
        asked(call, () -> {
            store.revokeSubject(call.scope(), subject, watermark, keepUntil, now());
            return true;
        });
        notifyListeners(call, null, subject, null, 0, watermark);
        return watermark;
    }

    RevokeOutcome revokeSession(ActionCall<String> call) {
        return revokeSession(call, Limits.session(call.argument()), null, now());
    }

    private RevokeOutcome revokeSession(ActionCall<?> call, String session, @Nullable String subject, Instant now) {
        RevokeOutcome outcome =
                asked(call, () -> store.revokeSession(call.scope(), session, untilNoneIsLeft(now), now));
        if (outcome == RevokeOutcome.REVOKED) {
            notifyListeners(call, null, subject, session, 0, now);
        }
        return outcome;
    }

    /**
     * When no token that is issued now, or was issued before, is accepted any more. A token may have been issued by a clock
     * that was ahead, and then lives as much longer. A node with a larger skew may open later: to keep the entry for the
     * longest skew costs no more.
     */
    private Instant untilNoneIsLeft(Instant now) {
        return longest(now.plus(issuerSkew)).plus(StoreScope.LONGEST);
    }

    // Single use (R5, R6)

    Consumption consume(ActionCall<Lookup> call) {
        Lookup token = call.argument();
        String purpose = Limits.purpose(token.purpose());
        Instant now = now();
        Watermarked<Consumption> stored =
                asked(call, () -> store.consume(call.scope(), token.jti(), token.subject(), purpose, null, now));
        if (stored.answer() instanceof Consumption.Consumed consumed) {
            TokenRecord record = consumed.record();
            if (isCovered(call.scope(), record, stored.watermark(), now) || isOfRevokedSession(call, record, now)) {
                return Consumption.Refused
                        .ALREADY_USED; // it had been revoked with all others of its subject or session
            }
            notifyListeners(call, token.jti(), record.subject(), record.session(), 1, now);
        }
        return stored.answer();
    }

    Consumption consumeConfirmationChanges(ActionCall<Lookup> call) {
        ensureOfToken(call);
        return consume(call);
    }

    private static void ensureOfToken(ActionCall<Lookup> call) {
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
        return sessions.isEmpty() ? sessions : asked(call, () -> store.revokedSessions(call.scope(), sessions, now));
    }

    /**
     * First looks, then stores the successor, then uses the presented token (R14.5). Whoever fails between two steps leaves
     * the presented token as it was, and a successor that nobody has been given.
     */
    Rotation rotate(ActionCall<Rotating> call) {
        Rotating rotating = call.argument();
        Token presented = rotating.presented();
        Token next = rotating.successor();
        Instant now = now();
        if (!Times.isLive(next.expiresAt(), now)) {
            throw new IllegalArgumentException("successor has expired");
        }
        reportLongLived(next, now);
        StoredState state = state(call, presented.jti(), now);
        Rotation refusal = refusal(call, state, now);
        if (refusal != null) {
            return refusal;
        }
        TokenRecord successor = record(next, rotating.purpose(), rotating.extraData(), now);
        TokenRecord stored = Limits.present("record", state.record());
        if (stored.isRevoked()) {
            return presentedAgain(call, stored, successor, now);
        }
        if (asked(call, () -> store.store(call.scope(), successor, now)) == StoreOutcome.REVOKED) {
            return Rotation.Refused.REVOKED;
        }
        try {
            return use(call, successor, now);
        } catch (TokenStoreException e) {
            throw afterOthers(call, e, 1);
        }
    }

    /** The successor is stored. */
    private Rotation use(ActionCall<Rotating> call, TokenRecord successor, Instant now) {
        Token presented = call.argument().presented();
        Watermarked<Consumption> used = asked(
                call,
                () -> store.consume(
                        call.scope(),
                        presented.jti(),
                        presented.subject(),
                        call.argument().purpose(),
                        successor.jti(),
                        now));
        if (used.answer() instanceof Consumption.Consumed consumed
                && !isCovered(call.scope(), consumed.record(), used.watermark(), now)) {
            return new Rotation.Rotated(successor, false);
        }
        // Another call was faster, the token has expired meanwhile, or its subject was logged out.
        StoredState state = state(call, presented.jti(), now);
        Rotation answer = refusal(call, state, now);
        if (answer == null) {
            answer = presentedAgain(call, Limits.present("record", state.record()), successor, now);
        }
        if (!(answer instanceof Rotation.Rotated)) {
            asked(call, () -> store.revoke(call.scope(), revocation(successor, now), Instant.EPOCH, now));
        }
        return answer;
    }

    private StoredState state(ActionCall<Rotating> call, String jti, Instant now) {
        Token presented = call.argument().presented();
        return asked(call, () -> store.state(call.scope(), jti, presented.subject(), presented.session(), now));
    }

    /** Why the presented token is refused, whether it is used or not; or {@code null}. */
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

    /** The presented token is used. Within the grace a lost reply is repeated; else the session ends (R14.2, R14.3). */
    private Rotation presentedAgain(ActionCall<Rotating> call, TokenRecord used, TokenRecord successor, Instant now) {
        Instant usedAt = Limits.present("revokedAt", used.revokedAt());
        if (!reuseGrace.isZero() && now.isBefore(usedAt.plus(reuseGrace))) {
            boolean isStored =
                    isInUse(state(call, String.valueOf(used.successor()), now).record())
                            && asked(call, () -> store.store(call.scope(), successor, now)) == StoreOutcome.STORED;
            return isStored ? new Rotation.Rotated(successor, true) : Rotation.Refused.REVOKED;
        }
        revokeSession(call, String.valueOf(used.session()), used.subject(), now);
        return new Rotation.Reused(used);
    }

    /** Whether the first successor was not revoked, or was rotated itself. */
    private static boolean isInUse(@Nullable TokenRecord first) {
        return first != null && (!first.isRevoked() || first.successor() != null);
    }

    // Checks (R3, R8). They make no object: they are the hottest path.

    Set<String> isRevoked(ActionCall<Set<String>> call) {
        Set<String> jtis =
                ((Set<?>) call.argument()).stream().map(Actions::jti).collect(Collectors.toUnmodifiableSet());
        if (jtis.isEmpty()) {
            return jtis;
        }
        long turn = outage.takeTurn();
        if (turn == Outage.NO_TURN) {
            return outage.notAsked(call.name(), jtis, Set.of());
        }
        try {
            Set<String> revoked = store.revoked(call.scope(), jtis, now());
            outage.succeeded();
            return revoked;
        } catch (RuntimeException e) {
            return failed(TokenAction.IS_REVOKED, e, jtis, Set.of());
        } finally {
            outage.giveBack(turn);
        }
    }

    /** Called by its name, the action may get a set of anything. */
    private static String jti(Object jti) {
        if (Limits.present("jti", jti) instanceof String text) {
            return Limits.jti(text);
        }
        throw new IllegalArgumentException("jti must be a String");
    }

    boolean isRevoked(StoreScope scope, String jti) {
        ensureOpen();
        Limits.jti(jti);
        long turn = outage.takeTurn();
        if (turn == Outage.NO_TURN) {
            return outage.notAsked(name(TokenAction.IS_REVOKED), true, false);
        }
        try {
            boolean isRevoked = store.isRevoked(scope, jti, now());
            outage.succeeded();
            return isRevoked;
        } catch (RuntimeException e) {
            return failed(TokenAction.IS_REVOKED, e, true, false);
        } finally {
            outage.giveBack(turn);
        }
    }

    TokenStatus check(ActionCall<Check> call) {
        return check(call.scope(), call.argument().token(), call.argument().purpose());
    }

    TokenStatus check(StoreScope scope, Token token, String purpose) {
        ensureOpen();
        Limits.purpose(purpose);
        Instant now = now();
        reportLongLived(token, now);
        // Whether the token has expired needs no store.
        TokenStatus allowed = Times.isLive(token.expiresAt(), now) ? TokenStatus.ACTIVE : TokenStatus.EXPIRED;
        long turn = outage.takeTurn();
        if (turn == Outage.NO_TURN) {
            return outage.notAsked(name(TokenAction.CHECK), TokenStatus.UNAVAILABLE, allowed);
        }
        try {
            StoredState state = store.state(scope, token.jti(), token.subject(), token.session(), now);
            boolean isRevoked = state.isRevoked(token, now, issuerSkew, scope.skew())
                    || isOfAnotherRevokedSession(scope, token, state.record(), now);
            outage.succeeded();
            if (isRevoked) {
                return TokenStatus.REVOKED;
            }
            return allowed == TokenStatus.ACTIVE && requirePresence && !isPresent(token, purpose, state.record(), now)
                    ? TokenStatus.UNKNOWN
                    : allowed;
        } catch (RuntimeException e) {
            return failed(TokenAction.CHECK, e, TokenStatus.UNAVAILABLE, allowed);
        } finally {
            outage.giveBack(turn);
        }
    }

    /** The record of an opaque token may name a session that the token does not (R13.3). */
    private boolean isOfAnotherRevokedSession(
            StoreScope scope, Token token, @Nullable TokenRecord record, Instant now) {
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
        return asked(call, () -> store.readExpired(call.scope(), page.after(), page.limit(), now()));
    }

    ExpungeReport expungeExpired(ActionCall<Integer> call) {
        int size = call.argument();
        if (size < 1) {
            throw new IllegalArgumentException("The size of a batch must be at least 1, not " + size);
        }
        Instant startedAt = now();
        long removed = 0;
        long batches = 0;
        int batch;
        StoreScope scope = asked(call, () -> skew.agreed(call.scope(), startedAt));
        if (isAheadOfTheServer(call, startedAt)) {
            return new ExpungeReport(domain, 0, 0, startedAt, Duration.ZERO);
        }
        do {
            Instant began = now();
            try {
                batch = asked(call, () -> store.expunge(scope, size, startedAt));
            } catch (TokenStoreException e) {
                throw afterOthers(call, e, removed);
            }
            removed += batch;
            batches++;
            if (batch >= size) {
                rest(Duration.between(began, now()));
            }
            // Ends after the batch in flight when the resource closes, or when the thread is interrupted (R7.5).
        } while (batch >= size && !isClosed && !Thread.currentThread().isInterrupted());
        var report = new ExpungeReport(domain, removed, batches, startedAt, Duration.between(startedAt, now()));
        lastExpunge = report;
        return report;
    }

    /**
     * Whether this node would remove what others must still honour (R7.8). A clock that the application passed in is not
     * compared: a test moves such a clock by hand.
     */
    private boolean isAheadOfTheServer(ActionCall<?> call, Instant now) {
        Instant server = isOnSystemClock ? asked(call, () -> store.serverTime(call.scope())) : null;
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

    /** Twice as long as the batch took, so that most of the time the store has nothing to do but to answer (R7.2). */
    private static void rest(Duration batch) {
        try {
            Thread.sleep(Math.max(0, Math.min(2 * batch.toMillis(), LONGEST_REST.toMillis())));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    int batchSize() {
        return batchSize;
    }

    Optional<ExpungeReport> lastExpunge() {
        return Optional.ofNullable(lastExpunge);
    }

    // Time (R1)

    /** The clock's time, in the milliseconds that records have. Calls of the same millisecond share one object. */
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

    /** A scope with the skew that the domain has by now. */
    StoreScope current(StoreScope scope) {
        return skew.applied(scope);
    }

    Duration skew() {
        return skew.get();
    }

    StoreScope agreed(StoreScope scope) {
        return skew.agreed(scope, now());
    }

    private Instant longest(Instant now) {
        return maxTokenLifetime == null ? Times.FOREVER : Times.after(now, maxTokenLifetime);
    }

    private void reportLongLived(Token token, Instant now) {
        if (maxTokenLifetime != null
                && !longLivedTokenReported.get()
                && token.expiresAt().toEpochMilli() - now.toEpochMilli() > longestMillis
                && longLivedTokenReported.compareAndSet(false, true)) {
            LOG.warn(
                    "Domain '{}' sees tokens that live longer than its maxTokenLifetime of {}: they outlive the watermark"
                            + " of revoke_subject. Set maxTokenLifetime to the longest lifetime that is issued.",
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

    /** Asks the store for an action that is no check: its failure is thrown (R8.2). */
    private <T extends @Nullable Object> T asked(ActionCall<?> call, Supplier<T> verb) {
        try {
            T answer = verb.get();
            if (call.action() != TokenAction.READ_EXPIRED || !(store instanceof SelfExpiringTokenStore)) {
                outage.succeeded(); // such a store answers READ_EXPIRED without asking its server
            }
            return answer;
        } catch (SubjectMismatchException e) {
            throw e;
        } catch (RuntimeException e) {
            ensureNotClosed(e);
            throw outage.thrown(call.name(), e);
        }
    }

    private <T> T failed(TokenAction<?, ?> action, RuntimeException e, T denied, T allowed) {
        ensureNotClosed(e);
        return outage.failed(name(action), e, denied, allowed);
    }

    /** A resource or a store that is closed is a mistake of the application's, and no outage (R8.6). */
    private void ensureNotClosed(RuntimeException e) {
        ensureOpen();
        if (e instanceof IllegalStateException) {
            outage.reset();
            throw e;
        }
    }

    /** A batch that fails and has changed nothing leaves those before it done: so the action has changed something. */
    private TokenStoreException afterOthers(ActionCall<?> call, TokenStoreException e, long done) {
        return done == 0 || e.outcome() != TokenStoreException.Outcome.UNCHANGED
                ? e
                : new TokenStoreException(
                        TokenStoreException.Outcome.UNKNOWN,
                        call.name() + " in domain '" + domain + "' has done " + done
                                + " records, and then failed. Call it again for the others",
                        e);
    }

    long failures() {
        return outage.failures();
    }

    private void ensureOpen() {
        if (isClosed) {
            throw new IllegalStateException("The token resource of domain '" + domain + "' is closed; open a new one");
        }
    }

    boolean isClosed() {
        return isClosed;
    }

    /** Whether this call was the one that closed. */
    synchronized boolean close() {
        boolean isFirst = !isClosed;
        isClosed = true;
        return isFirst;
    }
}
