-- What follows the change feed from outside the store: how far it has come, and which job is whose.

-- trace: the W3C traceparent of the request that made the change.
ALTER TABLE events ADD COLUMN trace text COLLATE "C";

-- A watermark counts in the epoch of the store only. advanced_at (microseconds): who waits longest.
CREATE TABLE projections (
    name text COLLATE "C" NOT NULL,
    namespace_id bigint NOT NULL REFERENCES namespaces (id),
    epoch text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    advanced_at bigint NOT NULL,
    PRIMARY KEY (name, namespace_id)
);

CREATE TABLE fences (
    name text COLLATE "C" PRIMARY KEY,
    token bigint NOT NULL
);

-- Which transaction moved a namespace's head last. Who holds the counter writes it, so nobody waits.
-- Not a column of namespaces: an index on it would end the cheap updates of that row.
CREATE TABLE feed_moves (
    namespace_id bigint PRIMARY KEY REFERENCES namespaces (id),
    change xid8 NOT NULL
);

CREATE INDEX feed_moves_by_change ON feed_moves (change);

INSERT INTO feed_moves (namespace_id, change) SELECT id, '0' FROM namespaces WHERE head > 0;

-- Every namespace that moved before this transaction is at its head in the projection: asking what
-- lags looks at those that moved since, not at all there are.
CREATE TABLE projection_horizons (
    name text COLLATE "C" PRIMARY KEY,
    epoch text COLLATE "C" NOT NULL,
    change xid8 NOT NULL
);
