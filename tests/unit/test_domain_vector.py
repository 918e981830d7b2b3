"""Unit vectors out of what callers give."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.vector import unit_vector

_PARTS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8)


@given(_PARTS)
def test_gives_the_same_direction_at_length_one(parts: list[float]) -> None:
    norm = math.hypot(*parts)
    assume(norm > 1e-6)

    given_back = struct.unpack(f"<{len(parts)}f", unit_vector(parts).data)

    assert given_back == pytest.approx([part / norm for part in parts], abs=1e-7)
    assert float(sum(Fraction(part) ** 2 for part in given_back)) == pytest.approx(1, abs=1e-6)


def test_leaves_a_unit_vector_as_it_is() -> None:
    parts = (0.6, 0.8)

    assert unit_vector(parts).data == struct.pack("<2f", *parts)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ([], "is empty"),
        ([1.0, math.nan], "not finite"),
        ([math.inf, math.nan], "not finite"),
        ([0.0, 0.0], "no direction"),
        ([1e308, 1e308, 1e308, 1e308], "no direction"),
    ],
)
def test_refuses_what_has_no_direction(parts: list[float], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        unit_vector(parts)
