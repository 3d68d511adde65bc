package dev.curfew.jdbc;

import dev.curfew.RecordField;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
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
    // The names of the second table and of the indexes are the table's name with one of these endings. A name of
    // PostgreSQL's has at most 63 bytes, so the table's name has at most 51.
    private static final Pattern DERIVED =
            Pattern.compile("(?s).*(_watermarks|_expiry_idx|_subject_idx|_change_idx|_ended_idx|_latest_idx|_pkey)");
    private static final int TABLE_BYTES = 51;
    private static final int COLUMN_BYTES = 63;
    // The feed's column, and those that every table has.
    private static final Set<String> NO_COLUMNS = Set.of("change", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid");
    // The other columns of the table of watermarks, which has these fields.
    private static final Set<String> OF_WATERMARKS = Set.of("watermark", "kept_until");
    private static final Set<RecordField> IN_WATERMARKS =
            Set.of(RecordField.TENANT, RecordField.SUBJECT, RecordField.SESSION);
    private static final int SIGNATURE_LENGTH = 18; // 60 bits of a hash; short, as it is in every row of an answer

    // What replaces a name of the files. A name in double quotes is replaced by a name, one in single quotes by a text.
    private final Map<String, String> names = new TreeMap<>();
    private final Map<String, Prepared> statements = new HashMap<>();
    // Those that have a form of their own from PostgreSQL 18 on.
    private final Map<String, Prepared> since18 = new HashMap<>();

    /** Where the last batch of the clean-up ended: its rows lie dead in the index before that until a vacuum. */
    volatile Instant expungedUntil = JdbcTokenStore.BEGINNING;

    /**
     * A statement of the file.
     *
     * @param signature the text with which every row of its answer begins, and no row of another statement's answer. A
     *     standby puts "standby " before it
     * @param reads whether the statement changes nothing, and may be sent again
     */
    record Prepared(String sql, String signature, boolean reads) {}

    Statements(@Nullable String schema, String table, Map<RecordField, String> columns) {
        String qualifier = schema == null ? "" : quoted(schema) + ".";
        columns.forEach((field, name) -> put(field.defaultName(), quoted(name), name));
        for (String suffix :
                List.of("", "_watermarks", "_expiry_idx", "_subject_idx", "_change_idx", "_ended_idx", "_latest_idx")) {
            String name = (suffix.endsWith("_idx") ? "" : qualifier) + quoted(table + suffix);
            put("curfew_tokens" + suffix, name, name);
        }
        Matcher found = STATEMENT.matcher(STATEMENTS);
        while (found.find()) {
            String name = found.group(2);
            String signature = name + " " + hash(found.group(3) + names).substring(0, SIGNATURE_LENGTH);
            // Each statement asks that for itself: the connection of the next statement may lead to another server.
            String me = "CASE WHEN pg_is_in_recovery() THEN 'standby " + signature + "' ELSE '" + signature + "' END";
            String sql = named(found.group(3).replace("{me}", me));
            var prepared = new Prepared(sql, signature, found.group(1).equals("read"));
            if (name.endsWith("18")) {
                since18.put(name.substring(0, name.length() - 2), prepared);
            }
            statements.put(name, prepared);
            statements.put(name + "All", new Prepared(sql.replace("\nLIMIT 1000)", ")"), signature, prepared.reads()));
        }
    }

    private void put(String name, String sql, String text) {
        names.put('"' + name + '"', sql);
        names.put("'" + name + "'", "'" + text.replace("'", "''") + "'");
    }

    /** Replaces the names in one pass: a replacement may look like another name. */
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
     * The table of a domain if the application names none: {@code curfew_} and the domain. If that name would be too long,
     * or could belong to another domain's table, it is {@code curfew__} and a hash of the domain.
     */
    static String table(String domain) {
        String table = "curfew_" + domain;
        boolean plain = bytes(table) <= TABLE_BYTES && !DERIVED.matcher(table).matches() && !domain.startsWith("_");
        return plain ? table : "curfew__" + hash(domain);
    }

    /** Checks that a table's name leaves room for the endings. */
    static String checked(String table) {
        if (table.isEmpty() || bytes(table) > TABLE_BYTES || table.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("table must have 1 to " + TABLE_BYTES + " bytes, and no NUL");
        }
        return table;
    }

    static void checkColumn(RecordField field, String name) {
        boolean isTaken = NO_COLUMNS.contains(name) || (IN_WATERMARKS.contains(field) && OF_WATERMARKS.contains(name));
        if (isTaken || bytes(name) > COLUMN_BYTES) {
            throw new IllegalArgumentException(
                    field + " cannot be in the column \"" + name + "\": a name of Curfew's or PostgreSQL's own is not"
                            + " possible, nor one of more than " + COLUMN_BYTES + " bytes. Choose another one");
        }
    }

    private static int bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8).length;
    }

    private static String quoted(String name) {
        return '"' + name.replace("\"", "\"\"") + '"';
    }

    /** A statement of the file, by its name there, in the form for the server of the connection. */
    Prepared get(String statement, Connection connection) throws SQLException {
        Prepared newer = since18.get(statement);
        // The driver knows the version, and asks nobody.
        return newer != null && connection.getMetaData().getDatabaseMajorVersion() >= 18 ? newer : get(statement);
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
