"""The vector index of the embedded profile: exact, in process, rebuilt from the canonical store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from adapters.fastcore.budget import Budget
from adapters.fastcore.changes import is_worth_following, touched_since
from adapters.fastcore.snapshots import Snapshots
from adapters.fastcore.surveys import Surveys
from adapters.fastcore.threads import SHARES, in_thread
from domain.errors import DimensionMismatch, StoreUnavailable
from domain.events import FeedPosition
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope, ScopeKind
from domain.ports import CanonicalStore, IndexedVector, Transaction, VectorNominations
from domain.vector import Role, Vector

if TYPE_CHECKING:
    from adapters.fastcore.scan import Part, Ranked, Target
    from adapters.fastcore.segment import Segment, View

_PAGE = 2000
#: Up to this cost (in vectors scanned by codes) a scan takes about half a millisecond: less than
#: handing it to a thread may cost.
_INLINE_COST = 20_000.0
#: Up to here, so does working out a filter.
_INLINE_ROWS = 20_000
#: Up to here, so does a change.
_INLINE_CHANGED = 32
#: Growing storage for this many rows or fewer is quick.
_INLINE_ROWS_MOVED = 1000
#: Fewer vectors are read from the store sooner than a file is worth.
_WRITTEN_MIN = 20_000
_BEING_WRITTEN = (-1, -1)
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
        self._snapshots = snapshots
        #: Up to where each namespace's file goes, and whether it was discarded since.
        self._written: dict[Namespace, tuple[int, int]] = {}
        self._writing: set[asyncio.Task[None]] = set()
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
        answer = _Answer(set() if epoch is None else {epoch})
        async for segments in self._portions(namespaces):
            told = await self._told(scope, filter, segments)
            if told is None:
                views = [segment.view for segment in segments]
                answer.note(views, None)
                targets = await _targets(views, filter)
            else:
                allowed, until = told
                views = [segment.view for segment in segments]
                answer.note(views, until)
                targets = _chosen(segments, allowed)
            answer.add(await _nearest(vector, targets, limit))
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
        from adapters.fastcore.scan import similar

        self._check_dimension(vector)
        places = {id: place for id in ids if (place := self._place(id)) is not None}

        def compute() -> dict[MemoryId, tuple[float | None, float | None]]:
            found = list(places.values())
            own = similar(vector, found, Role.OWN, self._dimension)
            context = similar(vector, found, Role.CONTEXT, self._dimension)
            return dict(zip(places, zip(own, context, strict=True), strict=True))

        quick = len(places) <= _SIMILAR_INLINE
        answer = compute() if quick else await asyncio.to_thread(compute)
        missing = [id for id in ids if id not in answer]
        if missing and self._is_streaming:
            async with self._store.reading() as tx:
                items = await tx.embeddings.of(missing, self._current_model())
            answer.update((item.memory_id, _similar(vector, item)) for item in items)
        return answer

    async def pairwise(self, ids: Sequence[MemoryId], /) -> list[list[float]]:
        """Return cosines between own vectors; 0 where a vector is missing or not loaded."""
        from adapters.fastcore.scan import gathered, pairwise

        places = [self._place(id) for id in ids]

        def compute() -> list[list[float]]:
            return pairwise(gathered(places, Role.OWN, self._dimension)[0])

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

    def _place(self, id: MemoryId) -> tuple[View, int] | None:
        segment = self._homes.get(id)
        if segment is None:
            return None
        return segment.view, segment.places[id]

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
        view = segment.view
        current = (epoch, head, self._current_model())
        return (view.epoch, view.watermark, segment.model) != current

    async def _loaded(self, namespace: Namespace, scope: Collection[Namespace]) -> Segment:
        """Return the segment as it is, loaded if need be.

        Of a scope beyond the budget some is kept and the rest is read anew for every search: if
        each part made room for the next, none would be there when its turn comes again.
        """
        segment = self._segments.get(namespace)
        if segment is None or segment.model != self._current_model():
            return await self._refreshed(namespace, scope)
        return segment

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
                if segment is None:
                    segment = await self._restored(namespace, position)
                if segment is None or not await self._applied(tx, namespace, segment, position):
                    segment = await self._load(tx, namespace, position)
            if segment.is_sparse:
                segment = await in_thread(segment.compacted)
            if self._crowds_out(namespace, segment, scope):
                self._is_streaming = True
            elif generation == self._generation:
                self._install(namespace, segment)
                self._write_if_new(namespace, segment)
            return segment

    async def _load(self, tx: Transaction, namespace: Namespace, position: FeedPosition) -> Segment:
        from adapters.fastcore.segment import Segment

        model = self._current_model()
        segment = Segment(
            model,
            self._dimension,
            position.epoch,
            position.seq,
            exact_rows=self._exact_rows,
        )
        last: MemoryId | None = None
        while page := await tx.embeddings.page(namespace, model, limit=_PAGE, after=last):
            await _apply(segment, page, (), position.seq)
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
            await _apply(segment, found, gone, seq)
            if self._segments.get(namespace) is segment:
                self._homes.update((item.memory_id, segment) for item in found)
                self._leave_home(segment, gone)
        return segment.view.watermark == position.seq

    # --- Files -----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Write what has changed since it was last written; the store must still be open."""
        for task in tuple(self._writing):
            await task
        for namespace, segment in tuple(self._segments.items()):
            if self._is_worth_writing(namespace, segment):
                await self._write(namespace)

    async def _restored(self, namespace: Namespace, position: FeedPosition) -> Segment | None:
        """Return what a file holds, unless it belongs to another state of the store."""
        if self._snapshots is None or not self._snapshots.has(namespace):
            return None
        read = partial(
            self._snapshots.read,
            namespace,
            self._current_model(),
            self._dimension,
            exact_rows=self._exact_rows,
        )
        segment = await asyncio.to_thread(read)
        if segment is None:
            return None
        view = segment.view
        if view.epoch != position.epoch or view.watermark > position.seq:
            await self._snapshots.discard(namespace)
            return None
        self._written[namespace] = (view.watermark, self._snapshots.turn(namespace))
        return segment

    def _is_worth_writing(self, namespace: Namespace, segment: Segment) -> bool:
        if self._snapshots is None or segment.view.vectors < _WRITTEN_MIN:
            return False
        now = (segment.view.watermark, self._snapshots.turn(namespace))
        return self._written.get(namespace) != now

    def _write_if_new(self, namespace: Namespace, segment: Segment) -> None:
        """Write in the background what no file holds yet; later changes wait for the end."""
        if namespace in self._written or not self._is_worth_writing(namespace, segment):
            return
        self._written[namespace] = _BEING_WRITTEN
        task = asyncio.get_running_loop().create_task(self._write(namespace))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, namespace: Namespace) -> None:
        """Write a file; without it everything works, and only a restart takes longer."""
        with contextlib.suppress(StoreUnavailable, OSError):
            await self._written_anew(namespace)

    async def _written_anew(self, namespace: Namespace) -> None:
        """Catch up, so that nothing is written that was erased before, then write."""
        assert self._snapshots is not None
        turn = self._snapshots.turn(namespace)
        segment = await self._refreshed(namespace)
        async with self._lock(namespace):
            compacted = await in_thread(segment.frozen)
        frozen = await in_thread(compacted)
        if await in_thread(partial(self._snapshots.write, namespace, frozen, turn)):
            self._written[namespace] = (frozen.view.watermark, turn)

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


