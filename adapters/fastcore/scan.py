"""Nearest neighbours over views: fast passes narrow down, then a reproducible one in float64.

A fast pass may round a row differently depending on where the row lies. So it only picks those that
can be among the nearest, within its worst error, and their cosines are summed again row by row: the
same memories give the same numbers in any layout.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore.chunk import (
    Floats,
    Found,
    Mask,
    Question,
    nothing,
)
from adapters.fastcore.guessing import MARGIN, by_guesses, goes_by_bits
from adapters.fastcore.parts import Part, float_error, in_full
from domain.memory import MemoryId
from domain.vector import Role, Vector

_RESCORED_AT_ONCE = 4096
Ranked = list[tuple[MemoryId, float]]


def nearest(vector: Vector, parts: Sequence[Part], limit: int) -> tuple[Ranked, Ranked, bool]:
    """Return the nearest by own and by context vector, and whether that is certain."""
    question = Question.of(np.frombuffer(vector.data, "<f4").astype(np.float32))
    answers: list[Ranked] = []
    exact = True
    for role in (Role.OWN, Role.CONTEXT):
        concerned = [part for part in parts if part.role is role]
        ranked, certain = _nearest(vector, question, concerned, limit)
        answers.append(ranked)
        exact = exact and certain
    return answers[0], answers[1], exact


def cosines(vector: Vector, rows: Floats) -> NDArray[np.float64]:
    """Return the cosine of each row `(n, dim)`, each summed in the same order whatever n is."""
    query = np.frombuffer(vector.data, "<f4").astype(np.float64)
    answer = np.empty(len(rows), np.float64)
    for start in range(0, len(rows), _RESCORED_AT_ONCE):
        part = rows[start : start + _RESCORED_AT_ONCE].astype(np.float64)
        part *= query
        answer[start : start + _RESCORED_AT_ONCE] = part.sum(axis=1)
    return answer.clip(-1.0, 1.0)


def merged(parts: Sequence[Ranked], limit: int) -> tuple[tuple[MemoryId, float], ...]:
    """Return the best of several answers that are ranked: best first, ties by id."""
    if len(parts) == 1:
        return tuple(parts[0][:limit])
    ranked = sorted((entry for part in parts for entry in part), key=lambda e: (-e[1], e[0]))
    return tuple(ranked[:limit])


def _nearest(
    vector: Vector, question: Question, parts: Sequence[Part], limit: int
) -> tuple[Ranked, bool]:
    masks = [part.allowed() for part in parts]
    guessed = [
        place
        for place, (part, mask) in enumerate(zip(parts, masks, strict=True))
        if goes_by_bits(question, part, mask)
    ]
    found = [
        nothing() if place in guessed else _found(question, part, mask, limit)
        for place, (part, mask) in enumerate(zip(parts, masks, strict=True))
    ]
    by_bits = by_guesses(
        question, [parts[place] for place in guessed], [masks[place] for place in guessed], limit
    )
    for place, one in zip(guessed, by_bits, strict=True):
        found[place] = one
    floor = _floor(found, limit)
    for place, part in enumerate(parts):
        wanted = limit + MARGIN
        while found[place].rest + found[place].error >= floor:
            wanted *= 8
            assert part.chunk is not None
            found[place] = part.chunk.nearest(question, wanted, masks[place])
            floor = max(floor, _floor(found, limit))
    pairs = list(zip(parts, found, strict=True))
    return _rescored(vector, question, pairs, floor, limit), not guessed


def _found(question: Question, part: Part, allowed: Mask | None, limit: int) -> Found:
    if part.chunk is None:
        slots = None if allowed is None else np.flatnonzero(allowed)
        return in_full(question, part, slots)
    return part.chunk.nearest(question, limit + MARGIN, allowed)


def _floor(found: Sequence[Found], limit: int) -> float:
    """Return what a score plus its error must reach to be among the best `limit`."""
    lower = np.concatenate([one.scores - np.float32(one.error) for one in found] or [np.empty(0)])
    if len(lower) < limit:
        return float(np.finfo(np.float32).min)
    return float(np.partition(lower, -limit)[-limit])


def _rescored(
    vector: Vector,
    question: Question,
    found: Sequence[tuple[Part, Found]],
    floor: float,
    limit: int,
) -> Ranked:
    """Narrow down in float32 what codes have found, then sum the rest in float64."""
    narrowed = [(part, _sharpened(question, part, one, floor)) for part, one in found]
    floor = _floor([one for _, one in narrowed], limit)
    best: list[tuple[float, MemoryId]] = []
    for part, one in narrowed:
        slots = one.slots[one.scores + np.float32(one.error) >= np.float32(floor)]
        away = -cosines(vector, part.vectors[slots])
        ids = part.target.view.ids
        best += zip(away.tolist(), (ids[row] for row in part.rows(slots).tolist()), strict=True)
    best.sort()
    return [(id, -away) for away, id in best[:limit]]


def _sharpened(question: Question, part: Part, found: Found, floor: float) -> Found:
    """Return what may reach the floor, scored in float32 where it was scored by codes."""
    reaching = found.scores + np.float32(found.error) >= np.float32(floor)
    slots, scores, error = found.slots[reaching], found.scores[reaching], float_error(question)
    if found.error > error:
        scores = np.vecdot(part.vectors[slots], question.vector[0])
    return Found(slots, scores, error, -np.inf)
