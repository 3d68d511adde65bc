package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.Consumption.Consumed;
import dev.curfew.Consumption.Refused;
import dev.curfew.RevokeOutcome;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Section R5 of CONTRACT.md: single use. */
abstract class R5SingleUse extends R4Subjects {

    @Test
    final void R5_1_ofConcurrentConsumersExactlyOneGetsTheRecord() {
        var winners = new AtomicInteger();
        Race.run(
                "consume",
                races(),
                round -> tokens.storeToken(token("t" + round, "s" + round % 100, HOUR), "link"),
                (round, racer) -> node(racer).consume("t" + round, "link"),
                (round, answers) -> {
                    List<Object> consumed =
                            answers.stream().filter(Consumed.class::isInstance).toList();
                    assertThat(consumed).as("winners").hasSize(1);
                    assertThat(Collections.frequency(answers, Refused.ALREADY_USED))
                            .as("how many got ALREADY_USED")
                            .isEqualTo(answers.size() - 1);
                    winners.incrementAndGet();
                });
        assertThat(winners).as("rounds with one winner").hasValue(races());
    }

    @Test
    final void R5_1_consumingIsRevoking() {
        inEachEra(() -> {
            tokens.storeToken(token("t", "s", HOUR), "link", Map.of("k", 1));
            TokenRecord stored = inspected("t");
            clock.advance(Duration.ofSeconds(1));
            assertThat(tokens.consume("t", "link"))
                    .as("consume")
                    .isInstanceOfSatisfying(
                            Consumed.class,
                            used -> Records.assertEqual(
                                    "that consume answers",
                                    used.record(),
                                    stored.revoked(clock.instant(), stored.expiresAt())));
            assertThat(tokens.isRevoked("t")).as("isRevoked").isTrue();
            assertThat(tokens.consume("t", "link")).as("consume").isEqualTo(Refused.ALREADY_USED);
            assertThat(tokens.listTokens("s")).as("listTokens").isEmpty();
            // After its expiry it is still ALREADY_USED, and not EXPIRED.
            clock.set(start.plus(HOUR));
            assertThat(tokens.consume("t", "link")).as("consume").isEqualTo(Refused.ALREADY_USED);
        });
    }

    @Test
    final void R5_1_consumingAndRevokingAtOnceHasOneWinner() {
        Race.run(
                "consume against revokeToken",
                Math.min(races(), 5000),
                round -> tokens.storeToken(token("t" + round, "s", HOUR), "link"),
                (round, racer) -> racer % 2 == 0
                        // Both verbs are called on both store objects.
                        ? node(racer / 2).consume("t" + round, "link")
                        : node(racer / 2).revokeToken(token("t" + round, "s", HOUR)),
                (round, answers) -> assertThat(answers.stream()
                                .filter(a -> a instanceof Consumed || a == RevokeOutcome.REVOKED)
                                .toList())
                        .as("winners")
                        .hasSize(1));
    }

    @Test
    final void R5_1_theRecordIsTheOneThatWasUsed() {
        Race.run(
                "consume against storeToken",
                Math.min(races(), 2000),
                round -> tokens.storeToken(token("t" + round, "s", HOUR), "link", Map.of("n", -1)),
                (round, racer) -> racer == 0
                        ? node(round).consume("t" + round, "link")
                        : node(racer).storeToken(token("t" + round, "s", HOUR), "link", Map.of("n", racer)),
                (round, answers) -> {
                    assertThat(answers.get(0)).as("consume in round %d", round).isInstanceOf(Consumed.class);
                    assertThat(((Consumed) answers.get(0)).record().extraData())
                            .as("the extra data that consume answered in round %d", round)
                            .isEqualTo(inspected("t" + round).extraData());
                });
    }

    @Test
    final void R5_2_anotherPurposeConsumesNothingAndLearnsNothing() {
        tokens.storeToken(token("t", "s", HOUR), "link");
        assertThat(tokens.consume("t", "reset")).as("consume").isEqualTo(Refused.UNKNOWN);
        assertThat(tokens.isRevoked("t")).as("isRevoked").isFalse();
        assertThat(tokens.consume("t", "link")).as("consume").isInstanceOf(Consumed.class);
        assertThat(tokens.consume("t", "reset")).as("consume").isEqualTo(Refused.UNKNOWN);
        tokens.storeToken(token("short", "s", Duration.ofMinutes(1)), "link");
        clock.advance(Duration.ofSeconds(90));
        assertThat(tokens.consume("short", "reset")).as("consume").isEqualTo(Refused.UNKNOWN);
        TokenResource tenant = tokens.forTenant("other");
        assertThat(tenant.consume("t", "link")).as("consume").isEqualTo(Refused.UNKNOWN);
    }

    @Test
    final void R5_2_anotherSubjectConsumesNothingAndLearnsNothing() {
        Token token = token("t", "s", HOUR);
        Token forged = token("t", "somebody else", HOUR);
        tokens.storeConfirmationChanges(token, "confirm", Map.of("k", 1));
        assertThat(tokens.consume(forged, "confirm")).as("consume").isEqualTo(Refused.UNKNOWN);
        assertThat(tokens.consumeConfirmationChanges(forged, "confirm"))
                .as("consumeConfirmationChanges")
                .isEqualTo(Refused.UNKNOWN);
        assertThat(tokens.isRevoked("t")).as("isRevoked").isFalse();
        assertThat(tokens.consume(token, "confirm")).as("consume").isInstanceOf(Consumed.class);
        assertThat(tokens.consume(forged, "confirm")).as("consume").isEqualTo(Refused.UNKNOWN);
        assertThat(tokens.consume(token, "confirm")).as("consume").isEqualTo(Refused.ALREADY_USED);
    }

    @Test
    final void R5_3_expiredAndUnknownAreToldApart() {
        inEachEra(() -> {
            tokens.storeToken(token("t", "s", Duration.ofMinutes(1)), "link");
            clock.advance(Duration.ofSeconds(90));
            assertThat(tokens.consume("t", "link")).as("consume").isEqualTo(Refused.EXPIRED);
            assertThat(tokens.isRevoked("t")).as("isRevoked").isFalse();
            assertThat(tokens.consume("unknown", "link")).as("consume").isEqualTo(Refused.UNKNOWN);
            assertThat(tokens.inspect("unknown")).as("inspect").isEmpty();
        });
    }

    @Test
    final void R5_4_ofConcurrentRevocationsOfAnUnknownTokenExactlyOneWins() {
        Race.run(
                "revokeToken of an unknown token",
                Math.min(races(), 10_000),
                round -> {},
                (round, racer) -> node(racer).revokeToken(token("t" + round, "s", HOUR)),
                (round, answers) -> assertOneRevoked(answers));
    }
}
