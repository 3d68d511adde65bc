package dev.curfew.redis;

import static org.assertj.core.api.Assertions.assertThat;

import dev.curfew.StoreScope;
import dev.curfew.servers.Fixture;
import io.lettuce.core.cluster.SlotHash;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
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
        assertThat(Keys.of(scope("tokens", "")).record("id")).isEqualTo("curfew:{tokens:m.}::token:id");
        assertThat(Keys.of(scope("tokens", "acme")).watermark("ada@example.com"))
                .isEqualTo("curfew:{tokens:e.}:acme:watermark:ada@example.com");
        assertThat(Keys.of(scope("tokens", "")).session("id")).isEqualTo("curfew:{tokens:m.}::session:id");
        assertThat(Keys.of(scope("tokens", "acme")).index("a{1}:50%"))
                .isEqualTo("curfew:{tokens:d.}:acme:subject:a%7B1%7D%3A50%25");
    }

    @Test
    void R10_1_noTwoNamesHaveTheSameKey() {
        Set<String> keys = new HashSet<>();
        int count = 0;
        for (String domain : NAMES) {
            for (String tenant : NAMES) {
                keys.addAll(Keys.of(scope(domain, tenant)).streams());
                for (String name : NAMES) {
                    keys.add(Keys.of(scope(domain, tenant)).record(name));
                    keys.add(Keys.of(scope(domain, tenant)).watermark(name));
                    keys.add(Keys.of(scope(domain, tenant)).session(name));
                    keys.add(Keys.of(scope(domain, tenant)).index(name));
                    count += 4;
                }
            }
        }
        // All tenants of a domain share its streams.
        assertThat(keys).hasSize(count + 16 * NAMES.size());
    }

    @Test
    void thePartitionsOfADomainAreSpreadEvenlyOverACluster() {
        for (String domain : List.of("a", "tokens", "{tokens}", "long".repeat(16))) {
            assertThat(Keys.of(scope(domain, "")).streams().stream()
                            .map(stream -> SlotHash.getSlot(stream) / (SlotHash.SLOT_COUNT / 16)))
                    .hasSize(16)
                    .doesNotHaveDuplicates();
        }
    }

    @Test
    void R10_1_noNameDecidesWhichPartitionAKeyIsIn() {
        for (String name : List.of("%s", "{same}%s", "user-%s@example.com", "\u4e16\u754c %s")) {
            Map<Integer, Integer> slots = new HashMap<>();
            for (int i = 0; i < 3200; i++) {
                String key = Keys.of(scope("{tokens}", "{x}")).record(name.formatted(1_000 + i));
                slots.merge(SlotHash.getSlot(key), 1, Integer::sum);
            }
            assertThat(slots)
                    .hasSize(16)
                    .allSatisfy((slot, keys) -> assertThat(keys).isBetween(140, 260));
        }
    }

    @Test
    void everyKeyIsInTheSlotOfItsStream() {
        for (String name : NAMES) {
            String key = Keys.of(scope(name, name)).session(name);
            assertThat(Keys.withStream(key))
                    .startsWith(key)
                    .allSatisfy(each -> assertThat(SlotHash.getSlot(each)).isEqualTo(SlotHash.getSlot(key)));
            assertThat(Keys.of(scope(name, name)).streams())
                    .contains(Keys.withStream(key).get(1));
        }
    }

    @Test
    void aNameInAFeedIsReadBack() {
        for (String name : NAMES) {
            String key = Keys.of(scope("d", "")).record(name);
            assertThat(Keys.unescape(key.substring(key.lastIndexOf(':') + 1))).isEqualTo(name);
        }
    }

    /** The write before a WAIT must go to the server that has the key. */
    @Test
    void R8_5_aTemporaryKeyIsInTheSlotOfItsKey() {
        for (String name : NAMES) {
            var keys = Keys.of(scope(name, name));
            String key = keys.record(name);
            assertThat(Keys.temporary(key)).isNotEqualTo(key);
            assertThat(SlotHash.getSlot(Keys.temporary(key))).isEqualTo(SlotHash.getSlot(key));
        }
    }
}
