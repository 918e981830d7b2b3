"""Writes to a real canonical store the way the use cases do, for tests of projections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from domain.events import Event, EventType
from domain.link import Link
from domain.memory import Kind, Memory, MemoryId, Payload, Source, content_hash
from domain.namespace import Namespace
from domain.ports import CanonicalStore, Embedding, Transaction
from domain.vector import Role, Vector, unit_vector

MODEL = "given:3"
START = datetime(2026, 1, 1, tzinfo=UTC)


class Journal:
    """Every method is one transaction with its events, as the application would make it."""

    def __init__(self, store: CanonicalStore) -> None:
        self.store = store
        self.memories: dict[MemoryId, Memory] = {}

    async def remember(
        self,
        id: str,
        namespace: str = "default",
        *,
        own: Sequence[float] | None = None,
        context: Sequence[float] | None = None,
        tags: tuple[str, ...] = (),
        payload: Payload | None = None,
        valid_from: datetime | None = None,
        valid_to: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> MemoryId:
        """Store a memory and, in the same transaction, its vectors."""
        memory = _memory(id, namespace, tags, valid_from, valid_to)
        memory = replace(memory, expires_at=expires_at, payload=payload or {})
        async with self.store.writing() as tx:
            seq = await self._append(tx, memory, EventType.REMEMBERED)
            await tx.memories.add([replace(memory, seq=seq)], actor="test")
            await self._embed(tx, memory, own, context)
        self.memories[memory.id] = memory
        return memory.id

    async def embed(
        self,
        id: MemoryId,
        *,
        own: Sequence[float] | None = None,
        context: Sequence[float] | None = None,
    ) -> None:
        """Store vectors of a memory, replacing those of the same role."""
        async with self.store.writing() as tx:
            await self._embed(tx, self.memories[id], own, context)

    async def forget(self, id: MemoryId) -> None:
        """Forget a memory."""
        memory = self.memories.pop(id)
        async with self.store.writing() as tx:
            await self._append(tx, memory, EventType.FORGOTTEN)
            await tx.memories.forget([id], at=START, actor="test")

    async def link(
        self, source: MemoryId, target: MemoryId, type: str = "next", weight: float = 1.0
    ) -> Link:
        """Link two memories, or replace the link."""
        here, there = self.memories[source], self.memories[target]
        async with self.store.writing() as tx:
            seq = await self._append(tx, here, EventType.LINKED)
            if there.namespace != here.namespace:
                await self._append(tx, replace(there, id=source), EventType.LINKED)
            link = Link(
                source=source, target=target, type=type, weight=weight, created_at=START, seq=seq
            )
            await tx.links.put([link])
        return link

    async def unlink(self, source: MemoryId, target: MemoryId, type: str = "next") -> None:
        """Remove a link."""
        async with self.store.writing() as tx:
            await self._append(tx, self.memories[source], EventType.UNLINKED)
            assert await tx.links.remove(source, target, type)

    async def _embed(
        self,
        tx: Transaction,
        memory: Memory,
        own: Sequence[float] | None,
        context: Sequence[float] | None,
    ) -> None:
        given = {Role.OWN: own, Role.CONTEXT: context}
        embeddings = [
            Embedding(memory.id, memory.version, role, MODEL, "given", _vector(values))
            for role, values in given.items()
            if values is not None
        ]
        if embeddings:
            await tx.embeddings.store(embeddings)
            await self._append(tx, memory, EventType.EMBEDDED)

    async def _append(self, tx: Transaction, memory: Memory, type: EventType) -> int:
        heads = await tx.feed.lock([memory.namespace])
        seq = heads[memory.namespace] + 1
        event = Event(
            id=f"{memory.namespace}:{seq}",
            namespace=memory.namespace,
            seq=seq,
            type=type,
            memory_id=memory.id,
            version=memory.version,
            at=START,
        )
        await tx.feed.append([event])
        return seq


def moment(days: float) -> datetime:
    """Return a time some days after the start."""
    return START + timedelta(days=days)


def _vector(values: Sequence[float]) -> Vector:
    return unit_vector(values)


def _memory(
    id: str,
    namespace: str,
    tags: tuple[str, ...],
    valid_from: datetime | None,
    valid_to: datetime | None,
) -> Memory:
    content = f"memory {id}"
    return Memory(
        id=MemoryId(id),
        namespace=Namespace(namespace),
        kind=Kind.EPISODIC,
        content=content,
        content_hash=content_hash(
            content=content,
            kind=Kind.EPISODIC,
            valid_from=valid_from,
            valid_to=valid_to,
            occurred_at=None,
            source=Source(),
        ),
        created_at=START,
        updated_at=START,
        version=1,
        seq=0,
        tags=tags,
        valid_from=valid_from,
        valid_to=valid_to,
    )
