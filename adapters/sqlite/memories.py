# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Live memories: reading them. Changes are in `memory_changes`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from adapters.sqlite import memory_changes
from adapters.sqlite.filters import filter_sql
from adapters.sqlite.rows import (
    SELECTED,
    Row,
    coordinate_json,
    list_json,
    memory_of,
    memory_of_body,
    micros,
    moment_of,
    optional_moment,
    within_sql,
)
from adapters.sqlite.session import Session
from adapters.sqlite.standing import live, standing, unmoved, verify
from domain.filter import Filter
from domain.memory import Life, Memory, MemoryId, MemoryVersion
from domain.namespace import Namespace, Scope
from domain.ports import Claim, Cursor, SessionPlace, Standing, Verified

_JOINED = "memories m JOIN namespaces n ON n.id = m.namespace_id"


class SqliteMemories:
    """Implements `domain.ports.Memories`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, ids: Sequence[MemoryId], /) -> dict[MemoryId, Memory]:
        """Return the live ones among `ids`."""
        return await self._session.run(live, ids)

    async def verify(self, ids: Sequence[MemoryId], scope: Scope, filter: Filter, /) -> Verified:
        """Return those of `ids` that are live, in scope and pass, with the scope's heads."""
        return await self._session.run(verify, ids, scope, filter)

    async def standing(self, scope: Scope, claim: Claim, /, *, fact: str) -> Standing:
        """Hold a claim against the store, together with the scope's heads."""
        found = self._session.at_once(unmoved, scope, claim, fact)
        if found is not None:
            return found
        return await self._session.run(standing, scope, claim, fact)

    async def find(
        self, scope: Scope, filter: Filter, /, *, limit: int, after: Cursor | None = None
    ) -> list[Memory]:
        """Return one page, newest first."""
        return await self._session.run(_find, scope, filter, limit, after)

    async def find_ids(self, scope: Scope, filter: Filter, /) -> list[MemoryId]:
        """Return the ids of all matches."""
        return await self._session.run(_find_ids, scope, filter)

    async def not_erased(self, namespace: Namespace, /, *, limit: int) -> list[MemoryId]:
        """Return some ids, live or forgotten, whose content is still there."""
        return await self._session.run(_not_erased, namespace, limit)

    async def history(self, id: MemoryId, /) -> list[MemoryVersion]:
        """Return every version, newest first; only the newest of a forgotten one says when."""
        return await self._session.run(_history, id)

    async def life(self, id: MemoryId, /) -> tuple[Life, Namespace | None]:
        """Tell what has become of an id, and in which namespace it lives or lived."""
        return await self._session.run(_life, id)

    async def session_places(self, ids: Sequence[MemoryId], /) -> dict[MemoryId, SessionPlace]:
        """Return the session neighbours of those ids that are live and have a session."""
        return await self._session.run(_session_places, ids)

    async def by_content(self, namespace: Namespace, hashes: Sequence[str], /) -> dict[str, Memory]:
        """Return the oldest live memory for each content hash that has one."""
        return await self._session.run(_by_content, namespace, hashes)

    async def by_coordinate(
        self, namespace: Namespace, coordinates: Sequence[tuple[float, ...]], /
    ) -> dict[tuple[float, ...], Memory]:
        """Return the live memory at each occupied coordinate."""
        return await self._session.run(_by_coordinate, namespace, coordinates)

    async def add(self, memories: Sequence[Memory], /, *, actor: str) -> None:
        """Insert new memories (version 1, or as imported)."""
        await self._session.run(memory_changes.add, memories, actor)

    async def replace(self, memories: Sequence[Memory], /, *, actor: str) -> None:
        """Make each the current version; the version before becomes history."""
        await self._session.run(memory_changes.replace, memories, actor)

    async def forget(self, ids: Sequence[MemoryId], /, *, at: datetime, actor: str) -> None:
        """Hide memories and remove all that is derived from them; history stays."""
        await self._session.run(memory_changes.forget, ids, at, actor)

    async def erase(self, ids: Sequence[MemoryId], /, *, at: datetime, actor: str) -> None:
        """Remove everything but the bare id; the bytes go from the file at the commit."""
        self._session.erased = True
        await self._session.run(memory_changes.erase, ids, at, actor)


def _find(
    connection: sqlite3.Connection, scope: Scope, filter: Filter, limit: int, after: Cursor | None
) -> list[Memory]:
    within, scope_parameters = within_sql(scope)
    passes, parameters = filter_sql(filter)
    beyond, cursor = "1", list[object]()
    if after is not None:
        beyond, cursor = "(m.happened_at, m.id) < (?, ?)", [micros(after.happened_at), after.id]
    rows = connection.execute(
        f"SELECT {SELECTED} FROM {_JOINED} WHERE m.forgotten_at IS NULL AND {within}"
        f" AND {beyond} AND ({passes}) ORDER BY m.happened_at DESC, m.id DESC LIMIT ?",
        [*scope_parameters, *cursor, *parameters, limit],
    )
    return [memory_of(row) for row in rows]


def _find_ids(connection: sqlite3.Connection, scope: Scope, filter: Filter) -> list[MemoryId]:
    within, scope_parameters = within_sql(scope)
    passes, parameters = filter_sql(filter)
    rows = connection.execute(
        f"SELECT m.id FROM memories m WHERE m.forgotten_at IS NULL AND {within} AND ({passes})",
        [*scope_parameters, *parameters],
    )
    return [MemoryId(id) for (id,) in rows]


