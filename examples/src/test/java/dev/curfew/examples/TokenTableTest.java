package dev.curfew.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.util.JSONObjectUtils;
import dev.curfew.TokenResource;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.ParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenTableTest {
    private static final Path TOKENS = Path.of("src/test/resources/tokens.txt");
    private static final Path EXPECTED = Path.of("src/test/resources/jwts.jsonl");

    /** A row for each token, in order, and none is invalid but those that are said to be, by the claim that is said. */
    @Test
    void everyTokenHasItsRow() throws IOException, ParseException {
        List<String> rows = rows(TOKENS);

        List<String> expected = Files.readAllLines(EXPECTED);
        assertThat(rows).hasSize(expected.size()).hasSize(43);
        for (int i = 0; i < rows.size(); i++) {
            Map<String, Object> token = JSONObjectUtils.parse(expected.get(i));
            String row = rows.get(i);
            assertThat(row).startsWith("%4d  ".formatted(i + 1));
            if (token.containsKey("error")) {
                assertThat(row).matches(".{6}invalid: " + token.get("error") + " +The token.+");
            } else {
                String status = token.get("name").equals("long-expired") ? "EXPIRED" : "ACTIVE";
                assertThat(row).doesNotContain("invalid:").endsWith("  " + status);
            }
        }
    }

    @Test
    void nothingInATokenReachesTheTerminalAsItIs() throws IOException {
        List<String> rows = rows(TOKENS);

        assertThat(rows).allMatch(row -> row.matches("[ -~]+"));
        assertThat(rows.get(11)).contains("\\u{43a}\\u{43b}\\u{44e}...");
    }

    @Test
    void aLastLineBreakIsNoTokenAndAnEmptyLineIsOne(@TempDir Path directory) throws IOException {
        Path file = Files.writeString(directory.resolve("tokens.txt"), "abc\n\nabc\n");

        assertThat(rows(file)).hasSize(3).element(1).asString().contains("invalid: token", "it is empty");
    }

    @Test
    void bytesThatAreNoTextMakeAMalformedToken(@TempDir Path directory) throws IOException {
        Path file = Files.write(directory.resolve("tokens.txt"), new byte[] {(byte) 0xFF, '\n'});

        assertThat(rows(file)).singleElement().asString().contains("invalid: token");
    }

    private static List<String> rows(Path file) throws IOException {
        var printed = new ByteArrayOutputStream();
        TokenTable.print(TokenResource.builder().url("memory:"), file, new PrintStream(printed, true, UTF_8));
        List<String> lines = new ArrayList<>(printed.toString(UTF_8).lines().toList());
        assertThat(lines.remove(0)).isEqualTo("Signatures are not verified here.");
        assertThat(lines.remove(0)).startsWith("line");
        return lines;
    }
}
