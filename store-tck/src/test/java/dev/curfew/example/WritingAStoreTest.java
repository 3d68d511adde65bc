package dev.curfew.example;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The code in docs/writing-a-store.md is that of the example, which is compiled and passes the kit. */
class WritingAStoreTest {

    @Test
    void theDocumentShowsTheExampleAsItIs() throws IOException {
        Path sources = Path.of("src/test/java/dev/curfew/example");
        String example = Files.readString(sources.resolve("DocumentTokenStore.java"))
                + Files.readString(sources.resolve("DocumentTokenStoreTest.java"))
                + Files.readString(sources.resolve("Failures.java"));
        Matcher block = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL)
                .matcher(Files.readString(Path.of("../docs/writing-a-store.md")));
        int blocks = 0;
        while (block.find()) {
            assertThat(example).contains(block.group(1));
            blocks++;
        }
        assertThat(blocks).isEqualTo(4);
    }

    /** The versions of the project that it shows are those that this one is built with. */
    @Test
    void theProjectInTheDocumentHasTheVersionsOfThisOne() throws IOException {
        String document = Files.readString(Path.of("../docs/writing-a-store.md"));
        String parent = Files.readString(Path.of("../pom.xml"));
        for (String plugin : List.of("maven-compiler-plugin", "maven-surefire-plugin")) {
            assertThat(version("<artifactId>" + plugin + "</artifactId>\\s*<version>", document))
                    .isEqualTo(version("<artifactId>" + plugin + "</artifactId>\\s*<version>", parent));
        }
        assertThat(version("<artifactId>junit-jupiter</artifactId>\\s*<version>", document))
                .isEqualTo(version("<junit.version>", parent));
        assertThat(version("<curfew.version>", document))
                .isEqualTo(version("<artifactId>curfew-parent</artifactId>\\s*<version>", parent));
    }

    private static String version(String before, String text) {
        Matcher version = Pattern.compile(before + "([^<]+)").matcher(text);
        assertThat(version.find()).as(before).isTrue();
        return version.group(1);
    }
}
