package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.curfew.Consumption;
import dev.curfew.RevocationEvent;
import dev.curfew.RevokeOutcome;
import dev.curfew.Rotation;
import dev.curfew.Rotation.Refused;
import dev.curfew.Rotation.Reused;
import dev.curfew.Rotation.Rotated;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.StoredState;
import dev.curfew.Token;
import dev.curfew.TokenAction;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStore;
import dev.curfew.TokenStoreException;
import dev.curfew.Watermarked;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Section R14 of CONTRACT.md: rotation. */
abstract class R14Rotation extends R13Sessions {
    private static final Duration GRACE = Duration.ofSeconds(10);

    private TokenResource withGrace() {
        return builder(domain, store).reuseGrace(GRACE).build();
    }

    /** Stores a refresh token of a session of its own. */
    private Token refresh(String name) {
        Token token = token("r-" + name, "s", "session of " + name);
        tokens.storeToken(token, "refresh");
        return token;
    }

    private Token next(Token token, String name) {
        return token(token.jti() + "-" + name, token.subject(), HOUR.multipliedBy(2))
                .withSession(String.valueOf(token.session()));
    }

    private void assertNothingIsLeftOf(Token token) {
        assertThat(tokens.getToken(token)).as("getToken of the successor").isEmpty();
    }

    @Test
    final void R14_1_theTokenIsUsedAndItsSuccessorStored() {
        inEachEra(() -> {
            Token presented = refresh("t");
            TokenRecord before = inspected(presented.jti());
            clock.advance(Duration.ofSeconds(1));
            Token successor =
                    token("日本語 " + "x".repeat(500), "s", HOUR).withSession(String.valueOf(presented.session()));
            List<RevocationEvent> events = new ArrayList<>();
            Rotation answer;
            try (TokenResource heard =
                    builder(domain, store).onRevocation(events::add).build()) {
                answer = heard.rotate(presented, "refresh", successor, Map.of("scope", "all"));
            }
            assertThat(events.stream().map(RevocationEvent::jti))
                    .as("the jtis of the events")
                    .containsExactly(presented.jti());
            assertThat(answer).as("rotate").isInstanceOfSatisfying(Rotated.class, rotated -> {
                assertThat(rotated.isRepetition()).as("isRepetition").isFalse();
                Records.assertEqual("that rotate answers", rotated.successor(), inspected(successor.jti()));
            });
            Records.assertEqual(
                    "of the presented token",
                    inspected(presented.jti()),
                    before.used(clock.instant(), successor.jti()));
            assertStatus(presented, TokenStatus.REVOKED);
            TokenRecord stored = tokens.getToken(successor, "refresh").orElseThrow();
            assertThat(stored.session()).as("session").isEqualTo(presented.session());
            assertThat(stored.extraData()).as("extraData").isEqualTo(Map.of("scope", "all"));
            assertThat(others.rotate(successor, "refresh", next(successor, "2")))
                    .as("rotate of the successor")
                    .isInstanceOf(Rotated.class);
        });
    }

    @Test
    final void R14_1_ofConcurrentRotationsExactlyOneWins() {
        Race.run(
                "rotate",
                Math.min(races(), 2000),
                round -> refresh("t" + round),
                (round, racer) -> {
                    Token presented = token("r-t" + round, "s", "session of t" + round);
                    return node(racer).rotate(presented, "refresh", next(presented, "by " + racer));
                },
                (round, answers) -> {
                    assertThat(answers.stream().filter(Rotated.class::isInstance))
                            .as("how many were Rotated")
                            .hasSize(1);
                    assertThat(answers.stream().filter(Reused.class::isInstance))
                            .as("how many were Reused")
                            .isNotEmpty();
                    assertThat(answers)
                            .as("answers")
                            .allMatch(a -> a instanceof Rotated || a instanceof Reused || a == Refused.REVOKED);
                    assertThat(tokens.check(token("r-t" + round + "-by 0", "s", "session of t" + round)))
                            .as("check of a token of the session")
                            .isEqualTo(TokenStatus.REVOKED);
                });
    }

