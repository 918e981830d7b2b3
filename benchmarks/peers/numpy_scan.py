"""The lower bound: all vectors in one array, one matrix-vector product, one partial sort.

Configuration: float32, rows contiguous, room doubled when it is full; a filter that keeps less
than a quarter gathers its rows first, any other masks the scores. Nothing is written to disk,
no text is read, and nothing is returned but numbers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from benchmarks.comparison.shapes import DIMENSION, FIELDS, Keep
from benchmarks.comparison.workload import Item, Question
from benchmarks.peers.system import BY_VECTOR, Place

_GATHER_BELOW = 0.25


class _Rows:
    """The memories of one namespace."""

    def __init__(self) -> None:
        self.count = 0
        self._vectors = np.empty((16, DIMENSION), np.float32)
        self._numbers = np.empty(16, np.int64)
        self._labels = {field: np.empty(16, np.int32) for field in FIELDS}

    def append(self, items: Sequence[Item]) -> None:
        until = self.count + len(items)
        while until > len(self._numbers):
            self._vectors = np.concatenate([self._vectors, np.empty_like(self._vectors)])
            self._numbers = np.concatenate([self._numbers, np.empty_like(self._numbers)])
            self._labels = {
                field: np.concatenate([old, np.empty_like(old)])
                for field, old in self._labels.items()
            }
        new = slice(self.count, until)
        self._vectors[new] = [item.vector for item in items]
        self._numbers[new] = [item.number for item in items]
        for field, labels in self._labels.items():
            labels[new] = [item.payload[field] for item in items]
        self.count = until

    def nearest(self, question: Question, keep: Keep | None, k: int) -> list[str]:
        vectors, numbers = self._vectors[: self.count], self._numbers[: self.count]
        if keep is None:
            scores = vectors @ question.vector
        else:
            kept = self._labels[keep.field][: self.count] == keep.value
            if np.count_nonzero(kept) < _GATHER_BELOW * self.count:
                numbers = numbers[kept]
                scores = vectors[kept] @ question.vector
            else:
                scores = np.where(kept, vectors @ question.vector, -np.inf)
        best = np.arange(len(scores))
        if k < len(scores):
            best = np.argpartition(-scores, k)[:k]
        best = best[np.argsort(-scores[best], kind="stable")]
        return [str(number) for number in numbers[best[scores[best] > -np.inf]].tolist()]


class NumpyScan:
    """Brute force in this process. One product keeps all cores busy: threads would only collide."""

    durable: ClassVar[bool] = False
    blocking: ClassVar[bool] = False
    ways: ClassVar[tuple[str, ...]] = (BY_VECTOR,)
    has_loader: ClassVar[bool] = False

    def __init__(self) -> None:
        self._namespaces: dict[str, _Rows] = {}

    async def open(self) -> None:
        """Nothing is kept between processes."""

    async def store_batch(self, items: Sequence[Item], /) -> None:
        """Append, a run of one namespace at a time."""
        begin = 0
        for end in range(1, len(items) + 1):
            if end == len(items) or items[end].namespace != items[begin].namespace:
                rows = self._namespaces.setdefault(items[begin].namespace, _Rows())
                rows.append(items[begin:end])
                begin = end

    async def store_one(self, item: Item, /) -> None:
        """Append one."""
        await self.store_batch((item,))

    async def load(self, items: Sequence[Item], /) -> None:
        """There is no faster way than its interface."""
        await self.store_batch(items)

    async def settle(self) -> None:
        """There is nothing to do."""

    async def recall(
        self, question: Question, keep: Keep | None, /, *, way: str, k: int
    ) -> list[str]:
        """Scan the namespace."""
        return self._namespaces[question.namespace].nearest(question, keep, k)

    async def numbers(self, names: Sequence[str], /) -> list[int]:
        """Names are numbers."""
        return [int(name) for name in names]

    def disk_bytes(self) -> int:
        """Nothing is on disk."""
        return 0

    def process_ids(self) -> list[int]:
        """This process."""
        return [os.getpid()]

    async def close(self) -> None:
        """Drop everything."""
        self._namespaces.clear()


def build(place: Place) -> NumpyScan:
    """Make it."""
    return NumpyScan()
