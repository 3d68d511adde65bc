package dev.curfew.examples;

import dev.curfew.Consumption;
import dev.curfew.ExpungeReport;
import dev.curfew.Expunger;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import java.io.PrintStream;
import java.time.Duration;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * The main job, told on real JWTs: each line says what happens, which call does it, and what the call answered. An
 * answer other than the expected one ends the story with {@link CameOutDifferently}.
 */
final class Story {
    static final String DOMAIN = "quickstart";

    private static final Duration SESSION = Duration.ofMinutes(15);
    private static final Duration LINK = Duration.ofMinutes(10);
    private static final String MAGIC_LINK = "magic-link";
    private static final String CHANGE_EMAIL = "change-email";
    private static final String REFRESH = "refresh";
    private static final int CLICKS = 64;

    private final TokenResource tokens;
    private final Expunger expunger;
    private final HandClock clock;
    private final PrintStream out;
    private final Jwts jwts;
    // A server keeps its records from one run to the next, so nobody is the same person twice.
    private final String ada = "ada-" + UUID.randomUUID();

    private Story(TokenResource tokens, Expunger expunger, HandClock clock, PrintStream out) {
        this.tokens = tokens;
        this.expunger = expunger;
        this.clock = clock;
        this.out = out;
        this.jwts = new Jwts(clock);
    }

    /**
     * Tells the story from its beginning to its end.
     *
     * @param builder a builder that knows the store
     */
    static void tell(TokenResource.Builder builder, PrintStream out) {
        var clock = new HandClock(InstantSource.system().instant().truncatedTo(ChronoUnit.SECONDS));
        try (Expunger expunger = Expunger.manual();
                TokenResource tokens = builder.domain(DOMAIN)
                        .clock(clock)
                        .clockSkew(Jwts.LEEWAY)
                        .maxTokenLifetime(SESSION)
                        .expunger(expunger)
                        .build()) {
            new Story(tokens, expunger, clock, out).tell();
        }
    }

    private void tell() {
        out.println("What happens, and what the token resource answers. Its clock is moved by hand, from "
                + clock.instant() + " on.");
        signInAndLogOut();
        raceForAMagicLink();
        changeEmail();
        logOutEverywhere();
        endOneSession();
        refreshTokenIsStolen();
        revokeByJtiAlone();
        theStoreIsDown();
        letTimePass();
        out.println();
        out.println("Every answer was the expected one.");
    }

    private void signInAndLogOut() {
        chapter("Signing in");
        String jwt = jwts.issue(ada, SESSION);
        line(
                "Ada gets a JWT, and a record of it is stored",
                "storeToken",
                tokens.storeToken(Token.peek(jwt)),
                StoreOutcome.STORED);
        Token token = jwts.verified(jwt);
        line("She shows it: its signature is right, and so", "check", tokens.check(token), TokenStatus.ACTIVE);

        chapter("Logging out, and a replay");
        line("Ada logs out", "revokeToken", tokens.revokeToken(token), RevokeOutcome.REVOKED);
        line("A second time changes nothing", "revokeToken", tokens.revokeToken(token), RevokeOutcome.ALREADY_REVOKED);
        Token replayed = jwts.verified(jwt);
        line(
                "A thief shows the JWT: the signature is right, but",
                "check",
                tokens.check(replayed),
                TokenStatus.REVOKED);
        line(
                "Storing it again does not bring it back",
                "storeToken",
                tokens.storeToken(replayed),
                StoreOutcome.REVOKED);
    }

    private void raceForAMagicLink() {
        chapter("A magic link, clicked " + CLICKS + " times at once");
        String secret = Token.newSecret();
        print("The link goes to Ada by mail", "newSecret", "https://app.example/in#" + secret);
        Token link =
                Token.ofSecret(secret, ada, clock.instant(), clock.instant().plus(LINK));
        line(
                "Stored is its hash: who reads the store has no link",
                "storeToken",
                tokens.storeToken(link, MAGIC_LINK),
                StoreOutcome.STORED);
        var together = new CyclicBarrier(CLICKS);
        Map<String, Integer> answers = answersOf(() -> {
            together.await(10, TimeUnit.SECONDS);
            return tokens.consume(Token.idOf(secret), MAGIC_LINK);
        });
        line(
                "One click gets in, the others are late",
                "consume",
                answers,
                Map.of("Consumed", 1, "ALREADY_USED", CLICKS - 1));
    }

    /** How many of the clicks got which answer. */
    private static Map<String, Integer> answersOf(Callable<?> click) {
        ExecutorService threads = Executors.newFixedThreadPool(CLICKS);
        try {
            Map<String, Integer> answers = new TreeMap<>();
            for (Future<?> answer : threads.invokeAll(Collections.nCopies(CLICKS, click))) {
                answers.merge(nameOf(answer.get()), 1, Integer::sum);
            }
            return answers;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("Interrupted in the middle of the race", e);
        } catch (ExecutionException e) {
            throw new IllegalStateException("A click failed", e.getCause());
        } finally {
            threads.shutdownNow();
        }
    }

