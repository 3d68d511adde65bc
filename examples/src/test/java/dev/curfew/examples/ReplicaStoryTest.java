package dev.curfew.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.curfew.TokenResource;
import dev.curfew.servers.PostgresServer;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class ReplicaStoryTest {
    private final ByteArrayOutputStream printed = new ByteArrayOutputStream();

    /** The test stops the store and starts it again, as the reader does. */
    @Test
    void itIsToldWhileTheStoreIsStopped() {
        var story = new ReplicaStory(Duration.ofSeconds(2), Duration.ofSeconds(3), Duration.ofMinutes(5));
        try (PostgresServer server = PostgresServer.start(Map.of());
                var out = new PrintStream(printed, true, UTF_8)) {
            CompletableFuture<Void> told = CompletableFuture.runAsync(() -> story.tell(
                    () -> TokenResource.builder().url(server.url()).openDeadline(Duration.ofMinutes(1)), out));
            awaitPrinted("replica: ", told);
            server.kill();
            awaitPrinted("laptop: UNAVAILABLE", told);
            server.restart();
            awaitPrinted("The store is back", told);
            told.join();
        }
        assertThat(text())
                .contains("Node 2 refuses the phone: REVOKED")
                .containsPattern("laptop: ACTIVE +phone: REVOKED +replica: [3-5][.,]\\d s old")
                .containsPattern("laptop: UNAVAILABLE +phone: REVOKED")
                .doesNotContain("phone: ACTIVE");
    }

    private void awaitPrinted(String part, CompletableFuture<Void> told) {
        await().atMost(Duration.ofMinutes(2)).until(() -> told.isDone() || text().contains(part));
        assertThat(told).as("%s", printed).isNotCompletedExceptionally();
    }

    private String text() {
        return printed.toString(UTF_8);
    }
}
