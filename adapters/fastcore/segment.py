"""The vectors of one namespace as contiguous rows that readers may scan while they change.

Rows are only ever appended. A replaced or removed row is marked dead in a copy of the mask, and a
reader works on a `View`: arrays of which nothing below `count` changes any more. So a scan in a
thread needs no lock and never sees half an update.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.memory import MemoryId
from domain.ports import IndexedVector
from domain.vector import Vector

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_CAPACITY_MIN = 16
_DEAD_MIN = 1024
#: What Python keeps per row besides the arrays: the id and its places in a list and two dicts.
ROW_OVERHEAD_BYTES = 300
_SEGMENT_OVERHEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Rows:
    """Storage for `capacity` memories: vectors `(capacity, dim)`, spans `(capacity, 3)`."""

    own: Floats
    context: Floats
    has_own: Mask
    has_context: Mask
    alive: Mask
    spans: NDArray[np.float64]

    @staticmethod
    def empty(capacity: int, dimension: int) -> Rows:
        """Reserve storage; pages that are never written cost no memory."""
        return Rows(
            own=np.zeros((capacity, dimension), np.float32),
            context=np.zeros((capacity, dimension), np.float32),
            has_own=np.zeros(capacity, np.bool_),
            has_context=np.zeros(capacity, np.bool_),
            alive=np.zeros(capacity, np.bool_),
            spans=np.zeros((capacity, 3), np.float64),
        )

    def copied(self, kept: slice | NDArray[np.intp], capacity: int) -> Rows:
        """Return larger or compacted storage that starts with the rows `kept`."""
        copy = Rows.empty(capacity, self.own.shape[1])
        count = len(self.alive[kept])
        for old, new in (
            (self.own, copy.own),
            (self.context, copy.context),
            (self.has_own, copy.has_own),
            (self.has_context, copy.has_context),
            (self.alive, copy.alive),
            (self.spans, copy.spans),
        ):
            new[:count] = old[kept]
        return copy


@dataclass(frozen=True, slots=True)
class View:
    """What a reader sees: the first `count` rows, and the feed position they stand for."""

    ids: list[MemoryId]
    rows: Rows
    count: int
    epoch: str
    watermark: int


class Segment:
    """One namespace; `view` is replaced by each change as a whole."""

    def __init__(self, model: str, dimension: int, epoch: str, watermark: int) -> None:
        self.model = model
        self.places: dict[MemoryId, int] = {}
        self._dimension = dimension
        self.view = View([], Rows.empty(_CAPACITY_MIN, dimension), 0, epoch, watermark)

    @property
    def size_bytes(self) -> int:
        """What it is charged for in the byte budget."""
        rows = self.view.rows
        per_row = 8 * self._dimension + rows.spans.itemsize * 3 + 3 + ROW_OVERHEAD_BYTES
        return _SEGMENT_OVERHEAD_BYTES + len(rows.alive) * per_row

    def apply(
        self, changed: Sequence[IndexedVector], gone: Iterable[MemoryId], watermark: int
    ) -> None:
        """Replace or add what changed and drop what is gone, all at once."""
        view = self.view
        changed = [item for item in changed if not self._is_stored(item)]
        dead = [self.places[id] for id in gone if id in self.places]
        dead += [self.places[item.memory_id] for item in changed if item.memory_id in self.places]
        count = view.count + len(changed)
        rows = self._with_room_for(count)
        if dead:
            alive = rows.alive.copy()
            alive[dead] = False
            rows = Rows(rows.own, rows.context, rows.has_own, rows.has_context, alive, rows.spans)
        if changed:
            self._write(rows, view.count, changed)
        for id in gone:
            self.places.pop(id, None)
        view.ids.extend(item.memory_id for item in changed)
        self.places.update(
            (item.memory_id, view.count + offset) for offset, item in enumerate(changed)
        )
        self.view = View(view.ids, rows, count, view.epoch, watermark)
        if count - len(self.places) > max(_DEAD_MIN, len(self.places) // 4):
            self._compact()

    def _is_stored(self, item: IndexedVector) -> bool:
        place = self.places.get(item.memory_id)
        if place is None:
            return False
        rows = self.view.rows
        return (
            tuple(rows.spans[place].tolist()) == item.span
            and _same(item.own, rows.own, rows.has_own, place)
            and _same(item.context, rows.context, rows.has_context, place)
        )

    def _with_room_for(self, count: int) -> Rows:
        view = self.view
        capacity = len(view.rows.alive)
        if count <= capacity:
            return view.rows
        return view.rows.copied(slice(0, view.count), max(2 * capacity, count))

    def _write(self, rows: Rows, start: int, items: Sequence[IndexedVector]) -> None:
        end = start + len(items)
        blank = Vector(bytes(4 * self._dimension))
        rows.own[start:end] = self._matrix([item.own or blank for item in items])
        rows.context[start:end] = self._matrix([item.context or blank for item in items])
        rows.has_own[start:end] = [item.own is not None for item in items]
        rows.has_context[start:end] = [item.context is not None for item in items]
        rows.spans[start:end] = [item.span for item in items]
        rows.alive[start:end] = True

    def _matrix(self, vectors: Sequence[Vector]) -> Floats:
        joined = b"".join(vector.data for vector in vectors)
        return np.frombuffer(joined, "<f4").reshape(len(vectors), self._dimension)

    def _compact(self) -> None:
        view = self.view
        kept = np.flatnonzero(view.rows.alive[: view.count])
        ids = [view.ids[row] for row in kept.tolist()]
        rows = view.rows.copied(kept, max(_CAPACITY_MIN, len(ids) + len(ids) // 4))
        self.places = {id: row for row, id in enumerate(ids)}
        self.view = View(ids, rows, len(ids), view.epoch, view.watermark)


def _same(vector: Vector | None, matrix: Floats, present: Mask, row: int) -> bool:
    if vector is None or not present[row]:
        return vector is None and not present[row]
    return bool(matrix[row].astype("<f4", copy=False).tobytes() == vector.data)
