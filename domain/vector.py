"""Embedding vectors as the core sees them: opaque bytes with a dimension."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import InvalidInput

#: The setting by which a store says which embedding models are in force.
MODEL_SETTING = "embedding_model"

#: Between one and the next number that float32 knows.
_FLOAT32_STEP = 2.0**-23


class Role(StrEnum):
    """What is computed of a memory: the vector of its own text, that of its text among its session
    neighbours, and the states of the tokens of its own text.
    """

    OWN = "own"
    CONTEXT = "context"
    STATES = "states"


VECTORS = (Role.OWN, Role.CONTEXT)
"""The roles that are vectors, which every model computes."""


@dataclass(frozen=True, slots=True)
class Vector:
    """A unit vector: little-endian `float32 (dim,)` as bytes."""

    data: bytes

    @property
    def dimension(self) -> int:
        """The number of components."""
        return len(self.data) // 4


@dataclass(frozen=True, slots=True)
class TokenStates:
    """What a model made of each token of a text, packed by whoever reads it again."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """The identity of an embedding model: vectors of different models are never compared."""

    id: str
    dimension: int


def unit_vector(values: Sequence[float], field: str = "vector") -> Vector:
    """Normalise given numbers to a unit vector; raise `InvalidInput` for what has no direction."""
    if not values:
        raise InvalidInput(field, "is empty")
    norm = math.hypot(*values)
    if norm == 0 or not math.isfinite(norm):
        # The length of numbers is finite only if each of them is.
        if not all(map(math.isfinite, values)):
            raise InvalidInput(field, "holds a number that is not finite")
        raise InvalidInput(field, "has no direction (its length is zero or overflows)")
    # Most embedders give unit vectors: what float32 cannot tell from one needs no division.
    parts = values if abs(norm - 1) < _FLOAT32_STEP / 2 else [value / norm for value in values]
    return Vector(struct.pack(f"<{len(parts)}f", *parts))
