package dev.curfew.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.curfew.Token;
import dev.curfew.TokenAction;
import dev.curfew.TokenResource;
import dev.curfew.TokenStatus;
import dev.curfew.servers.MongoServer;
import dev.curfew.servers.PostgresServer;
import dev.curfew.servers.RedisServer;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StoryTest {
    private static final Pattern LINK = Pattern.compile("#([A-Za-z0-9_-]{43})");

    private final ByteArrayOutputStream printed = new ByteArrayOutputStream();
    private final PrintStream out = new PrintStream(printed, true, UTF_8);

    @Test
    void itIsToldToItsEnd() {
        Story.tell(TokenResource.builder().url("memory:"), out);

        assertThat(printed.toString(UTF_8))
                .contains("consume -> {ALREADY_USED=63, Consumed=1}")
                .contains("rotate -> Reused")
                .contains("verify -> refused: the JWT has expired")
                .endsWith("Every answer was the expected one." + System.lineSeparator());
    }

    private static String url(String kind) {
        return switch (kind) {
            case "redis" -> RedisServer.shared(RedisServer.version()).url();
            case "mongodb" -> MongoServer.shared().url();
            default -> PostgresServer.shared().url();
        };
    }

    /** On a server it is the same story, but for the times and what earlier ones have left to clear up. */
    @ParameterizedTest
    @ValueSource(strings = {"postgresql", "redis", "mongodb"})
    void itIsTheSameStoryOnAServer(String kind) {
        String url = url(kind);
        Story.tell(TokenResource.builder().url("memory:"), out);
        String inMemory = printed.toString(UTF_8);
        printed.reset();
        // A first connection on a busy machine takes its time.
        Story.tell(TokenResource.builder().url(url).callDeadline(Duration.ofMinutes(1)), out);

        assertThat(timeless(printed.toString(UTF_8))).isEqualTo(timeless(inMemory));
    }

    private static String timeless(String story) {
        return story.replaceAll(LINK.pattern(), "#SECRET")
                .replaceAll("\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z", "TIME")
                .replaceAll("removed -> \\d+", "removed -> N");
    }

    /** Whoever reads the store finds no link that works, and no JWT; only what it is stored by. */
    @ParameterizedTest
    @ValueSource(strings = {"postgresql", "redis", "mongodb"})
    void R15_1_nothingThatIsStoredIsAccepted(String kind) {
        List<String> stored = new ArrayList<>();
        // Looked at in the middle of the story: at its end everything has been cleared out.
        TokenResource.Builder watched = TokenResource.builder()
                .url(url(kind))
                .callDeadline(Duration.ofMinutes(1))
                .onRevocation(event -> {
                    if (event.action() == TokenAction.CONSUME) {
                        stored.addAll(everything(kind));
                    }
                });
        Story.tell(watched, out);
        Matcher link = LINK.matcher(printed.toString(UTF_8));
        assertThat(link.find()).isTrue();
        String secret = link.group(1);
        assertThat(stored)
                .as("read by the listener: a failure of its own is only logged")
                .isNotEmpty();
        assertThat(stored).anyMatch(text -> text.contains(Token.idOf(secret)));
        assertThat(stored).noneMatch(text -> text.contains(secret) || text.contains("eyJ"));
    }

    /** Every row, key or document of the server as text. */
    private static List<String> everything(String kind) {
        List<String> all = new ArrayList<>();
        switch (kind) {
            case "postgresql" -> {
                try (Connection connection = DriverManager.getConnection(
                                PostgresServer.shared().url());
                        Statement statement = connection.createStatement()) {
                    for (String table : List.of("curfew_quickstart", "curfew_quickstart_watermarks")) {
                        ResultSet rows = statement.executeQuery("SELECT t::text FROM " + table + " t");
                        while (rows.next()) {
                            all.add(rows.getString(1));
                        }
                    }
                } catch (SQLException e) {
                    throw new AssertionError(e);
                }
            }
            case "redis" -> {
                RedisServer server = RedisServer.shared(RedisServer.version());
                for (Object key : (List<?>) server.command("KEYS", "*")) {
                    String name = String.valueOf(key);
                    String[] read = switch (String.valueOf(server.command("TYPE", name))) {
                        case "hash" -> new String[] {"HGETALL", name};
                        case "zset" -> new String[] {"ZRANGE", name, "0", "-1"};
                        case "stream" -> new String[] {"XRANGE", name, "-", "+"};
                        default -> new String[] {"GET", name};
                    };
                    all.add(name + " " + server.command(read));
                }
            }
            default -> all.addAll(MongoServer.shared().documents("curfew", "curfew_quickstart"));
        }
        return all;
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
