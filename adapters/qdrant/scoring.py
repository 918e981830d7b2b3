"""Exact cosines from canonical vectors: each summed in one order, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from domain.memory import MemoryId
from domain.ports import IndexedVector
from domain.vector import Role, Vector

_AT_ONCE = 4096

Ranked = list[tuple[MemoryId, float]]


def cosines(vector: Vector, others: Sequence[Vector]) -> list[float]:
    """Return the cosine with each of the others."""
    query = np.frombuffer(vector.data, "<f4").astype(np.float64)
    answer: list[float] = []
    for start in range(0, len(others), _AT_ONCE):
        rows = _matrix(others[start : start + _AT_ONCE], len(query))
        rows *= query
        answer += rows.sum(axis=1).clip(-1.0, 1.0).tolist()
    return answer


def ranked(vector: Vector, role: Role, items: Iterable[IndexedVector]) -> Ranked:
    """Return those that have a vector of this role, best first, ties by id."""
    present = {
        item.memory_id: chosen for item in items if (chosen := vector_of(item, role)) is not None
    }
    scores = cosines(vector, list(present.values()))
    return sorted(zip(present, scores, strict=True), key=lambda entry: (-entry[1], entry[0]))


def pairwise(vectors: Sequence[Vector | None], dimension: int) -> list[list[float]]:
    """Return all cosines between vectors; 0 where one is missing."""
    nothing = Vector(bytes(4 * dimension))
    rows = _matrix([vector or nothing for vector in vectors], dimension)
    answer: list[list[float]] = np.vecdot(rows[:, None], rows[None, :]).clip(-1.0, 1.0).tolist()
    return answer


def vector_of(item: IndexedVector, role: Role) -> Vector | None:
    """Return the vector of one role."""
    return item.own if role is Role.OWN else item.context


def _matrix(vectors: Sequence[Vector], dimension: int) -> NDArray[np.float64]:
    joined = b"".join(vector.data for vector in vectors)
    return np.frombuffer(joined, "<f4").reshape(len(vectors), dimension).astype(np.float64)
