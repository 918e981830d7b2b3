"""The words of one namespace: postings that readers may scan while they change.

Rows are only ever appended; a replaced or removed row is marked dead in a copy of the mask. A
reader works on a `View`, of which nothing below `count` changes any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore.blocks import Block, Ints, Longs, appended, built, renumbered, terms_of
from adapters.fastcore.blocks import merged as merged_blocks
from adapters.fastcore.facts import Columns
from adapters.fastcore.masks import Masks
from adapters.fastcore.spans import Spans
from domain.memory import MemoryId
from domain.ports import IndexedTerms

Mask = NDArray[np.bool_]

_CAPACITY_MIN = 16
_DEAD_MIN = 1024
#: What Python keeps per row besides the arrays: the id, its place and a digest of its terms.
_ROW_OVERHEAD_BYTES = 250
_TERM_OVERHEAD_BYTES = 130
_OVERHEAD_BYTES = 4096
_NOTHING = (2**31 - 1, 2**31 - 1)


class _Vocabulary(dict[str, int]):
    """Numbers terms in the order they are first asked for."""

    def __missing__(self, term: str) -> int:
        self[term] = number = len(self)
        return number


@dataclass(frozen=True, slots=True)
class Rows:
    """Storage for `capacity` memories: lengths in terms `(2, capacity)`."""

    lengths: Ints
    alive: Mask

    @staticmethod
    def empty(capacity: int) -> Rows:
        """Reserve storage."""
        return Rows(np.zeros((2, capacity), np.int32), np.zeros(capacity, np.bool_))

    def copied(self, kept: slice | NDArray[np.intp], capacity: int) -> Rows:
        """Return larger or compacted storage that starts with the rows `kept`."""
        copy = Rows.empty(capacity)
        count = len(self.alive[kept])
        copy.lengths[:, :count] = self.lengths[:, kept]
        copy.alive[:count] = self.alive[kept]
        return copy


@dataclass(frozen=True, slots=True)
class View:
    """What a reader sees: the first `count` rows, `documents` of them alive.

    `totals` are the sums of the lengths of those alive, by field; no text with words is shorter
    than `shortest`.
    """

    ids: list[MemoryId]
    rows: Rows
    spans: Spans
    facts: Columns
    count: int
    documents: int
    totals: tuple[int, int]
    shortest: tuple[int, int]
    vocabulary: Mapping[str, int]
    blocks: tuple[Block, ...]
    epoch: str
    watermark: int
    masks: Masks = field(default_factory=Masks, init=False)

    @property
    def alive(self) -> Mask:
        """Which rows are alive."""
        return self.rows.alive

    @property
    def postings(self) -> int:
        """How many postings there are, those of dead rows included."""
        return sum(len(block.rows) for block in self.blocks)


@dataclass(frozen=True, slots=True)
class Change:
    """The next view, not in force yet, and which memories it adds and drops."""

    view: View
    added: tuple[IndexedTerms, ...]
    gone: tuple[MemoryId, ...]


class Postings:
    """One namespace; `view` is replaced by each change as a whole. One writer at a time."""

    def __init__(self, epoch: str, watermark: int) -> None:
        self.places: dict[MemoryId, int] = {}
        self._digests: dict[MemoryId, int] = {}
        self._vocabulary = _Vocabulary()
        rows = Rows.empty(_CAPACITY_MIN)
        self.view = View(
            [],
            rows,
            Spans(),
            Columns(),
            0,
            0,
            (0, 0),
            _NOTHING,
            self._vocabulary,
            (),
            epoch,
            watermark,
        )

    @property
    def size_bytes(self) -> int:
        """What it is charged for in the byte budget."""
        rows = self.view.rows
        arrays = rows.lengths.nbytes + rows.alive.nbytes
        arrays += self.view.spans.size_bytes + self.view.facts.size_bytes
        blocks = sum(block.size_bytes for block in self.view.blocks)
        words = len(self._vocabulary) * _TERM_OVERHEAD_BYTES
        return _OVERHEAD_BYTES + arrays + blocks + words + self.view.count * _ROW_OVERHEAD_BYTES

    def prepared(
        self, items: Sequence[IndexedTerms], gone: Iterable[MemoryId], watermark: int
    ) -> Change:
        """Work out the next view; readers notice nothing, so this may run in a thread."""
        view = self.view
        added = tuple(item for item in items if not self._is_stored(item))
        left = tuple(id for id in gone if id in self.places)
        dead = [self.places[id] for id in left]
        dead += [self.places[item.memory_id] for item in added if item.memory_id in self.places]
        count = view.count + len(added)
        rows = _with_room_for(view, count)
        totals = np.array(view.totals) - rows.lengths[:, dead].sum(axis=1)
        if dead:
            alive = rows.alive.copy()
            alive[dead] = False
            rows = Rows(rows.lengths, alive)
        blocks = view.blocks
        if added:
            view.spans.extend(view.count, [item.span for item in added])
            view.facts.extend(view.count, [item.facts for item in added])
            blocks = appended(blocks, self._write(rows, view.count, added))
            totals += rows.lengths[:, view.count : count].sum(axis=1)
        after = View(
            ids=view.ids,
            rows=rows,
            spans=view.spans,
            facts=view.facts,
            count=count,
            documents=view.documents + len(added) - len(dead),
            totals=(int(totals[0]), int(totals[1])),
            shortest=_shortest(view.shortest, rows.lengths[:, view.count : count]),
            vocabulary=self._vocabulary,
            blocks=blocks,
            epoch=view.epoch,
            watermark=watermark,
        )
        return Change(after, added, left)

    def install(self, change: Change) -> None:
        """Put a change in force that was worked out from the present view."""
        start = self.view.count
        for id in change.gone:
            del self.places[id], self._digests[id]
        for row, item in enumerate(change.added, start):
            self.places[item.memory_id] = row
            self._digests[item.memory_id] = _digest(item)
        change.view.ids.extend(item.memory_id for item in change.added)
        self.view = change.view

    @property
    def is_sparse(self) -> bool:
        """Tell whether so many rows are dead that `compacted` is worth its while."""
        dead = self.view.count - self.view.documents
        return dead > max(_DEAD_MIN, self.view.documents // 4)

    def compacted(self) -> Postings:
        """Return the same without dead rows and without terms that nothing holds any more."""
        view = self.view
        kept = np.flatnonzero(view.rows.alive[: view.count])
        block = merged_blocks(view.blocks)
        used = terms_of(block, view.rows.alive)
        words = list(view.vocabulary)
        copy = Postings(view.epoch, view.watermark)
        copy._vocabulary.update((words[term], new) for new, term in enumerate(used.tolist()))
        ids = [view.ids[row] for row in kept.tolist()]
        copy.places = {id: row for row, id in enumerate(ids)}
        copy._digests = dict(self._digests)
        copy.view = View(
            ids=ids,
            rows=view.rows.copied(kept, max(_CAPACITY_MIN, len(ids) + len(ids) // 4)),
            spans=view.spans.kept(kept),
            facts=view.facts.kept(kept),
            count=len(ids),
            documents=len(ids),
            totals=view.totals,
            shortest=view.shortest,
            vocabulary=copy._vocabulary,
            blocks=(renumbered(block, _numbers(kept, view.count), _numbers(used, len(words))),),
            epoch=view.epoch,
            watermark=view.watermark,
        )
        return copy

    def _is_stored(self, item: IndexedTerms) -> bool:
        return self._digests.get(item.memory_id) == _digest(item)

    def _write(self, rows: Rows, start: int, items: Sequence[IndexedTerms]) -> Block:
        end = start + len(items)
        own = [item.own for item in items]
        context = [item.own if item.context is None else item.context for item in items]
        rows.alive[start:end] = True
        keys, numbers = [], []
        for kind, texts in enumerate((own, context)):
            lengths = [text.count(" ") + 1 if text else 0 for text in texts]
            rows.lengths[kind, start:end] = lengths
            words = " ".join(texts).split()
            terms = np.fromiter(map(self._vocabulary.__getitem__, words), np.int64, len(words))
            keys.append(2 * terms + kind)
            numbers.append(np.repeat(np.arange(start, end), lengths))
        return built(np.concatenate(keys), np.concatenate(numbers))


def _digest(item: IndexedTerms) -> int:
    return hash((item.own, item.context, item.span, item.facts))


def _shortest(before: tuple[int, int], lengths: Ints) -> tuple[int, int]:
    own, context = (
        int(field[field > 0].min(initial=known))
        for field, known in zip(lengths, before, strict=True)
    )
    return own, context


def _with_room_for(view: View, count: int) -> Rows:
    capacity = len(view.rows.alive)
    if count <= capacity:
        return view.rows
    return view.rows.copied(slice(0, view.count), max(2 * capacity, count))


def _numbers(kept: NDArray[np.intp], count: int) -> Longs:
    """Return the new number of each old one; -1 for those that are not kept."""
    numbers = np.full(count, -1, np.int64)
    numbers[kept] = np.arange(len(kept))
    return numbers
