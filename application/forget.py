"""Forget a memory, or erase every trace of its content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from application.access.subtree import seen_from
from application.indexing.indexer import Indexer
from application.recalling.knowing import Known
from application.storing.sequencing import Sequencer
from domain.draft import Wait
from domain.errors import MemoryNotFound
from domain.events import Event, EventType
from domain.memory import Life, MemoryId
from domain.namespace import Namespace
from domain.ports import CanonicalStore, ContentCopies, ErasureLedger, EventBus, Transaction


@dataclass(frozen=True, kw_only=True)
class Forget:
    """Hide a memory from every read but its history, at once and for good.

    Doing it again changes nothing; raises `MemoryNotFound` for an id that never existed.
    """

    store: CanonicalStore
    indexer: Indexer
    bus: EventBus
    now: Callable[[], datetime]
    new_event_id: Callable[[], str]

    async def __call__(self, id: MemoryId, *, actor: str, within: Namespace | None = None) -> None:
        """Forget; when this returns no recall finds it."""
        async with seen_from(self.store, within).writing() as tx:
            life, namespace = await tx.memories.life(id)
            if life is Life.UNKNOWN or namespace is None:
                raise MemoryNotFound(id)
            heads = await tx.feed.lock([namespace])
            memory = (await tx.memories.get([id])).get(id)
            if memory is None:
                return
            at = self.now()
            sequencer = Sequencer(heads, at, self.new_event_id)
            beside = await neighbors_of(tx, [id])
            sequencer.note(memory, EventType.FORGOTTEN)
            await tx.memories.forget([id], at=at, actor=actor)
            await self.indexer.refresh(
                tx,
                sequencer,
                rewritten={},
                given=frozenset(),
                once_beside=beside,
                wait=Wait.STORED,
            )
            await tx.feed.append(sequencer.events)
        await self.bus.publish([namespace])


@dataclass(frozen=True, kw_only=True)
class Erase:
    """Remove content, payload, versions, vectors and index rows; the bare id stays known.

    The context of its neighbours held its words: it is made anew. Raises `MemoryNotFound` for an
    id that never existed.
    """

    store: CanonicalStore
    known: Known
    indexer: Indexer
    bus: EventBus
    now: Callable[[], datetime]
    new_event_id: Callable[[], str]
    ledger: ErasureLedger
    copies: Sequence[ContentCopies] = ()

    async def __call__(self, id: MemoryId, *, actor: str, within: Namespace | None = None) -> None:
        """Erase a live or a forgotten memory."""
        async with seen_from(self.store, within).writing() as tx:
            life, namespace = await tx.memories.life(id)
            if life is Life.UNKNOWN or namespace is None:
                raise MemoryNotFound(id)
            if life is Life.ERASED:
                return
            await self.erase_all(tx, namespace, [id], actor=actor)
        self.known.drop([id])
        await self.discard_copies(namespace)
        await self.bus.publish([namespace])

    async def discard_copies(self, namespace: Namespace) -> None:
        """Remove files that may hold what is erased.

        Before the commit, so that none outlives it; and after it, because one may have been made
        in between of what was there before.
        """
        for copies in self.copies:
            await copies.discard(namespace)

    async def erase_all(
        self, tx: Transaction, namespace: Namespace, ids: Sequence[MemoryId], *, actor: str
    ) -> None:
        """Erase memories of one namespace inside a transaction.

        Whoever calls this discards the copies again after the commit.
        """
        await self.discard_copies(namespace)
        heads = await tx.feed.lock([namespace])
        at = self.now()
        sequencer = Sequencer(heads, at, self.new_event_id)
        live = await tx.memories.get(ids)
        gone = set(ids)
        beside = [id for id in await neighbors_of(tx, list(live)) if id not in gone]
        for id in ids:
            version = live[id].version if id in live else await _last_version(tx, id)
            sequencer.events.append(self._event(sequencer, namespace, id, version, at))
        await tx.memories.erase(ids, at=at, actor=actor)
        await self.indexer.refresh(
            tx,
            sequencer,
            rewritten={},
            given=frozenset(),
            once_beside=beside,
            wait=Wait.STORED,
        )
        await tx.feed.append(sequencer.events)
        # Before the commit: whatever is erased stands in the ledger. What stands there without
        # having been erased is what somebody wanted to be erased.
        await self.ledger.note(ids, at=at)

    def _event(
        self,
        sequencer: Sequencer,
        namespace: Namespace,
        id: MemoryId,
        version: int,
        at: datetime,
    ) -> Event:
        return Event(
            id=self.new_event_id(),
            namespace=namespace,
            seq=sequencer.next(namespace),
            type=EventType.ERASED,
            memory_id=id,
            version=version,
            at=at,
        )


async def _last_version(tx: Transaction, id: MemoryId) -> int:
    """Return the version in which a memory was forgotten, 0 when nothing of it is left."""
    history = await tx.memories.history(id)
    return history[0].memory.version if history else 0


async def neighbors_of(tx: Transaction, ids: Sequence[MemoryId]) -> list[MemoryId]:
    """Return who stands beside memories in their sessions."""
    places = await tx.memories.session_places(ids)
    return [end for place in places.values() for end in (place.previous, place.next) if end]
