-- Keys to the doors. digest: a keyed hash of the token, which is kept nowhere. namespace NULL: everywhere.
CREATE TABLE api_keys (
    id text COLLATE "C" PRIMARY KEY,
    digest text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    permission text COLLATE "C" NOT NULL,
    namespace text COLLATE "C",
    created_at bigint NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint
);

-- Which key a record is about; memory_id is empty then, and namespace where the key is bound.
ALTER TABLE audit_log ADD COLUMN key_id text COLLATE "C";
