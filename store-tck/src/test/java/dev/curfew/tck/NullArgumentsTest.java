package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.curfew.ActionInterceptor;
import dev.curfew.ExpungePace;
import dev.curfew.Expunger;
import dev.curfew.ExtraData;
import dev.curfew.FailurePolicy;
import dev.curfew.RecordField;
import dev.curfew.StoreScope;
import dev.curfew.Token;
import dev.curfew.TokenAction;
import dev.curfew.TokenRecord;
import dev.curfew.TokenResource;
import dev.curfew.TokenStore;
import dev.curfew.WhenStale;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every public method of the API refuses null by an exception that names the argument, and never by a bare one. */
class NullArgumentsTest {
    private static final Instant NOW = Instant.parse("2100-01-01T00:00:00Z");
    private static final Token TOKEN = Token.of("t", "s", NOW, NOW.plusSeconds(60));
    private static final TokenRecord RECORD =
            new TokenRecord("t", "s", "p", null, NOW, null, NOW, NOW, null, null, null);

    private static final Map<Class<?>, Object> SAMPLES = Map.ofEntries(
            Map.entry(Token.class, TOKEN),
            Map.entry(TokenRecord.class, RECORD),
            Map.entry(String.class, "text"),
            Map.entry(int.class, 1),
            Map.entry(long.class, 1L),
            Map.entry(Instant.class, NOW),
            Map.entry(Duration.class, Duration.ofSeconds(1)),
            Map.entry(Map.class, Map.of()),
            Map.entry(Collection.class, Set.of("t")),
            Map.entry(Set.class, Set.of("t")),
            Map.entry(InstantSource.class, InstantSource.fixed(NOW)),
            Map.entry(FailurePolicy.class, FailurePolicy.DENY),
            Map.entry(TokenAction.class, TokenAction.CHECK),
            Map.entry(Expunger.class, Expunger.manual()),
            Map.entry(ExpungePace.class, ExpungePace.FULL_SPEED),
            Map.entry(TokenStore.class, new ModelTokenStore()),
            Map.entry(ActionInterceptor.class, (ActionInterceptor<?, ?>) (call, next) -> null),
            Map.entry(WhenStale.class, WhenStale.DENY),
            Map.entry(Consumer.class, (Consumer<Object>) event -> {}));

    record Call(Executable executable, int nullAt) {
        Parameter parameter() {
            return executable.getParameters()[nullAt];
        }

        @Override
        public String toString() {
            return executable.getDeclaringClass().getSimpleName() + "." + executable.getName() + ", "
                    + parameter().getName();
        }
    }

    static Stream<Call> calls() {
        return Stream.of(
                        TokenResource.class,
                        TokenResource.Builder.class,
                        Token.class,
                        ExtraData.class,
                        StoreScope.class,
                        RecordField.class)
                .flatMap(type -> Stream.<Executable>concat(
                        Arrays.stream(type.getDeclaredMethods()), Arrays.stream(type.getConstructors())))
                .filter(each -> Modifier.isPublic(each.getModifiers()) && !each.isSynthetic())
                .filter(each ->
                        !each.getName().equals("equals") && !each.getName().equals("valueOf"))
                .flatMap(each -> Stream.iterate(0, n -> n < each.getParameterCount(), n -> n + 1)
                        .filter(n -> !each.getParameterTypes()[n].isPrimitive())
                        .filter(n -> !each.getAnnotatedParameterTypes()[n].isAnnotationPresent(Nullable.class))
                        .map(n -> new Call(each, n)));
    }

    @ParameterizedTest
    @MethodSource("calls")
    void R9_1_nullIsRefusedByName(Call call) {
        Object[] arguments = new Object[call.executable().getParameterCount()];
        for (int i = 0; i < arguments.length; i++) {
            Class<?> type = call.executable().getParameterTypes()[i];
            assertThat(SAMPLES).as("a sample of %s", type).containsKey(type);
            arguments[i] = i == call.nullAt() ? null : SAMPLES.get(type);
        }
        try (TokenResource tokens = TokenResource.builder()
                .store(new ModelTokenStore())
                .maxTokenLifetime(Duration.ofDays(1))
                .build()) {
            assertThat(catchThrowable(() -> perform(call.executable(), tokens, arguments)))
                    // InvalidTokenException is what peek has for all that is no token.
                    .isInstanceOfAny(IllegalArgumentException.class, dev.curfew.InvalidTokenException.class)
                    .hasMessageContaining(
                            call.parameter().getName().equals("compact")
                                    ? "token"
                                    : call.parameter().getName());
        }
    }

    private static void perform(Executable executable, TokenResource tokens, Object[] arguments) throws Throwable {
        try {
            if (executable instanceof Method method) {
                Class<?> type = method.getDeclaringClass();
                Object target = type == TokenResource.class
                        ? tokens
                        : type == TokenResource.Builder.class
                                ? TokenResource.builder()
                                : type == Token.class
                                        ? TOKEN
                                        : type == RecordField.class
                                                ? RecordField.JTI
                                                : new StoreScope("d", "", Duration.ZERO, Duration.ofSeconds(1));
                method.invoke(target, arguments);
            } else {
                ((java.lang.reflect.Constructor<?>) executable).newInstance(arguments);
            }
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    @Test
    void R9_1_anActionThatIsCalledByItsNameRefusesNullToo() {
        try (TokenResource tokens = TokenResource.builder()
                .store(new ModelTokenStore())
                .maxTokenLifetime(Duration.ofDays(1))
                .build()) {
            for (TokenAction<?, ?> action : TokenAction.values()) {
                assertThat(catchThrowable(
                                () -> tokens.action(action.defaultName()).call(null)))
                        .as("%s of null", action)
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("argument");
            }
        }
    }
}
