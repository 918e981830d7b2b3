"""Keep what is derived from text in step with it: lexical rows at once, vectors soon after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from application.indexing.missing import (
    embedded,
    embedding_of,
    in_roles,
    missing_tasks,
    read_states,
    without_context,
)
from application.indexing.models import Installed, Models, ModelState
from application.indexing.surroundings import Surroundings, analysed, ends, surroundings
from application.storing.sequencing import Sequencer
from domain.draft import Wait
from domain.errors import ChangeCollided, EmbedderUnavailable, StoreUnavailable
from domain.events import EventType
from domain.memory import Memory, MemoryId
from domain.ports import (
    Analyser,
    CanonicalStore,
    Computed,
    EmbeddingTask,
    EventBus,
    KeptStates,
    Transaction,
)
from domain.texts import own_text, text_hash
from domain.vector import Role

EMBED_CHUNK = 64
# Another writer of the same session may change a text while it is embedded: then once more.
FILL_ROUNDS_MAX = 32
#: How long a model that does not answer yet may hold up what the one that does is to compute.
NEXT_SECONDS = 2.0


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
        wanted = await self._queue(tx, tasks, every, wait)
        alone = without_context(whole, affected)
        if alone:
            await tx.embeddings.drop(alone)
        for id in beside:
            if id in whole.memories:
                memory = whole.memories[id]
                sequencer.note(memory, EventType.EMBEDDED, changed=("context",))
        return list(dict.fromkeys(task.memory_id for task in wanted))

    async def queue_own(self, tx: Transaction, memory: Memory, *, wait: Wait) -> None:
        """Delete a memory's own vector and queue the one of its text."""
        tasks = [EmbeddingTask(memory.id, memory.namespace, Role.OWN, memory.version)]
        await self._queue(tx, tasks, tasks, wait)

    async def _queue(
        self,
        tx: Transaction,
        tasks: list[EmbeddingTask],
        every: list[EmbeddingTask],
        wait: Wait,
    ) -> list[EmbeddingTask]:
        """Queue what is missing and return what the model that answers lacks.

        A model that is being filled takes no given vectors.
        """
        if not every:
            return []
        state = await self.models.state(tx)
        lease = self.now() + timedelta(seconds=self.wait_seconds) if wait is Wait.INDEXED else None
        wanted = in_roles(tasks, self.models.roles(state.active))
        if wanted:
            await tx.embeddings.queue(wanted, model=state.active, lease_until=lease)
        if state.next is not None:
            later = in_roles(every, self.models.roles(state.next))
            await tx.embeddings.queue(later, model=state.next, lease_until=None)
        return wanted

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
            roles = [Role.CONTEXT] if near.context_of(id) is not None else []
            if id in rewritten and id not in given:
                roles += [Role.OWN, Role.STATES]
            tasks += [EmbeddingTask(id, memory.namespace, role, memory.version) for role in roles]
        return tasks

    async def fill(self, ids: Sequence[MemoryId]) -> bool:
        """Compute what is missing for `ids`; False when it took too long or nothing answered.

        That holds for a store that fails meanwhile, too: what was stored before stays stored.
        """
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
        except (EmbedderUnavailable, StoreUnavailable, TimeoutError):
            return False
        return False

    async def _fill_chunk(self, ids: Sequence[MemoryId]) -> None:
        async with self.store.reading() as tx:
            near = await surroundings(tx, ids)
            state = await self.models.state(tx)
            served = self.models.answering(state.active)
            tasks = await missing_tasks(tx, ids, near, served)
        await self._fill_next(ids, near, state)
        await self._compute(tasks, near, served)

    async def _fill_next(
        self, ids: Sequence[MemoryId], near: Surroundings, state: ModelState
    ) -> None:
        """Give the next model its vectors before the one that answers gets them.

        So, once it is nearly filled, it falls behind no more however much is written, and need not
        wait for a pause to take over. When it does not answer, it is filled later.
        """
        if state.next is None:
            return
        async with self.store.reading() as tx:
            known = await self.models.nearly_filled(tx, state)
            tasks = [] if known is None else await missing_tasks(tx, ids, near, known)
        if known is not None:
            with suppress(EmbedderUnavailable, ChangeCollided, TimeoutError):
                async with asyncio.timeout(NEXT_SECONDS):
                    await self._compute(tasks, near, known)

    async def drain(self, *, limit: int, lease_seconds: float = 120.0) -> int:
        """Compute up to `limit` waiting vectors; return how many were claimed (0: nothing waits).

        The model that answers comes first. Raises `EmbedderUnavailable`; the lease then runs out
        and the work is taken up again.
        """
        now = self.now()
        lease = now + timedelta(seconds=lease_seconds)
        async with self.store.writing() as tx:
            state = await self.models.state(tx)
            for known in self.models.in_force(state):
                model = known.model.id
                tasks = await tx.embeddings.claim(model, now=now, lease_until=lease, limit=limit)
                if tasks:
                    break
            else:
                return 0
            # Another process keeps what this one cannot compute: it will see that it is missing.
            beyond = [task for task in tasks if task.role not in known.roles]
            if beyond:
                await tx.embeddings.drop(beyond)
        ids = list(dict.fromkeys(task.memory_id for task in tasks))
        async with self.store.reading() as tx:
            near = await surroundings(tx, ids)
        if model != state.next:
            await self._fill_next(ids, near, state)
        await self._compute(tasks, near, known)
        return len(tasks)

    async def _compute(
        self, tasks: Sequence[EmbeddingTask], near: Surroundings, model: Installed
    ) -> None:
        """Read the texts that `near` shows and store what came of those that are still live."""
        texts: dict[MemoryId, dict[Role, str]] = {}
        for task in in_roles(tasks, model.roles):
            text = self._text_of(task, near)
            if text is not None:
                texts.setdefault(task.memory_id, {})[task.role] = text
        if not texts:
            return
        # One run gives the own vector and the states; contexts need not wait for it.
        read = {
            id: wanted.pop(Role.STATES) for id, wanted in texts.items() if Role.STATES in wanted
        }
        also = {id for id in read if texts[id].pop(Role.OWN, None) is not None}
        left = [(id, role, text) for id, wanted in texts.items() for role, text in wanted.items()]
        results, vectors = await asyncio.gather(
            read_states(model, list(read.values())), embedded(model, [text for _, _, text in left])
        )
        computed: list[Computed] = []
        for (id, text), (vector, states) in zip(read.items(), results, strict=True):
            memory, hash = near.memories[id], text_hash(text)
            computed.append(KeptStates(id, memory.version, model.model.id, hash, states))
            if id in also:
                computed.append(embedding_of(memory, Role.OWN, model, text, vector))
        for (id, role, text), vector in zip(left, vectors, strict=True):
            computed.append(embedding_of(near.memories[id], role, model, text, vector))
        await self._store(computed, near)

    @staticmethod
    def _text_of(task: EmbeddingTask, near: Surroundings) -> str | None:
        memory = near.memories.get(task.memory_id)
        if memory is None:
            return None
        return near.context_of(task.memory_id) if task.role is Role.CONTEXT else own_text(memory)

    async def _store(self, computed: list[Computed], near: Surroundings) -> None:
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
    async def _still_live(tx: Transaction, computed: list[Computed]) -> list[Computed]:
        """Keep those whose text, neighbours included, has not changed meanwhile."""
        near = await surroundings(tx, list(dict.fromkeys(e.memory_id for e in computed)))
        fresh = []
        for embedding in computed:
            memory = near.memories.get(embedding.memory_id)
            if memory is None:
                continue
            beside = embedding.role is Role.CONTEXT
            text = near.context_of(memory.id) if beside else own_text(memory)
            if text is not None and text_hash(text) == embedding.input_hash:
                fresh.append(embedding)
        return fresh
