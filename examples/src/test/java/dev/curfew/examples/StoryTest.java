package dev.curfew.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.TokenAction;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.servers.MongoServer;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.RedisServer;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StoryTest {
    private final ByteArrayOutputStream printed = new ByteArrayOutputStream();
    private final PrintStream out = new PrintStream(printed, true, UTF_8);

    @Test
    void itIsToldToItsEnd() {
        Story.tell(TokenResource.builder().url("memory:"), out);

        assertThat(printed.toString(UTF_8))
                .contains("consume -> {ALREADY_USED=63, Consumed=1}")
                .contains("verify -> refused: the JWT has expired")
                .endsWith("Every answer was the expected one." + System.lineSeparator());
    }

    /** On a server it is the same story, but for the times and what earlier ones have left to clear up. */
    @ParameterizedTest
    @ValueSource(strings = {"postgresql", "redis", "mongodb"})
    void itIsTheSameStoryOnAServer(String kind) {
        String url = switch (kind) {
            case "redis" -> RedisServer.shared(RedisServer.version()).url();
            case "mongodb" -> MongoServer.shared().url();
            default -> PostgresServer.shared().url();
        };
        Story.tell(TokenResource.builder().url("memory:"), out);
        String inMemory = printed.toString(UTF_8);
        printed.reset();
        // A first connection on a busy machine takes its time.
        Story.tell(TokenResource.builder().url(url).callDeadline(Duration.ofMinutes(1)), out);

        assertThat(timeless(printed.toString(UTF_8))).isEqualTo(timeless(inMemory));
    }

    private static String timeless(String story) {
        return story.replaceAll("\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z", "TIME").replaceAll("removed -> \\d+", "removed -> N");
    }

    @Test
    void itNoticesAnAnswerThatIsNotTheExpectedOne() {
        TokenResource.Builder credulous =
                TokenResource.builder().url("memory:").intercept(TokenAction.CHECK, (call, next) -> TokenStatus.ACTIVE);

        assertThatThrownBy(() -> Story.tell(credulous, out))
                .isInstanceOf(Story.CameOutDifferently.class)
                .hasMessage("the story came out differently: check answered ACTIVE instead of REVOKED");
        assertThat(printed.toString(UTF_8)).doesNotContain("Every answer was the expected one");
    }
}
