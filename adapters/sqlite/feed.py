# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""The change feed of every namespace and its counters."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from adapters.sqlite.namespaces import ensure_namespaces
from adapters.sqlite.rows import Row, list_json, micros, moment_of, scope_sql, to_json
from adapters.sqlite.session import Session
from domain.events import Event, EventType, FeedPosition
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind

#: What an event consists of, but for its namespace, in the order of `event_of`.
EVENT_COLUMNS = (
    "seq", "id", "type", "memory_id", "version", "at", "changed", "link_target", "link_type",
    "trace",
)  # fmt: skip


class SqliteFeed:
    """Implements `domain.ports.Feed`. The one writer is the lock on every counter."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def lock(self, namespaces: Iterable[Namespace], /) -> dict[Namespace, int]:
        """Create absent counters and return the heads, in path order."""
        return await self._session.run(_lock, tuple(namespaces))

    async def append(self, events: Sequence[Event], /) -> None:
        """Insert events that continue the heads without gaps, and advance them."""
        await self._session.run(_append, events)

    async def position(self, scope: Scope, /) -> FeedPosition:
        """Return the epoch and the sum of the heads in scope."""
        found = self._session.at_once(_position_of_one, scope)
        if found is not None:
            return found
        return await self._session.run(position, scope)

    async def after(self, namespace: Namespace, seq: int, /, *, limit: int) -> list[Event]:
        """Return events of one namespace beyond `seq`, in order."""
        return await self._session.run(_after, namespace, seq, limit)

    async def heads(
        self, scope: Scope, /, *, limit: int, after: Namespace | None = None
    ) -> dict[Namespace, int]:
        """Return one page of heads in path order."""
        return await self._session.run(_heads, scope, limit, after)


def position(connection: sqlite3.Connection, scope: Scope) -> FeedPosition:
    """Return the epoch and the sum of the heads in scope."""
    inside, parameters = scope_sql(scope)
    epoch, seq = connection.execute(
        "SELECT (SELECT value FROM settings WHERE name = 'epoch'),"
        f" (SELECT ifnull(sum(head), 0) FROM namespaces WHERE {inside})",
        parameters,
    ).fetchone()
    return FeedPosition(epoch, seq)


def _position_of_one(connection: sqlite3.Connection, scope: Scope) -> FeedPosition | None:
    """Return the position of a single namespace, which is two rows; None for a subtree."""
    return position(connection, scope) if scope.kind is ScopeKind.EXACT else None


def event_of(namespace: Namespace, row: Row) -> Event:
    """Build an event from a row of `EVENT_COLUMNS`."""
    seq, id, kind, memory_id, version, at, changed, link_target, link_type, trace = row
    return Event(
        id=id,
        namespace=namespace,
        seq=seq,
        type=EventType(kind),
        memory_id=MemoryId(memory_id),
        version=version,
        at=moment_of(at),
        changed=tuple(json.loads(changed)),
        link_target=None if link_target is None else MemoryId(link_target),
        link_type=link_type,
        trace=trace,
    )


def _lock(
    connection: sqlite3.Connection, namespaces: tuple[Namespace, ...]
) -> dict[Namespace, int]:
    ensure_namespaces(connection, namespaces)
    return _heads_of(connection, namespaces)


def _heads_of(
    connection: sqlite3.Connection, namespaces: Iterable[Namespace]
) -> dict[Namespace, int]:
    return dict(
        connection.execute(
            "SELECT path, head FROM namespaces"
            " WHERE path IN (SELECT value FROM json_each(?)) ORDER BY path",
            [list_json(namespaces)],
        )
    )


def _append(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    namespaces = {event.namespace for event in events}
    heads = _heads_of(connection, namespaces)
    ids = ensure_namespaces(connection, heads)
    for event in events:
        expected = heads.get(event.namespace, -1) + 1
        if event.seq != expected:
            raise AssertionError(
                f"event {event.seq} of {event.namespace!r} does not continue at {expected}"
            )
        heads[event.namespace] = event.seq
    connection.executemany(
        f"INSERT INTO events (namespace_id, {', '.join(EVENT_COLUMNS)})"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                ids[event.namespace],
                event.seq,
                event.id,
                event.type.value,
                event.memory_id,
                event.version,
                micros(event.at),
                to_json(event.changed) if event.changed else "[]",
                event.link_target,
                event.link_type,
                event.trace,
            )
            for event in events
        ],
    )
    connection.executemany(
        "UPDATE namespaces SET head = ? WHERE path = ?",
        [(heads[namespace], namespace) for namespace in sorted(namespaces)],
    )


def _after(
    connection: sqlite3.Connection, namespace: Namespace, seq: int, limit: int
) -> list[Event]:
    rows = connection.execute(
        f"SELECT {', '.join(EVENT_COLUMNS)} FROM events"
        " WHERE namespace_id = (SELECT id FROM namespaces WHERE path = ?) AND seq > ?"
        " ORDER BY seq LIMIT ?",
        [namespace, seq, limit],
    )
    return [event_of(namespace, row) for row in rows]


def _heads(
    connection: sqlite3.Connection, scope: Scope, limit: int, after: Namespace | None
) -> dict[Namespace, int]:
    inside, parameters = scope_sql(scope)
    return dict(
        connection.execute(
            f"SELECT path, head FROM namespaces WHERE {inside} AND path > ? ORDER BY path LIMIT ?",
            [*parameters, after or "", limit],
        )
    )
