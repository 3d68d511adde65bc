package dev.curfew.tck;

import dev.curfew.Consumption;
import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.Rotation;
import dev.curfew.SelfExpiringTokenStore;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.SubjectMismatchException;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStore;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One random history, told to the store under test and to the model at once. Where they part, it says which rule that
 * breaks: after every step the record is compared field by field, so that the first step that goes wrong is the one that
 * is blamed.
 */
final class ModelRun {
    private static final List<String> SUBJECTS = List.of("ada", "grace");
    private static final List<String> PURPOSES = List.of("user", "link");
    private static final List<String> SESSIONS = List.of("phone", "laptop", "tablet");
    private static final int SLOTS = 8;

    private final TokenStoreContract kit;
    private final StoreScope scope;
    private final TokenResource actual;
    private final TokenResource model;
    private final ModelTokenStore modelStore = new ModelTokenStore();
    private final Random random;
    private final String history;
    private final List<String> jtis = new ArrayList<>();
    private final List<String> steps = new ArrayList<>();
    private int generation;

    ModelRun(TokenStoreContract kit, String domain, long seed) {
        this.kit = kit;
        this.scope = new StoreScope(domain, "", TokenStoreContract.SKEW, kit.deadline());
        this.actual = resource(kit.store);
        this.model = resource(modelStore);
        this.random = new Random(seed);
        this.history = "-Dcurfew.tck.seed=" + seed;
        for (int i = 0; i < SLOTS; i++) {
            jtis.add("t" + i);
        }
    }

    private TokenResource resource(TokenStore store) {
        return kit.builder(scope.domain(), store)
                .expungeBatchSize(3)
                .requirePresence()
                .reuseGrace(Duration.ofSeconds(2))
                .build();
    }

    void run(int count) {
        for (int i = 0; i < count; i++) {
            step();
        }
        actual.close();
        model.close();
    }

    private void step() {
        String jti = pick(jtis);
        switch (random.nextInt(18)) {
            case 0, 1, 2 -> store(jti);
            case 3 -> revokeToken(jti);
            case 4 -> revokeJti(jti);
            case 5, 6 -> consume(jti);
            case 7 -> {
                if (random.nextInt(4) == 0) {
                    String subject = pick(SUBJECTS);
                    same("R4.1", "revoke all stored of " + subject, r -> r.revokeAllStoredForSubject(subject));
                    jtis.forEach(each -> compare(each, "R4.1"));
                }
            }
            case 8 -> {
                if (random.nextInt(8) == 0) {
                    String subject = pick(SUBJECTS);
                    same("R4.2", "revoke subject " + subject, r -> r.revokeSubject(subject));
                }
            }
            case 9 -> read(jti);
            case 10 -> bulk();
            case 11 -> list();
            case 12 -> timePasses();
            case 13, 14 -> rotate(jti);
            case 15 -> {
                if (random.nextInt(8) == 0) {
                    String session = session();
                    same("R13.2", "revoke session " + session, r -> r.revokeSession(session));
                }
            }
            case 16 -> revokeSome();
            default -> check(jti);
        }
    }

    private void store(String jti) {
        Token token = token(jti);
        String purpose = pick(PURPOSES);
        Map<String, Object> extraData = Map.of("n", random.nextInt(100), "list", List.of("x", random.nextDouble()));
        boolean without = random.nextInt(3) == 0;
        Object expected = expected(jti, token);
        same(
                expected == StoreOutcome.REVOKED
                        ? "R2.2"
                        : expected == StoreOutcome.EXPIRED ? "R2.4" : expected == StoreOutcome.STORED ? "R2.1" : "R2.3",
                "store " + jti + " for " + purpose + " until " + token.expiresAt(),
                r -> {
                    try {
                        return without ? r.storeToken(token, purpose) : r.storeToken(token, purpose, extraData);
                    } catch (SubjectMismatchException e) {
                        return e.getClass();
                    }
                });
        compare(
                jti,
                expected == StoreOutcome.STORED
                        ? "R2.1"
                        : expected == StoreOutcome.EXPIRED
                                ? "R2.4"
                                : expected == StoreOutcome.REVOKED ? "R2.2" : "R2.3");
    }

    private Object expected(String jti, Token token) {
        if (!kit.clock.instant().isBefore(token.expiresAt())) {
            return StoreOutcome.EXPIRED;
        }
        TokenRecord stored = model.inspect(jti).orElse(null);
        if (stored != null && stored.subject() != null && !token.subject().equals(stored.subject())) {
            return SubjectMismatchException.class;
        }
        return stored != null && stored.isRevoked() ? StoreOutcome.REVOKED : StoreOutcome.STORED;
    }

