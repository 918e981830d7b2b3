# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Vectors of live memories, and the queue of those that are missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from adapters.postgres.rows import FACTS, Row, indexed_of, micros, optional_micros, storable
from adapters.postgres.session import Session
from domain.memory import MemoryId
from domain.namespace import Namespace
from domain.ports import (
    GIVEN,
    Behind,
    Computed,
    Embedding,
    EmbeddingTask,
    IndexedVector,
    KeptStates,
)
from domain.vector import VECTORS, Role, TokenStates, Vector

_COLUMNS = ("memory", "role", "model", "version", "input_hash", "vector")
_TYPES = ("int8", "text", "text", "int8", "text", "bytea")

# Parameters: ids and roles.
_OF_TASKS = (
    "(SELECT m.number, m.namespace_id, w.role, w.place FROM"
    " unnest(%s::text[], %s::text[]) WITH ORDINALITY w (id, role, place)"
    " JOIN memories m ON m.id = w.id WHERE m.forgotten_at IS NULL)"
)

# Parameters: the model twice.
_INDEXED = (
    "SELECT m.id, own.vector, context.vector, m.valid_from, m.valid_to, m.expires_at,"
    f" {FACTS} FROM memories m"
    " LEFT JOIN embeddings own"
    f" ON own.memory = m.number AND own.role = '{Role.OWN}' AND own.model = %s"
    " LEFT JOIN embeddings context"
    f" ON context.memory = m.number AND context.role = '{Role.CONTEXT}' AND context.model = %s"
    " WHERE m.forgotten_at IS NULL AND (own.memory IS NOT NULL OR context.memory IS NOT NULL)"
)

# Which memories need what; only one with a session neighbour has a context.
_NEEDED = {
    Role.OWN: "true",
    Role.CONTEXT: (
        "EXISTS (SELECT 1 FROM memories o WHERE o.namespace_id = m.namespace_id"
        " AND o.session = m.session AND o.forgotten_at IS NULL AND o.number <> m.number)"
    ),
    # Who brings a vector does not want the model to run.
    Role.STATES: (
        "NOT EXISTS (SELECT 1 FROM embeddings g WHERE g.memory = m.number"
        f" AND g.role = '{Role.OWN.value}' AND g.input_hash = '{GIVEN}')"
    ),
}