    @Test
    final void R14_2_whatIsPresentedAgainEndsTheSession() {
        inEachEra(() -> {
            List<RevocationEvent> events = new ArrayList<>();
            Token presented = refresh("t");
            Token victims = next(presented, "victim");
            tokens.rotate(presented, "refresh", victims);
            Token access = token("access", "s", String.valueOf(presented.session()));
            assertStatus(access, TokenStatus.ACTIVE);
            clock.advance(Duration.ofMinutes(5));
            Token thiefs = next(presented, "thief");
            try (TokenResource heard =
                    builder(domain, another).onRevocation(events::add).build()) {
                assertThat(heard.rotate(presented, "refresh", thiefs))
                        .as("rotate of a used token")
                        .isInstanceOfSatisfying(
                                Reused.class,
                                reused -> assertThat(reused.presented().jti())
                                        .as("jti")
                                        .isEqualTo(presented.jti()));
            }
            assertThat(events).as("events").hasSize(1);
            assertThat(events.get(0).action()).as("action").isEqualTo(TokenAction.ROTATE);
            assertThat(events.get(0).session()).as("session").isEqualTo(presented.session());
            assertThat(events.get(0).subject()).as("subject").isEqualTo("s");
            for (Token out : List.of(presented, victims, thiefs, access)) {
                assertStatus(out, TokenStatus.REVOKED);
            }
            assertNothingIsLeftOf(thiefs);
            assertNothingIsLeftOf(victims);
            assertThat(tokens.rotate(victims, "refresh", next(victims, "2")))
                    .as("rotate in a session that has ended")
                    .isEqualTo(Refused.REVOKED);
            assertThat(tokens.rotate(presented, "refresh", next(presented, "3")))
                    .as("rotate in a session that has ended")
                    .isEqualTo(Refused.REVOKED);
        });
    }

    /** An application that repeats a call after an exception passes the same successor; a thief cannot choose it. */
    @Test
    final void R14_2_aRepetitionWithTheSameSuccessorIsTheSameRotation() {
        Token presented = refresh("t");
        Token successor = next(presented, "1");
        tokens.rotate(presented, "refresh", successor);
        clock.advance(HOUR.dividedBy(2));
        assertThat(others.rotate(presented, "refresh", successor))
                .as("rotate, repeated with the same successor")
                .isInstanceOfSatisfying(
                        Rotated.class,
                        again -> assertThat(again.isRepetition())
                                .as("isRepetition")
                                .isFalse());
        assertStatus(successor, TokenStatus.ACTIVE);
        tokens.rotate(successor, "refresh", next(successor, "2"));
        assertThat(tokens.rotate(presented, "refresh", successor))
                .as("rotate with the same successor, when that was used")
                .isInstanceOf(Reused.class);
        assertStatus(successor, TokenStatus.REVOKED);
    }

    @Test
    final void R14_3_ofConcurrentRotationsWithinTheGraceOneIsTheFirst() {
        try (TokenResource here = withGrace();
                TokenResource there = builder(domain, another).reuseGrace(GRACE).build()) {
            Race.run(
                    "rotate within the grace",
                    Math.min(races(), 500),
                    round -> refresh("t" + round),
                    (round, racer) -> {
                        Token presented = token("r-t" + round, "s", "session of t" + round);
                        return (racer % 2 == 0 ? here : there)
                                .rotate(presented, "refresh", next(presented, "by " + racer));
                    },
                    (round, answers) -> {
                        assertThat(answers).as("answers").allMatch(Rotated.class::isInstance);
                        assertThat(answers.stream().filter(a -> !((Rotated) a).isRepetition()))
                                .as("how many were no repetition")
                                .hasSize(1);
                    });
        }
    }

