package dev.curfew.benchmarks;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** What was measured, as it was measured: one file for each part of a run, one line for each measurement. */
final class Raw {
    private Raw() {}

    /** A measurement; the values by their names. */
    static Map<String, Object> row(Object... namesAndValues) {
        Map<String, Object> row = new LinkedHashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            row.put((String) namesAndValues[i], namesAndValues[i + 1]);
        }
        return row;
    }

    /** The value of this name, which must be there. */
    static Object value(Map<String, Object> row, String name) {
        Object value = row.get(name);
        if (value == null) {
            throw new IllegalArgumentException("There is no " + name + " in " + row);
        }
        return value;
    }

    static void write(Path file, Map<String, Object> environment, List<Map<String, Object>> rows) {
        try {
            List<String> lines = new ArrayList<>();
            for (Map<String, Object> row : rows) {
                lines.add(JSON.std.asString(row));
            }
            Files.createDirectories(file.toAbsolutePath().getParent());
            Files.writeString(
                    file,
                    "{\"environment\":" + JSON.std.asString(environment) + ",\n\"measurements\":[\n"
                            + String.join(",\n", lines) + "\n]}\n");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The content of every file of a folder, by file name. */
    static List<Map<String, Object>> read(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            List<Map<String, Object>> all = new ArrayList<>();
            for (Path file : files.filter(each -> each.toString().endsWith(".json"))
                    .sorted()
                    .toList()) {
                all.add(JSON.std.mapFrom(Files.readString(file)));
            }
            return all;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
