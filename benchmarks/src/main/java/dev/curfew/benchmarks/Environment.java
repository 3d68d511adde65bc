package dev.curfew.benchmarks;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Where, when and with what something was measured. */
final class Environment {
    private Environment() {}

    static Map<String, Object> of(String part, Form form) throws IOException {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("part", part);
        all.put("form", form.name());
        all.put("date", LocalDate.ofInstant(Data.now(), ZoneOffset.UTC).toString());
        all.put("commit", commit());
        all.put("machine", machine());
        all.put("jdk", System.getProperty("java.vm.name") + " " + System.getProperty("java.runtime.version"));
        all.put("libraries", libraries());
        all.put("servers", Servers.descriptions());
        return all;
    }

    private static String machine() throws IOException {
        Path about = Path.of("/proc/cpuinfo");
        Matcher model = Pattern.compile("(?m)^model name\\s*: (.*)$")
                .matcher(Files.exists(about) ? Files.readString(about) : "");
        var system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
        return system.getAvailableProcessors() + " × " + (model.find() ? model.group(1) : system.getArch()) + ", "
                + (system.getTotalMemorySize() >> 30) + " GiB, " + system.getName();
    }

    private static String commit() {
        String changes = run("git", "status", "--porcelain", "*.java", "*.lua", "*.sql");
        return run("git", "rev-parse", "--short", "HEAD") + (changes.isEmpty() ? "" : ", with changes");
    }

    private static String run(String... command) {
        try {
            Process process = new ProcessBuilder(command).start();
            return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        } catch (IOException e) {
            return ""; // there is no git
        }
    }

    private static List<String> libraries() throws IOException {
        var versions = new Properties();
        try (@Nullable InputStream file = Environment.class.getResourceAsStream("versions.properties")) {
            versions.load(Objects.requireNonNull(file));
        }
        return versions.stringPropertyNames().stream()
                .map(name -> name + " " + versions.getProperty(name))
                .sorted()
                .toList();
    }
}
