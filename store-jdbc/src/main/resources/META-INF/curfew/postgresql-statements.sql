-- The statements of the store, each under its name. A statement that only reads ("read") may be sent twice. One that
-- writes is sent once. A name in quotes may be mapped to another one: in double quotes it is a table or a column, in
-- single quotes it is that name as a text. The alias t is a row of the table, the alias g is the values that are given.
--
-- A statement that stores or revokes inserts a row. If there is a row already, the statement updates it by the row's newest
-- version. A statement that revokes must answer what was there before: before PostgreSQL 18 a lock shows that (stored). A
-- statement that stores or uses looks at a row only if the row was not to be updated. What is locked or updated is the
-- newest version of a row, so this is exact under READ COMMITTED. Under a higher level the server refuses (40001) what it
-- cannot prove, and the statement is repeated. A row that changed or came after the statement began can be in the way
-- without being seen: then nothing is done, and the statement is repeated.
--
-- Every statement answers at least one row, and every row begins with {me}: the name of the statement, and a hash of the
-- statement and of the names in it. On a standby it is another text. So the store notices an answer that a pooler has mixed
-- up, and an answer of a server that may not know of a revocation yet. {me} is data and not the name of a column, since the
-- driver keeps the names of a prepared statement's columns. If there may be no row, the left side of a join is a row
-- without columns. Such a join without a condition is a nested loop, which keeps the order.
--
-- A row of the watermarks table is the watermark of a subject, and has the session '', or it is a revoked session, and has
-- the subject ''. No session is named '' (R13.1), so the two never meet.

-- write: store
WITH given AS (
    SELECT ?::text AS tenant, ?::text AS jti, ?::text AS subject, ?::text AS purpose, ?::timestamptz AS issued_at,
        ?::timestamptz AS expires_at, ?::jsonb AS extra_data, ?::text AS session, ?::timestamptz AS now
), kept AS (
    INSERT INTO "curfew_tokens" AS t
        ("tenant", "jti", "subject", "purpose", "issued_at", "expires_at", "extra_data", "session", "created_at", "updated_at")
    SELECT g.tenant, g.jti, g.subject, g.purpose, g.issued_at, g.expires_at, g.extra_data, g.session, g.now, g.now FROM given g
    ON CONFLICT ("tenant", "jti") DO UPDATE SET "subject" = EXCLUDED."subject", "purpose" = EXCLUDED."purpose",
        "issued_at" = EXCLUDED."issued_at", "expires_at" = EXCLUDED."expires_at",
        "extra_data" = EXCLUDED."extra_data", "session" = EXCLUDED."session", "updated_at" = EXCLUDED."updated_at"
    WHERE t."revoked_at" IS NULL AND (t."subject" IS NULL OR t."subject" = EXCLUDED."subject") RETURNING 1
)
SELECT {me}, CASE WHEN EXISTS (SELECT FROM kept) THEN 'STORED' ELSE (
    SELECT CASE WHEN t."subject" <> g.subject THEN 'MISMATCH' WHEN t."revoked_at" IS NOT NULL THEN 'REVOKED' END
    FROM "curfew_tokens" t JOIN given g ON (t."tenant", t."jti") = (g.tenant, g.jti)) END

-- read: find
SELECT {me}, r.* FROM (SELECT) g LEFT JOIN (
    SELECT "jti", "subject", "purpose", "issued_at", "expires_at", "extra_data", "created_at", "updated_at", "revoked_at",
        "session", "successor", (SELECT watermark FROM "curfew_tokens_watermarks" w
            WHERE w."tenant" = t."tenant" AND w."subject" = t."subject" AND w."session" = '')
    FROM "curfew_tokens" t WHERE t."tenant" = ? AND t."jti" = ?
) r ON true

-- read: isRevoked
SELECT {me}, EXISTS (SELECT FROM "curfew_tokens" WHERE "tenant" = ? AND "jti" = ? AND "revoked_at" IS NOT NULL)

-- read: revoked
SELECT {me}, r.* FROM (SELECT) g LEFT JOIN (
    SELECT "jti" FROM "curfew_tokens" WHERE "tenant" = ? AND "jti" = ANY (?) AND "revoked_at" IS NOT NULL
) r ON true

