package dev.curfew.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The report says what the figures say. */
class ReportTest {
    @TempDir
    private Path docs;

    private Path charts() {
        return docs.resolve("benchmarks");
    }

    /** Of JMH: a row in which Curfew and another take turns, the other one first. */
    private static Map<String, Object> turns(String other, String action, int records, Double... nanos) {
        return Map.of(
                "benchmark",
                "dev.curfew.benchmarks.ActionBenchmark." + action,
                "threads",
                1,
                "measurementBatchSize",
                10,
                "params",
                Map.of("store", "redis", "who", other + "+curfew", "records", Integer.toString(records)),
                "primaryMetric",
                Map.of("rawData", List.of(List.of(nanos))),
                "secondaryMetrics",
                Map.of("gc.alloc.rate.norm", Map.of("rawData", List.of(List.of(nanos)))));
    }

    private static Map<String, Object> cleanUp(int rowsPerSecond, int busyP99) {
        return Map.of(
                "cleanUp",
                "Curfew, 1 node",
                "rowsPerSecond",
                rowsPerSecond,
                "errors",
                0,
                "idleP50",
                100,
                "idleP99",
                200,
                "busyP50",
                110,
                "busyP99",
                busyP99);
    }

    private void measured(String part, Object... rows) throws IOException {
        List<Map<String, Object>> all = Raw.rows(Map.of("measurements", List.of(rows)));
        Raw.write(charts().resolve(part + ".json"), Environment.of(part, Form.named("quick")), all);
    }

    private String page() throws IOException {
        new Report(Raw.read(charts()), docs).write();
        return Files.readString(docs.resolve("benchmarks.md"));
    }

    @Test
    void ratiosAreOfMediansAndThoseThatMissTheirBarAreBold() throws IOException {
        measured(
                "redis",
                turns("limit", "isRevokedMiss", 1000, 1e6, 1.1e6, 2e6, 1.1e6, 1e6, 9e6),
                turns("limit", "revokeToken", 1000, 1e6, 1.3e6));
        assertThat(page())
                .contains("| check a token that is not revoked: `isRevoked` | – | 110 µs (1.10) | – | – |")
                .contains("| revoke: `revokeToken` | – | 130 µs (**1.30**) | – | – |");
        assertThat(charts().resolve("details.md"))
                .content()
                .contains("| redis | 1,000 | isRevokedMiss | 1 | bare client | 100 µs |  | 100,000 |")
                .contains("| redis | 1,000 | isRevokedMiss | 1 | Curfew | 110 µs | 1.10 (0.55–9.00) | 110,000 |");
    }

    @Test
    void peersAreComparedInTheirOwnRun() throws IOException {
        measured("redis", turns("limit", "storeToken", 1000, 1e6, 5e6), turns("session", "storeToken", 100, 2e6, 1e6));
        assertThat(page()).contains("log in, `storeToken` | 200 µs | 100 µs | 0.50 |");
    }

    @Test
    void growthIsFromTheFewestRecordsToTheMost() throws IOException {
        measured("redis", turns("limit", "isRevokedHit", 100_000, 1e6, 3e6));
        measured("growth", turns("limit", "isRevokedHit", 10_000, 1e6, 1e6));
        assertThat(page()).contains("| Redis, Curfew | 100 µs | 300 µs | – | – | × **3.00** |");
    }

    @Test
    void aCleanUpIsTheMedianOfItsRuns() throws IOException {
        measured("memory");
        assertThat(page()).contains("Not measured yet.");
        measured("clean-up", cleanUp(30_000, 290), cleanUp(19_000, 310), cleanUp(18_000, 310));
        assertThat(page())
                .contains(
                        "| Curfew, 1 node | 3 | **19,000** | 100 µs → 110 µs: 1.10 (1.10–1.10) | 200 µs → 310 µs: **1.55** (1.45–1.55) | 0 |");
    }

    @Test
    void tablesOfOtherCommandsAreTakenOverAndChartsAreDrawn() throws IOException {
        measured("postgresql");
        Files.writeString(charts().resolve("http.md"), "# HTTP\n\n| old |\n\nBut:\n\n| a |\n|---|\n| 1 |\n\nEnd.\n");
        assertThat(page()).contains("\n\n| a |\n|---|\n| 1 |\n\n").doesNotContain("| old |");
        for (String theme : List.of("light", "dark")) {
            assertThat(charts().resolve("calls-redis-" + theme + ".png")).isNotEmptyFile();
        }
    }
}
