package dev.curfew.jdbc;

import dev.curfew.RecordField;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * All of the SQL for one table, PostgreSQL's: a second database is a second class like this. In braces are the names that
 * can be mapped.
 *
 * <p>What changes one record locks it first ({@code stored}), then inserts or updates it by what the lock showed, and
 * answers what was there. The lock gives the newest version of a row, so that this is exact under READ COMMITTED; under a
 * higher level the server refuses (40001) what it cannot prove, and the statement is repeated. A row that was inserted
 * after the statement began can be met but not seen: then nothing is done, and the statement repeated.
 */
final class Statements {
    private static final String COLUMNS =
            "{jti}, {subject}, {purpose}, {issued_at}, {expires_at}, {extra_data}, {created_at}, {updated_at}, {revoked_at}";

    private static final String KEY = "t.{tenant} = g.tenant AND t.{jti} = g.jti";

    // What derives its name from the table's ends in one of these; the longest makes the limit for the rest.
    private static final Pattern DERIVED = Pattern.compile(".*(_watermarks|_expiry_idx|_subject_idx|_ended_idx|_pkey)");
    private static final int NAME_BYTES = 63 - "_subject_idx".length();

    private final Map<String, String> names = new HashMap<>();

    final String store;
    final String find;
    final String isRevoked;
    final String revoked;
    final String state;
    final String revoke;
    final String consume;
    final String revokeSubject;
    final String revokeStored;
    final String list;
    final String readExpired;
    final String expunge;