-- read: state
SELECT {me}, t."jti", t."subject", t."purpose", t."issued_at", t."expires_at", NULL, t."created_at",
    t."updated_at", t."revoked_at", t."session", t."successor", w.watermark
FROM (SELECT ?::text AS tenant, ?::text AS jti, ?::text AS subject) g
LEFT JOIN "curfew_tokens" t ON (t."tenant", t."jti") = (g.tenant, g.jti)
LEFT JOIN "curfew_tokens_watermarks" w ON w."tenant" = g.tenant AND w."subject" = g.subject AND w."session" = ''

-- read: stateOfSession
SELECT {me}, t."jti", t."subject", t."purpose", t."issued_at", t."expires_at", NULL, t."created_at",
    t."updated_at", t."revoked_at", t."session", t."successor", w.watermark, e.kept_until IS NOT NULL
FROM (SELECT ?::text AS tenant, ?::text AS jti, ?::text AS subject, ?::text AS session) g
LEFT JOIN "curfew_tokens" t ON (t."tenant", t."jti") = (g.tenant, g.jti)
LEFT JOIN "curfew_tokens_watermarks" w ON w."tenant" = g.tenant AND w."subject" = g.subject AND w."session" = ''
LEFT JOIN "curfew_tokens_watermarks" e ON e."tenant" = g.tenant AND e."subject" = '' AND e."session" = g.session

-- write: revoke
WITH given AS (
    SELECT ?::text AS tenant, ?::text AS jti, ?::text AS subject, ?::text AS purpose, ?::timestamptz AS issued_at,
        ?::timestamptz AS expires_at, ?::text AS session, ?::timestamptz AS keep_until, ?::timestamptz AS now
), inserted AS (
    INSERT INTO "curfew_tokens"
        ("tenant", "jti", "subject", "purpose", "issued_at", "expires_at", "session", "created_at", "updated_at", "revoked_at",
         "change")
    SELECT g.tenant, g.jti, g.subject, g.purpose, g.issued_at, g.expires_at, g.session, g.now, g.now, g.now,
        pg_current_xact_id() FROM given g
    ON CONFLICT ("tenant", "jti") DO NOTHING RETURNING 1
), stored AS (
    SELECT true AS found, t."revoked_at" AS revoked_at, t."expires_at" AS expires_at
    FROM "curfew_tokens" t JOIN given g ON (t."tenant", t."jti") = (g.tenant, g.jti)
    WHERE NOT EXISTS (SELECT FROM inserted) FOR UPDATE OF t
), updated AS (
    UPDATE "curfew_tokens" t SET "revoked_at" = COALESCE(s.revoked_at, g.now),
        "expires_at" = GREATEST(s.expires_at, g.keep_until), "updated_at" = g.now, "change" = pg_current_xact_id()
    FROM given g, stored s
    WHERE (t."tenant", t."jti") = (g.tenant, g.jti)
        AND (s.revoked_at IS NULL OR s.expires_at < g.keep_until)
)
SELECT {me}, CASE WHEN EXISTS (SELECT FROM inserted) THEN 'REVOKED' WHEN s.found IS NULL THEN NULL
    WHEN s.revoked_at IS NULL THEN 'REVOKED' ELSE 'ALREADY_REVOKED' END
FROM given LEFT JOIN stored s ON true

-- The same from PostgreSQL 18 on, which tells what a row was before. A row that is not updated is revoked, and for as long.
-- The look at it finds a trigger that has kept the row from being written: then nothing is done, and that is no answer.
-- write: revoke18
WITH given AS (
    SELECT ?::text AS tenant, ?::text AS jti, ?::text AS subject, ?::text AS purpose, ?::timestamptz AS issued_at,
        ?::timestamptz AS expires_at, ?::text AS session, ?::timestamptz AS keep_until, ?::timestamptz AS now
), changed AS (
    INSERT INTO "curfew_tokens" AS t
        ("tenant", "jti", "subject", "purpose", "issued_at", "expires_at", "session", "created_at", "updated_at", "revoked_at",
         "change")
    SELECT g.tenant, g.jti, g.subject, g.purpose, g.issued_at, g.expires_at, g.session, g.now, g.now, g.now,
        pg_current_xact_id() FROM given g
    ON CONFLICT ("tenant", "jti") DO UPDATE SET "revoked_at" = COALESCE(t."revoked_at", EXCLUDED."revoked_at"),
        "expires_at" = GREATEST(t."expires_at", (SELECT keep_until FROM given)), "updated_at" = EXCLUDED."updated_at",
        "change" = EXCLUDED."change"
    WHERE t."revoked_at" IS NULL OR t."expires_at" < (SELECT keep_until FROM given)
    RETURNING CASE WHEN old."revoked_at" IS NULL THEN 'REVOKED' ELSE 'ALREADY_REVOKED' END AS outcome
)
SELECT {me}, COALESCE((SELECT outcome FROM changed), (
    SELECT 'ALREADY_REVOKED' FROM "curfew_tokens" t JOIN given g ON (t."tenant", t."jti") = (g.tenant, g.jti)
    WHERE t."revoked_at" IS NOT NULL))

