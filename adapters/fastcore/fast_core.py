"""The vector index of the embedded profile: exact, in process, rebuilt from the canonical store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from adapters.fastcore import searching
from adapters.fastcore.budget import Budget
from adapters.fastcore.keeping import Keeper
from adapters.fastcore.loading import follow, load
from adapters.fastcore.snapshots import Snapshots
from adapters.fastcore.surveys import Surveys
from adapters.fastcore.threads import in_thread
from domain.errors import DimensionMismatch
from domain.events import FeedPosition
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import CanonicalStore, VectorNominations
from domain.vector import Vector

if TYPE_CHECKING:
    from adapters.fastcore.segment import Segment

#: Up to here all cosines between as many memories take about a millisecond.
_PAIRS_INLINE = 100
#: Up to here, so do the cosines between a question and as many memories.
_SIMILAR_INLINE = 1000
#: A subtree is scanned in portions, so that it may be larger than the byte budget.
_PORTION_VECTORS = 50_000


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
        exact_rows: int = 50_000,
        snapshots: Snapshots | None = None,
    ) -> None:
        self._store = store
        self._model_id = model_id
        self._dimension = dimension
        self._budget = budget
        self._exact_rows = exact_rows
        self._keeper = Keeper(snapshots, self._refreshed, self._lock)
        self._segments: dict[Namespace, Segment] = {}
        self._homes: dict[MemoryId, Segment] = {}
        self._surveys = Surveys(store)
        self._locks: WeakValueDictionary[Namespace, asyncio.Lock] = WeakValueDictionary()
        self._generation = 0
        #: Whether something was searched that was not kept.
        self._is_streaming = False

    async def nominate(
        self, vector: Vector, scope: Scope, filter: Filter, /, *, limit: int
    ) -> VectorNominations:
        """Return the nearest per role; raise `DimensionMismatch` for a vector of another model."""
        from adapters.fastcore.scan import merged

        self._check_dimension(vector)
        epoch, namespaces = await self._surveys.of(scope)
        answer = searching.Answer(set() if epoch is None else {epoch})
        async for segments in self._portions(namespaces):
            told = await self._told(scope, filter, segments)
            if told is None:
                views = [segment.view for segment in segments]
                answer.note(views, None)
                allowed_targets = await searching.targets(views, filter)
            else:
                allowed, until = told
                views = [segment.view for segment in segments]
                answer.note(views, until)
                allowed_targets = searching.chosen(segments, allowed)
            answer.add(await searching.search(vector, allowed_targets, limit))
        return VectorNominations(
            merged(answer.own, limit),
            merged(answer.context, limit),
            answer.position,
            exact=answer.exact,
        )

    async def similarities(
        self, vector: Vector, ids: Sequence[MemoryId], /
    ) -> dict[MemoryId, tuple[float | None, float | None]]:
        """Return cosines of those ids whose namespace is loaded, or was too large to be kept."""
        from adapters.fastcore.places import cosines_at, placed

        self._check_dimension(vector)
        here = [id for id in ids if id in self._homes]
        compute = partial(cosines_at, vector, placed(here, self._homes), len(here))
        found = compute() if len(here) <= _SIMILAR_INLINE else await asyncio.to_thread(compute)
        answer = dict(zip(here, found, strict=True))
        if self._is_streaming and (missing := [id for id in ids if id not in answer]):
            async with self._store.reading() as tx:
                items = await tx.embeddings.of(missing, self._current_model())
            for item in items:
                answer[item.memory_id] = searching.similar_outside(vector, item)
        return answer

    async def pairwise(self, ids: Sequence[MemoryId], /) -> list[list[float]]:
        """Return cosines between own vectors; 0 where a vector is missing or not loaded."""
        from adapters.fastcore.places import cosines_between, placed

        compute = partial(cosines_between, placed(ids, self._homes), len(ids), self._dimension)
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
        self._is_streaming = False

    async def close(self) -> None:
        """Write files of what is large; the store must still be open."""
        await self._keeper.close(dict(self._segments))

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

    @property
    def vector_bytes(self) -> int:
        """What vectors and their codes take, of all namespaces that are loaded."""
        return sum(
            side.shelf.vector_bytes
            for segment in self._segments.values()
            for side in (segment.view.own, segment.view.context)
        )

    # --- Reading ---------------------------------------------------------------------------------

    def _check_dimension(self, vector: Vector) -> None:
        if vector.dimension != self._dimension:
            raise DimensionMismatch("vector", expected=self._dimension, actual=vector.dimension)

    async def _told(
        self, scope: Scope, filter: Filter, segments: Sequence[Segment]
    ) -> tuple[frozenset[MemoryId], FeedPosition] | None:
        """Let the store say who passes, and as of when, where the segments cannot tell."""
        if filter.only_time or all(one.view.facts.can_tell(filter) for one in segments):
            return None
        async with self._store.reading() as tx:
            position = await tx.feed.position(scope)
            return frozenset(await tx.memories.find_ids(scope, filter)), position

    def _in_use(self, namespaces: Sequence[Namespace]) -> Sequence[Namespace]:
        """Mark what is loaded as used, so that nothing of a scope makes room for the rest of it."""
        for namespace in namespaces:
            if namespace in self._segments:
                self._budget.touch(self, namespace)
        return namespaces

    async def _portions(self, namespaces: Sequence[Namespace]) -> AsyncIterator[list[Segment]]:
        portion: list[Segment] = []
        vectors = 0
        for namespace in self._in_use(namespaces):
            segment = await self._loaded(namespace, namespaces)
            portion.append(segment)
            vectors += segment.view.vectors
            if vectors >= _PORTION_VECTORS:
                yield portion
                portion, vectors = [], 0
        if portion:
            yield portion

    # --- Loading and catching up -----------------------------------------------------------------

    def _current_model(self) -> str:
        return self._model_id if isinstance(self._model_id, str) else self._model_id()

    def _is_behind(self, segment: Segment, epoch: str, head: int) -> bool:
        stands = (segment.view.epoch, segment.view.watermark, segment.model)
        return stands != (epoch, head, self._current_model())

    async def _loaded(self, namespace: Namespace, scope: Collection[Namespace]) -> Segment:
        """Return the segment as it is, loaded if need be.

        Of a scope beyond the budget some is kept and the rest is read anew for every search: if
        each part made room for the next, none would be there when its turn comes again.
        """
        segment = self._segments.get(namespace)
        if segment is None or segment.model != self._current_model():
            return await self._refreshed(namespace, scope)
        return segment

    def _empty(self, position: FeedPosition) -> Segment:
        from adapters.fastcore.segment import Segment

        model, epoch, seq = self._current_model(), position.epoch, position.seq
        return Segment(model, self._dimension, epoch, seq, exact_rows=self._exact_rows)

    def _crowds_out(
        self, namespace: Namespace, segment: Segment, scope: Collection[Namespace]
    ) -> bool:
        if namespace in self._segments or self._budget.has_room(segment.size_bytes):
            return False
        leaving = self._budget.next_to_leave
        return leaving != namespace and leaving in scope

    def _lock(self, namespace: Namespace) -> asyncio.Lock:
        return self._locks.setdefault(namespace, asyncio.Lock())

    async def _refreshed(self, namespace: Namespace, scope: Collection[Namespace] = ()) -> Segment:
        """Return the segment with every event applied that was committed before this call.

        It is not kept where another namespace of the scope would have to make room for it.
        """
        async with self._lock(namespace):
            generation = self._generation
            async with self._store.reading() as tx:
                segment = self._segments.get(namespace)
                position = await tx.feed.position(Scope(namespace))
                if segment is None or segment.model != self._current_model():
                    empty = self._empty(position)
                    segment = await self._keeper.restored(namespace, empty, position)
                note = partial(self._note, namespace)
                if segment is None or not await follow(tx, namespace, segment, position, note):
                    segment = self._empty(position)
                    await load(tx, namespace, segment)
            if segment.is_sparse:
                segment = await in_thread(segment.compacted)
            if self._crowds_out(namespace, segment, scope):
                self._is_streaming = True
            elif generation == self._generation:
                self._install(namespace, segment)
                self._keeper.write_if_new(namespace, segment)
            return segment

    # --- The byte budget -------------------------------------------------------------------------

    def _install(self, namespace: Namespace, segment: Segment) -> None:
        if self._segments.get(namespace) is not segment:
            self.evict(namespace)
            self._segments[namespace] = segment
            self._homes.update(dict.fromkeys(segment.places, segment))
        self._budget.charge(self, namespace, segment.size_bytes)

    def _note(
        self,
        namespace: Namespace,
        segment: Segment,
        here: Iterable[MemoryId],
        gone: Iterable[MemoryId],
    ) -> None:
        """Keep up where memories are to be found, once the segment is in use."""
        if self._segments.get(namespace) is segment:
            self._homes.update(dict.fromkeys(here, segment))
            self._leave_home(segment, gone)

    def _leave_home(self, segment: Segment, ids: Iterable[MemoryId]) -> None:
        for id in ids:
            if self._homes.get(id) is segment:
                del self._homes[id]