    private static String nameOf(Object answer) {
        return answer instanceof Enum<?> refused
                ? refused.name()
                : answer.getClass().getSimpleName();
    }

    private void changeEmail() {
        chapter("A change of e-mail address, confirmed once");
        Token token = jwts.verified(jwts.issue(ada, LINK));
        Map<String, Object> changes = Map.of("email", "ada@new.example");
        line(
                "The new address waits for the link in the mail",
                "storeConfirmationChanges",
                tokens.storeConfirmationChanges(token, CHANGE_EMAIL, changes),
                StoreOutcome.STORED);
        line(
                "The page behind the link shows what it is about",
                "getConfirmationChanges",
                tokens.getConfirmationChanges(token, CHANGE_EMAIL).map(found -> found.get("email")),
                Optional.of("ada@new.example"));
        line(
                "Ada confirms",
                "consumeConfirmationChanges",
                emailOf(tokens.consumeConfirmationChanges(token, CHANGE_EMAIL)),
                "ada@new.example");
        line(
                "She clicks again: nothing waits any more",
                "consumeConfirmationChanges",
                tokens.consumeConfirmationChanges(token, CHANGE_EMAIL),
                Consumption.Refused.ALREADY_USED);
    }

    private static Object emailOf(Consumption consumption) {
        return consumption instanceof Consumption.Consumed consumed
                        && consumed.record().extraData() != null
                ? String.valueOf(consumed.record().extraData().get("email"))
                : consumption;
    }

    private void logOutEverywhere() {
        chapter("Logging out everywhere");
        Token phone = signIn("phone");
        clock.moveBy(Duration.ofMinutes(1));
        Token laptop = signIn("laptop");
        line("Ada's devices, the soonest to expire first", "listTokens", devices(), List.of("phone", "laptop"));
        line(
                "Ada logs out everywhere, with a single write",
                "revokeSubject",
                tokens.revokeSubject(ada),
                clock.instant());
        line("The phone is out", "check", tokens.check(phone), TokenStatus.REVOKED);
        line("The laptop is out", "check", tokens.check(laptop), TokenStatus.REVOKED);
        line(
                "What is stored for her is revoked one by one as well",
                "revokeAllStoredForSubject",
                tokens.revokeAllStoredForSubject(ada),
                2L);
        line("So the list of her devices is empty", "listTokens", devices(), List.of());

        // A JWT's iat is a whole second, and what was issued in the watermark's own second may be older than it (R4.4).
        clock.moveBy(Duration.ofSeconds(2));
        Token again = signIn("phone, again");
        line("That one is in", "check", tokens.check(again), TokenStatus.ACTIVE);
    }

    private Token signIn(String device) {
        Token token = jwts.verified(jwts.issue(ada, SESSION));
        StoreOutcome outcome = tokens.storeToken(token, Token.DEFAULT_PURPOSE, Map.of("device", device));
        line("Ada signs in on her " + device, "storeToken", outcome, StoreOutcome.STORED);
        return token;
    }

    private List<String> devices() {
        return tokens.listTokens(ada).stream().map(Story::device).toList();
    }

    private static String device(TokenRecord record) {
        var extraData = record.extraData();
        return extraData == null ? "?" : String.valueOf(extraData.get("device"));
    }

    private void endOneSession() {
        chapter("Logging out one device, with all its tokens");
        Token access = jwts.verified(jwts.issue(ada, SESSION, "tablet-" + ada));
        Token sameDevice = jwts.verified(jwts.issue(ada, SESSION, "tablet-" + ada));
        Token otherDevice = jwts.verified(jwts.issue(ada, SESSION, "laptop-" + ada));
        line("Three JWTs, never stored; two are of the tablet", "check", tokens.check(access), TokenStatus.ACTIVE);
        line(
                "Ada logs the tablet out, with a single write",
                "revokeSession",
                tokens.revokeSession(String.valueOf(access.session())),
                RevokeOutcome.REVOKED);
        line("The first is out", "check", tokens.check(access), TokenStatus.REVOKED);
        line("So is the other one of the tablet", "check", tokens.check(sameDevice), TokenStatus.REVOKED);
        line("The laptop's is not", "check", tokens.check(otherDevice), TokenStatus.ACTIVE);
    }