-- What cannot be used is read from the snapshot. If the token can be used there, somebody else was faster: the statement is
-- repeated.
-- write: consume
WITH given AS (
    SELECT ?::text AS tenant, ?::text AS jti, ?::text AS purpose, ?::text AS subject, ?::text AS successor,
        ?::timestamptz AS now
), used AS (
    UPDATE "curfew_tokens" t SET "revoked_at" = g.now, "successor" = g.successor, "updated_at" = g.now,
        "change" = pg_current_xact_id()
    FROM given g
    WHERE (t."tenant", t."jti") = (g.tenant, g.jti) AND t."purpose" = g.purpose
        AND (g.subject IS NULL OR t."subject" = g.subject) AND t."revoked_at" IS NULL AND t."expires_at" > g.now
    RETURNING t.*
)
SELECT {me}, r.* FROM (SELECT) g LEFT JOIN (
    SELECT "jti", "subject", "purpose", "issued_at", "expires_at", "extra_data", "created_at", "updated_at", "revoked_at",
        "session", "successor", (SELECT watermark FROM "curfew_tokens_watermarks" w
            WHERE w."tenant" = s."tenant" AND w."subject" = s."subject" AND w."session" = ''),
        EXISTS (SELECT FROM used)
    FROM (
        SELECT * FROM used
        UNION ALL
        SELECT t.* FROM "curfew_tokens" t JOIN given g ON (t."tenant", t."jti") = (g.tenant, g.jti)
            AND t."purpose" = g.purpose AND (g.subject IS NULL OR t."subject" = g.subject)
        WHERE NOT EXISTS (SELECT FROM used)
    ) s
) r ON true

-- write: revokeSubject
INSERT INTO "curfew_tokens_watermarks" AS w ("tenant", "subject", "session", watermark, kept_until, "change")
VALUES (?, ?, '', ?, ?, pg_current_xact_id()) ON CONFLICT ("tenant", "subject", "session") DO UPDATE SET
    watermark = GREATEST(w.watermark, EXCLUDED.watermark), kept_until = GREATEST(w.kept_until, EXCLUDED.kept_until),
    "change" = EXCLUDED."change"
RETURNING {me}

-- A row that is inserted has no xmax. One that is updated has the transaction's own, which locked it for that.
-- write: revokeSession
INSERT INTO "curfew_tokens_watermarks" AS w ("tenant", "subject", "session", watermark, kept_until, "change")
VALUES (?, '', ?, ?, ?, pg_current_xact_id()) ON CONFLICT ("tenant", "subject", "session") DO UPDATE SET
    kept_until = GREATEST(w.kept_until, EXCLUDED.kept_until), "change" = EXCLUDED."change"
RETURNING {me}, CASE WHEN xmax = 0 THEN 'REVOKED' ELSE 'ALREADY_REVOKED' END

-- An insert into a table with partitions has no xmax to show.
-- write: revokeSession18
INSERT INTO "curfew_tokens_watermarks" AS w ("tenant", "subject", "session", watermark, kept_until, "change")
VALUES (?, '', ?, ?, ?, pg_current_xact_id()) ON CONFLICT ("tenant", "subject", "session") DO UPDATE SET
    kept_until = GREATEST(w.kept_until, EXCLUDED.kept_until), "change" = EXCLUDED."change"
RETURNING {me}, CASE WHEN old."session" IS NULL THEN 'REVOKED' ELSE 'ALREADY_REVOKED' END

