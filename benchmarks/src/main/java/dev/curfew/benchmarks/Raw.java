package dev.curfew.benchmarks;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatFactory;
import org.openjdk.jmh.results.format.ResultFormatType;

/** What was measured, as it was measured: one file for each part of a run, one line for each measurement. */
final class Raw {
    private Raw() {}

    /** JMH's own JSON, without the paths and arguments of the JVM. */
    static List<Map<String, Object>> ofJmh(Collection<RunResult> results) throws IOException {
        var json = new ByteArrayOutputStream();
        ResultFormatFactory.getInstance(ResultFormatType.JSON, new PrintStream(json, true, StandardCharsets.UTF_8))
                .writeOut(results);
        List<Map<String, Object>> rows = rows(Map.of("measurements", JSON.std.listFrom(json.toByteArray())));
        rows.forEach(row -> row.keySet().removeAll(Set.of("jvm", "jvmArgs")));
        return rows;
    }

    static void write(Path file, Map<String, Object> environment, List<Map<String, Object>> rows) throws IOException {
        List<String> lines = new ArrayList<>();
        for (Map<String, Object> row : rows) {
            lines.add(JSON.std.asString(row));
        }
        Files.createDirectories(file.toAbsolutePath().getParent());
        Files.writeString(
                file,
                "{\"environment\":" + JSON.std.asString(environment) + ",\n\"measurements\":[\n"
                        + String.join(",\n", lines) + "\n]}\n");
    }

    /** The content of every file of a folder. */
    static List<Map<String, Object>> read(Path folder) throws IOException {
        List<Map<String, Object>> all = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*.json")) {
            for (Path file : files) {
                all.add(JSON.std.mapFrom(Files.readString(file)));
            }
        }
        return all;
    }

    /** What was measured of the content of a file. */
    @SuppressWarnings("unchecked")
    static List<Map<String, Object>> rows(Map<String, Object> file) {
        return (List<Map<String, Object>>) value(file, "measurements");
    }

    /** The value of this name, which must be there. */
    static Object value(Map<String, Object> row, String name) {
        Object value = row.get(name);
        if (value == null) {
            throw new IllegalArgumentException("There is no " + name + " in " + row);
        }
        return value;
    }

    static String text(Map<String, Object> row, String name) {
        return value(row, name).toString();
    }

    static double number(Map<String, Object> row, String name) {
        return ((Number) value(row, name)).doubleValue();
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Map<String, Object> row, String name) {
        return (Map<String, Object>) value(row, name);
    }
}
