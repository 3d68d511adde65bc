package dev.curfew.jdbc;

import dev.curfew.RecordField;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The SQL in this jar, under the names of one domain's tables. A second database is a second set of files. */
final class Statements {
    private static final String STATEMENTS = file("postgresql-statements.sql");
    private static final String SCHEMA = file("postgresql.sql");
    private static final Pattern STATEMENT = Pattern.compile("(?ms)^-- (read|write): (\\w+)\\n(.*?)(?=\\n\\n|\\z)");
    private static final Pattern QUOTED = Pattern.compile("\"\\w+\"|'\\w+'");
    // What derives its name from the table's ends like this, and leaves it so much room of PostgreSQL's 63 bytes.
    private static final Pattern DERIVED =
            Pattern.compile("(?s).*(_watermarks|_expiry_idx|_subject_idx|_ended_idx|_pkey)");
    private static final int TABLE_BYTES = 51;
    private static final int SIGNATURE_LENGTH = 18; // with 60 bits: it is in every row of an answer

    // What stands for a name of the files, which is in quotes: as a name where they are double, else as a text.
    private final Map<String, String> names = new TreeMap<>();
    private final Map<String, Prepared> statements = new HashMap<>();

    /**
     * A statement of the file.
     *
     * @param signature with which every row of its answer begins, and no row of another statement's; where a standby
     *     answers, behind "standby "
     * @param reads whether it changes nothing, and may be sent again
     */
    record Prepared(String sql, String signature, boolean reads) {}

    Statements(@Nullable String schema, String table, Map<RecordField, String> columns) {
        String qualifier = schema == null ? "" : quoted(schema) + ".";
        columns.forEach((field, name) -> put(field.defaultName(), quoted(name), name));
        for (String suffix : List.of("", "_watermarks", "_expiry_idx", "_subject_idx", "_ended_idx")) {
            String name = (suffix.endsWith("_idx") ? "" : qualifier) + quoted(table + suffix);
            put("curfew_tokens" + suffix, name, name);
        }
        Matcher found = STATEMENT.matcher(STATEMENTS);
        while (found.find()) {
            String name = found.group(2);
            String signature = name + " " + hash(found.group(3) + names).substring(0, SIGNATURE_LENGTH);
            // In the answer itself: the connection of the next statement may be to another server.
            String me = "CASE WHEN pg_is_in_recovery() THEN 'standby " + signature + "' ELSE '" + signature + "' END";
            String sql = named(found.group(3).replace("{me}", me));
            statements.put(name, new Prepared(sql, signature, found.group(1).equals("read")));
        }
    }

    private void put(String name, String sql, String text) {
        names.put('"' + name + '"', sql);
        names.put("'" + name + "'", "'" + text.replace("'", "''") + "'");
    }

    /** In one pass: what a name is replaced by may look like another name. */
    private String named(String sql) {
        return QUOTED.matcher(sql)
                .replaceAll(name -> Matcher.quoteReplacement(names.getOrDefault(name.group(), name.group())));
    }

    private static String hash(String text) {
        return UUID.nameUUIDFromBytes(text.getBytes(StandardCharsets.UTF_8)).toString();
    }

    static String file(String name) {
        try (@Nullable InputStream file = Statements.class.getResourceAsStream("/META-INF/curfew/" + name)) {
            return new String(Objects.requireNonNull(file, name).readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * The table of a domain where none is named: {@code curfew_} and the domain. One that would be too long, or could
     * be taken for what belongs to another domain's table, is {@code curfew__} and a hash of the domain.
     */
    static String table(String domain) {
        String table = "curfew_" + domain;
        boolean plain = bytes(table) <= TABLE_BYTES && !DERIVED.matcher(table).matches() && !domain.startsWith("_");
        return plain ? table : "curfew__" + hash(domain);
    }

    /** A table's name that leaves room for what is derived from it. */
    static String checked(String table) {
        if (table.isEmpty() || bytes(table) > TABLE_BYTES || table.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("table must have 1 to " + TABLE_BYTES + " bytes, and no NUL");
        }
        return table;
    }

    private static int bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8).length;
    }

    private static String quoted(String name) {
        return '"' + name.replace("\"", "\"\"") + '"';
    }

    /** A statement of the file, by its name there. */
    Prepared get(String statement) {
        return Objects.requireNonNull(statements.get(statement), statement);
    }

    /** The DDL of the domain's tables. */
    String schema() {
        return named(SCHEMA);
    }
}