    @Test
    final void R14_3_withinTheGraceItIsARepetition() {
        inEachEra(() -> {
            try (TokenResource graceful = withGrace()) {
                for (int offset : BEFORE_AT_AFTER) {
                    clock.set(start.plusSeconds(100L * (offset + 1)));
                    Token presented = refresh("t" + offset);
                    Token first = next(presented, "first");
                    graceful.rotate(presented, "refresh", first);
                    clock.advance(GRACE.plusMillis(offset));
                    Token second = next(presented, "second");
                    Rotation answer = graceful.rotate(presented, "refresh", second);
                    if (offset < 0) {
                        assertThat(answer)
                                .as("rotate")
                                .isInstanceOfSatisfying(
                                        Rotated.class,
                                        again -> assertThat(again.isRepetition())
                                                .as("isRepetition")
                                                .isTrue());
                        assertThat(tokens.getToken(first)).as("getToken, first").isPresent();
                        assertThat(tokens.getToken(second))
                                .as("getToken, second")
                                .isPresent();
                        assertThat(inspected(presented.jti()).successor())
                                .as("the first successor stays the one that is named")
                                .isEqualTo(first.jti());
                    } else {
                        assertThat(answer).as("rotate at %d ms", offset).isInstanceOf(Reused.class);
                    }
                }
            }
        });
    }

    @Test
    final void R14_3_aRepetitionNeedsAFirstSuccessorThatIsNotRevoked() {
        try (TokenResource graceful = withGrace()) {
            Token presented = refresh("t");
            Token first = next(presented, "first");
            graceful.rotate(presented, "refresh", first);
            graceful.rotate(first, "refresh", next(first, "next"));
            assertThat(graceful.rotate(presented, "refresh", next(presented, "while the first is used")))
                    .as("rotate, when the first successor was rotated")
                    .isInstanceOf(Rotated.class);
            assertThat(graceful.revokeAllStoredForSubject("s"))
                    .as("revokeAllStoredForSubject")
                    .isEqualTo(2);
            Token late = next(presented, "after the log-out");
            assertThat(graceful.rotate(presented, "refresh", late))
                    .as("rotate, when the successor of the first successor was revoked")
                    .isEqualTo(Refused.REVOKED);
            assertNothingIsLeftOf(late);
            Token loggedOut = refresh("out");
            Token last = next(loggedOut, "first");
            graceful.rotate(loggedOut, "refresh", last);
            graceful.revokeAllStoredForSubject("s");
            Token successor = next(loggedOut, "after");
            assertThat(graceful.rotate(loggedOut, "refresh", successor))
                    .as("rotate, when the first successor was revoked")
                    .isEqualTo(Refused.REVOKED);
            assertNothingIsLeftOf(successor);
        }
    }

    @Test
    final void R14_4_whatIsRefusedLeavesNothingBehind() {
        inEachEra(() -> {
            Token presented = refresh("t");
            Token successor = next(presented, "1");
            assertRefused(presented, "another purpose", successor, Refused.UNKNOWN);
            Token ofOther = token(presented.jti(), "other", String.valueOf(presented.session()));
            assertRefused(ofOther, "refresh", next(ofOther, "1"), Refused.UNKNOWN);
            Token otherSession = token(presented.jti(), "s", "another session");
            assertRefused(otherSession, "refresh", next(otherSession, "1"), Refused.UNKNOWN);
            Token unknown = token("unknown", "s", "x");
            assertRefused(unknown, "refresh", next(unknown, "1"), Refused.UNKNOWN);
            assertThat(tokens.getToken(presented))
                    .as("getToken of the presented token")
                    .isPresent();

            Token revoked = refresh("revoked");
            tokens.revokeToken(revoked);
            assertRefused(revoked, "refresh", next(revoked, "1"), Refused.REVOKED);
            Token consumed = refresh("consumed");
            tokens.consume(consumed, "refresh");
            assertRefused(consumed, "refresh", next(consumed, "1"), Refused.REVOKED);
            Token ended = refresh("ended");
            others.revokeSession(String.valueOf(ended.session()));
            assertRefused(ended, "refresh", next(ended, "1"), Refused.REVOKED);

            Token everywhere = token("everywhere", "s3", "session 3");
            tokens.storeToken(everywhere, "refresh");
            clock.advance(Duration.ofSeconds(2));
            others.revokeSubject("s3");
            clock.advance(Duration.ofSeconds(2));
            assertRefused(everywhere, "refresh", next(everywhere, "1"), Refused.REVOKED);

            Token expiring =
                    token(presented.jti() + "-2", "s", Duration.ZERO).withSession(String.valueOf(presented.session()));
            assertThat(catchThrowable(() -> tokens.rotate(presented, "refresh", expiring)))
                    .as("rotate to a successor that has expired")
                    .isInstanceOf(IllegalArgumentException.class);
            clock.set(presented.expiresAt());
            assertRefused(presented, "refresh", expiring, Refused.EXPIRED);
        });
    }