@dataclass(slots=True)
class _Answer:
    """What the portions of a scope have brought so far, and the state it was taken from."""

    epochs: set[str]
    watermark: int = 0
    own: list[Ranked] = field(default_factory=list)
    context: list[Ranked] = field(default_factory=list)
    exact: bool = True
    _until: int | None = None

    def note(self, views: Sequence[View], until: FeedPosition | None) -> None:
        """Count in what is searched, and where the store stood when it was asked who passes."""
        self.epochs.update(view.epoch for view in views)
        self.watermark += sum(view.watermark for view in views)
        if until is not None:
            self.epochs.add(until.epoch)
            self._until = until.seq if self._until is None else min(self._until, until.seq)

    def add(self, found: tuple[list[Ranked], list[Ranked], bool]) -> None:
        """Add what a portion has brought."""
        own, context, exact = found
        self.own += own
        self.context += context
        self.exact = self.exact and exact

    @property
    def position(self) -> FeedPosition:
        """The position of the store that this equals.

        Segments of several epochs equal none: the caller catches up. Segments may have moved on
        since the store was asked: no more is claimed than it knew.
        """
        watermark = self.watermark if self._until is None else min(self.watermark, self._until)
        return FeedPosition(min(self.epochs) if len(self.epochs) == 1 else "", watermark)


def _similar(vector: Vector, item: IndexedVector) -> tuple[float | None, float | None]:
    """Return the cosines of vectors that are not in memory."""
    import numpy as np

    from adapters.fastcore.scan import cosines

    def cosine(other: Vector | None) -> float | None:
        if other is None:
            return None
        return float(cosines(vector, np.frombuffer(other.data, "<f4")[None, :])[0])

    return cosine(item.own), cosine(item.context)


async def _targets(views: Sequence[View], filter: Filter) -> list[Target]:
    """Work out what may be returned, in a thread where that takes long."""
    from adapters.fastcore.eligible import effort, eligible, moment_of
    from adapters.fastcore.scan import Target

    moment = moment_of(filter)

    def work() -> list[Target]:
        return [Target(view, eligible(view, filter, moment)) for view in views]

    if effort(views, filter) <= _INLINE_ROWS:
        return work()
    return await asyncio.to_thread(work)


def _chosen(segments: Sequence[Segment], allowed: frozenset[MemoryId]) -> list[Target]:
    """Intersect with what the store allows: that walks over the smaller of the two."""
    from adapters.fastcore.eligible import only
    from adapters.fastcore.scan import Target

    return [
        Target(
            segment.view,
            only(segment.view, [segment.places[id] for id in segment.places.keys() & allowed]),
        )
        for segment in segments
    ]


async def _nearest(
    vector: Vector, targets: Sequence[Target], limit: int
) -> tuple[list[Ranked], list[Ranked], bool]:
    """Search at once where that is quick, else in as many threads as there are cores."""
    from adapters.fastcore.scan import nearest, parts, shared

    def search(share: Sequence[Part]) -> tuple[Ranked, Ranked, bool]:
        return nearest(vector, share, limit)

    pieces = parts(targets)
    cost = sum(part.cost for part in pieces)
    if cost <= _INLINE_COST:
        found = [search(pieces)]
    else:
        shares = shared(pieces, SHARES)
        found = await asyncio.gather(*(asyncio.to_thread(search, share) for share in shares))
    return (
        [own for own, _, _ in found],
        [context for _, context, _ in found],
        all(exact for _, _, exact in found),
    )


async def _apply(
    segment: Segment, changed: Sequence[IndexedVector], gone: Iterable[MemoryId], seq: int
) -> None:
    small = segment.view.count <= _INLINE_ROWS_MOVED or segment.has_room(len(changed))
    if len(changed) <= _INLINE_CHANGED and small:
        segment.apply(changed, gone, seq)
        return
    segment.install(await in_thread(lambda: segment.prepared(changed, gone, seq)))
