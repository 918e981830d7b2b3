# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""How far projections outside the store have come."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from adapters.sqlite.feed import EVENT_COLUMNS, event_of, position
from adapters.sqlite.rows import list_json, scope_sql
from adapters.sqlite.session import Session
from domain.events import Event, EventType
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope
from domain.ports import Lag

#: What changes the vectors or the fields of a memory.
_TOUCHING = list_json(
    [
        EventType.REMEMBERED.value,
        EventType.REVISED.value,
        EventType.EMBEDDED.value,
        EventType.FORGOTTEN.value,
        EventType.ERASED.value,
    ]
)

_EPOCH = "(SELECT value FROM settings WHERE name = 'epoch')"

# Namespaces with the watermarks that count; parameter: the name. One process owns the file and
# few of its namespaces, so looking at all of them is cheap enough.
_WITH_WATERMARKS = (
    "namespaces n LEFT JOIN projections w ON w.name = ? AND w.namespace_id = n.id"
    f" AND w.epoch = {_EPOCH}"
)


class SqliteProjections:
    """Implements `domain.ports.Projections`. The one writer holds every share.

    A watermark never goes back within an epoch, but for `discard`.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def lock_shard(self, name: str, shard: int, /) -> bool:
        """Return True: there is no other writer until the transaction ends."""
        await self._session.run(_begin)
        return True

    async def outstanding(
        self, name: str, /, *, shard: int, shards: int, limit: int
    ) -> list[Event]:
        """Return events beyond the watermarks of a share, each namespace's in order.

        When k <= `limit` namespaces lag, each gets at least min(what it has, `limit` // k) events
        of the answer; what some do not need the others get. Of more than `limit` namespaces those
        go first whose watermark has not moved for longest, with one event each.
        """
        return await self._session.run(_outstanding, name, shard, shards, limit)

    async def advance(self, name: str, marks: Mapping[Namespace, int], /) -> None:
        """Set the watermarks of namespaces, in the present epoch."""
        await self._session.run(_advance, name, marks)

    async def lag(self, name: str, scope: Scope, /, *, limit: int) -> Lag:
        """Return which memories' vectors or fields changed beyond the watermarks of a scope."""
        return await self._session.run(_lag, name, scope, limit)

    async def backlog(self, name: str, /) -> int:
        """Count the events of all namespaces beyond their watermarks."""
        return await self._session.run(_backlog, name)

    async def discard(self, name: str, namespace: Namespace | None = None, /) -> None:
        """Drop the watermark of one namespace, or all of a projection: it is built again."""
        await self._session.run(_discard, name, namespace)


def _begin(_: sqlite3.Connection) -> None:
    """Only begin the transaction."""


def _outstanding(
    connection: sqlite3.Connection, name: str, shard: int, shards: int, limit: int
) -> list[Event]:
    lagging = connection.execute(
        "SELECT n.id, n.path, ifnull(w.seq, 0), n.head - ifnull(w.seq, 0)"
        f" FROM {_WITH_WATERMARKS} WHERE n.head > ifnull(w.seq, 0) AND n.id % ? = ?"
        " ORDER BY w.advanced_at NULLS FIRST, n.id LIMIT ?",
        [name, shards, shard, limit],
    ).fetchall()
    quota = _quota((amount for *_, amount in lagging), limit)
    found: list[Event] = []
    for id, path, mark, _ in sorted(lagging):
        rows = connection.execute(
            f"SELECT {', '.join(EVENT_COLUMNS)} FROM events WHERE namespace_id = ? AND seq > ?"
            " ORDER BY seq LIMIT ?",
            [id, mark, quota],
        )
        found += [event_of(Namespace(path), row) for row in rows]
    return found


def _quota(amounts: Iterable[int], limit: int) -> int:
    """Return how much each may take, so that what some leave goes to the others."""
    left, quota = limit, 1
    waiting = sorted(amounts)
    for place, amount in enumerate(waiting):
        quota = max(quota, left // (len(waiting) - place))
        left -= amount
    return quota


def _advance(connection: sqlite3.Connection, name: str, marks: Mapping[Namespace, int]) -> None:
    connection.executemany(
        "INSERT INTO projections (name, namespace_id, epoch, seq, advanced_at)"
        f" SELECT ?, id, {_EPOCH}, ?,"
        " CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) FROM namespaces"
        " WHERE path = ? ON CONFLICT (name, namespace_id) DO UPDATE SET epoch = excluded.epoch,"
        " advanced_at = excluded.advanced_at, seq = CASE WHEN epoch = excluded.epoch"
        " THEN max(seq, excluded.seq) ELSE excluded.seq END",
        [(name, seq, path) for path, seq in marks.items()],
    )


def _lag(connection: sqlite3.Connection, name: str, scope: Scope, limit: int) -> Lag:
    inside, parameters = scope_sql(scope)
    rows = connection.execute(
        f"SELECT DISTINCT e.memory_id FROM {_WITH_WATERMARKS}"
        " CROSS JOIN events e ON e.namespace_id = n.id AND e.seq > ifnull(w.seq, 0)"
        f" WHERE {inside} AND n.head > ifnull(w.seq, 0)"
        " AND e.type IN (SELECT value FROM json_each(?)) LIMIT ?",
        [name, *parameters, _TOUCHING, limit + 1],
    ).fetchall()
    touched = sorted(MemoryId(id) for (id,) in rows[:limit])
    return Lag(position(connection, scope), tuple(touched), complete=len(rows) <= limit)


def _backlog(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute(
        "SELECT ifnull(sum(n.head - ifnull(w.seq, 0)), 0)"
        f" FROM {_WITH_WATERMARKS} WHERE n.head > ifnull(w.seq, 0)",
        [name],
    ).fetchone()
    return int(row[0])


def _discard(connection: sqlite3.Connection, name: str, namespace: Namespace | None) -> None:
    of_one, parameters = "", [name]
    if namespace is not None:
        of_one = " AND namespace_id = (SELECT id FROM namespaces WHERE path = ?)"
        parameters = [name, namespace]
    connection.execute(f"DELETE FROM projections WHERE name = ?{of_one}", parameters)
