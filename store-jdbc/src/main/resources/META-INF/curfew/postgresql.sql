-- The tables of the domain "tokens". For PostgreSQL 13 and later. To run it again does no harm.
-- For another domain, or under other names, see JdbcTokenStore.schema.

CREATE TABLE IF NOT EXISTS "curfew_tokens" (
    "tenant"     text COLLATE "C" NOT NULL,
    "jti"        text COLLATE "C" NOT NULL,
    "subject"    text COLLATE "C",
    "purpose"    text COLLATE "C" NOT NULL,
    "issued_at"  timestamptz,
    "expires_at" timestamptz NOT NULL,
    "extra_data" jsonb,
    "created_at" timestamptz NOT NULL,
    "updated_at" timestamptz NOT NULL,
    "revoked_at" timestamptz,
    "session"    text COLLATE "C",
    "successor"  text COLLATE "C",
    "change"     xid8,
    PRIMARY KEY ("tenant", "jti")
);

-- For the clean-up, which removes first what expired first.
CREATE INDEX IF NOT EXISTS "curfew_tokens_expiry_idx" ON "curfew_tokens" ("expires_at");

-- A subject's tokens that are not revoked, soonest expiry first.
CREATE INDEX IF NOT EXISTS "curfew_tokens_subject_idx"
    ON "curfew_tokens" ("tenant", "subject", "expires_at", "jti") WHERE "revoked_at" IS NULL;

-- What was revoked lately, for local replicas: "change" is the transaction that has revoked the token.
CREATE INDEX IF NOT EXISTS "curfew_tokens_change_idx" ON "curfew_tokens" ("change") WHERE "revoked_at" IS NOT NULL;

-- A watermark: a subject's tokens that were issued at or before it are revoked, stored or not. Its session is ''.
-- Or a revoked session, since the time in "watermark": all its tokens are revoked, stored or not. Its subject is ''.
CREATE TABLE IF NOT EXISTS "curfew_tokens_watermarks" (
    "tenant"     text COLLATE "C" NOT NULL,
    "subject"    text COLLATE "C" NOT NULL,
    "session"    text COLLATE "C" NOT NULL,
    "watermark"  timestamptz NOT NULL,
    "kept_until" timestamptz NOT NULL,
    "change"     xid8,
    PRIMARY KEY ("tenant", "subject", "session")
);

CREATE INDEX IF NOT EXISTS "curfew_tokens_ended_idx" ON "curfew_tokens_watermarks" ("kept_until");

CREATE INDEX IF NOT EXISTS "curfew_tokens_latest_idx" ON "curfew_tokens_watermarks" ("change");
