# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""The change feed of every namespace and its counters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapters.postgres.arrays import texts
from adapters.postgres.namespaces import lock_namespaces
from adapters.postgres.rows import Row, micros, moment_of, scope_sql
from adapters.postgres.session import Session
from domain.events import Event, EventType, FeedPosition
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope

#: What an event consists of, but for its namespace, in the order of `event_of`.
EVENT_COLUMNS = (
    "seq", "id", "type", "memory_id", "version", "at", "changed", "link_target", "link_type",
    "trace",
)  # fmt: skip


class PostgresFeed:
    """Implements `domain.ports.Feed`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def lock(self, namespaces: Iterable[Namespace], /) -> dict[Namespace, int]:
        """Lock the counters in path order, creating absent ones, and return the heads."""
        wanted = set(namespaces)
        await lock_namespaces(self._session, wanted)
        return {path: self._session.heads[path] for path in sorted(wanted)}

    async def append(self, events: Sequence[Event], /) -> None:
        """Insert events that continue the locked heads without gaps, and advance them."""
        if not events:
            return
        paths = {event.namespace for event in events}
        await self._lock_known(paths)
        heads = {path: head for path, head in self._session.heads.items() if path in paths}
        for event in events:
            expected = heads.get(event.namespace, -1) + 1
            if event.seq != expected:
                raise AssertionError(
                    f"event {event.seq} of {event.namespace!r} does not continue at {expected}"
                )
            heads[event.namespace] = event.seq
        ids = self._session.locked
        await self._session.insert(
            "events",
            ("namespace_id", *EVENT_COLUMNS),
            [(ids[event.namespace], *_values_of(event)) for event in events],
        )
        self._session.heads.update(heads)
        for path, head in heads.items():
            self._session.counters.move(ids[path], head)

    async def position(self, scope: Scope, /) -> FeedPosition:
        """Return the epoch and the sum of the heads in scope."""
        inside, parameters = scope_sql(scope)
        row = await self._session.row(f"SELECT {position_sql(inside)}", parameters)
        assert row is not None
        return FeedPosition(row[0], int(row[1]))

    async def after(self, namespace: Namespace, seq: int, /, *, limit: int) -> list[Event]:
        """Return events of one namespace beyond `seq`, in order."""
        rows = await self._session.rows(
            f"SELECT {', '.join(EVENT_COLUMNS)} FROM events"
            " WHERE namespace_id = (SELECT id FROM namespaces WHERE path = %s) AND seq > %s"
            " ORDER BY seq LIMIT %s",
            [namespace, seq, limit],
        )
        return [event_of(namespace, row) for row in rows]

    async def heads(
        self, scope: Scope, /, *, limit: int, after: Namespace | None = None
    ) -> dict[Namespace, int]:
        """Return one page of heads in path order."""
        inside, parameters = scope_sql(scope)
        return dict(
            await self._session.rows(
                f"SELECT path, head FROM namespaces WHERE {inside} AND path > %s"
                " ORDER BY path LIMIT %s",
                [*parameters, after or "", limit],
            )
        )

    async def _lock_known(self, namespaces: Iterable[Namespace]) -> None:
        """Lock those that are not locked yet and have a row: an event never makes one."""
        strange = [path for path in namespaces if path not in self._session.locked]
        if strange:
            rows = await self._session.rows(
                "SELECT path FROM namespaces WHERE path = ANY(%s::text[])", [strange]
            )
            await lock_namespaces(self._session, [path for (path,) in rows])


def position_sql(inside: str) -> str:
    """Return the two columns of a position, given a condition on `path`."""
    return (
        "(SELECT value FROM settings WHERE name = 'epoch'),"
        f" (SELECT coalesce(sum(head), 0) FROM namespaces WHERE {inside})"
    )


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
        changed=tuple(changed),
        link_target=None if link_target is None else MemoryId(link_target),
        link_type=link_type,
        trace=trace,
    )


def _values_of(event: Event) -> Row:
    return (
        event.seq,
        event.id,
        event.type.value,
        event.memory_id,
        event.version,
        micros(event.at),
        texts(event.changed),
        event.link_target,
        event.link_type,
        event.trace,
    )
