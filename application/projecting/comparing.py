"""Hold the vector index outside the store against the truth, and mend what differs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from application.projecting.vectors import Projector, write_anew
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope
from domain.ports import CanonicalStore, Cursor, ProjectedMemory, VectorProjection

PAGE = 500
LATE_MAX = 10_000


@dataclass(frozen=True, kw_only=True)
class CompareVectors:
    """Find the memories of a namespace that the vector index holds wrongly, or should not hold.

    What changed beyond the watermark is not wrong but late, and left out; a namespace of which too
    much is late to be named cannot be compared (`is_far_behind`).
    """

    store: CanonicalStore
    projection: VectorProjection
    projector: Projector

    async def __call__(self, namespace: Namespace) -> AsyncIterator[MemoryId]:
        """Yield ids; raises `IndexUnavailable` and `StoreUnavailable`."""
        name = await self.projection.open()
        async for ids in self._suspects(namespace):
            if not ids:
                continue
            # What was written meanwhile is late by now, or looks right at the second glance.
            late = await self._late(name, namespace)
            for id in await self._unlike(ids):
                if late is not None and id not in late:
                    yield id

    async def is_far_behind(self, namespace: Namespace) -> bool:
        """Tell whether so much is late that nothing can be called wrong."""
        return await self._late(await self.projection.open(), namespace) is None

    async def repair(self, namespace: Namespace, goes_on: Callable[[], Awaitable[None]]) -> int:
        """Write or remove what differs; return how many memories were concerned.

        `goes_on` is called after every page, whether something differed or not.
        """
        await self.projection.open()
        repaired = 0
        async for ids in self._suspects(namespace):
            await goes_on()
            if not ids:
                continue
            async with self.store.reading() as tx:
                live = await self.projector.read(tx, ids)
            await write_anew(self.projection, ids, live)
            repaired += len(ids)
        return repaired

    async def _suspects(self, namespace: Namespace) -> AsyncIterator[list[MemoryId]]:
        """Yield, page by page, the ids that are held otherwise than they should be: often none."""
        after: Cursor | None = None
        while True:
            async with self.store.reading() as tx:
                page = await tx.memories.find(Scope(namespace), Filter(), limit=PAGE, after=after)
            yield await self._unlike([memory.id for memory in page])
            if len(page) < PAGE:
                break
            after = Cursor(page[-1].happened_at, page[-1].id)
        point: str | None = None
        while held := await self.projection.contents(namespace, limit=PAGE, after=point):
            ids = list(dict.fromkeys(id for _, id in held))
            async with self.store.reading() as tx:
                live = await tx.memories.get(ids)
            yield [id for id in ids if id not in live]
            point = held[-1][0]

    async def _unlike(self, ids: list[MemoryId]) -> list[MemoryId]:
        """Return those whose points are not what the store would have them be."""
        async with self.store.reading() as tx:
            live = {item.memory.id: item for item in await self.projector.read(tx, ids)}
        held = await self.projection.held(ids)
        return [id for id in ids if held.get(id, frozenset()) != self._wanted(live.get(id))]

    def _wanted(self, item: ProjectedMemory | None) -> frozenset[str]:
        return frozenset() if item is None else self.projection.points(item)

    async def _late(self, name: str, namespace: Namespace) -> set[MemoryId] | None:
        """Return what is known to be late; None when that is too much to name."""
        async with self.store.reading() as tx:
            lag = await tx.projections.lag(name, Scope(namespace), limit=LATE_MAX)
        return set(lag.touched) if lag.complete else None
