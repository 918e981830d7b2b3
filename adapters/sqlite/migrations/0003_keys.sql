-- Keys to the doors. digest: a keyed hash of the token, which is kept nowhere. namespace NULL: everywhere.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    name TEXT NOT NULL,
    permission TEXT NOT NULL,
    namespace TEXT,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;

-- Which key a record is about; memory_id is empty then, and namespace where the key is bound.
ALTER TABLE audit_log ADD COLUMN key_id TEXT;
