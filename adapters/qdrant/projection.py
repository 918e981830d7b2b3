"""The writing side: puts memories into Qdrant and takes them out, each step confirmed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from adapters.qdrant.collection import Collection
from adapters.qdrant.filters import memories_filter, namespace_filter
from adapters.qdrant.points import point_ids, points_of, size_of
from domain.errors import IndexUnavailable
from domain.memory import MemoryId
from domain.namespace import Namespace
from domain.ports import ProjectedMemory

if TYPE_CHECKING:
    from qdrant_client import models

MEMORIES_AT_ONCE = 100
BYTES_AT_ONCE = 8 * 1024 * 1024
IDS_AT_ONCE = 1000
#: The share of namespaces that is being projected is held for a minute without a sign of life.
SECONDS_AT_MOST = 45.0


class QdrantProjection:
    """Implements `domain.ports.VectorProjection`.

    `put`, `remove` and `clear` end with a look at the collection: what went into another one than
    `open` named is refused as `IndexUnavailable`, and `open` names the new one.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._title: str | None = None

    async def open(self) -> str:
        """Make the collection where there is none; return its name with its generation."""
        self._title = await self._collection.opened()
        return self._title

    async def put(self, memories: Sequence[ProjectedMemory], /) -> None:
        """Write points, then remove what they supersede.

        These are named one by one: should a removal reach Qdrant late, after its writer has given
        up on it, it hits nothing that was written meanwhile.
        """
        title = self._title or await self.open()
        try:
            async with asyncio.timeout(SECONDS_AT_MOST):
                for portion in _portions(memories):
                    await self._put(portion)
                await self._collection.confirm(title)
        except TimeoutError as error:
            raise IndexUnavailable("Qdrant is too slow to be written to") from error

    async def remove(self, ids: Sequence[MemoryId], /) -> None:
        """Remove every point of these memories."""
        from qdrant_client import models

        title = self._title or await self.open()
        for start in range(0, len(ids), IDS_AT_ONCE):
            wanted = memories_filter(ids[start : start + IDS_AT_ONCE])
            await self._delete(models.FilterSelector(filter=wanted))
        await self._collection.confirm(title)

    async def clear(self, namespace: Namespace, /) -> None:
        """Remove every point of one namespace."""
        from qdrant_client import models

        title = self._title or await self.open()
        await self._delete(models.FilterSelector(filter=namespace_filter(namespace)))
        await self._collection.confirm(title)

    def points(self, memory: ProjectedMemory, /) -> frozenset[str]:
        """Return the ids of the points that `put` writes for a memory."""
        return point_ids(memory)

    async def held(self, ids: Sequence[MemoryId], /) -> dict[MemoryId, frozenset[str]]:
        """Return the ids of the points that there are of each of these memories."""
        held: defaultdict[MemoryId, set[str]] = defaultdict(set)
        for start in range(0, len(ids), IDS_AT_ONCE):
            wanted = memories_filter(ids[start : start + IDS_AT_ONCE])
            offset: str | None = None
            while True:
                page, offset = await self._page(wanted, IDS_AT_ONCE, offset)
                for point, memory in page:
                    held[memory].add(point)
                if offset is None:
                    break
        return {memory: frozenset(points) for memory, points in held.items()}

    async def contents(
        self, namespace: Namespace, /, *, limit: int, after: str | None = None
    ) -> list[tuple[str, MemoryId]]:
        """Return one page of (point id, memory id), in point id order."""
        # A page of Qdrant begins with its offset, which was the last of the page before.
        page, _ = await self._page(namespace_filter(namespace), limit + 1, after)
        return [entry for entry in page if entry[0] != after][:limit]

    async def ping(self) -> None:
        """Raise `IndexUnavailable` when nothing answers."""
        await self._collection.read(lambda client, name: client.collection_exists(name))

    async def _put(self, memories: Sequence[ProjectedMemory]) -> None:
        from qdrant_client import models

        points = await asyncio.to_thread(_points, memories)
        await self._collection.write(
            lambda client, name: client.upsert(
                name, points, wait=True, ordering=models.WriteOrdering.MEDIUM
            )
        )
        written = {str(point.id) for point in points}
        held = await self.held([item.memory.id for item in memories])
        superseded = sorted(id for ids in held.values() for id in ids if id not in written)
        if superseded:
            await self._delete(models.PointIdsList(points=list(superseded)))

    async def _delete(self, which: models.FilterSelector | models.PointIdsList) -> None:
        from qdrant_client import models

        await self._collection.write(
            lambda client, name: client.delete(
                name, which, wait=True, ordering=models.WriteOrdering.MEDIUM
            )
        )

    async def _page(
        self, which: models.Filter, limit: int, offset: str | None
    ) -> tuple[list[tuple[str, MemoryId]], str | None]:
        found, following = await self._collection.read(
            lambda client, name: client.scroll(
                name,
                scroll_filter=which,
                limit=limit,
                offset=offset,
                with_payload=["memory"],
                consistency=self._collection.layout.consistency,
            )
        )
        page = [(str(point.id), MemoryId((point.payload or {})["memory"])) for point in found]
        return page, None if following is None else str(following)


def _points(memories: Sequence[ProjectedMemory]) -> list[models.PointStruct]:
    return [point for item in memories for point in points_of(item)]


def _portions(memories: Sequence[ProjectedMemory]) -> Iterator[list[ProjectedMemory]]:
    """Group memories within the limits of count and bytes."""
    portion: list[ProjectedMemory] = []
    size = 0
    for item in memories:
        cost = size_of(item)
        if portion and (len(portion) == MEMORIES_AT_ONCE or size + cost > BYTES_AT_ONCE):
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += cost
    if portion:
        yield portion
