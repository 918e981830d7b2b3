"""Brings a projection up to date the way the worker does, for tests of what reads from it."""

from __future__ import annotations

from adapters.qdrant.collection import Collection
from adapters.qdrant.index import QdrantIndex
from adapters.qdrant.projection import QdrantProjection
from domain.filter import Filter
from domain.lexical import AnalysedText
from domain.memory import Memory, MemoryId
from domain.namespace import Scope
from domain.ports import (
    CanonicalStore,
    Embedding,
    ProjectedMemory,
    Transaction,
    VectorNominations,
    VectorProjection,
)
from domain.vector import Vector


def projected(
    memory: Memory, *embeddings: Embedding, context: str | None = None
) -> ProjectedMemory:
    """Put together what a projection keeps of a memory; its terms are its words."""
    own = tuple(memory.content.split())
    terms = AnalysedText(own, own if context is None else tuple(context.split()))
    return ProjectedMemory(memory, embeddings, terms)


async def synchronise(
    store: CanonicalStore, projection: VectorProjection, model: str, *, share: float = 1.0
) -> None:
    """Apply a share of the events that the projection lacks, the oldest of each namespace first."""
    name = await projection.open()
    async with store.writing() as tx:
        assert await tx.projections.lock_shard(name, 0)
        events = await tx.projections.outstanding(name, shard=0, shards=1, limit=10_000)
        events = events[: round(len(events) * share)]
        ids = sorted({event.memory_id for event in events})
        live = await _projected(tx, ids, model)
        if live:
            await projection.put(live)
        held = {item.memory.id for item in live}
        if gone := [id for id in ids if id not in held]:
            await projection.remove(gone)
        await tx.projections.advance(name, {event.namespace: event.seq for event in events})


async def _projected(tx: Transaction, ids: list[MemoryId], model: str) -> list[ProjectedMemory]:
    memories = await tx.memories.get(ids)
    embeddings = await tx.embeddings.stored(ids, model)
    return [
        projected(memory, *(one for one in embeddings if one.memory_id == memory.id))
        for memory in memories.values()
    ]


class FollowedQdrant(QdrantIndex):
    """An index behind which a worker has just applied a share of what is new."""

    def __init__(
        self, store: CanonicalStore, collection: Collection, *, share: float = 1.0
    ) -> None:
        super().__init__(store, collection)
        self._followed = (store, QdrantProjection(collection), collection.model)
        self._share = share

    async def nominate(
        self, vector: Vector, scope: Scope, filter: Filter, /, *, limit: int
    ) -> VectorNominations:
        """Let the worker run, then nominate."""
        await self.catch_up(scope)
        return await super().nominate(vector, scope, filter, limit=limit)

    async def catch_up(self, scope: Scope, /) -> None:
        """Let the worker run."""
        store, projection, model = self._followed
        await synchronise(store, projection, model, share=self._share)
