package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.Deadline;
import dev.curfew.Expunger;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import dev.curfew.Watermarked;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the core makes of clocks that do not agree: of the issuer, of this node, of the store's server. */
class ClocksApartTest {
    private static final Instant NOW = Instant.parse("2100-01-01T00:00:00Z");
    private static final Duration SKEW = Duration.ofSeconds(60);

    private final ManualClock clock = new ManualClock(NOW);
    private final Logs logs = new Logs();

    @AfterEach
    void closeLogs() {
        logs.close();
    }

    private TokenResource resource(Duration issuerSkew) {
        return TokenResource.builder()
                .store(new ModelTokenStore())
                .clock(clock)
                .clockSkew(SKEW)
                .issuerSkew(issuerSkew)
                .maxTokenLifetime(Duration.ofDays(1))
                .build();
    }

    private static Token issued(Instant at) {
        return Token.of("t" + at, "s", at, NOW.plus(Duration.ofHours(1)));
    }

    /** The issuer is 20 s ahead: what it issues just before a "log out everywhere" says that it was issued after it. */
    @ParameterizedTest
    @CsvSource({
        "0, -1, true", "0, 0, true", "0, 1, false", "0, 20, false",
        "20, 0, true", "20, 19, true", "20, 20, true", "20, 21, false"
    })
    void R4_4_aTokenOfAnIssuerThatIsAheadIsInDoubt(int issuerSkew, int seconds, boolean revoked) {
        try (TokenResource tokens = resource(Duration.ofSeconds(issuerSkew))) {
            tokens.revokeSubject("s");
            clock.advance(Duration.ofSeconds(30));
            Token token = issued(NOW.plusSeconds(seconds));
            assertThat(tokens.check(token)).isEqualTo(revoked ? TokenStatus.REVOKED : TokenStatus.ACTIVE);
            assertThat(tokens.isRevoked(token)).isEqualTo(revoked);
            // Storing it now brings nothing back.
            tokens.storeToken(token);
            assertThat(tokens.check(token)).isEqualTo(revoked ? TokenStatus.REVOKED : TokenStatus.ACTIVE);
        }
    }

    /** The record tells the time of issue by the issuer's clock, too. */
    @Test
    void R4_4_aRecordOfAnIssuerThatIsAheadIsInDoubtToTheMillisecond() {
        try (TokenResource tokens = resource(Duration.ofSeconds(20))) {
            clock.set(NOW.plusMillis(500));
            tokens.revokeSubject("s");
            for (int millis = 20_499; millis <= 20_501; millis++) {
                Token stored = issued(NOW.plusMillis(millis));
                tokens.storeToken(stored);
                Token told = Token.of(stored.jti(), "s", NOW.plusSeconds(20), stored.expiresAt());
                assertThat(tokens.check(told)).isEqualTo(millis <= 20_500 ? TokenStatus.REVOKED : TokenStatus.ACTIVE);
            }
        }
    }

    /** Another node has had a larger skew: one line says so, when this one opens. */
    @Test
    void R1_7_aNodeThatOpensWithASmallerSkewSaysSo() {
        var store = new ModelTokenStore();
        TokenResource.Builder settings =
                TokenResource.builder().store(store).clock(clock).maxTokenLifetime(Duration.ofDays(1));
        settings.clockSkew(Duration.ofMinutes(5)).build().close();
        assertThat(logs.warnings()).isEmpty();
        try (TokenResource smaller = settings.clockSkew(Duration.ofSeconds(60)).build()) {
            assertThat(logs.warnings()).singleElement().asString().contains("PT5M", "PT1M", "clockSkew");
            smaller.expungeExpired();
            assertThat(logs.warnings()).hasSize(1);
        }
    }

