-- The first schema. Times are microseconds since the Unix epoch. A memory's row is never deleted:
-- forgotten rows are hidden, erased rows keep id, namespace and the time of the erasure only.
-- Every text is compared by its bytes (COLLATE "C"), whatever the locale of the database.

CREATE TABLE settings (
    name text COLLATE "C" PRIMARY KEY,
    value text COLLATE "C" NOT NULL
);

INSERT INTO settings (name, value) VALUES ('epoch', replace(gen_random_uuid()::text, '-', ''));

-- Changed by every write: room on the page keeps those updates out of the indexes.
CREATE TABLE namespaces (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    path text COLLATE "C" NOT NULL UNIQUE,
    head bigint NOT NULL DEFAULT 0,
    memories bigint NOT NULL DEFAULT 0,
    links bigint NOT NULL DEFAULT 0,
    documents bigint NOT NULL DEFAULT 0,
    own_length bigint NOT NULL DEFAULT 0,
    context_length bigint NOT NULL DEFAULT 0,
    policy text COLLATE "C" NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);

-- payload keeps what was given (order of keys, spelling of numbers); facts is the same for filters.
CREATE TABLE memories (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    namespace_id bigint NOT NULL REFERENCES namespaces (id),
    kind text COLLATE "C" NOT NULL,
    level bigint NOT NULL,
    version bigint NOT NULL,
    seq bigint NOT NULL,
    importance double precision NOT NULL,
    pinned boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    happened_at bigint NOT NULL,
    occurred_at bigint,
    valid_from bigint,
    valid_to bigint,
    expires_at bigint,
    forgotten_at bigint,
    erased_at bigint,
    recorded_by text COLLATE "C" NOT NULL,
    actor text COLLATE "C",
    session text COLLATE "C",
    content_hash text COLLATE "C" NOT NULL,
    coordinate double precision[],
    tags text[] COLLATE "C" NOT NULL,
    facts jsonb NOT NULL,
    payload text COLLATE "C" NOT NULL,
    content text COLLATE "C" NOT NULL,
    CHECK (erased_at IS NULL OR forgotten_at IS NOT NULL)
);

-- Arrays are ordered by their first number first: a box is a range of this index on its first axis.
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
    memory bigint NOT NULL REFERENCES memories (number),
    version bigint NOT NULL,
    recorded_at bigint NOT NULL,
    recorded_by text COLLATE "C" NOT NULL,
    forgotten_at bigint,
    body text COLLATE "C" NOT NULL,
    PRIMARY KEY (memory, version)
);

-- root: the first segment of both ends' namespaces, so that one graph is one range of an index.
CREATE TABLE links (
    source text COLLATE "C" NOT NULL REFERENCES memories (id),
    target text COLLATE "C" NOT NULL REFERENCES memories (id),
    type text COLLATE "C" NOT NULL,
    root text COLLATE "C" NOT NULL,
    namespace_id bigint NOT NULL REFERENCES namespaces (id),
    weight double precision NOT NULL,
    created_at bigint NOT NULL,
    seq bigint NOT NULL,
    properties text COLLATE "C" NOT NULL,
    PRIMARY KEY (source, target, type)
);

CREATE INDEX links_by_target ON links (target);
CREATE INDEX links_by_root ON links (root, source, target, type);

CREATE TABLE events (
    namespace_id bigint NOT NULL REFERENCES namespaces (id),
    seq bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    memory_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    at bigint NOT NULL,
    changed text[] NOT NULL,
    link_target text COLLATE "C",
    link_type text COLLATE "C",
    PRIMARY KEY (namespace_id, seq)
);

-- A memory's index terms, encoded and joined by spaces; context NULL: as own. document: the same
-- with their places for the index (own terms weigh A, those of the neighbours D) and the namespace.
CREATE TABLE memory_terms (
    memory bigint PRIMARY KEY REFERENCES memories (number),
    namespace_id bigint NOT NULL REFERENCES namespaces (id),
    own_length bigint NOT NULL,
    context_length bigint NOT NULL,
    own text COLLATE "C" NOT NULL,
    context text COLLATE "C",
    document tsvector NOT NULL
);

CREATE INDEX memory_terms_by_document ON memory_terms USING gin (document);

-- Document frequencies; rows that reach zero are deleted, for a term is content.
CREATE TABLE lexical_terms (
    namespace_id bigint NOT NULL REFERENCES namespaces (id),
    term text COLLATE "C" NOT NULL,
    own_df bigint NOT NULL,
    context_df bigint NOT NULL,
    PRIMARY KEY (namespace_id, term)
);

-- vector: little-endian float32; it does not compress.
CREATE TABLE embeddings (
    memory bigint NOT NULL REFERENCES memories (number),
    role text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    input_hash text COLLATE "C" NOT NULL,
    vector bytea NOT NULL,
    PRIMARY KEY (memory, role, model)
);

ALTER TABLE embeddings ALTER COLUMN vector SET STORAGE EXTERNAL;

-- number gives the age; lease_until NULL: nobody works on it.
CREATE TABLE embedding_tasks (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    memory bigint NOT NULL REFERENCES memories (number),
    role text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    namespace_id bigint NOT NULL REFERENCES namespaces (id),
    lease_until bigint,
    UNIQUE (memory, role, model)
);

CREATE INDEX embedding_tasks_by_namespace ON embedding_tasks (namespace_id);

CREATE TABLE idempotency_keys (
    owner text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    request_hash text COLLATE "C" NOT NULL,
    memory_ids text[] NOT NULL,
    versions bigint[] NOT NULL,
    PRIMARY KEY (owner, key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);

CREATE TABLE audit_log (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    actor text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    memory_id text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL
);
