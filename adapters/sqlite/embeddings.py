# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Vectors of live memories, and the queue of those that are missing."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime

from adapters.sqlite.filling import discard, requeue
from adapters.sqlite.rows import FACTS, Row, facts_of, list_json, micros, optional_micros, to_json
from adapters.sqlite.session import Session
from domain.memory import MemoryId
from domain.namespace import Namespace
from domain.ports import Behind, Computed, Embedding, EmbeddingTask, IndexedVector, KeptStates
from domain.vector import VECTORS, Role, TokenStates, Vector

_OF_MEMORY = (
    "memory = (SELECT number FROM memories WHERE id = ? AND forgotten_at IS NULL) AND role = ?"
)

# Parameters: the model twice.
_INDEXED = (
    "SELECT m.id, own.vector, context.vector, m.valid_from, m.valid_to, m.expires_at,"
    f" {FACTS} FROM {{source}}"
    " LEFT JOIN embeddings own"
    f" ON own.memory = m.number AND own.role = '{Role.OWN}' AND own.model = ?2"
    " LEFT JOIN embeddings context"
    f" ON context.memory = m.number AND context.role = '{Role.CONTEXT}' AND context.model = ?2"
    " WHERE m.forgotten_at IS NULL AND (own.number IS NOT NULL OR context.number IS NOT NULL)"
)

_VECTORS = ", ".join(f"'{role}'" for role in VECTORS)
_STATES = f"'{Role.STATES}'"

# Parameters: ids as JSON, the model.
_COMPUTED = (
    "SELECT m.id, e.version, e.role, e.input_hash, e.vector FROM json_each(?) w"
    " CROSS JOIN memories m ON m.id = w.value"
    " CROSS JOIN embeddings e ON e.memory = m.number AND e.role IN ({roles}) AND e.model = ?"
    " WHERE m.forgotten_at IS NULL ORDER BY m.id, e.role"
)


