package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Section R13 of CONTRACT.md: sessions. */
abstract class R13Sessions extends R12Replica {

    final Token token(String jti, String subject, String session) {
        return token(jti, subject, HOUR).withSession(session);
    }

    @Test
    final void R13_1_aSessionComesBackAsItWas() {
        for (String session : Samples.TEXTS) {
            tokens.storeToken(token("t", "s", session));
            assertThat(inspected("t").session()).as("session").isEqualTo(session);
        }
        tokens.storeToken(token("t", "s", "x".repeat(512)), "link", Map.of("k", 1));
        assertThat(tokens.getToken("t").orElseThrow().session()).as("session").hasSize(512);
        assertThat(tokens.listTokens("s").get(0).session()).as("session").hasSize(512);
        assertThat(tokens.consume("t", "link"))
                .as("consume")
                .isInstanceOfSatisfying(
                        Consumed.class,
                        used -> assertThat(used.record().session())
                                .as("session")
                                .hasSize(512));
        tokens.revokeToken(token("unstored", "s", "of a revocation"));
        assertThat(inspected("unstored").session()).as("session").isEqualTo("of a revocation");
        tokens.storeToken(token("none", "s", "first"));
        tokens.storeToken(token("none", "s", HOUR));
        assertThat(inspected("none").session())
                .as("the session of a token that is stored again without one")
                .isNull();
    }