class PostgresEmbeddings:
    """Implements `domain.ports.Embeddings`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._blank = session.without_vectors

    async def queue(
        self, tasks: Sequence[EmbeddingTask], /, *, model: str, lease_until: datetime | None
    ) -> None:
        """Delete these vectors of every model and note them as missing, in the order given."""
        once = list({(task.memory_id, task.role): task for task in tasks}.values())
        if not once:
            return
        added = self._session.added
        self._blank.difference_update(added[t.memory_id][0] for t in once if t.memory_id in added)
        await self._delete("embeddings", once)
        await self._session.run(
            "INSERT INTO embedding_tasks (memory, role, model, namespace_id, lease_until)"
            f" SELECT number, role, %s, namespace_id, %s FROM {_OF_TASKS} w ORDER BY place"
            " ON CONFLICT (memory, role, model) DO UPDATE SET lease_until = excluded.lease_until",
            [model, optional_micros(lease_until), *_keys(once)],
        )

    async def drop(self, tasks: Sequence[EmbeddingTask], /) -> None:
        """Delete these vectors of every model and their tasks."""
        await self._delete("embeddings", tasks)
        await self._delete("embedding_tasks", tasks)

    async def release(self) -> None:
        """Take back every lease."""
        await self._session.run(
            "UPDATE embedding_tasks SET lease_until = NULL WHERE lease_until IS NOT NULL"
        )

    async def claim(
        self, model: str, /, *, now: datetime, lease_until: datetime, limit: int
    ) -> list[EmbeddingTask]:
        """Lease tasks whose lease is over, oldest first; workers never wait for each other."""
        rows = await self._session.rows(
            "WITH due AS (SELECT number, memory, role FROM embedding_tasks"
            " WHERE model = %s AND (lease_until IS NULL OR lease_until <= %s)"
            " ORDER BY number LIMIT %s FOR UPDATE SKIP LOCKED),"
            " leased AS (UPDATE embedding_tasks t SET lease_until = %s FROM due"
            " WHERE t.number = due.number RETURNING t.number)"
            " SELECT m.id, n.path, due.role, m.version FROM due"
            " JOIN memories m ON m.number = due.memory"
            " JOIN namespaces n ON n.id = m.namespace_id ORDER BY due.number",
            [model, micros(now), limit, micros(lease_until)],
        )
        return [
            EmbeddingTask(MemoryId(id), Namespace(path), Role(role), version)
            for id, path, role, version in rows
        ]

    async def store(self, computed: Sequence[Computed], /) -> list[Computed]:
        """Insert those whose memory is live at that version and drop their tasks; return them."""
        if not computed:
            return []
        live = await self._live({one.memory_id for one in computed})
        fresh = [
            (one, live[one.memory_id][0])
            for one in computed
            if one.memory_id in live and live[one.memory_id][1] == one.version
        ]
        # One statement cannot replace the same row twice: the last one counts.
        keyed = {(number, one.role.value, one.model): one for one, number in fresh}
        if keyed:
            await self._insert(keyed)
        return [one for one, _ in fresh]

    async def _live(self, ids: set[MemoryId]) -> dict[str, tuple[int, int]]:
        """Return number and version of the live ones, which stay so until the vectors are in.

        Who computed the same vectors waits: then it finds these and replaces them.
        """
        added = self._session.added
        live = {str(id): (added[id][0], added[id][2]) for id in ids if id in added}
        others = [id for id in ids if id not in added]
        if others:
            rows = await self._session.rows(
                "SELECT id, number, version FROM memories WHERE id = ANY(%s::text[])"
                " AND forgotten_at IS NULL ORDER BY number FOR NO KEY UPDATE",
                [others],
            )
            live.update({id: (number, version) for id, number, version in rows})
        return live

    async def _insert(self, keyed: dict[tuple[int, str, str], Computed]) -> None:
        ordered = sorted(keyed)
        # Deleted and copied: COPY has no ON CONFLICT, and takes vectors ten times as fast.
        await self._make_room([key for key in ordered if key[0] not in self._blank])
        self._blank.difference_update(number for number, _, _ in ordered)
        await self._session.insert(
            "embeddings",
            _COLUMNS,
            [(*key, keyed[key].version, keyed[key].input_hash, keyed[key].data) for key in ordered],
            types=_TYPES,
        )

    async def _make_room(self, keys: Sequence[tuple[int, str, str]]) -> None:
        """Delete vectors and the tasks to compute them."""
        if not keys:
            return
        await self._session.run(
            "WITH w AS (SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[])"
            " w (memory, role, model)), computed AS (DELETE FROM embedding_tasks t USING w"
            " WHERE t.memory = w.memory AND t.role = w.role AND t.model = w.model)"
            " DELETE FROM embeddings e USING w"
            " WHERE e.memory = w.memory AND e.role = w.role AND e.model = w.model",
            [list(column) for column in zip(*keys, strict=True)],
        )

    async def pending(self, model: str, ids: Sequence[MemoryId] | None = None, /) -> int:
        """Count missing vectors, of all memories or of these."""
        of_these, parameters = "", list[object]()
        if ids is not None:
            of_these = " AND memory IN (SELECT number FROM memories WHERE id = ANY(%s::text[]))"
            parameters = [storable(ids)]
        row = await self._session.row(
            f"SELECT count(*) FROM embedding_tasks WHERE model = %s{of_these}",
            [model, *parameters],
        )
        assert row is not None
        return int(row[0])

    async def behind(self, model: str, other: str, /, *, limit: int) -> Behind:
        """Count up to `limit` missing vectors of a model, and those of them the other has."""
        row = await self._session.row(
            "SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM embedding_tasks o"
            " WHERE o.memory = t.memory AND o.role = t.role AND o.model = %s))"
            " FROM (SELECT memory, role FROM embedding_tasks WHERE model = %s LIMIT %s) t",
            [other, model, limit],
        )
        assert row is not None
        return Behind(*row)

    async def page(
        self, namespace: Namespace, model: str, /, *, limit: int, after: MemoryId | None = None
    ) -> list[IndexedVector]:
        """Return live memories that have a vector, in id order."""
        rows = await self._session.rows(
            f"{_INDEXED} AND m.namespace_id = (SELECT id FROM namespaces WHERE path = %s)"
            " AND m.id > %s ORDER BY m.id LIMIT %s",
            [model, model, namespace, after or "", limit],
        )
        return [indexed_of(row) for row in rows]

    async def of(self, ids: Sequence[MemoryId], model: str, /) -> list[IndexedVector]:
        """Return the live ones among `ids` that have a vector."""
        rows = await self._session.rows(
            f"{_INDEXED} AND m.id = ANY(%s::text[])", [model, model, storable(ids)]
        )
        return [indexed_of(row) for row in rows]

    async def stored(self, ids: Sequence[MemoryId], model: str, /) -> list[Embedding]:
        """Return the vectors of the live ones among `ids` with what they were computed from."""
        return [
            Embedding(MemoryId(id), version, Role(role), model, input_hash, Vector(bytes(vector)))
            for id, version, role, input_hash, vector in await self._computed(ids, model, VECTORS)
        ]

    async def states(self, ids: Sequence[MemoryId], model: str, /) -> list[KeptStates]:
        """Return the token states of the live ones among `ids`."""
        rows = await self._computed(ids, model, (Role.STATES,))
        return [
            KeptStates(MemoryId(id), version, model, input_hash, TokenStates(bytes(states)))
            for id, version, _, input_hash, states in rows
        ]

    async def _computed(
        self, ids: Sequence[MemoryId], model: str, roles: Sequence[Role]
    ) -> list[Row]:
        return await self._session.rows(
            "SELECT m.id, e.version, e.role, e.input_hash, e.vector FROM memories m"
            " JOIN embeddings e ON e.memory = m.number AND e.role = ANY(%s::text[])"
            " AND e.model = %s"
            " WHERE m.id = ANY(%s::text[]) AND m.forgotten_at IS NULL ORDER BY m.id, e.role",
            [[role.value for role in roles], model, storable(ids)],
        )

    async def requeue(
        self, model: str, roles: Collection[Role], /, *, limit: int, after: MemoryId | None
    ) -> MemoryId | None:
        """Queue what the next `limit` live memories lack; return the last id, None at the end."""
        ids = await self._next_live(limit, after)
        self._blank.clear()
        for role in roles:
            await self._session.run(
                "INSERT INTO embedding_tasks (memory, role, model, namespace_id)"
                " SELECT m.number, %s, %s, m.namespace_id FROM memories m"
                " WHERE m.id = ANY(%s::text[]) AND m.forgotten_at IS NULL"
                " AND NOT EXISTS (SELECT 1 FROM embeddings e"
                " WHERE e.memory = m.number AND e.role = %s AND e.model = %s)"
                f" AND {_NEEDED[role]} ORDER BY m.id ON CONFLICT (memory, role, model) DO NOTHING",
                [role.value, model, ids, role.value, model],
            )
        return MemoryId(ids[-1]) if ids else None

    async def discard(
        self, model: str, /, *, limit: int, after: MemoryId | None
    ) -> MemoryId | None:
        """Delete what the next `limit` live memories have of a model; return the last id."""
        ids = await self._next_live(limit, after)
        for table in ("embeddings", "embedding_tasks"):
            await self._session.run(
                f"DELETE FROM {table} t USING memories m WHERE m.number = t.memory"
                " AND t.model = %s AND m.id = ANY(%s::text[])",
                [model, ids],
            )
        return MemoryId(ids[-1]) if ids else None

    async def _next_live(self, limit: int, after: MemoryId | None) -> list[str]:
        rows = await self._session.rows(
            "SELECT id FROM memories WHERE forgotten_at IS NULL AND id > %s ORDER BY id LIMIT %s",
            [after or "", limit],
        )
        return [id for (id,) in rows]

    async def _delete(self, table: str, tasks: Sequence[EmbeddingTask]) -> None:
        if tasks:
            await self._session.run(
                f"DELETE FROM {table} t USING {_OF_TASKS} w"
                " WHERE t.memory = w.number AND t.role = w.role",
                _keys(tasks),
            )


async def remove_vectors(session: Session, numbers: Sequence[int]) -> None:
    """Remove vectors and tasks of memories."""
    for table in ("embeddings", "embedding_tasks"):
        await session.run(f"DELETE FROM {table} WHERE memory = ANY(%s::bigint[])", [list(numbers)])


def _keys(tasks: Sequence[EmbeddingTask]) -> list[object]:
    return [[task.memory_id for task in tasks], [task.role.value for task in tasks]]
