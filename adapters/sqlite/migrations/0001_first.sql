-- The first schema. Times are microseconds since the Unix epoch. A memory's row is never deleted:
-- forgotten rows are hidden, erased rows keep id, namespace and the time of the erasure only.

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO settings (name, value) VALUES ('epoch', lower(hex(randomblob(16))));

CREATE TABLE namespaces (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    head INTEGER NOT NULL DEFAULT 0,
    memories INTEGER NOT NULL DEFAULT 0,
    links INTEGER NOT NULL DEFAULT 0,
    documents INTEGER NOT NULL DEFAULT 0,
    own_length INTEGER NOT NULL DEFAULT 0,
    context_length INTEGER NOT NULL DEFAULT 0,
    policy TEXT NOT NULL DEFAULT '{}'
) STRICT;

-- Long columns come last: a filter on the short ones must not read overflow pages.
CREATE TABLE memories (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    kind TEXT NOT NULL,
    level INTEGER NOT NULL,
    version INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    importance REAL NOT NULL,
    pinned INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    happened_at INTEGER NOT NULL,
    occurred_at INTEGER,
    valid_from INTEGER,
    valid_to INTEGER,
    expires_at INTEGER,
    forgotten_at INTEGER,
    erased_at INTEGER,
    recorded_by TEXT NOT NULL,
    actor TEXT,
    session TEXT,
    content_hash TEXT NOT NULL,
    coordinate TEXT,
    tags TEXT NOT NULL,
    payload TEXT NOT NULL,
    content TEXT NOT NULL,
    CHECK (erased_at IS NULL OR forgotten_at IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX memories_by_coordinate ON memories (namespace_id, coordinate)
    WHERE forgotten_at IS NULL AND coordinate IS NOT NULL;
CREATE INDEX memories_by_content ON memories (namespace_id, content_hash)
    WHERE forgotten_at IS NULL;
CREATE INDEX memories_by_time ON memories (namespace_id, happened_at, id)
    WHERE forgotten_at IS NULL;
CREATE INDEX memories_by_session ON memories (namespace_id, session, happened_at, id)
    WHERE forgotten_at IS NULL AND session IS NOT NULL;
CREATE INDEX memories_by_id ON memories (namespace_id, id)
    WHERE forgotten_at IS NULL;
CREATE INDEX memories_forgotten ON memories (namespace_id)
    WHERE forgotten_at IS NOT NULL AND erased_at IS NULL;

-- body: the columns of the earlier row as one JSON object.
CREATE TABLE memory_versions (
    memory INTEGER NOT NULL REFERENCES memories (number),
    version INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    recorded_by TEXT NOT NULL,
    forgotten_at INTEGER,
    body TEXT NOT NULL,
    PRIMARY KEY (memory, version)
) STRICT;

-- root: the first segment of both ends' namespaces, so that one graph is one range of an index.
CREATE TABLE links (
    source TEXT NOT NULL REFERENCES memories (id),
    target TEXT NOT NULL REFERENCES memories (id),
    type TEXT NOT NULL,
    root TEXT NOT NULL,
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    weight REAL NOT NULL,
    created_at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    properties TEXT NOT NULL,
    PRIMARY KEY (source, target, type)
) STRICT, WITHOUT ROWID;

CREATE INDEX links_by_target ON links (target);
CREATE INDEX links_by_root ON links (root, source, target, type);

CREATE TABLE events (
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    memory_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    changed TEXT NOT NULL,
    link_target TEXT,
    link_type TEXT,
    PRIMARY KEY (namespace_id, seq)
) STRICT, WITHOUT ROWID;

-- A memory's index terms, encoded for the tokenizer and joined by spaces; context NULL: as own.
CREATE TABLE memory_terms (
    memory INTEGER PRIMARY KEY REFERENCES memories (number),
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    own_length INTEGER NOT NULL,
    context_length INTEGER NOT NULL,
    own TEXT NOT NULL,
    context TEXT
) STRICT;

CREATE VIEW lexical_documents AS
    SELECT memory, 'n' || namespace_id AS scope, own, ifnull(context, '') AS context
    FROM memory_terms;

CREATE VIRTUAL TABLE lexical_index USING fts5 (
    scope, own, context,
    content = 'lexical_documents',
    content_rowid = 'memory',
    tokenize = "ascii tokenchars '_'"
);

-- Document frequencies; rows that reach zero are deleted, for a term is content.
CREATE TABLE lexical_terms (
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    term TEXT NOT NULL,
    own_df INTEGER NOT NULL,
    context_df INTEGER NOT NULL,
    PRIMARY KEY (namespace_id, term)
) STRICT, WITHOUT ROWID;

-- vector: little-endian float32. Not WITHOUT ROWID: there every vector would take an overflow page.
CREATE TABLE embeddings (
    number INTEGER PRIMARY KEY,
    memory INTEGER NOT NULL REFERENCES memories (number),
    role TEXT NOT NULL,
    model TEXT NOT NULL,
    version INTEGER NOT NULL,
    input_hash TEXT NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (memory, role, model)
) STRICT;

-- number gives the age; lease_until NULL: nobody works on it.
CREATE TABLE embedding_tasks (
    number INTEGER PRIMARY KEY,
    memory INTEGER NOT NULL REFERENCES memories (number),
    role TEXT NOT NULL,
    model TEXT NOT NULL,
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    lease_until INTEGER,
    UNIQUE (memory, role, model)
) STRICT;

CREATE INDEX embedding_tasks_by_namespace ON embedding_tasks (namespace_id);

CREATE TABLE idempotency_keys (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    request_hash TEXT NOT NULL,
    memory_ids TEXT NOT NULL,
    versions TEXT NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);

CREATE TABLE audit_log (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    memory_id TEXT NOT NULL,
    namespace TEXT NOT NULL
) STRICT;
