"""Embedding vectors as the core sees them: opaque bytes with a dimension."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import InvalidInput


class Role(StrEnum):
    """What a vector stands for: a memory's own text, or its text among its session neighbours."""

    OWN = "own"
    CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class Vector:
    """A unit vector: little-endian `float32 (dim,)` as bytes."""

    data: bytes

    @property
    def dimension(self) -> int:
        """The number of components."""
        return len(self.data) // 4


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """The identity of an embedding model: vectors of different models are never compared."""

    id: str
    dimension: int


def unit_vector(values: Sequence[float], field: str = "vector") -> Vector:
    """Normalise given numbers to a unit vector; raise `InvalidInput` for what has no direction."""
    if not values:
        raise InvalidInput(field, "is empty")
    if not all(map(math.isfinite, values)):
        raise InvalidInput(field, "holds a number that is not finite")
    norm = math.hypot(*values)
    if norm == 0 or not math.isfinite(norm):
        raise InvalidInput(field, "has no direction (its length is zero or overflows)")
    packed = array("f", [value / norm for value in values])
    if _BIG_ENDIAN:
        packed.byteswap()
    return Vector(packed.tobytes())


_BIG_ENDIAN = array("H", [1]).tobytes() == b"\x00\x01"