    private void revokeToken(String jti) {
        Token token = token(jti);
        TokenRecord before = model.inspect(jti).orElse(null);
        boolean foreign = before != null && !token.subject().equals(before.subject()) && before.subject() != null;
        boolean late = scope.isPastRetention(token.expiresAt(), kit.clock.instant());
        same(
                late ? "R3.7" : before == null ? "R5.4" : foreign && !before.isRevoked() ? "R3.10" : "R3.1",
                "revoke " + jti + " until " + token.expiresAt(),
                r -> r.revokeToken(token));
        compare(jti, late ? "R3.7" : foreign ? "R3.10" : "R3.4", "R3.3");
    }

    private void revokeJti(String jti) {
        same("R3.1", "revoke jti " + jti, r -> r.revokeJti(jti));
        compare(jti, "R3.4", "R3.5");
    }

    private void consume(String jti) {
        String purpose = pick(PURPOSES);
        TokenRecord before = model.inspect(jti).orElse(null);
        boolean foreign = before != null && !before.purpose().equals(purpose);
        boolean usable = before != null && (before.isRevoked() || before.isLive(kit.clock.instant()));
        same(foreign ? "R5.2" : usable ? "R5.1" : "R5.3", "consume " + jti + " for " + purpose, r -> {
            Consumption answer = r.consume(jti, purpose);
            return answer instanceof Consumed ? "consumed" : (Refused) answer;
        });
        compare(jti, foreign ? "R5.2" : usable ? "R5.1" : "R5.3");
    }

    private void rotate(String jti) {
        Token token = token(jti);
        Token presented = Token.of(jti, token.subject(), kit.clock.instant(), token.expiresAt())
                .withSession(session());
        Token stored = model.inspect(jti)
                .filter(r -> r.session() != null && r.subject() != null && random.nextInt(4) != 0)
                .map(r -> token(jti, r.subject(), r.session(), r.expiresAt()))
                .orElse(presented);
        int slot = random.nextInt(SLOTS);
        String next = jtis.get(slot).equals(jti) ? jtis.get((slot + 1) % SLOTS) : jtis.get(slot);
        Token successor = token(
                next, stored.subject(), stored.session(), kit.clock.instant().plusSeconds(100));
        String purpose = pick(PURPOSES);
        same("R14.1", "rotate " + jti + " to " + next + " for " + purpose, r -> {
            try {
                Rotation answer = r.rotate(stored, purpose, successor);
                return answer instanceof Rotation.Rotated rotated
                        ? "rotated, repetition: " + rotated.isRepetition()
                        : answer instanceof Rotation.Reused ? "reused" : (Rotation.Refused) answer;
            } catch (SubjectMismatchException e) {
                return e.getClass();
            }
        });
        compare(jti, "R14.1");
        compare(next, "R14.1");
    }

    private static Token token(String jti, @Nullable String subject, @Nullable String session, Instant expiresAt) {
        return Token.withoutIssuedAt(jti, String.valueOf(subject), expiresAt).withSession(String.valueOf(session));
    }

    /** In each generation there are others, since an ended session does not come back. */
    private String session() {
        return pick(SESSIONS) + generation / 20;
    }

    private void revokeSome() {
        if (random.nextInt(4) == 0) {
            String subject = pick(SUBJECTS);
            String session = session();
            same(
                    "R13.5",
                    "revoke all of " + subject + " but " + session,
                    r -> r.revokeAllStoredForSubjectExcept(subject, session));
        } else if (random.nextInt(4) == 0) {
            String subject = pick(SUBJECTS);
            same("R13.5", "revoke all links of " + subject, r -> r.revokeAllStoredForSubject(subject, Set.of("link")));
        }
        jtis.forEach(each -> compare(each, "R13.5"));
    }

    private void read(String jti) {
        String purpose = pick(PURPOSES);
        same("R2.5", "get " + jti, r -> r.getToken(jti).map(TokenRecord::jti));
        same(
                "R2.5",
                "get " + jti + " for " + purpose,
                r -> r.getToken(jti, purpose).map(TokenRecord::jti));
        same("R3.6", "is revoked " + jti, r -> r.isRevoked(jti));
        compare(jti, "R1.5");
    }

    private void bulk() {
        Set<String> asked = new HashSet<>(jtis.subList(random.nextInt(SLOTS), SLOTS));
        same("R3.9", "which are revoked", r -> r.isRevoked(asked));
    }

    private void list() {
        String subject = pick(SUBJECTS);
        int limit = 1 + random.nextInt(2 * SLOTS);
        samePage("R2.7", "list " + limit + " of " + subject, r -> r.listTokens(subject, limit));
    }

    private void check(String jti) {
        Token token = token(jti);
        String purpose = pick(PURPOSES);
        Instant now = kit.clock.instant();
        Instant watermark =
                modelStore.state(scope, "", token.subject(), null, now).watermark();
        String rule = "R3.8";
        if (watermark != null && model.check(token, purpose) == TokenStatus.REVOKED && !model.isRevoked(jti)) {
            boolean kept = watermark.equals(
                    kit.store.state(scope, "", token.subject(), null, now).watermark());
            rule = !kept ? "R4.2" : token.issuedAt() == null ? "R4.3" : "R4.4";
        }
        String session = token.session();
        if (session != null
                && !modelStore.revokedSessions(scope, Set.of(session), now).isEmpty()) {
            rule = "R13.2";
        }
        same(rule, "check " + jti + " for " + purpose, r -> r.check(token, purpose));
        compare(jti, "R1.5");
    }

