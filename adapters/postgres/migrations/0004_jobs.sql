-- Long work that is watched, cancelled and resumed; and what a restored store must still erase.

-- parameters, result: JSON. token: the fencing token of the latest owner.
CREATE TABLE jobs (
    id text COLLATE "C" PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    namespace text COLLATE "C",
    parameters text COLLATE "C" NOT NULL,
    requested_by text COLLATE "C" NOT NULL,
    attached boolean NOT NULL,
    state text COLLATE "C" NOT NULL,
    done bigint NOT NULL,
    total bigint,
    cursor text COLLATE "C",
    owner text COLLATE "C",
    token bigint NOT NULL,
    attempts bigint NOT NULL,
    cancel_requested boolean NOT NULL,
    error text COLLATE "C",
    result text COLLATE "C",
    created_at bigint NOT NULL,
    not_before bigint NOT NULL,
    started_at bigint,
    heartbeat_at bigint,
    finished_at bigint
);

CREATE INDEX jobs_by_time ON jobs (created_at, id);
CREATE INDEX jobs_by_kind ON jobs (kind, created_at, id);
CREATE INDEX jobs_unfinished ON jobs (created_at, id) WHERE finished_at IS NULL;

CREATE TABLE erasures_due (
    memory_id text COLLATE "C" PRIMARY KEY
);
