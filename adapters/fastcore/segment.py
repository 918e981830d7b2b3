"""The vectors of one namespace as contiguous rows that readers may scan while they change.

Rows are only ever appended. A replaced or removed row is marked dead in a copy of the mask, and a
reader works on a `View`: arrays of which nothing below `count` changes any more. So a scan in a
thread needs no lock and never sees half an update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore.chunk import Mask
from adapters.fastcore.facts import Columns
from adapters.fastcore.growing import appended
from adapters.fastcore.masks import Masks
from adapters.fastcore.shelf import Shelf
from adapters.fastcore.spans import Spans
from domain.memory import MemoryId
from domain.ports import IndexedVector
from domain.vector import Vector

#: Where each row's vector lies on a shelf; -1 where it has none.
Slots = NDArray[np.int32]

_DEAD_MIN = 1024
#: What Python keeps per row besides the arrays: the id and its places in a list and two dicts.
ROW_OVERHEAD_BYTES = 300
_SEGMENT_OVERHEAD_BYTES = 4096
_NONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The vectors of one role, and where each row's is."""

    shelf: Shelf
    slots: Slots

    @staticmethod
    def empty(dimension: int) -> Side:
        """Return a side without vectors."""
        return Side(Shelf.empty(dimension), np.empty(0, np.int32))

    def extended(self, count: int, vectors: Sequence[Vector | None]) -> Side:
        """Return a side with more rows behind the first `count`."""
        given = [place for place, vector in enumerate(vectors) if vector is not None]
        joined = b"".join(vector.data for vector in vectors if vector is not None)
        dimension = self.shelf.tail.shape[1]
        matrix = np.frombuffer(joined, "<f4").reshape(len(given), dimension)
        slots = np.full(len(vectors), _NONE, np.int32)
        slots[given] = np.arange(self.shelf.count, self.shelf.count + len(given))
        owners = np.array(given, np.int32) + count
        return Side(self.shelf.extended(matrix, owners), appended(self.slots, count, slots))

    def kept(self, rows: NDArray[np.intp]) -> Side:
        """Return the side of these rows only."""
        slots = self.slots[rows]
        present = slots >= 0
        fresh = np.full(len(rows), _NONE, np.int32)
        fresh[present] = np.arange(np.count_nonzero(present))
        shelf = Shelf.empty(self.shelf.tail.shape[1])
        owners = np.flatnonzero(present).astype(np.int32)
        for start in range(0, len(owners), _MOVED_AT_ONCE):
            part = slice(start, start + _MOVED_AT_ONCE)
            shelf = shelf.extended(self.shelf.taken(slots[present][part]), owners[part])
        return Side(shelf, fresh)


