# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""How far projections outside the store have come."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.postgres.feed import EVENT_COLUMNS, event_of, position_sql
from adapters.postgres.rows import scope_sql
from adapters.postgres.session import Session
from domain.events import Event, EventType, FeedPosition
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope
from domain.ports import Lag

#: What changes the vectors or the fields of a memory.
_TOUCHING = [
    EventType.REMEMBERED.value,
    EventType.REVISED.value,
    EventType.EMBEDDED.value,
    EventType.FORGOTTEN.value,
    EventType.ERASED.value,
]
_EVENTS_PER_MEMORY = 8
_EVENTS_READ_MIN = 10_000
_IDLE_TIMEOUT_MILLISECONDS = "60000"

_EPOCH = "(SELECT value FROM settings WHERE name = 'epoch')"

# The watermarks that count. Needs `namespaces n`; parameter: the name.
_WATERMARKS = (
    "LEFT JOIN projections w ON w.name = %s AND w.namespace_id = n.id AND w.epoch ="
    " (SELECT epoch FROM present) "
)

# Namespaces of a share beyond their watermarks. Parameters: the name, shards, shard, the name.
#
# Only those that moved since the horizon are looked at, one by one (LIMIT keeps the planner, which
# cannot know how few they are, from joining whole tables): with 100,000 namespaces of which 3 lag
# this takes what 3 take, below a millisecond; when all of them lag, a quarter of a second.
_LAGGING = (
    f"WITH present AS MATERIALIZED (SELECT {_EPOCH} AS epoch),"
    " lagging AS (SELECT l.*, m.change FROM feed_moves m CROSS JOIN LATERAL"
    " (SELECT n.id, n.path, coalesce(w.seq, 0) AS mark, n.head - coalesce(w.seq, 0) AS amount,"
    f" w.advanced_at FROM namespaces n {_WATERMARKS} WHERE n.id = m.namespace_id LIMIT 1) l"
    " WHERE l.amount > 0 AND m.namespace_id %% %s = %s AND m.change >= coalesce((SELECT h.change"
    " FROM projection_horizons h, present p WHERE h.name = %s AND h.epoch = p.epoch"
    # One from another cluster, by a dump, means nothing here.
    " AND h.change <= pg_snapshot_xmax(pg_current_snapshot())), '0'::xid8))"
)

# What is left of the answer is shared equally among those that want more: sorted by what they
# want, the greatest equal part over all of them is the quota that fills the answer.
_OUTSTANDING = (
    f"{_LAGGING}, chosen AS (SELECT * FROM lagging"
    " ORDER BY advanced_at NULLS FIRST, id LIMIT %s),"
    " parts AS (SELECT id, floor((%s - (sum(amount) OVER least_first - amount))"
    " / (count(*) OVER () - row_number() OVER least_first + 1))::bigint AS part"
    " FROM chosen WINDOW least_first AS (ORDER BY amount, id))"
    f" SELECT c.path, {', '.join(f'e.{column}' for column in EVENT_COLUMNS)} FROM chosen c"
    " CROSS JOIN LATERAL (SELECT * FROM events WHERE namespace_id = c.id AND seq > c.mark"
    " ORDER BY seq LIMIT (SELECT greatest(1, max(part)) FROM parts)) e ORDER BY c.id, e.seq"
)

_EVERY_SHARE = (1, 0)

_ADVANCE = (
    "INSERT INTO projections AS p (name, namespace_id, epoch, seq, advanced_at)"
    f" SELECT %s, n.id, {_EPOCH}, w.seq, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    " FROM unnest(%s::text[], %s::bigint[]) w (path, seq) JOIN namespaces n ON n.path = w.path"
    " ORDER BY n.id ON CONFLICT (name, namespace_id) DO UPDATE SET epoch = excluded.epoch,"
    " advanced_at = excluded.advanced_at, seq = CASE WHEN p.epoch = excluded.epoch"
    " THEN greatest(p.seq, excluded.seq) ELSE excluded.seq END"
)

# No transaction below xmin is still going on, so what it moved is seen here. Who finds the row
# locked leaves it to the one who holds it.
_PUSH_HORIZON = (
    f"{_LAGGING}, reached AS (SELECT least(pg_snapshot_xmin(pg_current_snapshot()),"
    " (SELECT change FROM lagging ORDER BY change LIMIT 1)) AS change)"
    " UPDATE projection_horizons h SET epoch = p.epoch, change = r.change FROM present p, reached r"
    " WHERE h.name IN (SELECT name FROM projection_horizons WHERE name = %s FOR UPDATE SKIP LOCKED)"
    " AND (h.epoch <> p.epoch OR h.change < r.change)"
)


