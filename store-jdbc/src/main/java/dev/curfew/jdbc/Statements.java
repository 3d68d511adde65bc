package dev.curfew.jdbc;

import dev.curfew.RecordField;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Function;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The SQL in this jar, under the names of one domain's tables and columns. A second database is a second pair of files. */
final class Statements {
    private static final String STATEMENTS = file("postgresql-statements.sql");
    private static final String SCHEMA = file("postgresql.sql");
    private static final Pattern STATEMENT = Pattern.compile("(?ms)^-- name: (\\w+)\\n(.*?)(?=\\n\\n|\\z)");
    private static final Pattern NAME = Pattern.compile("\\{('?)(\\w+)\\1}");
    private static final Pattern QUOTED = Pattern.compile("\"(\\w+)\"");
    // What derives its name from the table's ends like this, and leaves it so much room of PostgreSQL's 63 bytes.
    private static final Pattern DERIVED =
            Pattern.compile("(?s).*(_watermarks|_expiry_idx|_subject_idx|_ended_idx|_pkey)");
    private static final int TABLE_BYTES = 51;

    private final Map<String, String> raw = new HashMap<>();
    private final Map<String, String> names = new TreeMap<>();
    private final Map<String, Statement> statements = new HashMap<>();

    /**
     * A statement of the file.
     *
     * @param signature with which every row of its answer begins, and no row of another statement's
     * @param ofStandby with which it begins where a standby answers
     */
    record Statement(String sql, String signature, String ofStandby) {}

    Statements(@Nullable String schema, String table, Map<RecordField, String> columns) {
        String qualifier = schema == null ? "" : quoted(schema) + ".";
        columns.forEach((field, name) -> {
            raw.put(field.defaultName(), name);
            names.put(field.defaultName(), quoted(name));
        });
        names.put("table", qualifier + quoted(table));
        names.put("watermarks", qualifier + quoted(table + "_watermarks"));
        names.put("curfew_tokens", name("table"));
        names.put("curfew_tokens_watermarks", name("watermarks"));
        for (String index : Set.of("_expiry_idx", "_subject_idx", "_ended_idx")) {
            names.put("curfew_tokens" + index, quoted(table + index));
        }
        names.put(
                "columns",
                EnumSet.range(RecordField.JTI, RecordField.REVOKED_AT).stream()
                        .map(field -> name(field.defaultName()))
                        .collect(Collectors.joining(", ")));
        names.put("key", "t." + name("tenant") + " = g.tenant AND t." + name("jti") + " = g.jti");
        Matcher named = STATEMENT.matcher(STATEMENTS);
        while (named.find()) {
            String signature = named.group(1) + " " + hash(named.group(2) + names);
            String ofStandby = "standby " + signature;
            // In one pass: what a name is replaced by may look like another name.
            String sql = replaced(NAME, named.group(2), match -> {
                String name = match.group(2);
                if (name.equals("me")) {
                    // In the answer itself: the connection of the next statement may be to another server.
                    return "CASE WHEN pg_is_in_recovery() THEN '" + ofStandby + "' ELSE '" + signature + "' END";
                }
                return match.group(1).isEmpty() ? name(name) : literal(name);
            });
            statements.put(named.group(1), new Statement(sql, signature, ofStandby));
        }
    }

    private static String hash(String text) {
        UUID hash = UUID.nameUUIDFromBytes(text.getBytes(StandardCharsets.UTF_8));
        return Long.toHexString(hash.getMostSignificantBits());
    }

    private static String file(String name) {
        try (@Nullable InputStream file = Statements.class.getResourceAsStream("/META-INF/curfew/" + name)) {
            return new String(Objects.requireNonNull(file, name).readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * The table of a domain where none is named: {@code curfew_} and the domain. One that would be too long, or could be
     * taken for what belongs to another domain's table, is {@code curfew__} and a hash of the domain.
     */
    static String table(String domain) {
        String table = "curfew_" + domain;
        boolean plain = bytes(table) <= TABLE_BYTES && !DERIVED.matcher(table).matches() && !domain.startsWith("_");
        return plain ? table : "curfew__" + UUID.nameUUIDFromBytes(domain.getBytes(StandardCharsets.UTF_8));
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
    Statement get(String statement) {
        return Objects.requireNonNull(statements.get(statement), statement);
    }

    /** A name as it is written in SQL. */
    private String name(String name) {
        return names.getOrDefault(name, quoted(name));
    }

    /** A table's name with its quotes, or a column's without, as a text in SQL. */
    private String literal(String name) {
        String text = raw.getOrDefault(name, name(name));
        return "'" + text.replace("'", "''") + "'";
    }

    /** The DDL of the domain's tables. */
    String schema() {
        return replaced(QUOTED, SCHEMA, match -> name(match.group(1)));
    }

    private static String replaced(Pattern pattern, String sql, Function<MatchResult, String> replacement) {
        return pattern.matcher(sql).replaceAll(match -> Matcher.quoteReplacement(replacement.apply(match)));
    }
}