    /**
     * Time goes on, and records past their retention end are expunged. The jti of such a record is not used again: the
     * record is there or gone (R7.7).
     */
    private void timePasses() {
        kit.clock.advance(Duration.ofMillis(random.nextInt(4) == 0 ? random.nextInt(400_000) : random.nextInt(2_000)));
        boolean exact = !(kit.store instanceof SelfExpiringTokenStore);
        if (exact) {
            samePage("R7.1", "read expired", r -> r.readExpired(100));
        }
        steps.add("expunge at " + kit.clock.instant());
        long expected = model.expungeExpired().removed();
        long removed = actual.expungeExpired().removed();
        for (int slot = 0; slot < SLOTS; slot++) {
            String jti = jtis.get(slot);
            if (model.inspect(jti).isEmpty()) {
                jtis.set(slot, "t" + slot + "." + ++generation);
            } else if (actual.inspect(jti).isEmpty()) {
                throw broken("R1.4", "an expunge removed a record before its retention end");
            } else {
                compare(jti, "R1.5");
            }
        }
        if (exact && expected != removed) {
            throw broken("R7.2", "an expunge removed " + removed + " instead of " + expected);
        }
    }

    private Token token(String jti) {
        Instant now = kit.clock.instant();
        Instant issuedAt = now.minusMillis(random.nextInt(5_000));
        // From past the retention end to a few minutes ahead.
        Instant expiresAt = now.plusMillis(random.nextInt(400_000) - 100_000);
        Token token = random.nextInt(5) == 0
                ? Token.withoutIssuedAt(jti, pick(SUBJECTS), expiresAt)
                : Token.of(jti, pick(SUBJECTS), issuedAt, expiresAt);
        return random.nextInt(3) == 0 ? token : token.withSession(session());
    }

    private <T> T pick(List<T> from) {
        return from.get(random.nextInt(from.size()));
    }

    private void same(String rule, String what, Function<TokenResource, Object> action) {
        steps.add(what + " at " + kit.clock.instant());
        Object expected = action.apply(model);
        Object answer = action.apply(actual);
        if (!expected.equals(answer)) {
            throw broken(rule, what + " answered " + show(answer) + " instead of " + show(expected));
        }
    }

    private void samePage(String rule, String what, Function<TokenResource, List<TokenRecord>> action) {
        steps.add(what + " at " + kit.clock.instant());
        List<TokenRecord> expected = action.apply(model);
        String difference = Records.difference(action.apply(actual), expected);
        if (difference != null) {
            throw broken(rule, what + ": " + difference);
        }
    }

    private void compare(String jti, String rule) {
        compare(jti, rule, rule);
    }

    /** Compares the record that a step may have changed; some fields have a rule of their own. */
    private void compare(String jti, String rule, String expiryRule) {
        Optional<TokenRecord> found = actual.inspect(jti);
        Optional<TokenRecord> expected = model.inspect(jti);
        if (found.isEmpty() || expected.isEmpty()) {
            if (found.isPresent() != expected.isPresent()) {
                boolean dropped = expected.isPresent() && !expected.get().isLive(kit.clock.instant());
                throw broken(dropped ? "R1.5" : rule, "the record is " + (found.isPresent() ? "there" : "not there"));
            }
            return;
        }
        if (!actual.inspect(jti).equals(found)) {
            throw broken("R1.5", "reading a record changed it");
        }
        Records.Difference difference = Records.difference(found.get(), expected.get());
        if (difference != null) {
            String blamed = switch (difference.field()) {
                case "revokedAt" ->
                    difference.is() instanceof Instant time && time.isBefore(kit.start) ? "R1.2" : "R3.4";
                case "updatedAt" -> rule.startsWith("R3") ? "R3.4" : rule;
                case "expiresAt" -> expiryRule;
                case "session" -> "R13.1";
                case "successor" -> rule.startsWith("R3") ? "R14.6" : "R14.1";
                default -> rule;
            };
            boolean coarse = difference.should() instanceof Instant exact
                    && exact.truncatedTo(ChronoUnit.SECONDS).equals(difference.is());
            throw broken(coarse ? "R1.3" : blamed, difference.toString());
        }
    }

    private static Object show(Object answer) {
        return answer instanceof TokenStatus || answer instanceof Enum<?> ? answer : answer.toString();
    }

    private RuleViolation broken(String rule, String message) {
        List<String> last = steps.subList(Math.max(0, steps.size() - 12), steps.size());
        return new RuleViolation(
                rule,
                message + "; repeat with " + history + " after " + steps.size() + " steps, the last of them "
                        + Collections.unmodifiableList(last));
    }
}