    private void assertRefused(Token presented, String purpose, Token successor, Refused refusal) {
        assertThat(tokens.rotate(presented, purpose, successor)).as("rotate").isEqualTo(refusal);
        assertThat(tokens.inspect(successor.jti()))
                .as("the record of a successor that was refused (%s)", refusal)
                .isEmpty();
    }

    /** The store fails at each step, before it has done anything, and after it has done all of it. */
    @Test
    final void R14_5_aCallThatEndsBetweenTwoStepsLeavesAWayOn() {
        for (boolean isDone : List.of(false, true)) {
            int steps = 0;
            boolean hasFailed = true;
            while (hasFailed) {
                steps++;
                Token presented = refresh("step " + steps + isDone);
                Token lost = next(presented, "lost");
                var failing = new FailingAt(store, steps, isDone);
                try (TokenResource broken =
                        builder(domain, failing).reuseGrace(GRACE).build()) {
                    failing.isCounting = true;
                    Throwable failure = catchThrowable(() -> broken.rotate(presented, "refresh", lost));
                    hasFailed = failure instanceof TokenStoreException;
                }
                assertThat(tokens.inspect(lost.jti()).map(TokenRecord::session).orElse(presented.session()))
                        .as("the session of what is left")
                        .isEqualTo(presented.session());
                try (TokenResource graceful = withGrace()) {
                    Token successor = next(presented, "on");
                    assertThat(graceful.rotate(presented, "refresh", successor))
                            .as("rotate, after step %d failed (done: %s)", steps, isDone)
                            .isInstanceOf(Rotated.class);
                    graceful.revokeSession(String.valueOf(presented.session()));
                    for (Token token : List.of(presented, lost, successor)) {
                        assertStatus(token, TokenStatus.REVOKED);
                    }
                }
            }
            assertThat(steps - 1).as("steps of a rotation").isEqualTo(3);
        }
    }

    /** A reuse whose answer is lost is a reuse when the token is presented again. */
    @Test
    final void R14_5_aReuseThatFailsIsFoundAgain() {
        Token presented = refresh("t");
        tokens.rotate(presented, "refresh", next(presented, "1"));
        var failing = new FailingAt(store, 2, false);
        try (TokenResource broken = resource(domain, failing)) {
            failing.isCounting = true;
            Token successor = next(presented, "2");
            assertThat(catchThrowable(() -> broken.rotate(presented, "refresh", successor)))
                    .as("rotate, when the session cannot be revoked")
                    .isInstanceOf(TokenStoreException.class);
        }
        assertThat(tokens.rotate(presented, "refresh", next(presented, "3")))
                .as("rotate")
                .isInstanceOf(Reused.class);
    }