class PostgresProjections:
    """Implements `domain.ports.Projections`.

    A watermark never goes back within an epoch, but for `discard`.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._held: set[str] = set()

    async def lock_shard(self, name: str, shard: int, /) -> bool:
        """Take one share of the namespaces until the transaction ends; False when it is taken.

        PostgreSQL ends a transaction that is idle for a minute, and with it the lock.
        """
        row = await self._session.row(
            "SELECT CASE WHEN pg_try_advisory_xact_lock_shared(hashtextextended(%s, -1))"
            " THEN pg_try_advisory_xact_lock(hashtextextended(%s, %s)) ELSE false END,"
            " set_config('idle_in_transaction_session_timeout', %s, true)",
            [_lock_name(name), _lock_name(name), shard, _IDLE_TIMEOUT_MILLISECONDS],
        )
        assert row is not None
        if row[0]:
            self._held.add(name)
        return bool(row[0])

    async def outstanding(
        self, name: str, /, *, shard: int, shards: int, limit: int
    ) -> list[Event]:
        """Return events beyond the watermarks of a share, each namespace's in order.

        When k <= `limit` namespaces lag, each gets at least min(what it has, `limit` // k) events
        of the answer; what some do not need the others get. Of more than `limit` namespaces those
        go first whose watermark has not moved for longest, with one event each.
        """
        rows = await self._session.rows(_OUTSTANDING, [name, shards, shard, name, limit, limit])
        return [event_of(Namespace(path), tuple(row)) for path, *row in rows]

    async def advance(self, name: str, marks: Mapping[Namespace, int], /) -> None:
        """Set the watermarks of namespaces whose share is held, in the present epoch."""
        if not marks:
            return
        await self._session.run(_ADVANCE, [name, list(marks), list(marks.values())])
        if name in self._held:
            await self._session.run(
                f"INSERT INTO projection_horizons (name, epoch, change) VALUES (%s, {_EPOCH}, '0')"
                " ON CONFLICT (name) DO NOTHING",
                [name],
            )
            await self._session.run(_PUSH_HORIZON, [name, *_EVERY_SHARE, name, name])

    async def lag(self, name: str, scope: Scope, /, *, limit: int) -> Lag:
        """Return which memories changed beyond the watermarks of a scope, in one statement.

        So many events that counting their memories takes time are more than enough: then
        `complete` is False without a count.
        """
        inside, parameters = scope_sql(scope)
        most = max(_EVENTS_READ_MIN, _EVENTS_PER_MEMORY * (limit + 1))
        row = await self._session.row(
            f"WITH present AS MATERIALIZED (SELECT {_EPOCH} AS epoch),"
            " late AS MATERIALIZED (SELECT e.memory_id, e.type FROM namespaces n"
            f" {_WATERMARKS} CROSS JOIN LATERAL (SELECT memory_id, type FROM events"
            " WHERE namespace_id = n.id AND seq > coalesce(w.seq, 0) ORDER BY seq LIMIT %s) e"
            f" WHERE {inside} AND n.head > coalesce(w.seq, 0) LIMIT %s),"
            " touched AS (SELECT DISTINCT memory_id FROM late WHERE type = ANY(%s::text[]))"
            f" SELECT {position_sql(inside)}, (SELECT count(*) FROM late) < %s,"
            " ARRAY(SELECT memory_id FROM touched ORDER BY memory_id LIMIT %s)",
            [name, most, *parameters, most, _TOUCHING, *parameters, most, limit + 1],
        )
        assert row is not None
        epoch, seq, all_read, touched = row
        return Lag(
            FeedPosition(epoch, int(seq)),
            tuple(map(MemoryId, touched[:limit])),
            complete=all_read and len(touched) <= limit,
        )

    async def backlog(self, name: str, /) -> int:
        """Count the events of all namespaces beyond their watermarks."""
        row = await self._session.row(
            f"{_LAGGING} SELECT coalesce(sum(amount), 0) FROM lagging",
            [name, *_EVERY_SHARE, name],
        )
        assert row is not None
        return int(row[0])

    async def discard(self, name: str, namespace: Namespace | None = None, /) -> None:
        """Drop the watermark of one namespace, or all of a projection: it is built again.

        Waits until no share is held, for the holders may be about to move the horizon.
        """
        await self._session.run(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, -1))", [_lock_name(name)]
        )
        of_one, parameters = "", [name]
        if namespace is not None:
            of_one = " AND namespace_id = (SELECT id FROM namespaces WHERE path = %s)"
            parameters = [name, namespace]
        await self._session.run(f"DELETE FROM projections WHERE name = %s{of_one}", parameters)
        await self._session.run("DELETE FROM projection_horizons WHERE name = %s", [name])


def _lock_name(name: str) -> str:
    """Keep these locks apart from those on idempotency keys."""
    return f"projection\x1f{name}"