    private void refreshTokenIsStolen() {
        chapter("A refresh token, and its theft");
        Token first = refreshToken("phone-" + ada);
        line("Ada's phone gets a refresh token", "storeToken", tokens.storeToken(first, REFRESH), StoreOutcome.STORED);
        Map<String, Integer> answers =
                answersOf(() -> tokens.rotate(first, REFRESH, refreshToken(String.valueOf(first.session()))));
        line(CLICKS + " threads rotate one: one of them wins", "rotate", answers.getOrDefault("Rotated", 0), 1);
        Token second = refreshToken("watch-" + ada);
        tokens.storeToken(second, REFRESH);
        Token successor = refreshToken(String.valueOf(second.session()));
        line(
                "Her watch rotates its refresh token",
                "rotate",
                nameOf(tokens.rotate(second, REFRESH, successor)),
                "Rotated");
        Token thiefs = refreshToken(String.valueOf(second.session()));
        line(
                "A thief presents a copy of the old one",
                "rotate",
                nameOf(tokens.rotate(second, REFRESH, thiefs)),
                "Reused");
        line("The session has ended: the watch is out", "check", tokens.check(successor), TokenStatus.REVOKED);
        line("And so is the thief", "check", tokens.check(thiefs), TokenStatus.REVOKED);
    }

    private Token refreshToken(String session) {
        return jwts.verified(jwts.issue(ada, SESSION, session));
    }

    private void revokeByJtiAlone() {
        chapter("A jti and nothing else, say from a log");
        Token token = jwts.verified(jwts.issue(ada, SESSION));
        line("A JWT that was never stored is good", "check", tokens.check(token), TokenStatus.ACTIVE);
        line("Support revokes it by its jti", "revokeJti", tokens.revokeJti(token.jti()), RevokeOutcome.REVOKED);
        line("It is good no more", "check", tokens.check(token), TokenStatus.REVOKED);
    }

    /** On a store of its own, which fails at once, as a server that is down does after a while. */
    private void theStoreIsDown() {
        chapter("The store is down");
        Token token = jwts.verified(jwts.issue(ada, SESSION));
        try (TokenResource unlucky = TokenResource.builder()
                .store(StoreThatIsDown.create())
                .clock(clock)
                .maxTokenLifetime(SESSION)
                .expunger(expunger)
                .build()) {
            line(
                    "Nobody gets in, and it is no log-out: answer 503",
                    "check",
                    unlucky.check(token),
                    TokenStatus.UNAVAILABLE);
            Object outcome;
            try {
                outcome = unlucky.revokeToken(token);
            } catch (TokenStoreException e) {
                outcome = e.outcome();
            }
            line("What changes something throws, and says", "outcome", outcome, TokenStoreException.Outcome.UNCHANGED);
        }
    }

    private void letTimePass() {
        chapter("Time passes");
        String jwt = jwts.issue(ada, SESSION);
        Token token = jwts.verified(jwt);
        line("Ada signs in a last time", "storeToken", tokens.storeToken(token), StoreOutcome.STORED);
        clock.moveTo(token.expiresAt().minusMillis(1));
        line("A millisecond before it expires, it is good", "check", tokens.check(token), TokenStatus.ACTIVE);
        clock.moveTo(token.expiresAt());
        line("On the dot, it is not", "check", tokens.check(token), TokenStatus.EXPIRED);
        line("The JWT library grants 60 s more, so the record stays", "verify", verify(jwt), "accepted");

        clock.moveBy(Jwts.LEEWAY);
        line("After these, the library refuses the JWT as well", "verify", verify(jwt), "refused: the JWT has expired");
        clock.moveBy(Duration.ofHours(12));
        List<ExpungeReport> reports = expunger.runDue();
        line(
                "Half a day later it is time to clear up",
                "runDue",
                reports.stream().map(ExpungeReport::domain).toList(),
                List.of(DOMAIN));
        print(
                "Removed, unless the server has done so by itself",
                "report.removed",
                reports.get(0).removed());
        line("Nothing is left that could go", "readExpired", tokens.readExpired(1), List.of());
        line("Ada's last token does not come back for that", "check", tokens.check(token), TokenStatus.EXPIRED);
    }

    private String verify(String jwt) {
        try {
            jwts.verified(jwt);
            return "accepted";
        } catch (Jwts.Refused e) {
            return "refused: " + e.reason();
        }
    }

    private void chapter(String title) {
        out.println();
        out.println(title);
    }

    private void line(String words, String call, Object answer, Object expected) {
        print(words, call, answer);
        if (!answer.equals(expected)) {
            throw new CameOutDifferently(call, expected, answer);
        }
    }

    private void print(String words, String call, Object answer) {
        out.printf("  %-54s %s -> %s%n", words, call, answer);
    }

    /** An answer was not the expected one: a bug in Curfew, in the store, or in the story. */
    static final class CameOutDifferently extends RuntimeException {
        private static final long serialVersionUID = 1;

        CameOutDifferently(String call, Object expected, Object answer) {
            super("the story came out differently: " + call + " answered " + answer + " instead of " + expected);
        }
    }
}