    @Test
    final void R14_6_whoLogsOutWithARotatedTokenEndsTheSession() {
        for (String how : List.of("revokeToken", "revokeJti", "revokeStoredForSubject")) {
            Token presented = refresh(how);
            Token successor = next(presented, "1");
            tokens.rotate(presented, "refresh", successor);
            TokenRecord used = inspected(presented.jti());
            clock.advance(Duration.ofSeconds(1));
            RevokeOutcome outcome = switch (how) {
                case "revokeToken" -> others.revokeToken(presented);
                case "revokeJti" -> others.revokeJti(presented.jti(), presented.expiresAt());
                default -> others.revokeStoredForSubject("s", presented.jti());
            };
            assertThat(outcome).as("%s of a rotated token", how).isEqualTo(RevokeOutcome.ALREADY_REVOKED);
            assertStatus(successor, TokenStatus.REVOKED);
            assertThat(inspected(presented.jti()).successor())
                    .as("the successor of a token that is revoked after it was rotated")
                    .isEqualTo(used.successor());
            assertThat(inspected(presented.jti()).revokedAt())
                    .as("revokedAt of a token that is revoked after it was rotated")
                    .isEqualTo(used.revokedAt());
        }
        Token twice = refresh("twice");
        tokens.revokeToken(twice);
        assertThat(tokens.revokeToken(twice)).as("revokeToken").isEqualTo(RevokeOutcome.ALREADY_REVOKED);
        assertStatus(token("other", "s", String.valueOf(twice.session())), TokenStatus.ACTIVE);
    }

    /** A revocation at the same moment wins, or ends the session. */
    @Test
    final void R14_6_aRotationAndARevocationAtOnceLeaveNothingAlive() {
        Race.run(
                "rotate against revokeToken",
                Math.min(races(), 2000),
                round -> refresh("t" + round),
                (round, racer) -> {
                    Token presented = token("r-t" + round, "s", "session of t" + round);
                    return racer == 0
                            ? tokens.revokeToken(presented)
                            : racer == 1 ? others.rotate(presented, "refresh", next(presented, "1")) : "nothing";
                },
                (round, answers) -> assertThat(tokens.getToken("r-t" + round + "-1"))
                        .as("getToken of the successor in round %d, answers %s", round, answers)
                        .isEmpty());
    }

    /** A store that fails at one of its calls. */
    private static final class FailingAt extends DelegatingStore {
        private final boolean isDone;
        private int left;
        boolean isCounting;

        FailingAt(TokenStore store, int call, boolean isDone) {
            super(store);
            this.left = call;
            this.isDone = isDone;
        }

        private <T> T step(Supplier<T> verb) {
            boolean isLast = isCounting && --left == 0;
            if (isLast && !isDone) {
                throw new TokenStoreException(TokenStoreException.Outcome.UNCHANGED, "The store fails here", null);
            }
            T answer = verb.get();
            if (isLast) {
                throw new TokenStoreException("The reply of the store is lost here");
            }
            return answer;
        }

        @Override
        public StoreOutcome store(StoreScope scope, TokenRecord record, Instant now) {
            return step(() -> super.store(scope, record, now));
        }

        @Override
        public StoredState state(StoreScope scope, String jti, String subject, @Nullable String session, Instant now) {
            return step(() -> super.state(scope, jti, subject, session, now));
        }

        @Override
        public Watermarked<Consumption> consume(
                StoreScope scope,
                String jti,
                @Nullable String subject,
                String purpose,
                @Nullable String successor,
                Instant now) {
            return step(() -> super.consume(scope, jti, subject, purpose, successor, now));
        }

        @Override
        public RevokeOutcome revoke(StoreScope scope, TokenRecord revocation, Instant keepUntil, Instant now) {
            return step(() -> super.revoke(scope, revocation, keepUntil, now));
        }

        @Override
        public RevokeOutcome revokeSession(StoreScope scope, String session, Instant keepUntil, Instant now) {
            return step(() -> super.revokeSession(scope, session, keepUntil, now));
        }
    }
}