def _not_erased(connection: sqlite3.Connection, namespace: Namespace, limit: int) -> list[MemoryId]:
    # In two parts, as there is an index of the live and one of the forgotten.
    rows = connection.execute(
        "SELECT m.id FROM namespaces n CROSS JOIN memories m ON m.namespace_id = n.id"
        " WHERE n.path = ?1 AND m.forgotten_at IS NULL"
        " UNION ALL SELECT m.id FROM namespaces n CROSS JOIN memories m ON m.namespace_id = n.id"
        " WHERE n.path = ?1 AND m.forgotten_at IS NOT NULL AND m.erased_at IS NULL LIMIT ?2",
        [namespace, limit],
    )
    return [MemoryId(id) for (id,) in rows]


def _history(connection: sqlite3.Connection, id: MemoryId) -> list[MemoryVersion]:
    row: Row | None = connection.execute(
        f"SELECT m.number, m.recorded_by, m.forgotten_at, m.updated_at, {SELECTED}"
        f" FROM json_each(?) w CROSS JOIN {_JOINED}"
        " WHERE m.id = w.value AND m.erased_at IS NULL",
        [list_json([id])],
    ).fetchone()
    if row is None:
        return []
    number, recorded_by, forgotten_at, recorded_at, *columns = row
    current = memory_of(tuple(columns))
    newest = MemoryVersion(
        version=current.version,
        recorded_at=moment_of(recorded_at),
        recorded_by=recorded_by,
        memory=current,
        forgotten_at=optional_moment(forgotten_at),
    )
    earlier = connection.execute(
        "SELECT version, recorded_at, recorded_by, forgotten_at, body FROM memory_versions"
        " WHERE memory = ? ORDER BY version DESC",
        [number],
    )
    return [
        newest,
        *(
            MemoryVersion(
                version=version,
                recorded_at=moment_of(at),
                recorded_by=by,
                memory=memory_of_body(current.id, current.namespace, body),
                forgotten_at=optional_moment(forgotten),
            )
            for version, at, by, forgotten, body in earlier
        ),
    ]


def _life(connection: sqlite3.Connection, id: MemoryId) -> tuple[Life, Namespace | None]:
    row = connection.execute(
        "SELECT n.path, m.forgotten_at IS NOT NULL, m.erased_at IS NOT NULL"
        f" FROM json_each(?) w CROSS JOIN {_JOINED} WHERE m.id = w.value",
        [list_json([id])],
    ).fetchone()
    if row is None:
        return Life.UNKNOWN, None
    path, forgotten, erased = row
    life = Life.ERASED if erased else Life.FORGOTTEN if forgotten else Life.LIVE
    return life, Namespace(path)


def _beside(comparison: str, direction: str) -> str:
    return (
        "(SELECT o.id FROM memories o WHERE o.namespace_id = m.namespace_id"
        " AND o.session = m.session AND o.forgotten_at IS NULL"
        f" AND (o.happened_at, o.id) {comparison} (m.happened_at, m.id)"
        f" ORDER BY o.happened_at {direction}, o.id {direction} LIMIT 1)"
    )


_PLACES = (
    f"SELECT m.id, {_beside('<', 'DESC')}, {_beside('>', 'ASC')}"
    " FROM json_each(?) w CROSS JOIN memories m ON m.id = w.value"
    " WHERE m.forgotten_at IS NULL AND m.session IS NOT NULL"
)


def _session_places(
    connection: sqlite3.Connection, ids: Sequence[MemoryId]
) -> dict[MemoryId, SessionPlace]:
    return {
        id: SessionPlace(previous, following)
        for id, previous, following in connection.execute(_PLACES, [list_json(ids)])
    }


def _by_content(
    connection: sqlite3.Connection, namespace: Namespace, hashes: Sequence[str]
) -> dict[str, Memory]:
    rows = connection.execute(
        f"SELECT {SELECTED} FROM namespaces n CROSS JOIN json_each(?) w CROSS JOIN memories m"
        " ON m.number = (SELECT o.number FROM memories o WHERE o.namespace_id = n.id"
        " AND o.content_hash = w.value AND o.forgotten_at IS NULL"
        " ORDER BY o.created_at, o.id LIMIT 1) WHERE n.path = ?",
        [list_json(set(hashes)), namespace],
    )
    return {memory.content_hash: memory for memory in map(memory_of, rows)}


def _by_coordinate(
    connection: sqlite3.Connection,
    namespace: Namespace,
    coordinates: Sequence[tuple[float, ...]],
) -> dict[tuple[float, ...], Memory]:
    wanted = {coordinate_json(coordinate) for coordinate in coordinates}
    rows = connection.execute(
        f"SELECT {SELECTED} FROM namespaces n CROSS JOIN json_each(?) w CROSS JOIN memories m"
        " ON m.namespace_id = n.id AND m.coordinate = w.value AND m.forgotten_at IS NULL"
        " WHERE n.path = ?",
        [list_json(wanted), namespace],
    )
    memories = map(memory_of, rows)
    return {memory.coordinate: memory for memory in memories if memory.coordinate is not None}