-- read: revokedSessions
SELECT {me}, r.* FROM (SELECT) g LEFT JOIN (
    SELECT "session" FROM "curfew_tokens_watermarks" WHERE "tenant" = ? AND "subject" = '' AND "session" = ANY (?)
) r ON true

-- Not SKIP LOCKED: a token that somebody is just storing again must be revoked too. By an array and not a join: an array
-- takes the key's index, however many rows the planner expects.
-- write: revokeStored
WITH batch AS (
    SELECT t."jti" AS jti FROM "curfew_tokens" t
    WHERE t."tenant" = ? AND t."subject" = ? AND t."revoked_at" IS NULL AND t."expires_at" > ?
    ORDER BY t."expires_at", t."jti" LIMIT ? FOR UPDATE
), updated AS (
    UPDATE "curfew_tokens" t SET "revoked_at" = g.now, "updated_at" = g.now, "change" = pg_current_xact_id()
    FROM (SELECT ?::text AS tenant, ?::timestamptz AS now) g
    WHERE t."tenant" = g.tenant AND t."jti" = ANY (ARRAY(SELECT jti FROM batch)) RETURNING 1
)
SELECT {me}, count(*) FROM updated

-- read: list
SELECT {me}, r.*, w.watermark FROM (SELECT) g LEFT JOIN (
    SELECT "jti", "subject", "purpose", "issued_at", "expires_at", "extra_data", "created_at", "updated_at", "revoked_at",
        "session", "successor"
    FROM "curfew_tokens"
    WHERE "tenant" = ? AND "subject" = ? AND "revoked_at" IS NULL AND ("expires_at", "jti") > (?, ?)
    ORDER BY "expires_at", "jti" LIMIT ?
) r ON true LEFT JOIN (
    SELECT watermark FROM "curfew_tokens_watermarks" WHERE "tenant" = ? AND "subject" = ? AND "session" = ''
) w ON true

-- read: readExpired
SELECT {me}, r.* FROM (SELECT) g LEFT JOIN (
    SELECT "jti", "subject", "purpose", "issued_at", "expires_at", "extra_data", "created_at", "updated_at", "revoked_at",
        "session", "successor"
    FROM "curfew_tokens" WHERE "tenant" = ? AND "expires_at" <= ? AND ("expires_at", "jti") > (?, ?)
    ORDER BY "expires_at", "jti" LIMIT ?
) r ON true

-- By place (ctid) and not by key: a row that is locked stays at its place. By an array, as above. In a table with
-- partitions the same place is there more than once, so the partition (tableoid) is compared too. One node works at a time.
-- A second node finds nothing to do. So the server has the work of one node, however many nodes there are. The commit does
-- not wait for the disk or for a standby: a removal that a crash undoes is done again by the next run. This is for this
-- transaction only, and not for a transaction of the application.
-- write: expunge
WITH turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock('curfew_tokens'::regclass::oid::int, 1668642406) AS mine,
        CASE WHEN ?::boolean THEN set_config('synchronous_commit', 'off', true) END AS commit
), due AS (
    SELECT t.tableoid AS part, t.ctid AS place FROM "curfew_tokens" t
    WHERE (SELECT mine FROM turn) AND t."expires_at" BETWEEN ? AND ? ORDER BY t."expires_at" LIMIT ? FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM "curfew_tokens" WHERE ctid = ANY (ARRAY(SELECT place FROM due))
        AND (tableoid, ctid) IN (SELECT part, place FROM due) RETURNING "expires_at" AS expires_at
), ended AS (
    SELECT tableoid AS part, ctid AS place FROM "curfew_tokens_watermarks" WHERE (SELECT mine FROM turn) AND kept_until <= ?
    ORDER BY kept_until LIMIT ? - (SELECT count(*) FROM gone) FOR UPDATE SKIP LOCKED
), forgotten AS (
    DELETE FROM "curfew_tokens_watermarks" WHERE ctid = ANY (ARRAY(SELECT place FROM ended))
        AND (tableoid, ctid) IN (SELECT part, place FROM ended) RETURNING 1
)
SELECT {me}, (SELECT count(*) FROM gone) + (SELECT count(*) FROM forgotten), (SELECT max(expires_at) FROM gone)

