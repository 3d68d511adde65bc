package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.curfew.ActionOutcome;
import dev.curfew.ExpungePace;
import dev.curfew.ExpungeReport;
import dev.curfew.ExtraData;
import dev.curfew.FailurePolicy;
import dev.curfew.RevocationEvent;
import dev.curfew.RevokeOutcome;
import dev.curfew.StoreOutcome;
import dev.curfew.StoreScope;
import dev.curfew.SubjectMismatchException;
import dev.curfew.Token;
import dev.curfew.TokenAction;
import dev.curfew.TokenAction.Check;
import dev.curfew.TokenAction.Lookup;
import dev.curfew.TokenAction.Page;
import dev.curfew.TokenAction.Storing;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.TokenStoreException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Names, interceptors and listeners of the actions (R11). */
class ActionsTest {
    private static final Instant NOW = Instant.parse("2100-01-01T00:00:00Z");
    private static final Token TOKEN = Token.of("jti", "ada", NOW, NOW.plusSeconds(3600));

    private final ModelTokenStore store = new ModelTokenStore();

    private TokenResource.Builder builder() {
        return TokenResource.builder()
                .store(store)
                .maxTokenLifetime(Duration.ofDays(1))
                .clock(new ManualClock(NOW));
    }

    @Test
    void R11_1_theNamesAreThoseOfTheContract() {
        assertThat(TokenAction.values().stream().map(TokenAction::defaultName))
                .contains(
                        "store_token",
                        "get_token",
                        "revoke_token",
                        "revoke_jti",
                        "revoke_all_stored_for_subject",
                        "revoke_subject",
                        "revoked?",
                        "check",
                        "consume",
                        "store_confirmation_changes",
                        "get_confirmation_changes",
                        "read_expired",
                        "expunge_expired",
                        "revoke_session",
                        "rotate");
    }

    @ParameterizedTest
    @MethodSource("dev.curfew.TokenAction#values")
    void R11_1_everyActionIsFoundByItsNameAndCanBeRenamed(TokenAction<?, ?> action) {
        try (TokenResource tokens = builder().actionName(action, "my " + action).build()) {
            assertThat(tokens.action("my " + action).action()).isEqualTo(action);
            assertThatThrownBy(() -> tokens.action(action.defaultName()))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("'" + action.defaultName() + "'")
                    .hasMessageContaining("my " + action);
        }
        try (TokenResource tokens = builder().build()) {
            assertThat(tokens.action(action.defaultName()).action()).isEqualTo(action);
        }
    }

