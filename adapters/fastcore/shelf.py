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

#: Chunks are of these sizes: four small ones make a large one. Fewer vectors than a small one are
#: scanned in full no slower than by codes, because they fit into the processor's caches.
LARGE, SMALL = 65_536, 16_384


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
    def vector_bytes(self) -> int:
        """What vectors and codes take."""
        return sum(chunk.size_bytes for chunk in self.chunks) + self.tail.nbytes

    @property
    def size_bytes(self) -> int:
        """What vectors, codes and owners take."""
        return self.vector_bytes + self.owners.nbytes

    def has_room(self, count: int) -> bool:
        """Tell whether that many more vectors cost no more than writing them."""
        needed = self.tail_count + count
        return needed <= len(self.tail) and needed < SMALL

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
        if not self.chunks:
            alone: Floats = self.tail[slots]
            return alone
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
            fits = vectors[: SMALL - longer.tail_count]
            count = longer.tail_count + len(fits)
            longer = replace(
                longer,
                tail=appended(longer.tail, longer.tail_count, fits, SMALL),
                tail_count=count,
            )
            vectors = vectors[len(fits) :]
            if count == SMALL:
                longer = longer.with_tail_sealed()
        return longer

    def with_tail_sealed(self) -> Shelf:
        """Return a shelf whose full tail is a chunk; small chunks are merged."""
        chunks = [*self.chunks, sealed(self.tail[: self.tail_count])]
        small = [chunk for chunk in chunks if chunk.count == SMALL]
        if len(small) * SMALL == LARGE:
            joined = np.concatenate([chunk.floats for chunk in small])
            chunks = [*chunks[: -len(small)], sealed(joined)]
        empty = np.empty((0, self.tail.shape[1]), np.float32)
        return replace(self, chunks=tuple(chunks), tail=empty, tail_count=0)

    def with_bits(self) -> Shelf:
        """Return a shelf whose chunks can be scanned by bits."""
        if all(chunk.bits is not None for chunk in self.chunks):
            return self
        return replace(self, chunks=tuple(chunk.with_bits() for chunk in self.chunks))
