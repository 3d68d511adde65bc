package dev.curfew.jdbc;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The page says what the jar has. */
class DocsTest {
    @Test
    void theDdlOfThePageIsThatOfTheJar() throws IOException {
        Matcher page = Pattern.compile("(?s)```sql\n(CREATE TABLE IF NOT EXISTS \"curfew_tokens\".*?)```")
                .matcher(Files.readString(Path.of("../docs/postgresql.md")));
        assertThat(page.find()).isTrue();
        try (InputStream file = JdbcTokenStore.class.getResourceAsStream("/META-INF/curfew/postgresql.sql")) {
            String ddl = new String(file.readAllBytes(), StandardCharsets.UTF_8);
            String withoutComments = ddl.replaceAll("(?m)^--.*\n", "").replaceAll("(?m)^\n", "");
            assertThat(page.group(1)).isEqualTo(withoutComments);
        }
    }

    /** The trigger of the page, for the domain {@code tokens}. */
    static String trigger() throws IOException {
        Matcher trigger = Pattern.compile("(?s)```sql\n(CREATE FUNCTION .*?)```")
                .matcher(Files.readString(Path.of("../docs/postgresql.md")));
        assertThat(trigger.find()).isTrue();
        return trigger.group(1);
    }
}