_MOVED_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a reader sees: the first `count` rows, `documents` of them alive, as of a position."""

    ids: list[MemoryId]
    alive: Mask
    own: Side
    context: Side
    spans: Spans
    facts: Columns
    count: int
    documents: int
    epoch: str
    watermark: int
    masks: Masks = field(default_factory=Masks, init=False)

    @property
    def vectors(self) -> int:
        """How many vectors there are, those of dead rows included."""
        return self.own.shelf.count + self.context.shelf.count


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """The next view, not in force yet, and which memories it adds and drops."""

    view: View
    added: tuple[tuple[MemoryId, int], ...]
    gone: tuple[MemoryId, ...]


class Segment:
    """One namespace of one model; `view` is replaced by each change as a whole.

    Beyond `exact_rows` vectors of a role they are searched by bits first. One writer at a time.
    """

    def __init__(
        self,
        model: str,
        dimension: int,
        epoch: str,
        watermark: int,
        *,
        exact_rows: int = 1_000_000_000,
    ) -> None:
        self.model = model
        self.places: dict[MemoryId, int] = {}
        self.dimension = dimension
        self._exact_rows = exact_rows
        self._digests: dict[MemoryId, int] = {}
        side = Side.empty(dimension)
        alive = np.empty(0, np.bool_)
        self.view = View([], alive, side, side, Spans(), Columns(), 0, 0, epoch, watermark)

    @property
    def size_bytes(self) -> int:
        """What it is charged for in the byte budget."""
        view = self.view
        shelves = view.own.shelf.size_bytes + view.context.shelf.size_bytes
        arrays = view.alive.nbytes + view.own.slots.nbytes + view.context.slots.nbytes
        rest = view.spans.size_bytes + view.facts.size_bytes
        overhead = _SEGMENT_OVERHEAD_BYTES + view.count * ROW_OVERHEAD_BYTES
        return shelves + arrays + rest + overhead

    @property
    def is_sparse(self) -> bool:
        """Tell whether so many rows are dead that `compacted` is worth its while."""
        dead = self.view.count - self.view.documents
        return dead > max(_DEAD_MIN, self.view.documents // 4)

    def has_room(self, count: int) -> bool:
        """Tell whether that many more rows cost no more than writing them."""
        view = self.view
        return view.own.shelf.has_room(count) and view.context.shelf.has_room(count)

    def apply(
        self, changed: Sequence[IndexedVector], gone: Iterable[MemoryId], watermark: int
    ) -> None:
        """Replace or add what changed and drop what is gone, all at once."""
        self.install(self.prepared(changed, gone, watermark))

    def prepared(
        self, changed: Sequence[IndexedVector], gone: Iterable[MemoryId], watermark: int
    ) -> Change:
        """Work out the next view; readers notice nothing, so this may run in a thread."""
        view = self.view
        digests = [_digest(item) for item in changed]
        fresh = [
            (item, digest)
            for item, digest in zip(changed, digests, strict=True)
            if self._digests.get(item.memory_id) != digest
        ]
        added = [item for item, _ in fresh]
        left = tuple(id for id in gone if id in self.places)
        dead = [self.places[id] for id in left]
        dead += [self.places[item.memory_id] for item in added if item.memory_id in self.places]
        alive = view.alive
        if dead:
            alive = alive.copy()
            alive[dead] = False
        if added:
            view.spans.extend(view.count, [item.span for item in added])
            view.facts.extend(view.count, [item.facts for item in added])
            alive = appended(alive, view.count, np.ones(len(added), np.bool_))
        after = View(
            ids=view.ids,
            alive=alive,
            own=self._extended(view.own, view.count, [item.own for item in added]),
            context=self._extended(view.context, view.count, [item.context for item in added]),
            spans=view.spans,
            facts=view.facts,
            count=view.count + len(added),
            documents=view.documents + len(added) - len(dead),
            epoch=view.epoch,
            watermark=watermark,
        )
        return Change(after, tuple((item.memory_id, digest) for item, digest in fresh), left)

    def install(self, change: Change) -> None:
        """Put a change in force that was worked out from the present view."""
        start = self.view.count
        for id in change.gone:
            del self.places[id]
            self._digests.pop(id, None)
        for row, (id, digest) in enumerate(change.added, start):
            self.places[id] = row
            self._digests[id] = digest
        change.view.ids.extend(id for id, _ in change.added)
        self.view = change.view

    def restore(self, view: View) -> None:
        """Stand as a view without dead rows says.

        What the memories looked like then is not known any more: each that is touched is written
        anew, changed or not.
        """
        self.places = {id: row for row, id in enumerate(view.ids)}
        self._digests = {}
        self.view = replace(
            view, own=self._searchable(view.own), context=self._searchable(view.context)
        )

    def compacted(self) -> Segment:
        """Return the same without dead rows."""
        return self.frozen()()

    def frozen(self) -> Callable[[], Segment]:
        """Return what makes a segment without dead rows of how this one stands now.

        That takes long, but no writer has to wait for it: only for this call.
        """
        view = self.view
        kept = np.flatnonzero(view.alive[: view.count])
        spans, facts = view.spans.kept(kept), view.facts.kept(kept)
        digests = dict(self._digests)

        def compacted() -> Segment:
            ids = [view.ids[row] for row in kept.tolist()]
            dense = len(kept) == view.count
            copy = Segment(
                self.model, self.dimension, view.epoch, view.watermark, exact_rows=self._exact_rows
            )
            copy.restore(
                View(
                    ids=ids,
                    alive=np.ones(len(ids), np.bool_),
                    own=view.own if dense else view.own.kept(kept),
                    context=view.context if dense else view.context.kept(kept),
                    spans=spans,
                    facts=facts,
                    count=len(ids),
                    documents=len(ids),
                    epoch=view.epoch,
                    watermark=view.watermark,
                )
            )
            copy._digests = digests
            return copy

        return compacted

    def _extended(self, side: Side, count: int, vectors: Sequence[Vector | None]) -> Side:
        return self._searchable(side.extended(count, vectors)) if vectors else side

    def _searchable(self, side: Side) -> Side:
        if side.shelf.count <= self._exact_rows:
            return side
        return Side(side.shelf.with_bits(), side.slots)


def _digest(item: IndexedVector) -> int:
    return hash((item.own, item.context, item.span, item.facts))
