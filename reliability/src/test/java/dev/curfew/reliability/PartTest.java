package dev.curfew.reliability;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** The soak test in the smallest size, on the store that needs no server: so that it does not rot. */
class PartTest {
    @TempDir
    Path folder;

    @Test
    void aPartOfTheMemoryStoreIsCountedAndAddedUp() throws Exception {
        try (var watch = new SecretWatch()) {
            var part = new Part(watch, folder, 1);
            for (Activity activity : Activity.values()) {
                if (activity.isFor("memory")) {
                    // A race asks twice: for a new domain, and for a batch.
                    int rounds = activity == Activity.HOSTILE ? 2_000 : activity == Activity.MODEL ? 1 : 2;
                    var left = new AtomicInteger(rounds);
                    part.run("memory", activity, () -> left.getAndDecrement() > 0);
                }
            }
            assertThat(part.findings).isEmpty();
            assertThat(part.stores.get("memory"))
                    .containsEntry("consumptions", 250L)
                    .containsEntry("rotations", 250L)
                    .containsEntry("model", 10_000L)
                    .containsEntry("hostile", 2_000L)
                    .containsEntry("wrong", 0L)
                    .containsEntry("lost", 0L);
            for (int run = 0; run < 2; run++) {
                var results = new Results(folder);
                results.add(Map.of(
                        "date",
                        Instant.ofEpochSecond(run).toString(),
                        "commit",
                        "c",
                        "minutes",
                        1,
                        "machine",
                        "m",
                        "java",
                        "j",
                        "versions",
                        part.versions,
                        "stores",
                        part.stores,
                        "loads",
                        part.loads,
                        "findings",
                        List.of()));
                results.writePage();
            }
            assertThat(new Results(folder).count("memory", "hostile")).isEqualTo(4_000);
            assertThat(folder.resolve("reliability.md"))
                    .content()
                    .doesNotContain("{")
                    .contains("| 4,000 |");
        }
    }

    @Test
    void aSecretInALogLineIsFound() {
        try (var watch = new SecretWatch()) {
            var log = LoggerFactory.getLogger("dev.curfew.some");
            log.debug("Revoked a token of {}", "somebody");
            assertThat(watch.lines()).isEqualTo(1);
            assertThat(watch.told()).isZero();
            log.debug("Revoked {}", SecretWatch.MARK + 7);
            log.debug("It failed", new IllegalStateException(new IllegalStateException(SecretWatch.MARK)));
            assertThat(watch.told()).isEqualTo(3);
        }
    }
}
