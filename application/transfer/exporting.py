"""Carry memories out of a store, in one streamed pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from application.access.subtree import seen_from
from application.jobs.steps import Steps, Unwatched
from application.storing.planning import Planner
from domain.errors import InvalidInput, MemoryNotFound
from domain.filter import Filter
from domain.memory import Memory, MemoryId
from domain.namespace import Namespace, Scope
from domain.ports import CanonicalStore, Cursor, Transaction
from domain.transfer import ExportedLink, ExportedMemory, ExportedVersion, ExportRecord
from domain.vector import Vector

PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Export:
    """Stream every live memory of a scope with its versions, then the links, page by page."""

    store: CanonicalStore
    planner: Planner

    async def __call__(
        self,
        scope: Scope,
        *,
        vectors: bool = False,
        after: str | None = None,
        within: Namespace | None = None,
        steps: Steps | None = None,
    ) -> AsyncIterator[ExportRecord]:
        """Yield records; `vectors` adds each memory's own vector.

        `after` goes on after a memory, by its id, or after a link, as "<source>,<target>,<type>".
        Raises `MemoryNotFound` when that memory has been erased, never was, or is outside `within`.
        """
        steps = steps or Unwatched()
        store = seen_from(self.store, within)
        done = steps.done
        place = await _place(store, after)
        while not isinstance(place, tuple):
            async with store.reading() as tx:
                page = await tx.memories.find(scope, Filter(), limit=PAGE, after=place)
                records = await self._records(tx, page, vectors)
            for record in records:
                yield record
            done += len(page)
            await steps.keep(None, done=done)
            if len(page) < PAGE:
                break
            place = Cursor(page[-1].happened_at, page[-1].id)
        last = place if isinstance(place, tuple) else None
        while True:
            async with store.reading() as tx:
                links = await tx.links.page(scope, limit=PAGE, after=last)
            for link in links:
                yield ExportedLink(link)
            done += len(links)
            await steps.keep(None, done=done)
            if len(links) < PAGE:
                return
            last = (links[-1].source, links[-1].target, links[-1].type)

    async def _records(
        self, tx: Transaction, page: Sequence[Memory], vectors: bool
    ) -> list[ExportRecord]:
        own: dict[MemoryId, Vector | None] = {}
        if vectors and page:
            found = await tx.embeddings.of([m.id for m in page], (await self.planner.model(tx)).id)
            own = {entry.memory_id: entry.own for entry in found}
        records: list[ExportRecord] = []
        for memory in page:
            records.append(ExportedMemory(memory, own.get(memory.id)))
            if memory.version > 1:
                history = await tx.memories.history(memory.id)
                records.extend(ExportedVersion(v) for v in history if v.version != memory.version)
        return records


async def _place(store: CanonicalStore, after: str | None) -> Cursor | tuple[str, str, str] | None:
    """Return where to go on: among the memories, or among the links."""
    if after is None:
        return None
    source, comma, rest = after.partition(",")
    if comma:
        target, comma, type = rest.partition(",")
        if not comma:
            raise InvalidInput("after", "is neither a memory nor source,target,type of a link")
        return source, target, type
    id = MemoryId(after)
    async with store.reading() as tx:
        history = await tx.memories.history(id)
    if not history:
        raise MemoryNotFound(id)
    return Cursor(history[0].memory.happened_at, id)
