"""The vectors of one role: sealed chunks, and a tail that is still growing.

Slots are numbered through chunks and tail; `owners` tells the row of each. Nothing below `count`
ever changes: a shelf that was extended shares what it had with the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore.chunk import Chunk, Floats, sealed
from adapters.fastcore.growing import appended

Rows = NDArray[np.int32]

#: Chunks are of these sizes: four of one make one of the next, so there are few of each.
SIZES = (65_536, 16_384, 4096)


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """Vectors in slots `0` to `count - 1`: the chunks' first, then the tail's."""

    chunks: tuple[Chunk, ...]
    tail: Floats
    tail_count: int
    owners: Rows

    @staticmethod
    def empty(dimension: int) -> Shelf:
        """Return a shelf without vectors."""
        return Shelf((), np.empty((0, dimension), np.float32), 0, np.empty(0, np.int32))

    @property
    def sealed_count(self) -> int:
        """How many vectors lie in chunks."""
        return sum(chunk.count for chunk in self.chunks)

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return self.sealed_count + self.tail_count

    @property
    def size_bytes(self) -> int:
        """What vectors, codes and owners take."""
        return (
            sum(chunk.size_bytes for chunk in self.chunks) + self.tail.nbytes + self.owners.nbytes
        )

    def parts(self) -> Iterator[tuple[int, Floats, Chunk | None]]:
        """Iterate over (first slot, vectors, chunk); the tail is no chunk."""
        start = 0
        for chunk in self.chunks:
            yield start, chunk.floats, chunk
            start += chunk.count
        if self.tail_count:
            yield start, self.tail[: self.tail_count], None

    def taken(self, slots: NDArray[np.integer]) -> Floats:
        """Return the vectors in these slots `(n, dim)`."""
        taken = np.empty((len(slots), self.tail.shape[1]), np.float32)
        for start, vectors, _ in self.parts():
            places = np.flatnonzero((slots >= start) & (slots < start + len(vectors)))
            if len(places):
                taken[places] = vectors[slots[places] - start]
        return taken

    def extended(self, vectors: Floats, owners: Rows) -> Shelf:
        """Return a shelf with more vectors in the slots that follow."""
        if not len(vectors):
            return self
        all_owners = appended(self.owners, self.count, owners)
        longer = replace(self, owners=all_owners)
        while len(vectors):
            fits = vectors[: SIZES[-1] - longer.tail_count]
            count = longer.tail_count + len(fits)
            longer = replace(
                longer,
                tail=appended(longer.tail, longer.tail_count, fits, SIZES[-1]),
                tail_count=count,
            )
            vectors = vectors[len(fits) :]
            if count == SIZES[-1]:
                longer = longer.with_tail_sealed()
        return longer

    def with_tail_sealed(self) -> Shelf:
        """Return a shelf whose full tail is a chunk; small chunks are merged."""
        chunks = [*self.chunks, sealed(self.tail[: self.tail_count])]
        for larger, smaller in ((SIZES[1], SIZES[2]), (SIZES[0], SIZES[1])):
            same = [chunk for chunk in chunks if chunk.count == smaller]
            if len(same) * smaller == larger and chunks[-1].count == smaller:
                joined = np.concatenate([chunk.floats for chunk in same])
                chunks = [*chunks[: -len(same)], sealed(joined)]
        empty = np.empty((0, self.tail.shape[1]), np.float32)
        return replace(self, chunks=tuple(chunks), tail=empty, tail_count=0)

    def with_bits(self) -> Shelf:
        """Return a shelf whose large chunks can be scanned by bits."""
        large = [chunk for chunk in self.chunks if chunk.count >= SIZES[1]]
        if all(chunk.bits is not None for chunk in large):
            return self
        chunks = [chunk.with_bits() if chunk in large else chunk for chunk in self.chunks]
        return replace(self, chunks=tuple(chunks))
