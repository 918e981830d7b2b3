"""Vectors on the wire: a list of numbers, or base64 of little-endian float32 (dim,)."""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array
from typing import Annotated

from msgspec import Meta

from domain.errors import InvalidInput
from domain.vector import Vector, unit_vector

GivenVector = Annotated[
    list[float] | str,
    Meta(
        description="numbers, or base64 text of little-endian float32; as long as the model's",
        examples=[[0.12, -0.03, 0.99]],
    ),
]

_ALREADY_UNIT = 1e-3
_FLOAT_BYTES = 4


def vector_values(given: list[float] | str, field: str = "vector") -> list[float]:
    """Return the numbers of a vector; raise `InvalidInput` naming `field`."""
    return given if isinstance(given, list) else _unpacked(_bytes(given, field)).tolist()


def stored_vector(given: list[float] | str, field: str = "vector") -> Vector:
    """Return a unit vector; one that was exported keeps its bytes."""
    if isinstance(given, list):
        return unit_vector(given, field)
    data = _bytes(given, field)
    values = _unpacked(data)
    if abs(math.hypot(*values) - 1) < _ALREADY_UNIT:
        return Vector(data)
    return unit_vector(values, field)


def vector_text(vector: Vector) -> str:
    """Return a vector as base64."""
    return base64.b64encode(vector.data).decode("ascii")


def _bytes(text: str, field: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(field, "is not base64 text") from error
    if not data or len(data) % _FLOAT_BYTES:
        raise InvalidInput(field, "does not hold whole float32 numbers")
    return data


def _unpacked(data: bytes) -> array[float]:
    values = array("f", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values
