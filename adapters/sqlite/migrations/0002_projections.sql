-- What follows the change feed from outside the store: how far it has come, and which job is whose.

-- trace: the W3C traceparent of the request that made the change.
ALTER TABLE events ADD COLUMN trace TEXT;

-- A watermark counts in the epoch of the store only. advanced_at (milliseconds): who waits longest.
CREATE TABLE projections (
    name TEXT NOT NULL,
    namespace_id INTEGER NOT NULL REFERENCES namespaces (id),
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL,
    advanced_at INTEGER NOT NULL,
    PRIMARY KEY (name, namespace_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE fences (
    name TEXT PRIMARY KEY,
    token INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