-- read: serverTime
SELECT {me}, clock_timestamp()

-- Everything that is revoked now, for a local replica. The row 'position' has the history of the data, and the snapshot
-- that this statement sees: it is where "follow" goes on. The history is another one after a restart, after the crash of
-- one backend (statistics are reset then), and in another file. Then ids of transactions may be given once more. Times are
-- in milliseconds, rounded up, which is faster to read. No kind of row may be named as a column is: 'session' in single
-- quotes would become the name that the application has mapped the column to.
-- read: load
SELECT {me}, 'position', concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),
        extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time()), pg_relation_filenode('curfew_tokens'::regclass),
        pg_relation_filenode('curfew_tokens_watermarks'::regclass)),
    pg_current_snapshot()::text, NULL::bigint, NULL::bigint
UNION ALL
SELECT {me}, 'revoked', "tenant", "jti", ceil(date_part('epoch', LEAST("expires_at", '9999-12-31Z')) * 1000 - 0.001)::bigint, NULL::bigint FROM "curfew_tokens" WHERE "revoked_at" IS NOT NULL AND "expires_at" > ?
UNION ALL
SELECT {me}, CASE WHEN "session" = '' THEN 'watermark' ELSE 'ended' END, "tenant", "subject" || "session",
    ceil(date_part('epoch', LEAST(kept_until, '9999-12-31Z')) * 1000 - 0.001)::bigint, ceil(date_part('epoch', LEAST(watermark, '9999-12-31Z')) * 1000 - 0.001)::bigint FROM "curfew_tokens_watermarks" WHERE kept_until > ?

-- What a former snapshot did not see. A transaction that it did not see had no id yet, or one from its xmax on, or it was
-- in progress, and its id is in the snapshot. So nothing is left out, in whatever order transactions end. "follow" is for a
-- snapshot in which no transaction is in progress, "followUnfinished" for all. The upper bound holds for all rows that are
-- seen; it tells the planner that few rows are meant. The planner does not see the parameter, so that one plan is as good as
-- another, and it soon makes no new ones. Under the names followAll and followUnfinishedAll there is no LIMIT.
-- read: follow
SELECT {me}, 'position', concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),
        extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time()), pg_relation_filenode('curfew_tokens'::regclass),
        pg_relation_filenode('curfew_tokens_watermarks'::regclass)),
    pg_current_snapshot()::text, NULL::bigint, NULL::bigint
UNION ALL
SELECT {me}, kind, tenant, name, ceil(date_part('epoch', LEAST(until, '9999-12-31Z')) * 1000 - 0.001)::bigint,
    ceil(date_part('epoch', LEAST(watermark, '9999-12-31Z')) * 1000 - 0.001)::bigint
FROM (
    SELECT 'revoked' AS kind, "tenant" AS tenant, "jti" AS name, "expires_at" AS until, NULL::timestamptz AS watermark
    FROM "curfew_tokens" WHERE "revoked_at" IS NOT NULL AND "change" >= (SELECT pg_snapshot_xmax(?::pg_snapshot))
        AND "change" < pg_snapshot_xmax(pg_current_snapshot())
    UNION ALL
    SELECT CASE WHEN "session" = '' THEN 'watermark' ELSE 'ended' END, "tenant", "subject" || "session", kept_until, watermark
    FROM "curfew_tokens_watermarks" WHERE "change" >= (SELECT pg_snapshot_xmax(?::pg_snapshot))
        AND "change" < pg_snapshot_xmax(pg_current_snapshot())
LIMIT 1000) r

-- read: followUnfinished
WITH since AS (SELECT ?::pg_snapshot AS snapshot)
SELECT {me}, 'position', concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),
        extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time()), pg_relation_filenode('curfew_tokens'::regclass),
        pg_relation_filenode('curfew_tokens_watermarks'::regclass)),
    pg_current_snapshot()::text, NULL::bigint, NULL::bigint
UNION ALL
SELECT {me}, kind, tenant, name, ceil(date_part('epoch', LEAST(until, '9999-12-31Z')) * 1000 - 0.001)::bigint,
    ceil(date_part('epoch', LEAST(watermark, '9999-12-31Z')) * 1000 - 0.001)::bigint