    Statements(@Nullable String schema, String table, Map<RecordField, String> columns) {
        String prefix = schema == null ? "" : quoted(schema) + ".";
        columns.forEach((field, name) -> names.put(field.defaultName(), quoted(name)));
        names.put("table", prefix + quoted(table));
        names.put("watermarks", prefix + quoted(table + "_watermarks"));
        names.put("curfew_tokens", names("table"));
        names.put("curfew_tokens_watermarks", names("watermarks"));
        for (String index : new String[] {"_expiry_idx", "_subject_idx", "_ended_idx"}) {
            names.put("curfew_tokens" + index, quoted(table + index));
        }

        store = named("""
                WITH given AS (
                    SELECT ?::text AS tenant, ?::text AS jti, ?::text AS subject, ?::text AS purpose,
                        ?::timestamptz AS issued_at, ?::timestamptz AS expires_at, ?::jsonb AS extra_data,
                        ?::timestamptz AS now
                ), stored AS (
                    SELECT t.{subject} AS subject, t.{revoked_at} AS revoked_at
                    FROM {table} t JOIN given g ON %1$s FOR UPDATE OF t
                ), inserted AS (
                    INSERT INTO {table} ({tenant}, {jti}, {subject}, {purpose}, {issued_at}, {expires_at}, {extra_data},
                        {created_at}, {updated_at})
                    SELECT g.tenant, g.jti, g.subject, g.purpose, g.issued_at, g.expires_at, g.extra_data, g.now, g.now
                    FROM given g WHERE NOT EXISTS (SELECT FROM stored)
                    ON CONFLICT DO NOTHING RETURNING 1
                ), updated AS (
                    UPDATE {table} t SET {subject} = g.subject, {purpose} = g.purpose, {issued_at} = g.issued_at,
                        {expires_at} = g.expires_at, {extra_data} = g.extra_data, {updated_at} = g.now
                    FROM given g, stored s
                    WHERE %1$s AND s.revoked_at IS NULL AND (s.subject IS NULL OR s.subject = g.subject)
                )
                SELECT EXISTS (SELECT FROM inserted), EXISTS (SELECT FROM stored), s.subject, s.revoked_at IS NOT NULL
                FROM given LEFT JOIN stored s ON true
                """.formatted(KEY));

        find = named("SELECT " + COLUMNS + " FROM {table} WHERE {tenant} = ? AND {jti} = ?");

        isRevoked = named("SELECT 1 FROM {table} WHERE {tenant} = ? AND {jti} = ? AND {revoked_at} IS NOT NULL");

        revoked =
                named("SELECT {jti} FROM {table} WHERE {tenant} = ? AND {jti} = ANY (?) AND {revoked_at} IS NOT NULL");

        state = named("""
                SELECT t.{jti}, t.{subject}, t.{purpose}, t.{issued_at}, t.{expires_at}, NULL, t.{created_at},
                    t.{updated_at}, t.{revoked_at}, w.watermark
                FROM (SELECT ?::text AS tenant, ?::text AS jti, ?::text AS subject) g
                LEFT JOIN {table} t ON %s
                LEFT JOIN {watermarks} w ON w.{tenant} = g.tenant AND w.{subject} = g.subject
                """.formatted(KEY));

        revoke = named("""
                WITH given AS (
                    SELECT ?::text AS tenant, ?::text AS jti, ?::text AS subject, ?::text AS purpose,
                        ?::timestamptz AS issued_at, ?::timestamptz AS expires_at, ?::timestamptz AS keep_until,
                        ?::timestamptz AS now
                ), stored AS (
                    SELECT t.{revoked_at} AS revoked_at, t.{expires_at} AS expires_at
                    FROM {table} t JOIN given g ON %1$s FOR UPDATE OF t
                ), inserted AS (
                    INSERT INTO {table} ({tenant}, {jti}, {subject}, {purpose}, {issued_at}, {expires_at}, {created_at},
                        {updated_at}, {revoked_at})
                    SELECT g.tenant, g.jti, g.subject, g.purpose, g.issued_at, g.expires_at, g.now, g.now, g.now
                    FROM given g WHERE NOT EXISTS (SELECT FROM stored)
                    ON CONFLICT DO NOTHING RETURNING 1
                ), updated AS (
                    UPDATE {table} t SET {revoked_at} = COALESCE(s.revoked_at, g.now),
                        {expires_at} = GREATEST(s.expires_at, g.keep_until), {updated_at} = g.now
                    FROM given g, stored s
                    WHERE %1$s AND (s.revoked_at IS NULL OR s.expires_at < g.keep_until)
                )
                SELECT EXISTS (SELECT FROM inserted), EXISTS (SELECT FROM stored), s.revoked_at IS NOT NULL
                FROM given LEFT JOIN stored s ON true
                """.formatted(KEY));

        consume = named("""
                WITH given AS (
                    SELECT ?::text AS tenant, ?::text AS jti, ?::text AS purpose, ?::text AS subject,
                        ?::timestamptz AS now
                ), stored AS (
                    SELECT t.* FROM {table} t JOIN given g ON %1$s AND t.{purpose} = g.purpose
                        AND (g.subject IS NULL OR t.{subject} = g.subject) FOR UPDATE OF t
                ), updated AS (
                    UPDATE {table} t SET {revoked_at} = g.now, {updated_at} = g.now
                    FROM given g, stored s WHERE %1$s AND s.{revoked_at} IS NULL AND s.{expires_at} > g.now
                )
                SELECT %2$s FROM stored
                """.formatted(KEY, COLUMNS));

        revokeSubject = named("""
                INSERT INTO {watermarks} AS w ({tenant}, {subject}, watermark, kept_until)
                VALUES (?, ?, ?::timestamptz, ?::timestamptz)
                ON CONFLICT ({tenant}, {subject}) DO UPDATE SET
                    watermark = GREATEST(w.watermark, EXCLUDED.watermark),
                    kept_until = GREATEST(w.kept_until, EXCLUDED.kept_until)
                RETURNING 1
                """);

        // Not SKIP LOCKED: what somebody is about to store again must be revoked too.
        revokeStored = named("""
                WITH batch AS (
                    SELECT {tenant}, {jti} FROM {table}
                    WHERE {tenant} = ? AND {subject} = ? AND {revoked_at} IS NULL AND {expires_at} > ?
                    ORDER BY {expires_at}, {jti} LIMIT ? FOR UPDATE
                ), updated AS (
                    UPDATE {table} t SET {revoked_at} = g.now, {updated_at} = g.now
                    FROM batch b, (SELECT ?::timestamptz AS now) g
                    WHERE t.{tenant} = b.{tenant} AND t.{jti} = b.{jti} RETURNING 1
                )
                SELECT count(*) FROM updated
                """);

        list = named("""
                SELECT %s FROM {table}
                WHERE {tenant} = ? AND {subject} = ? AND {revoked_at} IS NULL AND ({expires_at}, {jti}) > (?, ?)
                ORDER BY {expires_at}, {jti} LIMIT ?
                """.formatted(COLUMNS));

        readExpired = named("""
                SELECT %s FROM {table} WHERE {tenant} = ? AND {expires_at} <= ? AND ({expires_at}, {jti}) > (?, ?)
                ORDER BY {expires_at}, {jti} LIMIT ?
                """.formatted(COLUMNS));

        // By place, not by key: the row is locked and stays where it is. The part is for partitioned tables.
        expunge = named("""
                WITH due AS (
                    SELECT tableoid AS part, ctid AS place FROM {table} WHERE {expires_at} BETWEEN ? AND ?
                    ORDER BY {expires_at} LIMIT ? FOR UPDATE SKIP LOCKED
                ), gone AS (
                    DELETE FROM {table} t USING due d WHERE t.ctid = d.place AND t.tableoid = d.part
                    RETURNING t.{expires_at} AS expires_at
                ), ended AS (
                    SELECT tableoid AS part, ctid AS place FROM {watermarks} WHERE kept_until <= ?
                    ORDER BY kept_until LIMIT ? - (SELECT count(*) FROM gone) FOR UPDATE SKIP LOCKED
                ), forgotten AS (
                    DELETE FROM {watermarks} w USING ended e WHERE w.ctid = e.place AND w.tableoid = e.part RETURNING 1
                )
                SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM forgotten), (SELECT max(expires_at) FROM gone)
                """);
    }

