package dev.curfew.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The report says what the figures say. */
class ReportTest {
    private static Map<String, Object> action(String who, int round, double... nanos) {
        List<Double> all = new ArrayList<>();
        for (double each : nanos) {
            all.add(each);
        }
        return Raw.row(
                "action",
                "isRevokedHit",
                "store",
                "redis",
                "who",
                who,
                "records",
                10,
                "threads",
                1,
                "round",
                round,
                "nanos",
                all,
                "bytes",
                7);
    }

    private static String report(Path docs, List<Map<String, Object>> rows) throws IOException {
        Raw.write(docs.resolve("benchmarks").resolve("some.json"), Environment.of(Form.named("quick")), rows);
        new Report(Raw.read(docs.resolve("benchmarks")), docs).write();
        return Files.readString(docs.resolve("benchmarks.md"));
    }

    @Test
    void ratiosAreOfMediansWithTheSpreadOfTheTurns(@TempDir Path docs) throws IOException {
        String page = report(
                docs,
                List.of(
                        action("limit", 0, 100, 200, 100),
                        action("curfew", 0, 110, 110, 900),
                        action("limit", 1, 100),
                        action("curfew", 1, 105)));
        assertThat(page).contains("| Redis: `isRevoked`, revoked | ≤ 1.10 | 1.10 (1.05–9.00) | met |");
    }

    @Test
    void aBarThatIsNotMetIsShownAsSuch(@TempDir Path docs) throws IOException {
        String page = report(docs, List.of(action("limit", 0, 100), action("curfew", 0, 112)));
        assertThat(page).contains("| Redis: `isRevoked`, revoked | ≤ 1.10 | 1.12 | **not met** |");
    }

    @Test
    void whatPeopleHaveWrittenStays(@TempDir Path docs) throws IOException {
        Files.writeString(docs.resolve("benchmarks.md"), "old\n## What was made faster\n\nEverything.\n");
        assertThat(report(docs, List.of(action("limit", 0, 100), action("curfew", 0, 100))))
                .doesNotContain("old\n")
                .endsWith("## What was made faster\n\nEverything.\n");
        for (String theme : List.of("light", "dark")) {
            assertThat(docs.resolve("benchmarks").resolve("actions-" + theme + ".png"))
                    .isNotEmptyFile();
        }
    }
}
