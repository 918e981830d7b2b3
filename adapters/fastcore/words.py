"""The text index inside the process: exact BM25 over postings of whole namespaces."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from adapters.fastcore.budget import Budget
from adapters.fastcore.changes import is_worth_following, touched_since
from adapters.fastcore.room import Room
from adapters.fastcore.surveys import Surveys
from adapters.fastcore.threads import in_thread
from domain.errors import StoreUnavailable
from domain.events import FeedPosition
from domain.filter import Filter
from domain.lexical import LexicalEvidence, encoded
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import CanonicalStore, IndexedTerms, Transaction

if TYPE_CHECKING:
    from adapters.fastcore.eligible import Mask
    from adapters.fastcore.postings import Postings, View

_PAGE = 2000
#: The words of more memories are read beside the questions that need them.
_AWAITED_MAX = 30_000
#: Up to here a search takes about half a millisecond: less than handing it to a thread may cost.
_INLINE_POSTINGS = 50_000
#: Up to here, so does a change.
_INLINE_CHANGED = 32


class FastWords:
    """Implements `domain.ports.TextIndex` for scopes that fit into the byte budget.

    It nominates exactly the best of what was committed before the call. Reading never waits for
    writing, but for what was committed: whoever finds a namespace behind applies what is missing.
    Not to be called from within a transaction.
    """

    def __init__(self, store: CanonicalStore, *, budget: Budget, room: Room) -> None:
        self._store = store
        self._room = room
        self._budget = budget
        self._segments: dict[Namespace, Postings] = {}
        self._surveys = Surveys(store)
        self._loading: dict[Namespace, asyncio.Task[None]] = {}
        self._locks: WeakValueDictionary[Namespace, asyncio.Lock] = WeakValueDictionary()

    async def nominate(
        self, terms: Sequence[str], scope: Scope, filter: Filter, /, *, limit: int
    ) -> list[MemoryId]:
        """Return memories with any of the terms, best first by BM25 on both fields, ties by id."""
        if not terms:
            return []
        from adapters.fastcore.eligible import effort
        from adapters.fastcore.matching import Target, best, work

        known = self._sum_of_watermarks(scope)
        position = await self._store.glance(lambda tx: tx.feed.position(scope))
        segments = await self._current(scope, position, known)
        passing = await self._told(scope, filter, segments)
        views = [segment.view for segment in segments]
        words = list(dict.fromkeys(map(encoded, terms)))

        def search() -> list[MemoryId]:
            masks = _masks(views, filter) if passing is None else passing
            targets = [Target(view, mask) for view, mask in zip(views, masks, strict=True)]
            return best(words, targets, limit)

        if work(words, views) + effort(views, filter) <= _INLINE_POSTINGS:
            return search()
        return await asyncio.to_thread(search)

    def evidence(
        self,
        ids: Sequence[MemoryId],
        terms: Sequence[str],
        scope: Scope,
        position: FeedPosition,
        /,
    ) -> LexicalEvidence | None:
        """Count in the postings, where they stand exactly at the position.

        No watermark passes its head, so equal sums mean that every namespace is current.
        """
        from adapters.fastcore.counting import evidence

        segments = self._loaded(scope)
        if segments is None or any(one.view.epoch != position.epoch for one in segments):
            return None
        if sum(one.view.watermark for one in segments) != position.seq:
            return None
        return evidence(ids, terms, [(one.view, one.places) for one in segments])

    async def fits(self, scope: Scope, /) -> bool:
        """Tell whether all of a scope is in memory, or has room there and is quickly read.

        What takes longer is read beside, and whoever asks meanwhile is served by others.
        """
        if self._loaded(scope) is not None:
            return True
        if not await self._room(scope):
            return False
        if scope.kind is ScopeKind.EXACT and await self._is_slow(scope):
            self._load_beside(scope.namespace)
            return False
        return True

    async def close(self) -> None:
        """Stop reading."""
        for task in tuple(self._loading.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _is_slow(self, scope: Scope) -> bool:
        async with self._store.reading() as tx:
            stats = await tx.namespaces.stats(scope, limit=1)
        return sum(part.memories for part in stats) > _AWAITED_MAX

    def _load_beside(self, namespace: Namespace) -> None:
        async def load() -> None:
            with contextlib.suppress(StoreUnavailable):
                async with self._store.reading() as tx:
                    position = await tx.feed.position(Scope(namespace))
                await self._refreshed(namespace, position.seq, position.epoch)

        if namespace not in self._loading:
            task = asyncio.get_running_loop().create_task(load())
            self._loading[namespace] = task
            task.add_done_callback(lambda _: self._loading.pop(namespace, None))

    @property
    def size_bytes(self) -> int:
        """What all postings are charged for in the byte budget."""
        return self._budget.used_by(self)

    @property
    def namespaces(self) -> int:
        """How many namespaces are in memory."""
        return len(self._segments)

    @property
    def rows(self) -> int:
        """How many memories are."""
        return sum(segment.view.documents for segment in self._segments.values())

    def evict(self, namespace: Namespace, /) -> None:
        """Let go of one namespace; it is loaded again on demand."""
        self._segments.pop(namespace, None)

    # --- Being current ---------------------------------------------------------------------------

    async def _told(
        self, scope: Scope, filter: Filter, segments: Sequence[Postings]
    ) -> list[Mask | None] | None:
        """Let the store say who passes where the segments cannot tell."""
        from adapters.fastcore.eligible import only

        if filter.only_time or all(one.view.facts.can_tell(filter) for one in segments):
            return None
        async with self._store.reading() as tx:
            allowed = frozenset(await tx.memories.find_ids(scope, filter))
        # Intersecting walks over the smaller of the two.
        return [
            only(one.view, [one.places[id] for id in one.places.keys() & allowed])
            for one in segments
        ]

    def _loaded(self, scope: Scope) -> list[Postings] | None:
        """Return the segments of a scope as they are; None unless all are there."""
        namespaces = self._surveys.seen(scope)
        if namespaces is None or any(one not in self._segments for one in namespaces):
            return None
        return [self._segments[namespace] for namespace in namespaces]

    def _sum_of_watermarks(self, scope: Scope) -> int | None:
        segments = self._loaded(scope)
        return None if segments is None else sum(one.view.watermark for one in segments)

    async def _current(
        self, scope: Scope, position: FeedPosition, known: int | None
    ) -> list[Postings]:
        """Return the scope's segments with everything applied up to the position.

        `known` was added up before the position was read. No watermark passes its head, so only if
        all were current are the sums equal; afterwards one may have run ahead of another.
        """
        segments = self._loaded(scope)
        if (
            known == position.seq
            and segments is not None
            and all(segment.view.epoch == position.epoch for segment in segments)
        ):
            for namespace in self._surveys.seen(scope) or ():
                self._budget.touch(self, namespace)
            return segments
        if scope.kind is ScopeKind.EXACT:
            return [await self._refreshed(scope.namespace, position.seq, position.epoch)]
        epoch, heads = await self._surveys.renew(scope)
        return [await self._refreshed(namespace, head, epoch) for namespace, head in heads.items()]

    async def _refreshed(self, namespace: Namespace, head: int, epoch: str) -> Postings:
        """Return the segment with every event applied up to a head at least."""
        lock = self._locks.setdefault(namespace, asyncio.Lock())
        async with lock:
            segment = self._segments.get(namespace)
            if segment is None or segment.view.epoch != epoch or segment.view.watermark < head:
                segment = await self._read(namespace, segment)
            self._segments[namespace] = segment
            self._budget.charge(self, namespace, segment.size_bytes)
            return segment

    async def _read(self, namespace: Namespace, segment: Postings | None) -> Postings:
        async with self._store.reading() as tx:
            position = await tx.feed.position(Scope(namespace))
            if segment is None or not await self._applied(tx, namespace, segment, position):
                segment = await self._load(tx, namespace, position)
        if segment.is_sparse:
            segment = await in_thread(segment.compacted)
        return segment

    async def _load(
        self, tx: Transaction, namespace: Namespace, position: FeedPosition
    ) -> Postings:
        from adapters.fastcore.postings import Postings

        segment = Postings(position.epoch, position.seq)
        last: MemoryId | None = None
        while page := await tx.terms.page(namespace, limit=_PAGE, after=last):
            await self._apply(segment, page, (), position.seq)
            last = page[-1].memory_id
            if len(page) < _PAGE:
                break
        return segment

    async def _applied(
        self, tx: Transaction, namespace: Namespace, segment: Postings, position: FeedPosition
    ) -> bool:
        """Apply what is new; False when only loading again can help (or is cheaper)."""
        view = segment.view
        if view.epoch != position.epoch:
            return False
        if not is_worth_following(view.watermark, position, view.documents):
            return False
        async for touched, seq in touched_since(tx, namespace, view.watermark, position):
            live = await tx.terms.of(sorted(touched)) if touched else []
            gone = touched.difference(item.memory_id for item in live)
            await self._apply(segment, live, gone, seq)
        return segment.view.watermark == position.seq

    @staticmethod
    async def _apply(
        segment: Postings, live: Sequence[IndexedTerms], gone: Iterable[MemoryId], seq: int
    ) -> None:
        if len(live) <= _INLINE_CHANGED and segment.view.postings <= _INLINE_POSTINGS:
            segment.install(segment.prepared(live, gone, seq))
            return
        segment.install(await in_thread(lambda: segment.prepared(live, gone, seq)))


def _masks(views: Sequence[View], filter: Filter) -> list[Mask | None]:
    from adapters.fastcore.eligible import eligible, moment_of

    return [eligible(view, filter, moment_of(filter)) for view in views]