    @Test
    void R11_1_aDoubleOrEmptyNameIsRefused() {
        assertThatThrownBy(
                        () -> builder().actionName(TokenAction.CHECK, "consume").build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("'consume'");
        assertThatThrownBy(() -> builder().actionName(TokenAction.CHECK, ""))
                .isInstanceOf(IllegalArgumentException.class);
        // Two that change places are no double.
        builder()
                .actionName(TokenAction.CHECK, "consume")
                .actionName(TokenAction.CONSUME, "check")
                .build()
                .close();
    }

    @Test
    void R11_1_actionsAreCalledByName() {
        try (TokenResource tokens =
                builder().actionName(TokenAction.REVOKE_TOKEN, "log_out").build()) {
            assertThat(tokens.action("store_token").call(new Storing(TOKEN, "link", ExtraData.of(Map.of("k", 1)))))
                    .isEqualTo(StoreOutcome.STORED);
            assertThat(tokens.action("get_token").call(new Lookup("jti", null, "link")))
                    .isInstanceOf(Optional.class);
            assertThat(tokens.action("check").call(new Check(TOKEN, "user", false)))
                    .isEqualTo(TokenStatus.ACTIVE);
            assertThat(tokens.action("list_tokens").call(new Page("ada", 10, null)))
                    .asInstanceOf(org.assertj.core.api.InstanceOfAssertFactories.LIST)
                    .hasSize(1);
            assertThat(tokens.action("log_out").call(TOKEN)).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(tokens.action("revoked?").call(Set.of("jti", "other"))).isEqualTo(Set.of("jti"));
            assertThat(tokens.action("expunge_expired").call(ExpungePace.FULL_SPEED))
                    .isInstanceOf(ExpungeReport.class);
            assertThat(tokens.action("revoke_subject").call("ada")).isEqualTo(NOW);
            assertThatThrownBy(() -> tokens.action("log_out").call("jti"))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("log_out takes a Token, not a java.lang.String");
            assertThatThrownBy(() -> tokens.action("consume").call(new Lookup("jti", null, null)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("purpose");
            assertThatThrownBy(() -> tokens.action("revoked?").call(Set.of(1)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("jti");
        }
    }

    @Test
    void R11_1_logsUseTheNames() {
        var faulty = new FaultyStore();
        try (var logs = new Logs();
                TokenResource tokens = builder()
                        .store(faulty.store)
                        .actionName(TokenAction.IS_REVOKED, "is it revoked")
                        .build()) {
            faulty.failure = new RuntimeException("down");
            tokens.isRevoked("jti");
            assertThat(logs.warnings()).hasSize(1).first().asString().contains("is it revoked");
        }
    }

    @Test
    void R11_2_interceptorsWrapInTheOrderGiven() {
        List<String> heard = new ArrayList<>();
        try (TokenResource tokens = builder()
                .actionName(TokenAction.REVOKE_TOKEN, "log_out")
                .intercept(TokenAction.REVOKE_TOKEN, (call, next) -> {
                    heard.add(
                            "first sees " + call.name() + " of " + call.scope().tenant());
                    RevokeOutcome answer = next.proceed(call.argument());
                    heard.add("first hears " + answer);
                    return answer;
                })
                .intercept(TokenAction.REVOKE_TOKEN, (call, next) -> {
                    heard.add("second");
                    return next.proceed(Token.withoutIssuedAt("another", "ada", NOW.plusSeconds(60)));
                })
                .build()) {
            assertThat(tokens.forTenant("acme").revokeToken(TOKEN)).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(heard).containsExactly("first sees log_out of acme", "second", "first hears REVOKED");
            assertThat(tokens.forTenant("acme").isRevoked("another")).isTrue();
            assertThat(tokens.forTenant("acme").isRevoked("jti")).isFalse();
        }
    }

    @Test
    void R11_2_anyActionCanBeReplaced() {
        TokenResource.Builder builder = builder()
                .intercept(TokenAction.IS_REVOKED, (call, next) -> call.argument())
                .intercept(TokenAction.CHECK, (call, next) -> TokenStatus.UNKNOWN)
                .intercept(TokenAction.LIST_TOKENS, (call, next) -> List.of());
        TokenAction.values().forEach(action -> passOn(builder, action));
        try (TokenResource tokens = builder.build()) {
            assertThat(tokens.isRevoked("jti")).isTrue();
            assertThat(tokens.isRevoked(TOKEN)).isFalse();
            assertThat(tokens.isRevoked(Set.of("x", "y"))).containsExactlyInAnyOrder("x", "y");
            assertThat(tokens.check(TOKEN)).isEqualTo(TokenStatus.UNKNOWN);
            assertThat(tokens.storeToken(TOKEN)).isEqualTo(StoreOutcome.STORED);
            assertThat(tokens.listTokens("ada")).isEmpty();
        }
    }

    private static <A, R> void passOn(TokenResource.Builder builder, TokenAction<A, R> action) {
        builder.intercept(action, (call, next) -> next.proceed(call.argument()));
    }

    @Test
    void R6_1_byNameToo_confirmationsNeedATokenAPurposeAndChanges() {
        try (TokenResource tokens = builder().build()) {
            tokens.storeConfirmationChanges(TOKEN, "reset", Map.of("k", 1));
            for (String name : List.of("get_confirmation_changes", "consume_confirmation_changes")) {
                for (Lookup lookup : List.of(new Lookup("jti", null, "reset"), new Lookup("jti", "ada", null))) {
                    assertThatThrownBy(() -> tokens.action(name).call(lookup))
                            .isInstanceOf(IllegalArgumentException.class);
                }
            }
            assertThatThrownBy(
                            () -> tokens.action("store_confirmation_changes").call(new Storing(TOKEN, "reset", null)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("changes");
        }
    }

    @Test
    void R11_2_anInterceptorThatAnswersNullIsNamed() {
        try (TokenResource tokens =
                builder().intercept(TokenAction.CONSUME, (call, next) -> null).build()) {
            assertThatThrownBy(() -> tokens.consume("jti", "p"))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("An interceptor of consume answered null");
        }
    }

    @Test
    void R11_2_listenersHearOfEveryRevocationThatThisNodePerformed() {
        List<RevocationEvent> heard = new ArrayList<>();
        try (TokenResource tokens = builder()
                .onRevocation(event -> {
                    throw new IllegalStateException("a listener of another kind");
                })
                .onRevocation(heard::add)
                .onRevocation(event -> assertThat(store.isRevoked(
                                new dev.curfew.StoreScope("tokens", "", Duration.ZERO, Duration.ofSeconds(1)),
                                event.jti() == null ? "stored" : event.jti(),
                                NOW))
                        .as("acknowledged before it is told")
                        .isTrue())
                .build()) {
            tokens.revokeToken(TOKEN);
            tokens.revokeToken(TOKEN);
            tokens.revokeJti("by jti");
            tokens.storeToken(Token.withoutIssuedAt("link", "ada", NOW.plusSeconds(60)), "link");
            tokens.consume("link", "link");
            tokens.consume("link", "link");
            tokens.storeToken(Token.withoutIssuedAt("stored", "ada", NOW.plusSeconds(60)));
            tokens.revokeAllStoredForSubject("ada");
            tokens.revokeAllStoredForSubject("nobody");
            tokens.revokeSubject("ada");
        }
        assertThat(heard)
                .containsExactly(
                        event(TokenAction.REVOKE_TOKEN, "jti", "ada", 1),
                        event(TokenAction.REVOKE_JTI, "by jti", null, 1),
                        event(TokenAction.CONSUME, "link", "ada", 1),
                        event(TokenAction.REVOKE_ALL_STORED_FOR_SUBJECT, null, "ada", 1),
                        event(TokenAction.REVOKE_SUBJECT, null, "ada", 0));
    }

    private static RevocationEvent event(TokenAction<?, ?> action, String jti, String subject, long count) {
        return new RevocationEvent(action, "tokens", "", jti, subject, null, count, NOW);
    }

    @Test
    void R13_2_listenersHearOfSessionsThatAreRevoked() {
        List<RevocationEvent> heard = new ArrayList<>();
        try (TokenResource tokens = builder().onRevocation(heard::add).build()) {
            tokens.revokeSession("phone");
            tokens.revokeSession("phone");
            tokens.revokeToken(TOKEN.withSession("laptop"));
        }
        assertThat(heard)
                .containsExactly(
                        new RevocationEvent(TokenAction.REVOKE_SESSION, "tokens", "", null, null, "phone", 0, NOW),
                        new RevocationEvent(TokenAction.REVOKE_TOKEN, "tokens", "", "jti", "ada", "laptop", 1, NOW));
    }

    /** Nothing is written: the store is closed, and would say so. */
    @Test
    void R14_1_tokensThatCannotBeRotatedAreRefusedBeforeAnythingIsWritten() {
        Token presented = TOKEN.withSession("phone");
        Token successor = Token.of("next", "ada", NOW, NOW.plusSeconds(60));
        try (TokenResource tokens = builder().build()) {
            store.close();
            for (List<Token> pair : List.of(
                    List.of(TOKEN, successor),
                    List.of(presented, successor),
                    List.of(TOKEN, successor.withSession("phone")),
                    List.of(presented, successor.withSession("laptop")),
                    List.of(presented, presented),
                    List.of(
                            presented,
                            Token.of("next", "bob", NOW, NOW.plusSeconds(60)).withSession("phone")))) {
                assertThatThrownBy(() -> tokens.rotate(pair.get(0), "refresh", pair.get(1)))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("successor")
                        .hasMessageNotContainingAny("phone", "laptop", "ada");
            }
            assertThatThrownBy(() -> tokens.rotate(presented, "", successor.withSession("phone")))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("purpose");
            assertThatThrownBy(() -> tokens.revokeAllStoredForSubject("ada", Set.of()))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("purposes");
        }
        assertThatThrownBy(() -> builder().reuseGrace(Duration.ofDays(2)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("reuseGrace");
    }

    @Test
    void R11_2_aListenerThatFailsIsLoggedAndTheRevocationStands() {
        try (var logs = new Logs();
                TokenResource tokens = builder()
                        .onRevocation(event -> {
                            throw new AssertionError(event.jti());
                        })
                        .build()) {
            assertThat(tokens.revokeJti("secret-jti")).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(logs.warnings())
                    .hasSize(1)
                    .first()
                    .asString()
                    .contains("revoke_jti")
                    .doesNotContain("secret");
        }
    }

    @Test
    void R11_6_outcomesAreHeardOfEveryCallThatGotValidArguments() {
        List<ActionOutcome> heard = new ArrayList<>();
        try (TokenResource tokens = builder()
                .domain("accounts")
                .actionName(TokenAction.REVOKE_TOKEN, "log_out")
                .onOutcome(heard::add)
                .build()) {
            TokenResource tenant = tokens.forTenant("acme");
            tenant.storeToken(TOKEN, "link");
            tenant.check(TOKEN);
            tenant.isRevoked("jti");
            tenant.getToken("jti");
            tenant.consume("jti", "link");
            tenant.consume("jti", "link");
            tenant.check(TOKEN);
            tenant.isRevoked("jti");
            tenant.isRevoked(Set.of("jti"));
            tenant.revokeToken(TOKEN);
            tenant.getToken("jti");
            tenant.revokeSubject("ada");
            tokens.expungeExpired();
            assertThatThrownBy(() -> tenant.storeToken(Token.of("jti", "bob", NOW, NOW.plusSeconds(60))))
                    .isInstanceOf(SubjectMismatchException.class);
            assertThatThrownBy(() -> tokens.check(null)).isInstanceOf(IllegalArgumentException.class);
        }
        assertThat(heard.stream().map(outcome -> outcome.name() + " " + outcome.word()))
                .containsExactly(
                        "store_token stored",
                        "check active",
                        "revoked? not_revoked",
                        "get_token found",
                        "consume consumed",
                        "consume already_used",
                        "check revoked",
                        "revoked? revoked",
                        "revoked? revoked",
                        "log_out already_revoked",
                        "get_token missing",
                        "revoke_subject done",
                        "expunge_expired done",
                        "store_token error");
        assertThat(heard).allSatisfy(outcome -> {
            assertThat(outcome.domain()).isEqualTo("accounts");
            assertThat(outcome.duration()).isPositive();
            assertThat(outcome.toString()).doesNotContain("jti").doesNotContain("ada");
        });
        assertThat(heard.get(9).action()).isEqualTo(TokenAction.REVOKE_TOKEN);
        assertThat(heard.get(12).answer()).isInstanceOf(ExpungeReport.class);
        assertThat(heard.get(13).failure()).isInstanceOf(SubjectMismatchException.class);
    }

    @Test
    void R11_6_anOutageIsToldAsUnavailableWhateverThePolicyAnswers() {
        for (FailurePolicy policy : FailurePolicy.values()) {
            var faulty = new FaultyStore();
            List<ActionOutcome> heard = new ArrayList<>();
            try (TokenResource tokens = builder()
                    .store(faulty.store)
                    .failurePolicy(policy)
                    .onOutcome(heard::add)
                    .build()) {
                faulty.failure = new RuntimeException("down");
                List<ThrowingCallable> calls = List.of(
                        () -> tokens.check(TOKEN),
                        () -> tokens.isRevoked("jti"),
                        () -> tokens.isRevoked(Set.of("jti")),
                        () -> tokens.revokeToken(TOKEN),
                        tokens::expungeExpired);
                // More often than it takes until checks are answered without the store.
                for (int i = 0; i < 4; i++) {
                    for (ThrowingCallable call : calls) {
                        assertThat(catchThrowable(call))
                                .satisfiesAnyOf(
                                        e -> assertThat(e).isNull(),
                                        e -> assertThat(e).isInstanceOf(TokenStoreException.class));
                    }
                }
                assertThat(heard).hasSize(20).allMatch(ActionOutcome::isUnavailable);
                assertThat(heard.stream().map(ActionOutcome::word)).containsOnly("unavailable");
                faulty.failure = null;
                heard.clear();
                tokens.revokeToken(TOKEN);
                tokens.check(TOKEN);
                assertThat(heard.stream().map(ActionOutcome::word)).containsExactly("revoked", "revoked");
            }
        }
    }

    @Test
    void R11_6_aListenerOfOutcomesThatFailsIsLoggedAndTheAnswerStands() {
        try (var logs = new Logs();
                TokenResource tokens = builder()
                        .onOutcome(outcome -> {
                            throw new AssertionError("secret-jti");
                        })
                        .build()) {
            assertThat(tokens.revokeJti("secret-jti")).isEqualTo(RevokeOutcome.REVOKED);
            assertThat(logs.warnings())
                    .hasSize(1)
                    .first()
                    .asString()
                    .contains("revoke_jti")
                    .doesNotContain("secret");
        }
    }

    @Test
    void settingsThatContradictEachOtherAreRefused() {
        assertThatThrownBy(() -> builder().url("memory:").build()).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> builder().clockSkew(Duration.ofSeconds(-1)).build())
                .hasMessageContaining("clockSkew");
        assertThatThrownBy(() -> builder().callDeadline(Duration.ZERO).build()).hasMessageContaining("callDeadline");
        assertThatThrownBy(() -> builder().maxTokenLifetime(Duration.ZERO)).hasMessageContaining("maxTokenLifetime");
        assertThatThrownBy(() -> builder().expungeInterval(Duration.ZERO)).hasMessageContaining("expungeInterval");
        assertThatThrownBy(() -> builder()
                        .callDeadline(Duration.ofSeconds(Long.MAX_VALUE))
                        .build())
                .hasMessageContaining("callDeadline");
        assertThatThrownBy(() -> builder().expungeInterval(Duration.ofNanos(999_999)))
                .hasMessageContaining("expungeInterval");
        assertThatThrownBy(() -> TokenResource.open(null)).hasMessageContaining("url");
        assertThat(new StoreScope("d", "", Duration.ofNanos(1), Duration.ofSeconds(1)).skew())
                .isEqualTo(Duration.ofMillis(1));
        assertThatThrownBy(() -> builder().expungeBatchSize(0)).hasMessageContaining("expungeBatchSize");
    }
}