FROM (
    SELECT 'revoked' AS kind, "tenant" AS tenant, "jti" AS name, "expires_at" AS until, NULL::timestamptz AS watermark
    FROM "curfew_tokens" WHERE "revoked_at" IS NOT NULL AND "change" >= (SELECT pg_snapshot_xmax(snapshot) FROM since)
        AND "change" < pg_snapshot_xmax(pg_current_snapshot())
    UNION ALL
    SELECT 'revoked', "tenant", "jti", "expires_at", NULL::timestamptz
    FROM "curfew_tokens" WHERE "revoked_at" IS NOT NULL AND "change" = ANY (ARRAY(SELECT pg_snapshot_xip(snapshot) FROM since))
    UNION ALL
    SELECT CASE WHEN "session" = '' THEN 'watermark' ELSE 'ended' END, "tenant", "subject" || "session", kept_until, watermark
    FROM "curfew_tokens_watermarks" WHERE "change" >= (SELECT pg_snapshot_xmax(snapshot) FROM since)
        AND "change" < pg_snapshot_xmax(pg_current_snapshot())
    UNION ALL
    SELECT CASE WHEN "session" = '' THEN 'watermark' ELSE 'ended' END, "tenant", "subject" || "session", kept_until, watermark
    FROM "curfew_tokens_watermarks" WHERE "change" = ANY (ARRAY(SELECT pg_snapshot_xip(snapshot) FROM since))
LIMIT 1000) r

