package dev.curfew.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Where, when and with what something was measured. */
final class Environment {
    private Environment() {}

    static Map<String, Object> of(Form form) {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("form", form.name());
        all.put("date", Data.now().toString());
        all.put("commit", commit());
        all.put("machine", machine());
        all.put("jdk", System.getProperty("java.vm.name") + " " + System.getProperty("java.runtime.version"));
        all.put("libraries", libraries());
        all.put("servers", Servers.descriptions());
        return all;
    }

    private static String machine() {
        String processor = System.getProperty("os.arch");
        try {
            Matcher model =
                    Pattern.compile("(?m)^model name\\s*: (.*)$").matcher(Files.readString(Path.of("/proc/cpuinfo")));
            processor = model.find() ? model.group(1) : processor;
        } catch (IOException e) {
            // Not a Linux.
        }
        long memory = 0;
        if (ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean system) {
            memory = system.getTotalMemorySize() >> 30;
        }
        return Runtime.getRuntime().availableProcessors() + " × " + processor + ", " + memory + " GiB, "
                + System.getProperty("os.name");
    }

    private static String commit() {
        String commit = git("rev-parse", "--short", "HEAD");
        return commit.isEmpty()
                ? "unknown"
                : commit
                        + (git("status", "--porcelain", "*.java", "*.lua", "*.sql")
                                        .isEmpty()
                                ? ""
                                : ", with changes");
    }

    private static String git(String... arguments) {
        String[] command = new String[arguments.length + 1];
        command[0] = "git";
        System.arraycopy(arguments, 0, command, 1, arguments.length);
        try {
            Process git = new ProcessBuilder(command).redirectErrorStream(true).start();
            String answer = new String(git.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return git.waitFor() == 0 ? answer.strip() : "";
        } catch (IOException | InterruptedException e) {
            return "";
        }
    }

    private static Map<String, String> libraries() {
        var properties = new Properties();
        try (@Nullable InputStream file = Environment.class.getResourceAsStream("versions.properties")) {
            properties.load(Objects.requireNonNull(file));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Map<String, String> all = new TreeMap<>();
        properties.forEach((name, version) -> all.put((String) name, (String) version));
        return all;
    }
}
