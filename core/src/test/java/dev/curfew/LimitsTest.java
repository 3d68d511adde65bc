package dev.curfew;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.time.Instant;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class LimitsTest {
    private static final Instant EXPIRY = Instant.parse("2031-01-01T00:00:00Z");

    static Stream<Arguments> fields() {
        UnaryOperator<String> jti =
                text -> Token.withoutIssuedAt(text, "s", EXPIRY).jti();
        UnaryOperator<String> subject =
                text -> Token.withoutIssuedAt("t", text, EXPIRY).subject();
        UnaryOperator<String> tenant = text -> new StoreScope("d", text, Duration.ZERO, Duration.ofSeconds(1)).tenant();
        return Stream.of(
                Arguments.of("jti", 1, 512, jti),
                Arguments.of("subject", 1, 1024, subject),
                Arguments.of("session", 1, 512, (UnaryOperator<String>) Limits::session),
                Arguments.of("purpose", 1, 64, (UnaryOperator<String>) Limits::purpose),
                Arguments.of("tenant", 0, 128, tenant),
                Arguments.of("domain", 1, 64, (UnaryOperator<String>) Limits::domain));
    }

    @ParameterizedTest
    @MethodSource("fields")
    void R9_1_aFieldHasItsLimitsInBytes(String field, int least, int most, UnaryOperator<String> check) {
        for (String character : new String[] {"x", "é", "日", "🔑"}) {
            int width = character.getBytes(java.nio.charset.StandardCharsets.UTF_8).length;
            String longest = character.repeat(most / width) + "x".repeat(most % width);
            assertThat(check.apply(longest)).isEqualTo(longest);
            assertRefused(field, longest + "x", check);
        }
        if (least == 0) {
            assertThat(check.apply("")).isEmpty();
        } else {
            assertRefused(field, "", check);
        }
    }

    @ParameterizedTest
    @MethodSource("fields")
    void R9_1_noNulAndNoUnpairedSurrogate(String field, int least, int most, UnaryOperator<String> check) {
        for (String text :
                new String[] {"a\0b", "\0", "a\ud83d", "\ud83da", "\udd11", "\udd11\ud83d", "\ud83d\ud83d\udd11"}) {
            assertRefused(field, text, check);
        }
        for (String text : new String[] {"\u00a0", "\u07ff", "\u0800", "\uffff", "a🔑b🔑"}) {
            assertThat(check.apply(text)).isEqualTo(text);
        }
    }

    @ParameterizedTest
    @MethodSource("fields")
    void R9_1_noControlCharactersInNames(String field, int least, int most, UnaryOperator<String> check) {
        for (String text :
                new String[] {"\u0001", "\u001f", "a\nb", "a\tb", "\r\n", "\u007f", "\u0080", "a\u0085b", "\u009f"}) {
            if (field.equals("tenant") || field.equals("domain")) {
                assertRefused(field, text, check);
            } else {
                assertThat(check.apply(text)).isEqualTo(text);
            }
        }
    }

    private static void assertRefused(String field, String text, UnaryOperator<String> check) {
        assertThatThrownBy(() -> check.apply(text))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(field);
    }
}