class SqliteEmbeddings:
    """Implements `domain.ports.Embeddings`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def queue(
        self, tasks: Sequence[EmbeddingTask], /, *, model: str, lease_until: datetime | None
    ) -> None:
        """Delete these vectors of every model and note them as missing."""
        await self._session.run(_queue, tasks, model, lease_until)

    async def drop(self, tasks: Sequence[EmbeddingTask], /) -> None:
        """Delete these vectors of every model and their tasks."""
        await self._session.run(_drop, tasks)

    async def claim(
        self, model: str, /, *, now: datetime, lease_until: datetime, limit: int
    ) -> list[EmbeddingTask]:
        """Lease tasks whose lease is over, oldest first; they name the live version."""
        return await self._session.run(_claim, model, now, lease_until, limit)

    async def release(self) -> None:
        """Take back every lease."""
        await self._session.run(_release)

    async def store(self, computed: Sequence[Computed], /) -> list[Computed]:
        """Insert those whose memory is live at that version and drop their tasks; return them."""
        return await self._session.run(_store, computed)

    async def pending(self, model: str, ids: Sequence[MemoryId] | None = None, /) -> int:
        """Count missing vectors, of all memories or of these."""
        return await self._session.run(_pending, model, ids)

    async def behind(self, model: str, other: str, /, *, limit: int) -> Behind:
        """Count up to `limit` missing vectors of a model, and those of them the other has."""
        return await self._session.run(_behind, model, other, limit)

    async def page(
        self, namespace: Namespace, model: str, /, *, limit: int, after: MemoryId | None = None
    ) -> list[IndexedVector]:
        """Return live memories that have a vector, in id order."""
        return await self._session.run(_page, namespace, model, limit, after)

    async def of(self, ids: Sequence[MemoryId], model: str, /) -> list[IndexedVector]:
        """Return the live ones among `ids` that have a vector."""
        return await self._session.run(_of, ids, model)

    async def stored(self, ids: Sequence[MemoryId], model: str, /) -> list[Embedding]:
        """Return the vectors of the live ones among `ids` with what they were computed from."""
        return await self._session.run(_stored, ids, model)

    async def states(self, ids: Sequence[MemoryId], model: str, /) -> list[KeptStates]:
        """Return the token states of the live ones among `ids`."""
        return await self._session.run(_states, ids, model)

    async def requeue(
        self, model: str, roles: Collection[Role], /, *, limit: int, after: MemoryId | None
    ) -> MemoryId | None:
        """Queue what the next `limit` live memories lack; return the last id, None at the end."""
        return await self._session.run(requeue, model, roles, limit, after)

    async def discard(
        self, model: str, /, *, limit: int, after: MemoryId | None
    ) -> MemoryId | None:
        """Delete what the next `limit` live memories have of a model; return the last id."""
        return await self._session.run(discard, model, limit, after)


def remove_vectors(connection: sqlite3.Connection, numbers: str) -> None:
    """Remove vectors and tasks of memories (their numbers as JSON)."""
    for table in ("embeddings", "embedding_tasks"):
        connection.execute(
            f"DELETE FROM {table} WHERE memory IN (SELECT value FROM json_each(?))", [numbers]
        )


def _release(connection: sqlite3.Connection) -> None:
    connection.execute(
        "UPDATE embedding_tasks SET lease_until = NULL WHERE lease_until IS NOT NULL"
    )


def _queue(
    connection: sqlite3.Connection,
    tasks: Sequence[EmbeddingTask],
    model: str,
    lease_until: datetime | None,
) -> None:
    connection.executemany(f"DELETE FROM embeddings WHERE {_OF_MEMORY}", _keys(tasks))
    connection.executemany(
        "INSERT INTO embedding_tasks (memory, role, model, namespace_id, lease_until)"
        " SELECT number, ?, ?, namespace_id, ? FROM memories"
        " WHERE id = ? AND forgotten_at IS NULL"
        " ON CONFLICT (memory, role, model) DO UPDATE SET lease_until = excluded.lease_until",
        [(task.role.value, model, optional_micros(lease_until), task.memory_id) for task in tasks],
    )


def _drop(connection: sqlite3.Connection, tasks: Sequence[EmbeddingTask]) -> None:
    keys = _keys(tasks)
    connection.executemany(f"DELETE FROM embeddings WHERE {_OF_MEMORY}", keys)
    connection.executemany(f"DELETE FROM embedding_tasks WHERE {_OF_MEMORY}", keys)


def _keys(tasks: Sequence[EmbeddingTask]) -> list[tuple[str, str]]:
    return [(task.memory_id, task.role.value) for task in tasks]


def _claim(
    connection: sqlite3.Connection,
    model: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
) -> list[EmbeddingTask]:
    rows = connection.execute(
        "SELECT t.number, m.id, n.path, t.role, m.version FROM embedding_tasks t"
        " CROSS JOIN memories m ON m.number = t.memory"
        " CROSS JOIN namespaces n ON n.id = m.namespace_id"
        " WHERE t.model = ? AND (t.lease_until IS NULL OR t.lease_until <= ?)"
        " ORDER BY t.number LIMIT ?",
        [model, micros(now), limit],
    ).fetchall()
    connection.execute(
        "UPDATE embedding_tasks SET lease_until = ?"
        " WHERE number IN (SELECT value FROM json_each(?))",
        [micros(lease_until), to_json([row[0] for row in rows])],
    )
    return [
        EmbeddingTask(MemoryId(id), Namespace(path), Role(role), version)
        for _, id, path, role, version in rows
    ]


def _store(connection: sqlite3.Connection, computed: Sequence[Computed]) -> list[Computed]:
    live = {
        id: (number, version)
        for id, number, version in connection.execute(
            "SELECT m.id, m.number, m.version FROM json_each(?) w"
            " CROSS JOIN memories m ON m.id = w.value WHERE m.forgotten_at IS NULL",
            [list_json({one.memory_id for one in computed})],
        )
    }
    fresh = [
        (one, live[one.memory_id][0])
        for one in computed
        if one.memory_id in live and live[one.memory_id][1] == one.version
    ]
    connection.executemany(
        "INSERT INTO embeddings (memory, role, model, version, input_hash, vector)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (memory, role, model) DO UPDATE SET"
        " version = excluded.version, input_hash = excluded.input_hash, vector = excluded.vector",
        [
            (number, one.role.value, one.model, one.version, one.input_hash, one.data)
            for one, number in fresh
        ],
    )
    connection.executemany(
        "DELETE FROM embedding_tasks WHERE memory = ? AND role = ? AND model = ?",
        [(number, one.role.value, one.model) for one, number in fresh],
    )
    return [one for one, _ in fresh]


def _pending(connection: sqlite3.Connection, model: str, ids: Sequence[MemoryId] | None) -> int:
    if ids is None:
        row = connection.execute("SELECT count(*) FROM embedding_tasks WHERE model = ?", [model])
    else:
        row = connection.execute(
            "SELECT count(*) FROM json_each(?) w CROSS JOIN memories m ON m.id = w.value"
            " CROSS JOIN embedding_tasks t ON t.memory = m.number AND t.model = ?",
            [list_json(set(ids)), model],
        )
    return int(row.fetchone()[0])


def _behind(connection: sqlite3.Connection, model: str, other: str, limit: int) -> Behind:
    row = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM embedding_tasks o"
        " WHERE o.memory = t.memory AND o.role = t.role AND o.model = ?))"
        " FROM (SELECT memory, role FROM embedding_tasks WHERE model = ? LIMIT ?) t",
        [other, model, limit],
    )
    return Behind(*row.fetchone())


def _page(
    connection: sqlite3.Connection,
    namespace: Namespace,
    model: str,
    limit: int,
    after: MemoryId | None,
) -> list[IndexedVector]:
    source = "namespaces n CROSS JOIN memories m ON m.namespace_id = n.id"
    rows = connection.execute(
        f"{_INDEXED.format(source=source)} AND n.path = ?1 AND m.id > ?3 ORDER BY m.id LIMIT ?4",
        [namespace, model, after or "", limit],
    )
    return [_indexed(row) for row in rows]


def _of(connection: sqlite3.Connection, ids: Sequence[MemoryId], model: str) -> list[IndexedVector]:
    source = "json_each(?1) w CROSS JOIN memories m ON m.id = w.value"
    rows = connection.execute(_INDEXED.format(source=source), [list_json(set(ids)), model])
    return [_indexed(row) for row in rows]


def _stored(connection: sqlite3.Connection, ids: Sequence[MemoryId], model: str) -> list[Embedding]:
    rows = connection.execute(_COMPUTED.format(roles=_VECTORS), [list_json(set(ids)), model])
    return [
        Embedding(MemoryId(id), version, Role(role), model, input_hash, Vector(vector))
        for id, version, role, input_hash, vector in rows
    ]


def _states(
    connection: sqlite3.Connection, ids: Sequence[MemoryId], model: str
) -> list[KeptStates]:
    rows = connection.execute(_COMPUTED.format(roles=_STATES), [list_json(set(ids)), model])
    return [
        KeptStates(MemoryId(id), version, model, input_hash, TokenStates(states))
        for id, version, _, input_hash, states in rows
    ]


def _indexed(row: Row) -> IndexedVector:
    id, own, context, valid_from, valid_to, expires_at, *facts = row
    return IndexedVector(
        MemoryId(id),
        None if own is None else Vector(own),
        None if context is None else Vector(context),
        (
            _seconds(valid_from, -math.inf),
            _seconds(valid_to, math.inf),
            _seconds(expires_at, math.inf),
        ),
        facts_of(tuple(facts)),
    )


def _seconds(value: int | None, absent: float) -> float:
    return absent if value is None else value / 1_000_000
