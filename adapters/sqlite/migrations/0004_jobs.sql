-- Long work that is watched, cancelled and resumed; and what a restored store must still erase.

-- parameters, result: JSON. token: the fencing token of the latest owner.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    namespace TEXT,
    parameters TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    attached INTEGER NOT NULL,
    state TEXT NOT NULL,
    done INTEGER NOT NULL,
    total INTEGER,
    cursor TEXT,
    owner TEXT,
    token INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    cancel_requested INTEGER NOT NULL,
    error TEXT,
    result TEXT,
    created_at INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    started_at INTEGER,
    heartbeat_at INTEGER,
    finished_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_by_time ON jobs (created_at, id);
CREATE INDEX jobs_by_kind ON jobs (kind, created_at, id);
CREATE INDEX jobs_unfinished ON jobs (created_at, id) WHERE finished_at IS NULL;

CREATE TABLE erasures_due (
    memory_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
