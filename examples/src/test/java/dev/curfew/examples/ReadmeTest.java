package dev.curfew.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The examples of the README and of the guide are compiled and run, as they stand there. */
class ReadmeTest {
    @TempDir
    private Path folder;

    @Test
    void theTenLinesSayWhatTheyPromise() throws Exception {
        assertThat(run("Main", blocks("README.md").get(0))).isEqualTo("ACTIVE\nREVOKED\nREVOKED\n");
    }

    /** The others follow each other, as in an application. */
    @Test
    void theGuideDoesWhatItSays() throws Exception {
        var program = new StringBuilder("""
                import dev.curfew.*;
                import java.time.*;
                import java.util.*;
                public class Job {
                    public static void main(String[] args) throws Exception {
                        String jwt = System.getProperty("readme.jwt");
                """);
        List<String> blocks = blocks("docs/guide.md");
        assertThat(blocks).hasSizeGreaterThan(5);
        blocks.forEach(program::append);
        program.append("renamed.revokeToken(token);\n}}\n");
        Jwts jwts = new Jwts(java.time.InstantSource.system());
        System.setProperty("readme.jwt", jwts.issue("ada", java.time.Duration.ofMinutes(5)));
        try {
            assertThat(run("Job", program.toString()))
                    .isEqualTo(
                            "Send the client 43 characters of a new refresh token\nWelcome, ada\nChange to ada@new.example\nlog_out in tokens: REVOKED\n");
        } finally {
            System.clearProperty("readme.jwt");
        }
    }

    private static List<String> blocks(String page) throws IOException {
        Matcher block = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL)
                .matcher(Files.readString(Path.of("..").resolve(page)));
        List<String> blocks = new ArrayList<>();
        while (block.find()) {
            blocks.add(block.group(1));
        }
        return blocks;
    }

    /** Compiles and runs a program on the class path of this test, and answers what it printed. */
    private String run(String name, String source) throws Exception {
        Path file = Files.writeString(folder.resolve(name + ".java"), source);
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        var diagnostics = new StringWriter();
        var task = compiler.getTask(
                diagnostics,
                null,
                null,
                List.of("-proc:none", "-d", folder.toString(), "-cp", System.getProperty("java.class.path")),
                null,
                compiler.getStandardFileManager(null, null, null).getJavaFileObjects(file));
        assertThat(task.call()).as("%s%n%s", diagnostics, source).isTrue();
        var printed = new ByteArrayOutputStream();
        PrintStream out = System.out;
        try (var classes = new URLClassLoader(new URL[] {folder.toUri().toURL()})) {
            System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
            classes.loadClass(name).getMethod("main", String[].class).invoke(null, (Object) new String[0]);
        } finally {
            System.setOut(out);
        }
        return printed.toString(StandardCharsets.UTF_8).replace(System.lineSeparator(), "\n");
    }
}
