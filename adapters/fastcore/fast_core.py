"""The vector index of the embedded profile: exact, in process, rebuilt from the canonical store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from adapters.fastcore.budget import Budget
from adapters.fastcore.changes import is_worth_following, touched_since
from adapters.fastcore.surveys import Surveys
from domain.errors import DimensionMismatch
from domain.events import FeedPosition
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import CanonicalStore, Transaction, VectorNominations
from domain.vector import Role, Vector

if TYPE_CHECKING:
    from adapters.fastcore.scan import Ranked, Target
    from adapters.fastcore.segment import Segment, View

_PAGE = 2000
#: Up to here a scan takes about half a millisecond: less than handing it to a thread may cost.
_INLINE_ROWS = 5000
#: Up to here all cosines between as many memories take about a millisecond.
_PAIRS_INLINE = 100
#: A subtree is scanned in portions, so that it may be larger than the byte budget.
_PORTION_ROWS = 50_000


class FastCore:
    """Vectors of whole namespaces in memory, the least recently used dropped beyond a byte budget.

    Reading never waits for writing: a reader takes the current view of a segment. Writers (loading,
    catching up) take turns per namespace.
    """

    def __init__(
        self,
        store: CanonicalStore,
        model_id: Callable[[], str] | str,
        dimension: int,
        *,
        budget: Budget,
    ) -> None:
        self._store = store
        self._model_id = model_id
        self._dimension = dimension
        self._budget = budget
        self._segments: dict[Namespace, Segment] = {}
        self._homes: dict[MemoryId, Segment] = {}
        self._surveys = Surveys(store)
        self._locks: WeakValueDictionary[Namespace, asyncio.Lock] = WeakValueDictionary()
        self._generation = 0

    async def nominate(
        self, vector: Vector, scope: Scope, filter: Filter, /, *, limit: int
    ) -> VectorNominations:
        """Return the nearest per role; raise `DimensionMismatch` for a vector of another model."""
        from adapters.fastcore.scan import merged

        self._check_dimension(vector)
        allowed, until = await self._allowed(scope, filter)
        moment = None if filter.valid_at is None else filter.valid_at.timestamp()
        epoch, namespaces = await self._surveys.of(scope)
        epochs = {known for known in (epoch, until.epoch if until else None) if known is not None}
        watermark = 0
        own: list[Ranked] = []
        context: list[Ranked] = []
        async for targets in self._portions(namespaces, allowed):
            epochs.update(target.view.epoch for target in targets)
            watermark += sum(target.view.watermark for target in targets)
            best = await self._nearest(vector, targets, moment, limit)
            own.append(best[0])
            context.append(best[1])
        if until is not None:
            # Segments may have moved on since the filter was asked: claim no more than it knew.
            watermark = min(watermark, until.seq)
        # Segments of several epochs equal no position of the store: the caller catches up.
        position = FeedPosition(epochs.pop() if len(epochs) == 1 else "", watermark)
        return VectorNominations(merged(own, limit), merged(context, limit), position, exact=True)

    async def similarities(
        self, vector: Vector, ids: Sequence[MemoryId], /
    ) -> dict[MemoryId, tuple[float | None, float | None]]:
        """Return cosines of those ids whose namespace is loaded."""
        from adapters.fastcore.scan import cosines, gathered, has

        self._check_dimension(vector)
        places = {id: place for id in ids if (place := self._place(id)) is not None}

        def compute() -> dict[MemoryId, tuple[float | None, float | None]]:
            found = list(places.values())
            own = cosines(vector, gathered(found, Role.OWN, self._dimension)).tolist()
            context = cosines(vector, gathered(found, Role.CONTEXT, self._dimension)).tolist()
            return {
                id: (
                    a if has(view, Role.OWN, row) else None,
                    b if has(view, Role.CONTEXT, row) else None,
                )
                for (id, (view, row)), a, b in zip(places.items(), own, context, strict=True)
            }

        return compute() if len(places) <= _INLINE_ROWS else await asyncio.to_thread(compute)

    async def pairwise(self, ids: Sequence[MemoryId], /) -> list[list[float]]:
        """Return cosines between own vectors; 0 where a vector is missing or not loaded."""
        from adapters.fastcore.scan import gathered, pairwise

        places = [self._place(id) for id in ids]

        def compute() -> list[list[float]]:
            return pairwise(gathered(places, Role.OWN, self._dimension))

        return compute() if len(ids) <= _PAIRS_INLINE else await asyncio.to_thread(compute)

    async def catch_up(self, scope: Scope, /) -> None:
        """Bring what is loaded of the scope up to date, and load the rest while there is room."""
        if scope.kind is ScopeKind.EXACT:
            await self._refreshed(scope.namespace)
            return
        epoch, heads = await self._surveys.renew(scope)
        for namespace, head in heads.items():
            segment = self._segments.get(namespace)
            if segment is None and self._budget.is_full:
                continue
            if segment is None or self._is_behind(segment, epoch, head):
                await self._refreshed(namespace)

    async def reset(self) -> None:
        """Forget everything; a load that is under way does not bring it back."""
        self._generation += 1
        for namespace in self._segments:
            self._budget.release(self, namespace)
        self._segments.clear()
        self._homes.clear()
        self._surveys.clear()

    def evict(self, namespace: Namespace, /) -> None:
        """Let go of one namespace; it is loaded again on demand."""
        segment = self._segments.pop(namespace, None)
        if segment is not None:
            self._leave_home(segment, segment.places)

    @property
    def namespaces(self) -> int:
        """How many namespaces are in memory."""
        return len(self._segments)

    @property
    def rows(self) -> int:
        """How many memories are."""
        return sum(len(segment.places) for segment in self._segments.values())

    # --- Reading ---------------------------------------------------------------------------------

    def _check_dimension(self, vector: Vector) -> None:
        if vector.dimension != self._dimension:
            raise DimensionMismatch("vector", expected=self._dimension, actual=vector.dimension)

    def _place(self, id: MemoryId) -> tuple[View, int] | None:
        segment = self._homes.get(id)
        if segment is None:
            return None
        return segment.view, segment.places[id]

    async def _allowed(
        self, scope: Scope, filter: Filter
    ) -> tuple[frozenset[MemoryId] | None, FeedPosition | None]:
        """Return who passes the filter and as of when; None when validity alone decides."""
        if filter.only_time:
            return None, None
        async with self._store.reading() as tx:
            position = await tx.feed.position(scope)
            return frozenset(await tx.memories.find_ids(scope, filter)), position

    async def _portions(
        self, namespaces: Iterable[Namespace], allowed: frozenset[MemoryId] | None
    ) -> AsyncIterator[list[Target]]:
        from adapters.fastcore.scan import Target

        portion: list[Target] = []
        rows = 0
        for namespace in namespaces:
            segment = await self._loaded(namespace)
            chosen = None
            if allowed is not None:
                # Intersecting walks over the smaller of the two.
                found = segment.places.keys() & allowed
                chosen = tuple(segment.places[id] for id in found)
            portion.append(Target(segment.view, chosen))
            rows += segment.view.count
            if rows >= _PORTION_ROWS:
                yield portion
                portion, rows = [], 0
        if portion:
            yield portion

    async def _nearest(
        self, vector: Vector, targets: Sequence[Target], moment: float | None, limit: int
    ) -> tuple[Ranked, Ranked]:
        from adapters.fastcore.scan import nearest

        if sum(target.view.count for target in targets) <= _INLINE_ROWS:
            return nearest(vector, targets, moment, limit)
        return await asyncio.to_thread(nearest, vector, targets, moment, limit)

    # --- Loading and catching up -----------------------------------------------------------------

    def _current_model(self) -> str:
        return self._model_id if isinstance(self._model_id, str) else self._model_id()

    def _is_behind(self, segment: Segment, epoch: str, head: int) -> bool:
        view = segment.view
        current = (epoch, head, self._current_model())
        return (view.epoch, view.watermark, segment.model) != current

    async def _loaded(self, namespace: Namespace) -> Segment:
        """Return the segment as it is, loaded if need be."""
        segment = self._segments.get(namespace)
        if segment is None or segment.model != self._current_model():
            return await self._refreshed(namespace)
        self._budget.touch(self, namespace)
        return segment

    async def _refreshed(self, namespace: Namespace) -> Segment:
        """Return the segment with every event applied that was committed before this call."""
        lock = self._locks.setdefault(namespace, asyncio.Lock())
        async with lock:
            generation = self._generation
            async with self._store.reading() as tx:
                segment = self._segments.get(namespace)
                position = await tx.feed.position(Scope(namespace))
                if segment is None or not await self._applied(tx, namespace, segment, position):
                    segment = await self._load(tx, namespace, position)
            if generation == self._generation:
                self._install(namespace, segment)
            return segment

    async def _load(self, tx: Transaction, namespace: Namespace, position: FeedPosition) -> Segment:
        from adapters.fastcore.segment import Segment

        model = self._current_model()
        segment = Segment(model, self._dimension, position.epoch, position.seq)
        last: MemoryId | None = None
        while page := await tx.embeddings.page(namespace, model, limit=_PAGE, after=last):
            segment.apply(page, (), position.seq)
            last = page[-1].memory_id
            if len(page) < _PAGE:
                break
        return segment

    async def _applied(
        self, tx: Transaction, namespace: Namespace, segment: Segment, position: FeedPosition
    ) -> bool:
        """Apply what is new; False when only loading again can help (or is cheaper)."""
        view = segment.view
        if view.epoch != position.epoch or segment.model != self._current_model():
            return False
        if not is_worth_following(view.watermark, position, len(segment.places)):
            return False
        async for touched, seq in touched_since(tx, namespace, view.watermark, position):
            found = await tx.embeddings.of(sorted(touched), segment.model) if touched else []
            gone = touched.difference(item.memory_id for item in found)
            segment.apply(found, gone, seq)
            if self._segments.get(namespace) is segment:
                self._homes.update((item.memory_id, segment) for item in found)
                self._leave_home(segment, gone)
        return segment.view.watermark == position.seq

    # --- The byte budget -------------------------------------------------------------------------

    def _install(self, namespace: Namespace, segment: Segment) -> None:
        if self._segments.get(namespace) is not segment:
            self.evict(namespace)
            self._segments[namespace] = segment
            self._homes.update(dict.fromkeys(segment.places, segment))
        self._budget.charge(self, namespace, segment.size_bytes)

    def _leave_home(self, segment: Segment, ids: Iterable[MemoryId]) -> None:
        for id in ids:
            if self._homes.get(id) is segment:
                del self._homes[id]
