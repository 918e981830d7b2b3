"""Revise a memory: a new version; the one before stays in its history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from application.access.subtree import seen_from
from application.indexing.indexer import Indexer
from application.storing.planning import Planner, checked_vector
from application.storing.sequencing import Sequencer
from domain.draft import Changes, Remembered, Wait
from domain.errors import InvalidInput, MemoryNotFound, VersionConflict
from domain.events import EventType
from domain.memory import Limits, Memory, MemoryId
from domain.namespace import Namespace
from domain.ports import GIVEN, CanonicalStore, Embedding, EventBus, Transaction
from domain.revision import Checks, changed_fields, revised, text_changed
from domain.vector import EmbeddingModel, Role, Vector


@dataclass(frozen=True, kw_only=True)
class Revise:
    """Change fields of one memory.

    Raises `MemoryNotFound`, `VersionConflict` when `expected_version` is not the live one, and
    `InvalidInput`. Changing nothing makes no version.
    """

    store: CanonicalStore
    planner: Planner
    indexer: Indexer
    bus: EventBus
    now: Callable[[], datetime]
    new_event_id: Callable[[], str]
    limits: Limits

    async def __call__(
        self,
        id: MemoryId,
        changes: Changes,
        *,
        expected_version: int | None = None,
        wait: Wait = Wait.INDEXED,
        actor: str,
        within: Namespace | None = None,
    ) -> Remembered:
        """Return the memory as it is now."""
        async with seen_from(self.store, within).writing() as tx:
            given = await self._given(tx, changes)
            before = (await tx.memories.get([id])).get(id)
            if before is None:
                raise MemoryNotFound(id)
            sequencer = Sequencer(
                await tx.feed.lock([before.namespace]), self.now(), self.new_event_id
            )
            before = (await tx.memories.get([id])).get(id)
            if before is None:
                raise MemoryNotFound(id)
            if expected_version is not None and expected_version != before.version:
                raise VersionConflict(id, expected=expected_version, actual=before.version)
            after = revised(before, changes, checks=Checks(self.limits, self.now()))
            after, missing = await self._record(
                tx, sequencer, before, after, changes=changes, given=given, wait=wait, actor=actor
            )
        await self.bus.publish([after.namespace])
        indexed = not missing
        if wait is Wait.INDEXED and missing:
            indexed = await self.indexer.fill(missing)
        return Remembered(after, indexed, deduplicated=False)

    async def _record(
        self,
        tx: Transaction,
        sequencer: Sequencer,
        before: Memory,
        after: Memory,
        *,
        changes: Changes,
        given: tuple[EmbeddingModel, Vector] | None,
        wait: Wait,
        actor: str,
    ) -> tuple[Memory, list[MemoryId]]:
        missing: list[MemoryId] = []
        if after is not before:
            await self._check_place(tx, after)
            changed = changed_fields(before, after)
            after = replace(after, seq=sequencer.note(after, EventType.REVISED, changed=changed))
            places = await tx.memories.session_places([after.id])
            await tx.memories.replace([after], actor=actor)
            if text_changed(changed):
                missing = await self.indexer.refresh(
                    tx,
                    sequencer,
                    rewritten={after.id: after},
                    given=frozenset({after.id} if given else ()),
                    once_beside=[e for p in places.values() for e in (p.previous, p.next) if e],
                    wait=wait,
                )
        if changes.vector is None and after.id not in missing:
            missing += await self._take_back(tx, sequencer, after, wait)
        if given is not None:
            model, vector = given
            own = Embedding(after.id, after.version, Role.OWN, model.id, GIVEN, vector)
            await tx.embeddings.store([own])
            sequencer.note(after, EventType.EMBEDDED, changed=("own",))
        await tx.feed.append(sequencer.events)
        return after, missing

    async def _take_back(
        self, tx: Transaction, sequencer: Sequencer, memory: Memory, wait: Wait
    ) -> list[MemoryId]:
        """Let the text be embedded again where a caller gave the vector; return what is missing."""
        model = await self.planner.model(tx)
        stored = await tx.embeddings.stored([memory.id], model.id)
        if not any(e.role is Role.OWN and e.input_hash == GIVEN for e in stored):
            return []
        await self.indexer.queue_own(tx, memory, wait=wait)
        sequencer.note(memory, EventType.EMBEDDED, changed=(Role.OWN.value,))
        return [memory.id]

    @staticmethod
    async def _check_place(tx: Transaction, after: Memory) -> None:
        if after.coordinate is None:
            return
        there = await tx.memories.by_coordinate(after.namespace, [after.coordinate])
        if any(other.id != after.id for other in there.values()):
            raise InvalidInput("coordinate", "is occupied by another memory of the namespace")

    async def _given(
        self, tx: Transaction, changes: Changes
    ) -> tuple[EmbeddingModel, Vector] | None:
        values = changes.given().get("vector")
        if values is None:
            return None
        model = await self.planner.model(tx)
        return model, checked_vector(cast("Sequence[float]", values), model)