    @Test
    final void R13_2_aRevokedSessionRevokesEveryTokenOfIt() {
        inEachEra(() -> {
            Token stored = token("stored", "s", "phone");
            tokens.storeToken(stored);
            Token unstored = token("unstored", "s", "phone");
            Token undated =
                    Token.withoutIssuedAt("undated", "s", start.plus(HOUR)).withSession("phone");
            assertStatus(stored, TokenStatus.ACTIVE);
            clock.advance(Duration.ofSeconds(1));
            assertThat(others.revokeSession("phone")).as("revokeSession").isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.revokeSession("phone")).as("revokeSession").isEqualTo(RevokeOutcome.ALREADY_REVOKED);
            clock.advance(Duration.ofSeconds(10));
            Token later = token("later", "s", "phone");
            tokens.storeToken(later);
            for (Token token : List.of(stored, unstored, undated, later)) {
                assertStatus(token, TokenStatus.REVOKED);
                assertThat(tokens.isRevoked(token)).as("isRevoked").isTrue();
            }
            assertStatus(token("stored too", "s", "laptop"), TokenStatus.ACTIVE);
            assertStatus(token("without", "s", HOUR), TokenStatus.ACTIVE);
        });
    }

    @Test
    final void R13_2_ofConcurrentRevocationsExactlyOneWins() {
        Race.run(
                "revokeSession",
                Math.min(races(), 3000),
                round -> {},
                (round, racer) -> node(racer).revokeSession("s" + round),
                (round, answers) -> assertOneRevoked(answers));
    }

    @Test
    final void R13_2_theLatestEndWins() {
        inEachEra(() -> {
            Instant end = start.plus(HOUR.multipliedBy(2)).plusMillis(789);
            store.revokeSession(scope, "short first", start.plus(HOUR), start);
            another.revokeSession(scope, "short first", end, start);
            another.revokeSession(scope, "long first", end, start);
            store.revokeSession(scope, "long first", start.plus(HOUR), start);
            Set<String> both = Set.of("short first", "long first");
            clock.set(end.minusMillis(1));
            expunge();
            assertThat(store.revokedSessions(scope, both, clock.instant()))
                    .as("revokedSessions a millisecond before the latest of their ends")
                    .isEqualTo(both);
        });
    }

    @Test
    final void R13_2_aSessionIsApartFromASubjectAndAJtiOfItsName() {
        Token token = token("name", "name", "name");
        tokens.storeToken(token, "link");
        Token elsewhere = token("name", "name", "another");
        tokens.revokeSession("name");
        assertThat(tokens.isRevoked("name")).as("isRevoked of a jti").isFalse();
        assertThat(watermark("name")).as("the watermark of a subject").isNull();
        assertStatus(token, TokenStatus.REVOKED);
        tokens.storeToken(elsewhere, "link");
        assertStatus(elsewhere, TokenStatus.ACTIVE);
        tokens.revokeSubject("subject");
        tokens.revokeJti("jti");
        assertThat(store.revokedSessions(scope, Set.of("name", "subject", "jti", "another"), clock.instant()))
                .as("revokedSessions")
                .containsExactly("name");
    }

    @Test
    final void R13_2_sessionsOfAnyNameAreRevoked() {
        List<String> names = new ArrayList<>(Samples.TEXTS);
        names.add("x".repeat(511) + "a");
        for (String name : names) {
            assertThat(tokens.revokeSession(name)).as("revokeSession").isEqualTo(RevokeOutcome.REVOKED);
            assertStatus(token("t", "s", name), TokenStatus.REVOKED);
        }
        assertStatus(token("t", "s", "x".repeat(511) + "b"), TokenStatus.ACTIVE);
        assertThat(another.revokedSessions(scope, names, clock.instant()))
                .as("revokedSessions")
                .hasSameElementsAs(names);
    }

    /** When the session cannot be asked for, the token is used already. */
    @Test
    final void R13_4_aConsumptionWhoseSessionCannotBeReadIsUnknown() {
        tokens.storeToken(token("t", "s", "phone"), "link");
        var failing = new DelegatingStore(store) {
            @Override
            public Set<String> revokedSessions(StoreScope in, Collection<String> sessions, Instant now) {
                throw new TokenStoreException(TokenStoreException.Outcome.UNCHANGED, "No connection", null);
            }
        };
        try (TokenResource broken = resource(domain, failing)) {
            assertThatThrownBy(() -> broken.consume("t", "link"), "consume, when the session cannot be read")
                    .isInstanceOfSatisfying(
                            TokenStoreException.class,
                            e -> assertThat(e.outcome()).as("outcome").isEqualTo(TokenStoreException.Outcome.UNKNOWN));
        }
    }

    @Test
    final void R13_2_manySessionsAreAskedForAtOnce() {
        Set<String> all = new HashSet<>();
        Set<String> revoked = new HashSet<>();
        for (int i = 0; i < 2001; i++) {
            all.add("s" + i);
            if (i % 100 == 0) {
                tokens.revokeSession("s" + i);
                revoked.add("s" + i);
            }
        }
        assertThat(another.revokedSessions(scope, all, clock.instant()))
                .as("revokedSessions of 2,001")
                .isEqualTo(revoked);
    }

    @Test
    final void R9_3_sessionsCompareByteByByte() {
        for (int i = 0; i < Samples.LOOK_ALIKES.size(); i++) {
            // One may stand in several pairs.
            TokenResource tenant = tokens.forTenant("t" + i);
            StoreScope ofTenant = new StoreScope(domain, "t" + i, SKEW, deadline());
            List<String> alike = Samples.LOOK_ALIKES.get(i);
            tenant.revokeSession(alike.get(0));
            assertThat(store.revokedSessions(ofTenant, alike, clock.instant()))
                    .as("revokedSessions of two that look alike, pair %d", i)
                    .containsExactly(alike.get(0));
        }
    }

    @Test
    final void R13_3_aCheckSeesTheSessionThatTheTokenNames() {
        tokens.storeToken(token("t", "s", "phone"));
        tokens.revokeSession("phone");
        for (String jti : List.of("t", "unknown")) {
            assertThat(another.state(scope, jti, "s", "phone", clock.instant()).isSessionRevoked())
                    .as("whether state says that the session is revoked")
                    .isTrue();
            assertThat(another.state(scope, jti, "s", "laptop", clock.instant()).isSessionRevoked())
                    .as("whether state says that another session is revoked")
                    .isFalse();
            assertThat(another.state(scope, jti, "s", null, clock.instant()).isSessionRevoked())
                    .as("whether state says that a session is revoked, when asked for none")
                    .isFalse();
        }
    }

    @Test
    final void R13_3_theSessionOfTheRecordCountsToo() {
        Token opaque = token("opaque", "s", HOUR);
        tokens.storeToken(opaque.withSession("phone"));
        assertStatus(opaque, TokenStatus.ACTIVE);
        tokens.revokeSession("another");
        assertStatus(opaque, TokenStatus.ACTIVE);
        others.revokeSession("phone");
        assertStatus(opaque, TokenStatus.REVOKED);
        assertStatus(opaque.withSession("laptop"), TokenStatus.REVOKED);
    }

    @Test
    final void R13_4_aSessionThatEndedHasNoTokenLeft() {
        inEachEra(() -> {
            Token ended = token("ended", "s", "phone");
            tokens.storeToken(ended, "link", Map.of("k", 1));
            tokens.storeToken(token("other", "s", "laptop"), "link");
            tokens.storeToken(token("none", "s", HOUR), "link");
            others.revokeSession("phone");
            assertThat(tokens.getToken("ended")).as("getToken").isEmpty();
            assertThat(tokens.getConfirmationChanges(ended, "link"))
                    .as("getConfirmationChanges")
                    .isEmpty();
            assertThat(tokens.listTokens("s").stream().map(TokenRecord::jti))
                    .as("listTokens")
                    .containsExactlyInAnyOrder("other", "none");
            assertThat(tokens.inspect("ended")).as("inspect").isPresent();
            assertThat(tokens.consume("ended", "link")).as("consume").isEqualTo(Refused.ALREADY_USED);
            for (String jti : List.of("other", "none")) {
                assertThat(tokens.getToken(jti)).as("getToken, %s", jti).isPresent();
                assertThat(tokens.consume(jti, "link")).as("consume, %s", jti).isInstanceOf(Consumed.class);
            }
        });
    }

    @Test
    final void R13_4_aPageIsFullWithoutWhatIsOfARevokedSession() {
        List<String> live = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            boolean isLive = i % 3 == 0;
            String jti = (isLive ? "live" : "ended") + i;
            tokens.storeToken(
                    token(jti, "s", HOUR.plusMillis(i)).withSession(isLive ? "laptop" + i : i % 2 == 0 ? "a" : "b"));
            if (isLive) {
                live.add(jti);
            }
        }
        tokens.revokeSession("a");
        tokens.revokeSession("b");
        assertThat(listedByPages("s", live.size(), 3).stream().map(TokenRecord::jti))
                .as("listTokens")
                .containsExactlyElementsOf(live);
    }

    @Test
    final void R13_5_allButOneSessionAreRevoked() {
        try (TokenResource small = builder(domain, store).expungeBatchSize(4).build()) {
            for (int i = 0; i < 30; i++) {
                Token token = token("t" + i, "s", HOUR.plusMillis(i));
                small.storeToken(i % 3 == 2 ? token : token.withSession(i % 3 == 0 ? "here" : "there"));
            }
            small.storeToken(token("of another", "s2", "there"));
            small.revokeJti("t1");
            assertThat(small.revokeAllStoredForSubjectExcept("s", "here"))
                    .as("revokeAllStoredForSubjectExcept")
                    .isEqualTo(19);
            for (int i = 0; i < 30; i++) {
                assertThat(small.isRevoked("t" + i)).as("isRevoked, %d", i).isEqualTo(i % 3 != 0);
            }
            assertThat(small.isRevoked("of another")).as("isRevoked").isFalse();
            assertThat(small.revokeAllStoredForSubjectExcept("s", "here"))
                    .as("revokeAllStoredForSubjectExcept, when only that session is left")
                    .isZero();
        }
    }

    @Test
    final void R13_5_onlySomePurposesAreRevoked() {
        for (int i = 0; i < 12; i++) {
            tokens.storeToken(token("t" + i, "s", HOUR), "p" + i % 4);
        }
        assertThat(tokens.revokeAllStoredForSubject("s", Set.of("p1", "p3")))
                .as("revokeAllStoredForSubject")
                .isEqualTo(6);
        for (int i = 0; i < 12; i++) {
            assertThat(tokens.isRevoked("t" + i)).as("isRevoked, %d", i).isEqualTo(i % 2 == 1);
        }
    }
}
