"""Keep the vector index outside the store in step with the change feed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from application.indexing.surroundings import analysed, surroundings
from application.projecting.following import Follower
from domain.errors import SomaError, Unavailable
from domain.events import Event, EventType
from domain.memory import MemoryId
from domain.messaging import MessageSource
from domain.ports import (
    Analyser,
    CanonicalStore,
    Embedder,
    Embedding,
    ProjectedMemory,
    Transaction,
    VectorProjection,
)

RETRY_SECONDS_MIN = 0.25
RETRY_SECONDS_MAX = 5.0
_CONCERNS_VECTORS = {
    EventType.REMEMBERED,
    EventType.REVISED,
    EventType.EMBEDDED,
    EventType.FORGOTTEN,
    EventType.ERASED,
}


@dataclass(frozen=True, kw_only=True)
class Projector:
    """Reads memories as an index keeps them: with their vectors and their index terms."""

    analyser: Analyser
    embedder: Embedder

    async def read(self, tx: Transaction, ids: Sequence[MemoryId]) -> list[ProjectedMemory]:
        """Return the live ones among `ids`."""
        near = await surroundings(tx, ids)
        live = [id for id in ids if id in near.memories]
        vectors: dict[MemoryId, list[Embedding]] = {id: [] for id in live}
        for embedding in await tx.embeddings.stored(live, self.embedder.model.id):
            vectors[embedding.memory_id].append(embedding)
        terms = await asyncio.to_thread(analysed, self.analyser, near, live)
        return [ProjectedMemory(near.memories[id], tuple(vectors[id]), terms[id]) for id in live]


@dataclass(frozen=True, kw_only=True)
class ProjectVectors:
    """Bring the vector index up to the head of every namespace."""

    store: CanonicalStore
    follower: Follower
    projection: VectorProjection
    projector: Projector

    async def __call__(self) -> int:
        """Return how many events were applied; 0 when the index is current.

        Raises `IndexUnavailable` or `StoreUnavailable`.
        """
        return await self.follower.follow(await self.projection.open(), self._apply)

    async def _apply(self, events: Sequence[Event], _: str) -> None:
        """Write what lives now, which may be newer than the events, and remove the rest.

        Read in a transaction of its own: reading in a change may lock what others want to write,
        and the index may let us wait.
        """
        touched = sorted({e.memory_id for e in events if e.type in _CONCERNS_VECTORS})
        async with self.store.reading() as tx:
            live = await self.projector.read(tx, touched)
        await write_anew(self.projection, touched, live)


async def write_anew(
    projection: VectorProjection, ids: Sequence[MemoryId], live: Sequence[ProjectedMemory]
) -> None:
    """Make the index hold of these memories those that live, as they are, and no others."""
    gone = set(ids).difference(item.memory.id for item in live)
    if live:
        await projection.put(live)
    if gone:
        await projection.remove(sorted(gone))


@dataclass(frozen=True, kw_only=True)
class FollowEvents:
    """Project as soon as the event log says that something happened.

    The messages are wake-ups only: what has to be done is read from the feed, so duplicates, gaps
    and retention cannot matter. They are done when the index is current.
    """

    project: Callable[[], Awaitable[int]]
    source: MessageSource
    topic: str
    group: str
    report: Callable[[SomaError], None]

    async def __call__(self) -> None:
        """Run until cancelled."""
        async with self.source.subscribe(self.topic, self.group) as subscription:
            async for batch in subscription.batches():
                await self._until_current()
                await subscription.done(batch)

    async def _until_current(self) -> None:
        patience = RETRY_SECONDS_MIN
        while True:
            try:
                while await self.project():
                    patience = RETRY_SECONDS_MIN
                return
            except Unavailable as error:
                self.report(error)
                await asyncio.sleep(patience)
                patience = min(patience * 2, RETRY_SECONDS_MAX)
