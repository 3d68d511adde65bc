package dev.curfew.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a security team reads: every claim names a test that is there, and every jar has its licence. */
class PagesTest {
    private static final Pattern TEST_LINK = Pattern.compile("\\[`(\\w+)`](?:\\(|: )(\\.\\./\\S+?\\.java)");

    @ParameterizedTest
    @ValueSource(strings = {"threat-model.md", "asvs.md"})
    void everyTestThatAPageNamesIsThere(String page) throws IOException {
        Path docs = Path.of("../docs");
        Matcher link = TEST_LINK.matcher(Files.readString(docs.resolve(page)));
        int links = 0;
        while (link.find()) {
            assertThat(docs.resolve(link.group(2))).exists();
            assertThat(Files.readString(docs.resolve(link.group(2))))
                    .as("%s in %s", link.group(1), link.group(2))
                    .contains("void " + link.group(1) + "(");
            links++;
        }
        assertThat(links).isGreaterThan(20);
    }

    @Test
    void theLicenceIsInEveryJar() throws Exception {
        String licence = Files.readString(Path.of("../LICENSE"));
        for (String type : new String[] {
            "dev.curfew.TokenResource",
            "dev.curfew.memory.MemoryTokenStoreProvider",
            "dev.curfew.jdbc.JdbcTokenStoreProvider",
            "dev.curfew.redis.RedisTokenStoreProvider",
            "dev.curfew.mongo.MongoTokenStoreProvider",
        }) {
            var jar = Class.forName(type).getProtectionDomain().getCodeSource().getLocation();
            String root = jar.getPath().endsWith(".jar") ? "jar:" + jar + "!/" : jar.toString();
            try (var in = URI.create(root + "META-INF/LICENSE").toURL().openStream()) {
                assertThat(new String(in.readAllBytes(), UTF_8)).as(type).isEqualTo(licence);
            }
        }
    }
}