    /**
     * The table of a domain where none is named: {@code curfew_} and the domain. A domain that is too long for that, or
     * that would meet the watermarks or an index of another one, is known by its hash, which is longer than any other
     * name.
     */
    static String table(String domain) {
        String name = "curfew_" + domain;
        int bytes = name.getBytes(StandardCharsets.UTF_8).length;
        if (bytes < NAME_BYTES && !DERIVED.matcher(name).matches()) {
            return name;
        }
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(domain.getBytes(StandardCharsets.UTF_8));
            return "curfew_" + HexFormat.of().formatHex(hash).substring(0, NAME_BYTES - "curfew_".length());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every Java platform has it
        }
    }

    /** A table name that leaves room for those derived from it, and is none of them. */
    static String checked(String table) {
        int bytes = table.getBytes(StandardCharsets.UTF_8).length;
        if (bytes == 0 || bytes > NAME_BYTES || table.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("table must have 1 to " + NAME_BYTES + " bytes, and no NUL");
        }
        return table;
    }

    private static String quoted(String name) {
        return '"' + name.replace("\"", "\"\"") + '"';
    }

    /** A name as it is written in SQL, by its default. */
    String names(String name) {
        return names.getOrDefault(name, quoted(name));
    }

    /** The DDL of the file in this jar, under these names. */
    String schema(String file) {
        return replaced("\"([a-z_]+)\"", file);
    }

    private String named(String sql) {
        return replaced("\\{([a-z_]+)}", sql);
    }

    private String replaced(String pattern, String text) {
        return Pattern.compile(pattern).matcher(text).replaceAll(this::name);
    }

    private String name(MatchResult match) {
        return Matcher.quoteReplacement(names(match.group(1)));
    }
}