-- How the tables differ from what the statements above need, in words. The columns of the answer: the differences with
-- which the store must not start (missing, different); the differences that are only warned of (slow, and lossy: the server
-- may lose what it has acknowledged); whether a table is missing; whether the DDL would create anything.
-- read: differences
WITH tables (name, key, ways) AS (VALUES
    ('curfew_tokens', ARRAY['tenant', 'jti'], ARRAY['expires_at', 'tenant' || ', ' || 'subject', 'change']),
    ('curfew_tokens_watermarks', ARRAY['tenant', 'subject', 'session'], ARRAY['kept_until', 'change'])
), columns (table_name, name, type, presence) AS (VALUES
    ('curfew_tokens', 'tenant', 'text', 'required'),
    ('curfew_tokens', 'jti', 'text', 'required'),
    ('curfew_tokens', 'subject', 'text', 'optional'),
    ('curfew_tokens', 'purpose', 'text', 'required'),
    ('curfew_tokens', 'issued_at', 'timestamp with time zone', 'optional'),
    ('curfew_tokens', 'expires_at', 'timestamp with time zone', 'required'),
    ('curfew_tokens', 'extra_data', 'jsonb', 'optional'),
    ('curfew_tokens', 'created_at', 'timestamp with time zone', 'required'),
    ('curfew_tokens', 'updated_at', 'timestamp with time zone', 'required'),
    ('curfew_tokens', 'revoked_at', 'timestamp with time zone', 'optional'),
    ('curfew_tokens', 'session', 'text', 'optional'),
    ('curfew_tokens', 'successor', 'text', 'optional'),
    ('curfew_tokens', 'change', 'xid8', 'optional'),
    ('curfew_tokens_watermarks', 'tenant', 'text', 'required'),
    ('curfew_tokens_watermarks', 'subject', 'text', 'required'),
    ('curfew_tokens_watermarks', 'session', 'text', 'required'),
    ('curfew_tokens_watermarks', 'watermark', 'timestamp with time zone', 'required'),
    ('curfew_tokens_watermarks', 'kept_until', 'timestamp with time zone', 'required'),
    ('curfew_tokens_watermarks', 'change', 'xid8', 'optional')
), present AS (
    SELECT t.*, c.oid AS id FROM tables t JOIN pg_class c ON c.oid = to_regclass(t.name)
), missing AS (
    SELECT name FROM tables WHERE name NOT IN (SELECT name FROM present)
), have AS (
    SELECT p.name AS table_name, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type,
        a.attnotnull AS required, a.atthasdef OR a.attidentity <> '' AS filled,
        COALESCE(l.collisdeterministic, true) AS deterministic
    FROM present p JOIN pg_attribute a ON a.attrelid = p.id AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
), indexes AS (
    SELECT p.name AS table_name, i.indisunique AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL AS is_key,
        ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY k (attnum, n)
            JOIN pg_attribute a ON a.attrelid = p.id AND a.attnum = k.attnum
            WHERE k.n <= i.indnkeyatts ORDER BY k.n) AS names
    FROM present p JOIN pg_index i ON i.indrelid = p.id AND i.indisvalid
), differences (kind, words) AS (
    SELECT 'missing', 'table ' || name || ' is missing' FROM missing
    UNION ALL
    SELECT DISTINCT 'missing', CASE
        WHEN array_length(path, 1) > 1 AND to_regnamespace(quote_ident(path[1])) IS NULL
            THEN 'schema "' || path[1] || '" does not exist'
        WHEN array_length(path, 1) > 1 THEN NULL
        WHEN current_schemas(false) = '{}' THEN 'no schema of the search_path exists, or the user may use none of them (USAGE)' || advice
        WHEN elsewhere IS NOT NULL
            THEN 'such a table is in schema ' || elsewhere || ', which is not on the search_path, or which the user may not use'
                || ' (USAGE)' || advice
        END
    FROM (
        SELECT parse_ident(name) AS path FROM missing
    ) m, LATERAL (
        SELECT string_agg(DISTINCT '"' || n.nspname || '"', ', ') AS elsewhere
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = path[array_length(path, 1)] AND c.relkind IN ('r', 'p')
    ) e, (
        VALUES (', and nothing was changed. ALTER ROLE … SET search_path, or name the schema:'
            || ' JdbcTokenStore.builder(…).schema(…), or currentSchema=… in the URL')
    ) a (advice)
    UNION ALL
    SELECT 'different', 'the database is encoded in ' || current_setting('server_encoding') || ' and not in UTF8'
    WHERE current_setting('server_encoding') <> 'UTF8'
    UNION ALL
    SELECT 'different', CASE
        WHEN h.name IS NULL THEN 'column ' || c.name || ' of ' || c.table_name || ' is missing'
        WHEN h.type <> c.type AND (c.type, h.type) <> ('text', 'character varying')
            THEN 'column ' || h.name || ' of ' || h.table_name || ' is ' || h.type || ' instead of ' || c.type
        WHEN c.presence = 'optional' AND h.required
            THEN 'column ' || h.name || ' of ' || h.table_name || ' is NOT NULL and must not be'
        WHEN NOT h.deterministic
            THEN 'column ' || h.name || ' of ' || h.table_name || ' has a nondeterministic collation'
        WHEN c.name IS NULL AND h.required AND NOT h.filled
            THEN 'column ' || h.name || ' of ' || h.table_name || ' is unknown, NOT NULL and without a default'
        END
    FROM (SELECT c.* FROM columns c JOIN present p ON p.name = c.table_name) c
    FULL JOIN have h ON h.table_name = c.table_name AND h.name = c.name
    UNION ALL
    SELECT 'different', 'a primary key on (' || array_to_string(key, ', ') || ') of ' || name || ' is missing' FROM present
    WHERE NOT EXISTS (SELECT FROM indexes i WHERE table_name = name AND is_key AND names <@ key AND key <@ names)
    UNION ALL
    SELECT 'slow', 'an index on (' || way || ') of ' || name || ' is missing, without which clean-up, a replica or'
        || ' what is done by subject reads the whole table'
    FROM present, unnest(ways) AS w (way) WHERE NOT EXISTS (
        SELECT FROM indexes i WHERE table_name = name AND starts_with(array_to_string(names, ', ') || ', ', way || ', '))
    UNION ALL
    SELECT 'lossy', careless || ', so that a crash of the server may lose revocations that were acknowledged'
    FROM (
        SELECT name || ' is off' FROM pg_settings
        WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'
        UNION ALL
        SELECT 'table ' || name || ' is not logged' FROM present p JOIN pg_class c ON c.oid = p.id WHERE c.relpersistence <> 'p'
    ) l (careless)
)
SELECT {me}, string_agg(words, '; ') FILTER (WHERE kind IN ('missing', 'different')),
    string_agg(words, '; ') FILTER (WHERE kind IN ('slow', 'lossy')),
    bool_or(kind = 'missing'), bool_or(kind IN ('missing', 'slow'))
FROM differences WHERE words IS NOT NULL
