package dev.curfew.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The contract, the tests and the sources say the same thing. */
class ContractCoverageTest {
    private static final Path ROOT = Path.of("..");

    @Test
    void everyRuleHasATestNamedAfterIt() throws IOException {
        Set<String> rules = rules();
        assertThat(rules).hasSizeGreaterThan(50);
        Set<String> tested = new TreeSet<>();
        Pattern test = Pattern.compile("(?:void|Stream<DynamicTest>) R(\\d+)_(\\d+)_\\w+\\(");
        for (Path source : sources("")) {
            Matcher names = test.matcher(Files.readString(source));
            while (names.find()) {
                tested.add("R" + names.group(1) + "." + names.group(2));
            }
        }
        assertThat(tested).as("rules with a test").isEqualTo(rules);
    }

    /** The rules that the facade keeps by itself, whatever the store does; a store can break every other one. */
    @Test
    void everyRuleThatAStoreCanBreakHasABrokenStore() throws IOException {
        Set<String> rules = rules();
        rules.removeAll(Set.of(
                "R2.4", "R2.5", "R3.7", "R3.11", "R4.3", "R5.4", "R6.1", "R7.4", "R7.5", "R7.6", "R8.9", "R9.4", "R9.5",
                "R9.6", "R11.1", "R14.3", "R14.4", "R14.5", "R11.2", "R11.3", "R11.4", "R11.6", "R15.1", "R15.2"));
        // The core keeps these from what the feed tells.
        rules.removeAll(Set.of(
                "R12.1", "R12.2", "R12.3", "R12.4", "R12.5", "R12.7", "R12.8", "R12.9", "R12.10", "R12.11", "R12.12",
                "R12.13"));
        // What takes a server to break, and is tested by each adapter with faults of a real one; R7.7 is below.
        rules.removeAll(Set.of("R8.1", "R8.4", "R8.5", "R8.7", "R8.8"));
        Set<String> broken = new TreeSet<>(Set.of("R7.7"));
        for (BrokenStores store : BrokenStores.values()) {
            broken.add(store.rule());
        }
        assertThat(broken).isEqualTo(rules);
    }

    /** Also where the architecture test of core does not look: the adapters and the kit. */
    @Test
    void R1_2_noMainCodeAsksTheSystemForTheTime() throws IOException {
        Pattern clock = Pattern.compile("Instant\\.now\\(|currentTimeMillis|nanoTime|Clock\\.system|new Date\\(\\)");
        for (Path source : sources("main")) {
            // Modules that are not published may: they run tests, benchmarks, and the quickstart. Deadline measures.
            if (Stream.of(
                            "examples",
                            "test-servers",
                            "benchmarks",
                            "reliability",
                            "core/src/main/java/dev/curfew/Deadline.java")
                    .map(ROOT::resolve)
                    .noneMatch(source::startsWith)) {
                assertThat(clock.matcher(Files.readString(source)).find())
                        .as("%s", source)
                        .isFalse();
            }
        }
    }

    /** A native image has only the files that it is told of. */
    @Test
    void everyFileThatIsReadByItsNameIsListedForNativeImages() throws IOException {
        for (Path resources : folders("main/resources")) {
            Set<String> patterns = new TreeSet<>();
            for (Path list : files(resources, "resource-config.json")) {
                Path artifact = list.getParent().getFileName();
                assertThat(list)
                        .isEqualTo(resources.resolve(
                                "META-INF/native-image/dev.curfew/" + artifact + "/resource-config.json"));
                Matcher pattern = Pattern.compile("\"pattern\": \"(.*)\"").matcher(Files.readString(list));
                while (pattern.find()) {
                    patterns.add(pattern.group(1).replace("\\\\", "\\"));
                }
            }
            for (Path file : files(resources.resolve("META-INF/curfew"), "")) {
                assertThat(patterns).anyMatch(resources.relativize(file).toString()::matches);
            }
        }
    }

    private static Set<String> rules() throws IOException {
        Set<String> rules = new TreeSet<>();
        Matcher rule = Pattern.compile("(?m)^- (R\\d+\\.\\d+) ").matcher(Files.readString(ROOT.resolve("CONTRACT.md")));
        while (rule.find()) {
            rules.add(rule.group(1));
        }
        return rules;
    }

    private static List<Path> sources(String kind) throws IOException {
        return folders(kind).stream()
                .flatMap(folder -> files(folder, ".java").stream())
                .toList();
    }

    /** The folder of this name in the sources of each module that has one. */
    private static List<Path> folders(String kind) throws IOException {
        try (Stream<Path> modules = Files.list(ROOT)) {
            return modules.map(module -> module.resolve("src").resolve(kind))
                    .filter(Files::isDirectory)
                    .toList();
        }
    }

    private static List<Path> files(Path folder, String ending) {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(
                            file -> Files.isRegularFile(file) && file.toString().endsWith(ending))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
