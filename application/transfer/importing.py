"""Carry memories into a store, in one streamed pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from application.access.subtree import seen_from
from application.connect import both_ends
from application.indexing.indexer import Indexer
from application.jobs.steps import Steps, Unwatched
from application.remember import RememberBatch, check_same_root
from application.storing.planning import Planner
from application.storing.sequencing import Sequencer
from application.transfer.import_options import Order
from application.transfer.tallying import Tally
from domain.access import is_inside
from domain.draft import Draft, Wait
from domain.errors import DimensionMismatch, Forbidden, InvalidInput, NotFound, SomaError, TooLarge
from domain.events import EventType
from domain.link import Direction, Link, check_link_type, check_weight
from domain.memory import Life, Limits, Memory, MemoryId, check_payload
from domain.namespace import Namespace
from domain.ports import GIVEN, CanonicalStore, Embedding, EventBus, Transaction
from domain.revision import imported_memory
from domain.transfer import (
    ExportedLink,
    ExportedMemory,
    ExportedVersion,
    ImportLine,
    ImportReport,
)
from domain.vector import EmbeddingModel, Role, Vector

BATCH = 500
PRESENT_LINKS_MAX = 100_000


@dataclass(frozen=True, kw_only=True)
class ImportLines:
    """Load lines in batches, each one transaction; a bad line is reported and the rest loads.

    Memories that are present are skipped, forgotten ones refused. Memory use does not grow with
    the number of lines.
    """

    store: CanonicalStore
    remember: RememberBatch
    planner: Planner
    indexer: Indexer
    bus: EventBus
    now: Callable[[], datetime]
    new_event_id: Callable[[], str]
    limits: Limits

    async def __call__(
        self,
        lines: AsyncIterator[ImportLine],
        *,
        wait: Wait = Wait.STORED,
        actor: str,
        within: Namespace | None = None,
        steps: Steps | None = None,
    ) -> ImportReport:
        """Return how many lines were loaded, skipped, and wrong, in all runs of `steps`.

        Lines that would go outside `within` are wrong. The lines begin after those that an
        interrupted run has dealt with: see `Tally`.
        """
        steps = steps or Unwatched()
        tally = Tally.read(steps.place)
        order = Order(wait, actor, within)
        batch: list[ImportLine] = []
        async for line in lines:
            is_other = batch and type(line.record) is not type(batch[0].record)
            if batch and line.record is not None and (len(batch) >= BATCH or is_other):
                await self._load(batch, tally, order)
                await steps.keep(tally.written(), done=tally.line)
                batch = []
            if line.record is None:
                tally.fail(line.number, line.error or "cannot be read")
            else:
                batch.append(line)
            tally.line, tally.digest = line.number, line.digest
        if batch:
            await self._load(batch, tally, order)
        await steps.keep(tally.written(), done=tally.line)
        return tally.report()

    async def _load(self, batch: list[ImportLine], tally: Tally, order: Order) -> None:
        """Load a batch at once; when one line spoils it, each line by itself."""
        loaders = {
            Draft: self._drafts,
            ExportedMemory: self._memories,
            ExportedVersion: self._versions,
            ExportedLink: self._links,
        }
        load = loaders[type(batch[0].record)]
        try:
            imported = await load(batch, order)
        except (InvalidInput, TooLarge, NotFound, Forbidden) as error:
            if len(batch) == 1:
                tally.fail(batch[0].number, _bare(error))
                return
            middle = len(batch) // 2
            await self._load(batch[:middle], tally, order)
            await self._load(batch[middle:], tally, order)
            return
        tally.imported += imported
        tally.skipped += len(batch) - imported

    async def _drafts(self, batch: list[ImportLine], order: Order) -> int:
        drafts = [line.record for line in batch if isinstance(line.record, Draft)]
        order.check(draft.namespace for draft in drafts)
        stored = await self.remember(
            drafts, wait=order.wait, actor=order.actor, within=order.within
        )
        return sum(not result.deduplicated for result in stored)

    async def _memories(self, batch: list[ImportLine], order: Order) -> int:
        records = [line.record for line in batch if isinstance(line.record, ExportedMemory)]
        checked = {r.memory.id: imported_memory(r.memory, self.limits) for r in records}
        vectors = {r.memory.id: r.vector for r in records if r.vector is not None}
        order.check(memory.namespace for memory in checked.values())
        async with self.store.writing() as tx:
            model = await self.planner.model(tx) if vectors else None
            heads = await tx.feed.lock({memory.namespace for memory in checked.values()})
            sequencer = Sequencer(heads, self.now(), self.new_event_id)
            fresh: dict[MemoryId, Memory] = {}
            places: set[tuple[Namespace, tuple[float, ...]]] = set()
            for id, memory in checked.items():
                if await self._absent(tx, id, memory, order, places):
                    seq = sequencer.note(memory, EventType.REMEMBERED)
                    fresh[id] = replace(memory, seq=seq)
            await tx.memories.add(list(fresh.values()), actor=order.actor)
            given = [
                _given(fresh[id], vector, model)
                for id, vector in vectors.items()
                if model is not None and id in fresh
            ]
            missing = await self.indexer.refresh(
                tx,
                sequencer,
                rewritten=fresh,
                given=frozenset(embedding.memory_id for embedding in given),
                once_beside=(),
                wait=order.wait,
            )
            await tx.embeddings.store(given)
            await tx.feed.append(sequencer.events)
        await self.bus.publish(heads)
        if order.wait is Wait.INDEXED:
            await self.indexer.fill(missing)
        return len(fresh)

    @staticmethod
    async def _absent(
        tx: Transaction,
        id: MemoryId,
        memory: Memory,
        order: Order,
        places: set[tuple[Namespace, tuple[float, ...]]],
    ) -> bool:
        """Tell whether a memory may be added; `places` are those the batch has taken so far."""
        life, namespace = await tx.memories.life(id)
        if namespace is not None and not is_inside(namespace, order.within):
            raise InvalidInput("memory.id", f"{id} cannot be used here")
        if life in {Life.FORGOTTEN, Life.ERASED}:
            raise InvalidInput("memory.id", f"{id} was forgotten here and does not come back")
        if life is Life.LIVE:
            return False
        if memory.coordinate is not None:
            taken = await tx.memories.by_coordinate(memory.namespace, [memory.coordinate])
            if taken or (memory.namespace, memory.coordinate) in places:
                raise InvalidInput("memory.coordinate", "is occupied by another memory")
            places.add((memory.namespace, memory.coordinate))
        return True

    async def _versions(self, batch: list[ImportLine], order: Order) -> int:
        entries = [
            line.record.version for line in batch if isinstance(line.record, ExportedVersion)
        ]
        order.check(entry.memory.namespace for entry in entries)
        async with seen_from(self.store, order.within).writing() as tx:
            fresh = []
            for entry in entries:
                imported_memory(entry.memory, self.limits)
                history = await tx.memories.history(entry.memory.id)
                if not history:
                    raise InvalidInput("version.memory.id", "is not among the memories here")
                if not 1 <= entry.version < history[0].version:
                    raise InvalidInput("version.version", "is not below the memory's own version")
                if all(entry.version != known.version for known in history):
                    fresh.append(entry)
            await tx.versions.add(fresh)
        return len(fresh)

    async def _links(self, batch: list[ImportLine], order: Order) -> int:
        links = [line.record.link for line in batch if isinstance(line.record, ExportedLink)]
        async with seen_from(self.store, order.within).writing() as tx:
            ends = {}
            for link in links:
                check_link_type(link.type, "link.type")
                check_weight(link.weight)
                check_payload(link.properties, self.limits, "link.properties")
                if link.source == link.target:
                    raise InvalidInput("link.target", "is the source itself")
                one, other = await both_ends(tx, link.source, link.target)
                check_same_root(one.namespace, other.namespace)
                ends[link.source, link.target] = (one, other)
            spaces = {end.namespace for pair in ends.values() for end in pair}
            sequencer = Sequencer(await tx.feed.lock(spaces), self.now(), self.new_event_id)
            present = await _present_links(tx, links)
            stored: list[Link] = []
            for link in links:
                if present.get((link.source, link.target, link.type)) == _substance(link):
                    continue
                one, other = ends[link.source, link.target]
                seq = sequencer.note_link(link, one, other, EventType.LINKED)
                stored.append(replace(link, seq=seq))
            await tx.links.put(stored)
            await tx.feed.append(sequencer.events)
        await self.bus.publish(spaces)
        return len(stored)


def _given(memory: Memory, vector: Vector, model: EmbeddingModel) -> Embedding:
    if vector.dimension != model.dimension:
        raise DimensionMismatch("vector", expected=model.dimension, actual=vector.dimension)
    return Embedding(memory.id, memory.version, Role.OWN, model.id, GIVEN, vector)


async def _present_links(
    tx: Transaction, links: Sequence[Link]
) -> dict[tuple[str, str, str], tuple[float, dict[str, object]]]:
    sources = list(dict.fromkeys(link.source for link in links))
    found = await tx.links.of(sources, direction=Direction.OUT, limit=PRESENT_LINKS_MAX)
    return {(link.source, link.target, link.type): _substance(link) for link in found}


def _substance(link: Link) -> tuple[float, dict[str, object]]:
    return link.weight, dict(link.properties)


def _bare(error: SomaError) -> str:
    return str(error).removeprefix("memories[0].")
