package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.StoreScope;
import dev.curfew.servers.Fixture;
import io.lettuce.core.cluster.SlotHash;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The names of keys. */
class KeysTest {
    private static final List<String> NAMES = List.of(
            "a",
            "b",
            ":",
            "a:b",
            "a%3Ab",
            "%",
            "%25",
            "{",
            "{a}",
            "}",
            "*",
            "a:token:b",
            ":token:",
            "token",
            "session",
            "subject");

    private static StoreScope scope(String domain, String tenant) {
        return new StoreScope(domain, tenant, Fixture.SKEW, Fixture.DEADLINE);
    }

    @Test
    void aPlainNameIsReadable() {
        assertThat(Keys.of(scope("tokens", "")).record("id")).isEqualTo("curfew:tokens::token:id");
        assertThat(Keys.of(scope("tokens", "acme")).watermark("ada@example.com"))
                .isEqualTo("curfew:tokens:acme:watermark:ada@example.com");
        assertThat(Keys.of(scope("tokens", "")).session("id")).isEqualTo("curfew:tokens::session:id");
        assertThat(Keys.of(scope("tokens", "acme")).index("a{1}:50%"))
                .isEqualTo("curfew:tokens:acme:subject:a%7B1%7D%3A50%25");
    }

    @Test
    void R10_1_noTwoNamesHaveTheSameKey() {
        Set<String> keys = new HashSet<>();
        int count = 0;
        for (String domain : NAMES) {
            for (String tenant : NAMES) {
                for (String name : NAMES) {
                    keys.add(Keys.of(scope(domain, tenant)).record(name));
                    keys.add(Keys.of(scope(domain, tenant)).watermark(name));
                    keys.add(Keys.of(scope(domain, tenant)).session(name));
                    keys.add(Keys.of(scope(domain, tenant)).index(name));
                    count += 4;
                }
            }
        }
        assertThat(keys).hasSize(count);
    }

    @Test
    void R10_1_noNameDecidesWhichSlotAKeyIsIn() {
        List<Integer> slots = new ArrayList<>();
        for (int i = 0; i < 2000; i++) {
            String key = Keys.of(scope("{tokens}", "{x}")).record("{same}" + i);
            // A server takes the text between braces for a hash tag.
            assertThat(key).doesNotContain("{");
            slots.add(SlotHash.getSlot(key));
        }
        assertThat(new HashSet<>(slots)).hasSizeGreaterThan(1700);
    }

    /** The write before a WAIT must go to the server that has the key. */
    @Test
    void R8_5_aTemporaryKeyIsInTheSlotOfItsKey() {
        for (String name : NAMES) {
            var keys = Keys.of(scope(name, name));
            String key = keys.record(name);
            assertThat(keys.temporary(key)).isNotEqualTo(key);
            assertThat(SlotHash.getSlot(keys.temporary(key))).isEqualTo(SlotHash.getSlot(key));
        }
    }
}
