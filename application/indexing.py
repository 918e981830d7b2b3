"""Keep what is derived from text in step with it: lexical rows at once, vectors soon after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from application.models import Models
from application.sequencing import Sequencer
from application.surroundings import Surroundings, analysed, ends, surroundings
from domain.draft import Wait
from domain.errors import ChangeCollided, EmbedderUnavailable
from domain.events import EventType
from domain.memory import Memory, MemoryId
from domain.ports import (
    GIVEN,
    Analyser,
    CanonicalStore,
    Embedder,
    Embedding,
    EmbeddingTask,
    EventBus,
    Transaction,
)
from domain.texts import own_text, text_hash
from domain.vector import Role

EMBED_CHUNK = 64
# Another writer of the same session may change a text while it is embedded: then once more.
FILL_ROUNDS_MAX = 32


def _alone(near: Surroundings, ids: Sequence[MemoryId]) -> list[EmbeddingTask]:
    """Name the context vectors of memories in a session that have no neighbour (any more)."""
    return [
        EmbeddingTask(id, near.memories[id].namespace, Role.CONTEXT, near.memories[id].version)
        for id in ids
        if id in near.places and near.context_of(id) is None
    ]


@dataclass(frozen=True, kw_only=True)
class Indexer:
    """Writes lexical rows inside a change, and fills in vectors after it."""

    store: CanonicalStore
    analyser: Analyser
    models: Models
    bus: EventBus
    now: Callable[[], datetime]
    new_event_id: Callable[[], str]
    wait_seconds: float = 60.0

    async def refresh(
        self,
        tx: Transaction,
        sequencer: Sequencer,
        *,
        rewritten: dict[MemoryId, Memory],
        given: frozenset[MemoryId],
        once_beside: Iterable[MemoryId],
        wait: Wait,
    ) -> list[MemoryId]:
        """Re-index memories whose text changed, and all that stand or stood beside them.

        `given` have their own vector from the caller; `once_beside` are ids that were neighbours
        before the change. Returns the ids whose vectors are now missing.
        """
        ids = list(rewritten)
        near = await surroundings(tx, ids, rewritten)
        beside = [
            id
            for id in dict.fromkeys([*ends(near.places.values()), *once_beside])
            if id not in rewritten
        ]
        around = await surroundings(tx, beside, near.memories)
        whole = Surroundings(around.memories, {**around.places, **near.places})
        affected = [id for id in [*ids, *beside] if id in whole.memories]
        if not affected:
            return []
        await tx.lexicon.put(await asyncio.to_thread(analysed, self.analyser, whole, affected))
        tasks = self._tasks(whole, affected, rewritten, given)
        every = self._tasks(whole, affected, rewritten, frozenset()) if given else tasks
        await self._queue(tx, tasks, every, wait)
        alone = _alone(whole, affected)
        if alone:
            await tx.embeddings.drop(alone)
        for id in beside:
            if id in whole.memories:
                memory = whole.memories[id]
                sequencer.note(memory, EventType.EMBEDDED, changed=("context",))
        return list(dict.fromkeys(task.memory_id for task in tasks))

    async def unset_given(
        self, tx: Transaction, sequencer: Sequencer, memory: Memory, *, wait: Wait
    ) -> list[MemoryId]:
        """Queue a memory's own vector where a caller gave it: its text is embedded instead.

        Returns the id when its vector is now missing.
        """
        active = (await self.models.state(tx)).active
        stored = await tx.embeddings.stored([memory.id], active)
        if not any(e.role is Role.OWN and e.input_hash == GIVEN for e in stored):
            return []
        tasks = [EmbeddingTask(memory.id, memory.namespace, Role.OWN, memory.version)]
        await self._queue(tx, tasks, tasks, wait)
        sequencer.note(memory, EventType.EMBEDDED, changed=(Role.OWN.value,))
        return [memory.id]

    async def _queue(
        self,
        tx: Transaction,
        tasks: list[EmbeddingTask],
        every: list[EmbeddingTask],
        wait: Wait,
    ) -> None:
        """Queue what is missing; a model that is being filled takes no given vectors."""
        if not every:
            return
        state = await self.models.state(tx)
        lease = self.now() + timedelta(seconds=self.wait_seconds) if wait is Wait.INDEXED else None
        if tasks:
            await tx.embeddings.queue(tasks, model=state.active, lease_until=lease)
        if state.next is not None:
            await tx.embeddings.queue(every, model=state.next, lease_until=None)

    @staticmethod
    def _tasks(
        near: Surroundings,
        affected: Sequence[MemoryId],
        rewritten: dict[MemoryId, Memory],
        given: frozenset[MemoryId],
    ) -> list[EmbeddingTask]:
        tasks = []
        for id in affected:
            memory = near.memories[id]
            if id in rewritten and id not in given:
                tasks.append(EmbeddingTask(id, memory.namespace, Role.OWN, memory.version))
            if near.context_of(id) is not None:
                tasks.append(EmbeddingTask(id, memory.namespace, Role.CONTEXT, memory.version))
        return tasks

    async def fill(self, ids: Sequence[MemoryId]) -> bool:
        """Compute what is missing for `ids`; False when it took too long or nothing answered."""
        try:
            async with asyncio.timeout(self.wait_seconds):
                for _ in range(FILL_ROUNDS_MAX):
                    for start in range(0, len(ids), EMBED_CHUNK):
                        # What a collision leaves out is still pending in the next round.
                        with suppress(ChangeCollided):
                            await self._fill_chunk(ids[start : start + EMBED_CHUNK])
                    async with self.store.reading() as tx:
                        active = (await self.models.state(tx)).active
                        if not await tx.embeddings.pending(active, ids):
                            return True
        except (EmbedderUnavailable, TimeoutError):
            return False
        return False

    async def _fill_chunk(self, ids: Sequence[MemoryId]) -> None:
        async with self.store.reading() as tx:
            near = await surroundings(tx, ids)
            embedder = (await self.models.serving(tx)).embedder
            present = {v.memory_id: v for v in await tx.embeddings.of(ids, embedder.model.id)}
        tasks = []
        for id in ids:
            memory = near.memories.get(id)
            if memory is None:
                continue
            stored = present.get(id)
            if stored is None or stored.own is None:
                tasks.append(EmbeddingTask(id, memory.namespace, Role.OWN, memory.version))
            if near.context_of(id) is not None and (stored is None or stored.context is None):
                tasks.append(EmbeddingTask(id, memory.namespace, Role.CONTEXT, memory.version))
        await self._compute(tasks, near, embedder)

    async def drain(self, *, limit: int, lease_seconds: float = 120.0) -> int:
        """Compute up to `limit` waiting vectors; return how many were claimed (0: nothing waits).

        The model that answers comes first. Raises `EmbedderUnavailable`; the lease then runs out
        and the work is taken up again.
        """
        now = self.now()
        lease = now + timedelta(seconds=lease_seconds)
        async with self.store.writing() as tx:
            for known in self.models.in_force(await self.models.state(tx)):
                model = known.model.id
                tasks = await tx.embeddings.claim(model, now=now, lease_until=lease, limit=limit)
                if tasks:
                    break
            else:
                return 0
        async with self.store.reading() as tx:
            near = await surroundings(tx, list(dict.fromkeys(t.memory_id for t in tasks)))
        await self._compute(tasks, near, known.embedder)
        return len(tasks)

    async def _compute(
        self, tasks: Sequence[EmbeddingTask], near: Surroundings, embedder: Embedder
    ) -> None:
        """Embed the texts that `near` shows and store those that are still the live ones."""
        texts: list[tuple[EmbeddingTask, str]] = []
        for task in tasks:
            text = self._text_of(task, near)
            if text is not None:
                texts.append((task, text))
        vectors = await embedder.embed_passages([text for _, text in texts]) if texts else []
        computed = [
            Embedding(
                task.memory_id,
                near.memories[task.memory_id].version,
                task.role,
                embedder.model.id,
                text_hash(text),
                vector,
            )
            for (task, text), vector in zip(texts, vectors, strict=True)
        ]
        await self._store(computed, near)

    @staticmethod
    def _text_of(task: EmbeddingTask, near: Surroundings) -> str | None:
        memory = near.memories.get(task.memory_id)
        if memory is None:
            return None
        return own_text(memory) if task.role is Role.OWN else near.context_of(task.memory_id)

    async def _store(self, computed: list[Embedding], near: Surroundings) -> None:
        if not computed:
            return
        async with self.store.writing() as tx:
            fresh = await self._still_live(tx, computed)
            namespaces = {near.memories[e.memory_id].namespace for e in fresh}
            sequencer = Sequencer(await tx.feed.lock(namespaces), self.now(), self.new_event_id)
            roles: dict[MemoryId, list[str]] = {}
            for embedding in await tx.embeddings.store(fresh):
                roles.setdefault(embedding.memory_id, []).append(embedding.role.value)
            for id, names in roles.items():
                sequencer.note(near.memories[id], EventType.EMBEDDED, changed=tuple(sorted(names)))
            await tx.feed.append(sequencer.events)
        await self.bus.publish(namespaces)

    @staticmethod
    async def _still_live(tx: Transaction, computed: list[Embedding]) -> list[Embedding]:
        """Keep the vectors whose text, neighbours included, has not changed meanwhile."""
        near = await surroundings(tx, list(dict.fromkeys(e.memory_id for e in computed)))
        fresh = []
        for embedding in computed:
            memory = near.memories.get(embedding.memory_id)
            if memory is None:
                continue
            own = embedding.role is Role.OWN
            text = own_text(memory) if own else near.context_of(memory.id)
            if text is not None and text_hash(text) == embedding.input_hash:
                fresh.append(embedding)
        return fresh