    /** It stands for a time that no node can have set: somebody else wrote it. */
    @Test
    void R1_7_aSkewThatNoNodeCanHaveIsSaidWithWhereItIs() {
        var store = new ModelTokenStore();
        StoreScope scope = new StoreScope("tokens", "", SKEW, Duration.ofSeconds(2));
        store.revokeSubject(scope, "", Instant.EPOCH.plus(Duration.ofDays(2)), NOW.plusSeconds(60), NOW);
        assertThatThrownBy(() -> TokenResource.builder()
                        .store(store)
                        .clock(clock)
                        .maxTokenLifetime(Duration.ofDays(1))
                        .build())
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("PT48H", "watermark of the empty subject");
    }

    /** Such as one whose role may only read. */
    @Test
    void R1_7_aNodeThatMayNotWriteChecksAllTheSame() {
        var store = new DelegatingStore(new ModelTokenStore()) {
            @Override
            public void revokeSubject(
                    StoreScope scope, String subject, Instant watermark, Instant keepUntil, Instant now) {
                throw new TokenStoreException(TokenStoreException.Outcome.UNCHANGED, "a right is missing", null);
            }
        };
        try (TokenResource tokens = TokenResource.builder()
                .store(store)
                .clock(clock)
                .maxTokenLifetime(Duration.ofDays(1))
                .build()) {
            assertThat(logs.warnings()).singleElement().asString().contains("clockSkew", "a right is missing");
            assertThat(tokens.check(issued(NOW))).isEqualTo(TokenStatus.ACTIVE);
        }
    }

    /** What was issued before the watermark by a clock that is ahead also lives longer: the watermark is there as long. */
    @Test
    void R4_2_theWatermarkOutlivesWhatAnIssuerThatIsAheadIssuedBeforeIt() {
        try (TokenResource tokens = resource(Duration.ofSeconds(20))) {
            tokens.revokeSubject("s");
            Instant issuedAt = NOW.plusSeconds(20);
            Token token = Token.of("t", "s", issuedAt, issuedAt.plus(Duration.ofDays(1)));
            clock.set(token.expiresAt().plus(SKEW).minusMillis(1));
            tokens.expungeExpired();
            assertThat(tokens.check(token)).isEqualTo(TokenStatus.REVOKED);
        }
    }

    @Test
    void R4_3_aTimeOfIssueInTheFutureIsAsGoodAsNone() {
        try (TokenResource tokens = resource(Duration.ZERO);
                TokenResource patient = resource(SKEW.plusSeconds(60))) {
            for (TokenResource each : new TokenResource[] {tokens, patient}) {
                clock.set(NOW);
                each.revokeSubject("s");
                clock.advance(Duration.ofMinutes(30));
                Duration most = each == tokens ? SKEW : SKEW.plusSeconds(60);
                assertThat(each.check(issued(clock.instant().plus(most)))).isEqualTo(TokenStatus.ACTIVE);
                Token future = issued(clock.instant().plus(most).plusMillis(1));
                assertThat(each.check(future)).isEqualTo(TokenStatus.REVOKED);
                // Of a subject without a watermark nothing is in doubt.
                assertThat(each.check(Token.of("t", "other", future.issuedAt(), future.expiresAt())))
                        .isEqualTo(TokenStatus.ACTIVE);
                clock.advance(Duration.ofMillis(1));
                assertThat(each.check(future)).isEqualTo(TokenStatus.ACTIVE);
            }
        }
    }

    /** A subject that was logged out everywhere may have any number of tokens from before that. */
    @Test
    void R8_3_aPageThatIsNotFullInTimeIsGivenUp() {
        var slow = new DelegatingStore(new ModelTokenStore()) {
            @Override
            public Watermarked<List<TokenRecord>> list(
                    StoreScope scope, String subject, TokenRecord after, int limit, Instant now) {
                Race.awaitThat(Deadline.after(scope.deadline())::isOver);
                return super.list(scope, subject, after, limit, now);
            }
        };
        try (TokenResource tokens = TokenResource.builder()
                .store(slow)
                .clock(clock)
                .maxTokenLifetime(Duration.ofDays(1))
                .callDeadline(Duration.ofMillis(20))
                .expungeBatchSize(1)
                .build()) {
            for (int i = 0; i < 3; i++) {
                tokens.storeToken(Token.of("t" + i, "s", NOW, NOW.plusSeconds(3600)));
            }
            assertThat(tokens.listTokens("s", 1)).hasSize(1);
            tokens.revokeSubject("s");
            assertThatThrownBy(() -> tokens.listTokens("s", 1))
                    .isInstanceOf(TokenStoreException.class)
                    .hasMessageContaining("revoke_all_stored_for_subject")
                    .hasFieldOrPropertyWithValue("outcome", TokenStoreException.Outcome.UNCHANGED);
        }
    }

