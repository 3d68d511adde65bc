package dev.curfew.examples;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class SafeTextTest {
    @Test
    void whatFitsStaysWhole() {
        assertThat(SafeText.shortened("", 10)).isEmpty();
        assertThat(SafeText.shortened("0123456789", 10)).isEqualTo("0123456789");
        assertThat(SafeText.shortened("01234567890", 10)).isEqualTo("0123456...");
    }

    @Test
    void controlAndDirectionAreEscaped() {
        assertThat(SafeText.shortened("a\u001b[31m\n", 40)).isEqualTo("a\\u{1b}[31m\\u{a}");
        assertThat(SafeText.shortened("\u202e\u007f\u009b", 40)).isEqualTo("\\u{202e}\\u{7f}\\u{9b}");
        assertThat(SafeText.shortened("a\\u{1b}", 40)).isEqualTo("a\\\\u{1b}");
    }

    @Test
    void anEscapeIsNeverCutInTwo() {
        for (int columns = 3; columns < 20; columns++) {
            assertThat(SafeText.shortened("\ud83d\udd11".repeat(9), columns))
                    .hasSizeLessThanOrEqualTo(columns)
                    .matches("(\\\\u\\{1f511})*\\.\\.\\.");
        }
    }
}
