"""Memories whose vectors are wanted, by where these lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adapters.fastcore.chunk import Floats, Mask
from adapters.fastcore.parts import side
from adapters.fastcore.scan import cosines
from adapters.fastcore.segment import Segment, View
from domain.memory import MemoryId
from domain.vector import Role, Vector

#: By own and by context vector; None where there is none.
Cosines = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Memories that lie in one view: which of those asked for they are, and their rows."""

    view: View
    asked: Sequence[int]
    rows: Sequence[int]


def placed(ids: Sequence[MemoryId], homes: Mapping[MemoryId, Segment]) -> list[Placed]:
    """Find where the vectors of those ids lie that have a home."""
    asked: dict[Segment, list[int]] = {}
    for number, id in enumerate(ids):
        segment = homes.get(id)
        if segment is not None:
            asked.setdefault(segment, []).append(number)
    return [
        Placed(segment.view, numbers, [segment.places[ids[number]] for number in numbers])
        for segment, numbers in asked.items()
    ]


def cosines_at(vector: Vector, places: Sequence[Placed], count: int) -> list[Cosines]:
    """Return the cosines of each of `count` memories; None for those that have no place."""
    own, context = (_cosines(vector, places, count, role) for role in (Role.OWN, Role.CONTEXT))
    return list(zip(own, context, strict=True))


def cosines_between(places: Sequence[Placed], count: int, dimension: int) -> list[list[float]]:
    """Return all cosines between the own vectors of `count` memories; 0 where there is none."""
    rows, _ = _gathered(places, count, Role.OWN, dimension)
    wide = rows.astype(np.float64)
    answer: list[list[float]] = np.vecdot(wide[:, None], wide[None, :]).clip(-1.0, 1.0).tolist()
    return answer


def _cosines(
    vector: Vector, places: Sequence[Placed], count: int, role: Role
) -> list[float | None]:
    rows, present = _gathered(places, count, role, vector.dimension)
    if not present.any():
        return [None] * count
    values = cosines(vector, rows).tolist()
    if present.all():
        return values  # type: ignore[no-any-return]
    return [value if there else None for value, there in zip(values, present.tolist(), strict=True)]


def _gathered(
    places: Sequence[Placed], count: int, role: Role, dimension: int
) -> tuple[Floats, Mask]:
    """Return the vectors `(count, dim)`, zeros where there is none, and where there is one."""
    rows = np.zeros((count, dimension), np.float32)
    present = np.zeros(count, np.bool_)
    for here in places:
        one = side(here.view, role)
        slots = one.slots[np.array(here.rows)]
        there = slots >= 0
        chosen = np.array(here.asked)[there]
        rows[chosen] = one.shelf.taken(slots[there])
        present[chosen] = True
    return rows, present