    @Test
    void R9_1_anIssuerSkewOutsideItsLimitsIsRefused() {
        for (Duration skew :
                new Duration[] {Duration.ofMillis(-1), Duration.ofDays(1).plusMillis(1)}) {
            assertThatThrownBy(() -> TokenResource.builder().issuerSkew(skew))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("issuerSkew");
        }
    }

    /** On the system's own clock, and a server that is behind it: the node may as well be ahead. */
    private static final class BehindStore extends ModelTokenStore {
        private final Duration behind;
        private int asked;

        BehindStore(Duration behind) {
            this.behind = behind;
        }

        @Override
        public Instant serverTime(StoreScope scope) {
            asked++;
            if (behind.isNegative()) {
                throw new TokenStoreException("The server is down");
            }
            return Instant.now().minus(behind);
        }
    }

    private static TokenResource.Builder onSystemClock(BehindStore store) {
        // Two hours past its retention, by the system's clock.
        Instant expiry = Instant.now().truncatedTo(ChronoUnit.MILLIS).minus(Duration.ofHours(2));
        var scope = new StoreScope("accounts", "", SKEW, Duration.ofSeconds(10));
        store.revoke(
                scope,
                new TokenRecord(
                        "secret-jti", "secret-subject", "p", null, expiry, null, expiry, expiry, expiry, null, null),
                expiry,
                expiry);
        return TokenResource.builder()
                .store(store)
                .domain("accounts")
                .clockSkew(SKEW)
                .maxTokenLifetime(Duration.ofDays(1))
                .expunger(Expunger.manual());
    }

    @Test
    void R7_8_aNodeThatIsAheadOfTheServersClockRemovesNothingAndSaysSo() {
        var store = new BehindStore(Duration.ofHours(3));
        try (TokenResource tokens = onSystemClock(store).build()) {
            assertThat(tokens.expungeExpired().removed()).isZero();
            assertThat(tokens.inspect("secret-jti")).isPresent();
            assertThat(logs.warnings())
                    .hasSize(1)
                    .first()
                    .asString()
                    .contains("'accounts'", "not cleaned up", "PT3H", "clockSkew is PT1M", "Set the clocks right")
                    .doesNotContain("secret");
        }
    }

    @Test
    void R7_8_aNodeThatIsAheadByTheSkewOrLessCleansUp() {
        var store = new BehindStore(SKEW.minusSeconds(20));
        try (TokenResource tokens = onSystemClock(store).build()) {
            assertThat(tokens.expungeExpired().removed()).isEqualTo(1);
            assertThat(logs.warnings()).isEmpty();
        }
    }

    @Test
    void R7_8_aServerThatCannotBeAskedIsNotCleanedUp() {
        var store = new BehindStore(Duration.ofMillis(-1));
        try (TokenResource tokens = onSystemClock(store).build()) {
            assertThatThrownBy(tokens::expungeExpired).hasMessageContaining("The server is down");
            assertThat(tokens.inspect("secret-jti")).isPresent();
        }
    }

    @Test
    void R7_8_aClockOfTheApplicationsIsItsOwnAffair() {
        var store = new BehindStore(Duration.ofHours(3));
        try (TokenResource tokens =
                onSystemClock(store).clock(InstantSource.system()).build()) {
            assertThat(tokens.expungeExpired().removed()).isEqualTo(1);
            assertThat(store.asked).isZero();
        }
    }
}
