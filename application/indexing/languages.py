"""The language that texts are analysed in: one for everything in a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from application.indexing.surroundings import analysed, surroundings
from application.storing.sequencing import Sequencer
from domain.errors import LanguageMismatch
from domain.events import EventType
from domain.filter import Filter
from domain.memory import Memory
from domain.namespace import Namespace, Scope
from domain.ports import Analyser, CanonicalStore, Cursor, EventBus, Transaction

SETTING = "language"
#: What stores were analysed in before there was a choice.
FIRST = "english"
NAMESPACES_AT_ONCE = 100
MEMORIES_AT_ONCE = 200


@dataclass(frozen=True, kw_only=True)
class OpenLanguage:
    """Make sure, before anything is served, that questions are analysed as the memories were."""

    store: CanonicalStore
    analyser: Analyser

    async def __call__(self) -> None:
        """Raise `LanguageMismatch` when the memories were analysed in another language."""
        async with self.store.reading() as tx:
            known = await _language(tx)
            is_new = not await tx.namespaces.stats(None, limit=1)
        if known != self.analyser.language and not is_new:
            raise LanguageMismatch(known, self.analyser.language)
        if is_new:
            async with self.store.writing() as tx:
                await tx.settings.set(SETTING, self.analyser.language)


@dataclass(frozen=True, kw_only=True)
class Reanalyse:
    """Analyse every memory anew, where the language is no longer that of the store.

    Nobody else may use the store meanwhile. What was interrupted is begun again from the start.
    """

    store: CanonicalStore
    analyser: Analyser
    bus: EventBus
    now: Callable[[], datetime]
    new_event_id: Callable[[], str]

    async def __call__(self) -> int:
        """Return how many memories were analysed; 0 where the language is the same."""
        async with self.store.reading() as tx:
            if await _language(tx) == self.analyser.language:
                return 0
        count = 0
        after: Namespace | None = None
        while True:
            async with self.store.reading() as tx:
                page = await tx.namespaces.stats(None, limit=NAMESPACES_AT_ONCE, after=after)
            for entry in page:
                count += await self._namespace(entry.path)
            if len(page) < NAMESPACES_AT_ONCE:
                break
            after = page[-1].path
        async with self.store.writing() as tx:
            await tx.settings.set(SETTING, self.analyser.language)
        return count

    async def _namespace(self, path: Namespace) -> int:
        count = 0
        after: Cursor | None = None
        while True:
            async with self.store.writing() as tx:
                heads = await tx.feed.lock([path])
                page = await tx.memories.find(
                    Scope(path), Filter(), limit=MEMORIES_AT_ONCE, after=after
                )
                sequencer = Sequencer(heads, self.now(), self.new_event_id)
                await self._page(tx, page, sequencer)
                await tx.feed.append(sequencer.events)
            count += len(page)
            if len(page) < MEMORIES_AT_ONCE:
                break
            after = Cursor(page[-1].happened_at, page[-1].id)
        await self.bus.publish([path])
        return count

    async def _page(self, tx: Transaction, page: list[Memory], sequencer: Sequencer) -> None:
        """Write the words anew; the events tell every index that keeps words."""
        if not page:
            return
        ids = [memory.id for memory in page]
        near = await surroundings(tx, ids)
        await tx.lexicon.put(await asyncio.to_thread(analysed, self.analyser, near, ids))
        for memory in page:
            sequencer.note(memory, EventType.EMBEDDED, changed=("words",))


async def _language(tx: Transaction) -> str:
    return await tx.settings.get(SETTING) or FIRST
