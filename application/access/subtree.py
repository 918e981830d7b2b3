"""A store as somebody sees it who may reach only one subtree: nothing else is there.

What lies outside is not refused but absent, so a use case answers for it exactly as for an id that
never was. Namespaces that a caller names are checked before (`application.access.permits`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from domain.access import is_inside
from domain.events import Event
from domain.link import Direction, Link
from domain.memory import Life, Memory, MemoryId, MemoryVersion
from domain.namespace import Namespace, Scope
from domain.ports import (
    Answer,
    CanonicalStore,
    Feed,
    Finding,
    Links,
    Memories,
    Transaction,
)


def seen_from(store: CanonicalStore, within: Namespace | None) -> CanonicalStore:
    """Return the store as it looks from a subtree; None is everywhere."""
    return store if within is None else SubtreeStore(store, within)


class SubtreeStore:
    """Implements `domain.ports.CanonicalStore` for one subtree of another."""

    def __init__(self, store: CanonicalStore, within: Namespace) -> None:
        self._store = store
        self._within = within

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a snapshot."""
        return self._limited(self._store.reading())

    def writing(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a change."""
        return self._limited(self._store.writing())

    async def glance(self, ask: Callable[[Transaction], Awaitable[Answer]], /) -> Answer:
        """Ask one thing."""
        return await self._store.glance(lambda tx: ask(SubtreeTransaction(tx, self._within)))

    async def ping(self) -> None:
        """Raise `StoreUnavailable` when the store does not answer."""
        await self._store.ping()

    async def check(self) -> list[Finding]:
        """Find nothing: a check is about the whole store."""
        return []

    @asynccontextmanager
    async def _limited(
        self, transaction: AbstractAsyncContextManager[Transaction]
    ) -> AsyncIterator[Transaction]:
        async with transaction as tx:
            yield SubtreeTransaction(tx, self._within)


class SubtreeTransaction:
    """Implements `domain.ports.Transaction`: what is reached by an id is cut to the subtree."""

    def __init__(self, tx: Transaction, within: Namespace) -> None:
        self.memories: Memories = SubtreeMemories(tx.memories, within)
        self.links: Links = SubtreeLinks(tx.links, self.memories)
        self.feed: Feed = SubtreeFeed(tx.feed, self.memories)
        self.versions = tx.versions
        self.lexicon = tx.lexicon
        self.terms = tx.terms
        self.embeddings = tx.embeddings
        self.namespaces = tx.namespaces
        self.idempotency = tx.idempotency
        self.settings = tx.settings
        self.projections = tx.projections
        self.fences = tx.fences
        self.keys = tx.keys
        self.jobs = tx.jobs
        self.erasures = tx.erasures


class SubtreeMemories:
    """Implements `domain.ports.Memories`: an id from outside is an unknown one."""

    def __init__(self, memories: Memories, within: Namespace) -> None:
        self._memories = memories
        self._within = within
        self.verify = memories.verify
        self.standing = memories.standing
        self.find = memories.find
        self.find_ids = memories.find_ids
        self.not_erased = memories.not_erased
        self.session_places = memories.session_places
        self.by_content = memories.by_content
        self.by_coordinate = memories.by_coordinate
        self.add = memories.add
        self.replace = memories.replace
        self.forget = memories.forget
        self.erase = memories.erase

    async def get(self, ids: Sequence[MemoryId], /) -> dict[MemoryId, Memory]:
        """Return the live ones among `ids` that lie inside."""
        found = await self._memories.get(ids)
        return {id: memory for id, memory in found.items() if self._is_inside(memory.namespace)}

    async def history(self, id: MemoryId, /) -> list[MemoryVersion]:
        """Return every version of a memory inside, newest first."""
        versions = await self._memories.history(id)
        return versions if versions and self._is_inside(versions[0].memory.namespace) else []

    async def life(self, id: MemoryId, /) -> tuple[Life, Namespace | None]:
        """Tell what has become of an id; one from outside is unknown."""
        life, namespace = await self._memories.life(id)
        if namespace is None or not self._is_inside(namespace):
            return Life.UNKNOWN, None
        return life, namespace

    def _is_inside(self, namespace: Namespace) -> bool:
        return is_inside(namespace, self._within)


class SubtreeLinks:
    """Implements `domain.ports.Links`: a link with an end outside is not there."""

    def __init__(self, links: Links, inside: Memories) -> None:
        self._links = links
        self._inside = inside
        self.put = links.put
        self.remove = links.remove

    async def of(
        self, ids: Sequence[MemoryId], /, *, direction: Direction, limit: int
    ) -> list[Link]:
        """Return links inside at these memories."""
        return await self._visible(await self._links.of(ids, direction=direction, limit=limit))

    async def page(
        self, scope: Scope, /, *, limit: int, after: tuple[str, str, str] | None = None
    ) -> list[Link]:
        """Return links inside; a page is short only at the end."""
        found: list[Link] = []
        while True:
            page = await self._links.page(scope, limit=limit, after=after)
            found += await self._visible(page)
            if len(found) >= limit or len(page) < limit:
                return found[:limit]
            after = (page[-1].source, page[-1].target, page[-1].type)

    async def _visible(self, links: list[Link]) -> list[Link]:
        ends = list(dict.fromkeys(end for link in links for end in (link.source, link.target)))
        inside = await self._inside.get(ends) if ends else {}
        return [link for link in links if link.source in inside and link.target in inside]


class SubtreeFeed:
    """Implements `domain.ports.Feed`: an event that names a memory outside is left out."""

    def __init__(self, feed: Feed, inside: Memories) -> None:
        self._feed = feed
        self._inside = inside
        self.lock = feed.lock
        self.append = feed.append
        self.position = feed.position
        self.heads = feed.heads

    async def after(self, namespace: Namespace, seq: int, /, *, limit: int) -> list[Event]:
        """Return events beyond `seq`, in order; a page is short only at the end of the feed."""
        found: list[Event] = []
        while True:
            page = await self._feed.after(namespace, seq, limit=limit)
            found += await self._visible(page)
            if len(found) >= limit or len(page) < limit:
                return found[:limit]
            seq = page[-1].seq

    async def _visible(self, events: list[Event]) -> list[Event]:
        """Only links name a second memory; the first of any other event lies in the namespace."""
        named = [
            end
            for event in events
            if event.link_target is not None
            for end in (event.memory_id, event.link_target)
        ]
        known = set(await self._inside.get(list(dict.fromkeys(named)))) if named else set()
        for id in dict.fromkeys(named):
            if id not in known and (await self._inside.life(id))[0] is not Life.UNKNOWN:
                known.add(id)
        return [
            event
            for event in events
            if event.link_target is None
            or (event.memory_id in known and event.link_target in known)
        ]
