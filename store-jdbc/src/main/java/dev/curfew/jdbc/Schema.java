package dev.curfew.jdbc;

import dev.curfew.RecordField;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Compares a table with what the statements need of it. */
final class Schema {
    /** The columns of a table, and those of each of its indexes in order, with a first row for the server's encoding. */
    static final String DESCRIBE = """
            SELECT 'encoding', current_setting('server_encoding'), NULL, false, false, true
            UNION ALL
            SELECT 'column', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                a.atthasdef OR a.attidentity <> '', coalesce(c.collisdeterministic, true)
            FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation
            WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL
            SELECT 'index', (SELECT string_agg(a.attname, chr(10) ORDER BY k.n)
                FROM unnest(i.indkey) WITH ORDINALITY k (attnum, n)
                JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.n <= i.indnkeyatts),
                NULL, i.indisunique AND i.indpred IS NULL, false, true
            FROM pg_index i WHERE i.indrelid = to_regclass(?) AND i.indisvalid
            """;

    private static final Set<RecordField> OPTIONAL =
            Set.of(RecordField.SUBJECT, RecordField.ISSUED_AT, RecordField.EXTRA_DATA, RecordField.REVOKED_AT);

    private record Column(String type, boolean required, boolean filled, boolean byteByByte) {}

    private final Map<String, Column> columns = new HashMap<>();
    private final List<List<String>> indexes = new ArrayList<>();
    private final List<Set<String>> keys = new ArrayList<>();
    private final List<String> differences = new ArrayList<>();

    private Schema() {}

    static Schema read(ResultSet rows) throws SQLException {
        var schema = new Schema();
        while (rows.next()) {
            String name = Objects.requireNonNullElse(rows.getString(2), "");
            switch (rows.getString(1)) {
                case "encoding" ->
                    schema.need(name.equals("UTF8"), "the database is encoded in " + name + ", not in UTF8");
                case "column" ->
                    schema.columns.put(
                            name,
                            new Column(rows.getString(3), rows.getBoolean(4), rows.getBoolean(5), rows.getBoolean(6)));
                default -> {
                    List<String> index = name.lines().toList();
                    schema.indexes.add(index);
                    if (rows.getBoolean(4)) {
                        schema.keys.add(Set.copyOf(index));
                    }
                }
            }
        }
        return schema;
    }

    boolean isMissing() {
        return columns.isEmpty();
    }

    private void need(boolean condition, String difference) {
        if (!condition) {
            differences.add(difference);
        }
    }

    /** What of the records' table keeps the statements from working. */
    List<String> differences(Map<RecordField, String> names) {
        Map<String, String> types = new HashMap<>();
        names.forEach((field, name) -> types.put(name, type(field)));
        names.forEach((field, name) -> {
            Column column = columns.get(name);
            need(
                    !OPTIONAL.contains(field) || column == null || !column.required(),
                    "column " + name + " is NOT NULL, and must allow NULL");
        });
        return differences(types, Set.of(name(names, RecordField.TENANT), name(names, RecordField.JTI)));
    }

    /** What of the watermarks' table keeps the statements from working. */
    List<String> watermarkDifferences(Map<RecordField, String> names) {
        String tenant = name(names, RecordField.TENANT);
        String subject = name(names, RecordField.SUBJECT);
        return differences(
                Map.of(tenant, "text", subject, "text", "watermark", TIME, "kept_until", TIME),
                Set.of(tenant, subject));
    }

    private static final String TIME = "timestamp with time zone";

    private static String type(RecordField field) {
        return switch (field) {
            case EXTRA_DATA -> "jsonb";
            case ISSUED_AT, EXPIRES_AT, CREATED_AT, UPDATED_AT, REVOKED_AT -> TIME;
            default -> "text";
        };
    }

    private static String name(Map<RecordField, String> names, RecordField field) {
        return Objects.requireNonNull(names.get(field));
    }

    private List<String> differences(Map<String, String> types, Set<String> key) {
        for (String name : new TreeSet<>(types.keySet())) {
            Column column = columns.get(name);
            if (column == null) {
                need(false, "column " + name + " is missing");
                continue;
            }
            String type = types.getOrDefault(name, "");
            need(
                    column.type().equals(type)
                            || (type.equals("text") && column.type().equals("character varying")),
                    "column " + name + " is " + column.type() + " instead of " + type);
            need(
                    column.byteByByte(),
                    "column " + name + " does not compare byte by byte, its collation must be deterministic");
        }
        columns.forEach((name, column) -> need(
                types.containsKey(name) || !column.required() || column.filled(),
                "column " + name + " is not Curfew's, is NOT NULL and has no default"));
        need(keys.contains(key), "there is no primary key or unique constraint on exactly " + new TreeSet<>(key));
        return differences;
    }

    /** Whether an index begins with these columns: without, a statement reads the whole table. */
    boolean isIndexed(List<String> first) {
        return indexes.stream()
                .anyMatch(index -> index.size() >= first.size()
                        && index.subList(0, first.size()).equals(first));
    }

    /** The DDL in this jar. */
    static String file() {
        try (@Nullable InputStream file = Schema.class.getResourceAsStream("/META-INF/curfew/postgresql.sql")) {
            return new String(Objects.requireNonNull(file).readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
