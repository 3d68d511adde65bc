package dev.curfew;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ExtraDataTest {

    private static Object kept(Object value) {
        Map<String, Object> given = new HashMap<>();
        given.put("k", value);
        ExtraData kept = ExtraData.of(given);
        assertThat(ExtraData.ofJson(kept.json())).isEqualTo(kept).hasSameHashCodeAs(kept);
        return kept.get("k");
    }

    @Test
    void R2_6_valuesComeBackAsJsonHasThem() {
        assertThat(kept(null)).isNull();
        assertThat(kept((byte) 7)).isEqualTo(7);
        assertThat(kept(5L)).isEqualTo(5);
        assertThat(kept(Integer.MIN_VALUE)).isEqualTo(Integer.MIN_VALUE);
        assertThat(kept(1L << 31)).isEqualTo(1L << 31);
        assertThat(kept(BigInteger.valueOf(Long.MIN_VALUE))).isEqualTo(Long.MIN_VALUE);
        assertThat(kept(1.0)).isEqualTo(1.0);
        assertThat(kept(-0.0)).isEqualTo(0.0);
        assertThat(kept(1.5f)).isEqualTo(1.5);
        assertThat(kept(Arrays.asList(1, null, "x"))).isEqualTo(Arrays.asList(1, null, "x"));
        assertThat(kept(Map.of("a", Map.of()))).isEqualTo(Map.of("a", Map.of()));
    }

    /** PostgreSQL's jsonb keeps trailing zeros of a fraction, and nothing else of how a number was written. */
    @ParameterizedTest
    @ValueSource(doubles = {1, 1e10, 1e300, Double.MAX_VALUE, 0.1, 1e-300, Double.MIN_VALUE, -1.5e-10})
    void R2_6_aDoubleIsWrittenSoThatItStaysOne(double value) {
        String json = ExtraData.of(Map.of("k", value)).json();
        assertThat(json).doesNotContainIgnoringCase("e").contains(".");
        assertThat(ExtraData.ofJson(json)).isEqualTo(Map.of("k", value));
    }

    @Test
    void R9_1_whatIsNotJsonIsRefused() {
        for (Object value : new Object[] {
            Double.NaN,
            Float.POSITIVE_INFINITY,
            BigInteger.ONE.shiftLeft(63),
            new BigDecimal("0.1"),
            new Object(),
            'c',
            new int[] {1},
            Map.of(1, 2),
            "nul \0",
            "half \ud83d"
        }) {
            assertThatThrownBy(() -> kept(value))
                    .as("%s", value.getClass())
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("extraData");
        }
        assertThatThrownBy(() -> ExtraData.of(Map.of("\0", 1))).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void R9_1_extraDataHasItsLimitInBytesOfJson() {
        int most = 65_536 - "{'k':''}".length();
        assertThat(kept("x".repeat(most))).isNotNull();
        assertThatThrownBy(() -> kept("x".repeat(most + 1)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("extraData must have at most 65536 bytes as JSON, not 65537");
        List<Object> circle = new ArrayList<>();
        circle.add(circle);
        assertThatThrownBy(() -> kept(circle))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("deep");
    }

    /** A text that a store has read, or an application has made by hand, is checked before it is stored. */
    @Test
    void R9_1_extraDataOfAJsonTextAreCheckedToo() {
        String deep = "{\"k\":" + "[".repeat(101) + "]".repeat(101) + "}";
        for (String json : new String[] {"secret", "{\"k\":1e999}", deep}) {
            Map<String, Object> given = ExtraData.ofJson(json);
            assertThatThrownBy(() -> ExtraData.of(given))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("extraData")
                    .hasMessageNotContaining("secret");
        }
        assertThat(ExtraData.of(ExtraData.ofJson(" {\"k\" : -0.0} ")).json()).isEqualTo("{\"k\":0.0}");
        var token = Token.withoutIssuedAt("t", "s", java.time.Instant.EPOCH);
        assertThatThrownBy(() -> new TokenAction.Storing(token, "p", ExtraData.ofJson("[]")))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void R2_6_aNameMayBeAsLongAsTheLimitAllows() {
        String name = "n".repeat(60_000);
        assertThat(ExtraData.ofJson(ExtraData.of(Map.of(name, 1)).json())).containsOnlyKeys(name);
    }

    @Test
    void whatIsKeptIsACopyThatNobodyChanges() {
        List<Object> list = new ArrayList<>(List.of(1));
        Map<String, Object> given = new HashMap<>(Map.of("list", list));
        Map<String, Object> kept = ExtraData.of(given);
        list.add(2);
        given.clear();
        assertThat(kept).isEqualTo(Map.of("list", List.of(1)));
        assertThatThrownBy(() -> kept.put("a", 1)).isInstanceOf(UnsupportedOperationException.class);
        assertThatThrownBy(kept::clear).isInstanceOf(UnsupportedOperationException.class);
        assertThatThrownBy(() -> ((List<?>) kept.get("list")).clear())
                .isInstanceOf(UnsupportedOperationException.class);
        assertThat(ExtraData.of(kept)).isSameAs(kept);
        assertThat(kept).hasToString("ExtraData[12 characters]");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "secret",
                "[\"secret\"]",
                "{\"secret\":",
                "null",
                "{\"secret\":18446744073709551616}",
                "{\"secret\":1e999}",
                "{\"secret\":\"\\u0000\"}",
                "{\"secret\":\"\\ud800\"}"
            })
    void R9_2_whatCannotBeReadIsNotQuoted(String json) {
        assertThatThrownBy(() -> ExtraData.ofJson(json).size())
                .isInstanceOf(TokenStoreException.class)
                .hasMessageContaining("extra data")
                .hasNoCause()
                .hasMessageNotContaining("secret");
    }
}
