"""Nearest neighbours over views: fast passes narrow down, then a reproducible one in float64.

A fast pass may round a row differently depending on where the row lies. So it only picks those that
can be among the nearest, within its worst error, and their cosines are summed again row by row: the
same memories give the same numbers in any layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore.chunk import (
    Chunk,
    Floats,
    Found,
    Guesses,
    Mask,
    Question,
    nothing,
)
from adapters.fastcore.segment import Side, View
from domain.memory import MemoryId
from domain.vector import Role, Vector

_RESCORED_AT_ONCE = 4096
#: How many a first pass by codes brings, beside what is wanted: mostly enough to be certain.
_MARGIN = 500
#: Searching by bits, whoever is guessed to lie this many times the guess's doubt below the best is
#: left out: of those that are as good as the last of the best, one in forty.
_DOUBTS = 2.0
#: How many of the best guesses are looked at in full to learn what the best are worth, and which
#: share of what is wanted counts as the best: the rest is in reserve.
_LOOKED_AT = 96
_BEST_SHARE = 5
#: Up to so many candidates are scored in full at once.
_FULL_MAX = 256
#: A filter that keeps less than this share is searched by codes, which can be told what to skip.
_BITS_SHARE_MIN = 0.25
#: What scanning a row costs by bits and in full, when by codes it costs 1.
_BITS_COST, _FLOATS_COST = 0.4, 2.0

Ranked = list[tuple[MemoryId, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A view to search, and the rows that may be returned; None where all may."""

    view: View
    allowed: Mask | None


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Vectors of one role that are searched at one go: a chunk, or what is in none."""

    role: Role
    target: Target
    start: int
    vectors: Floats
    chunk: Chunk | None

    @property
    def cost(self) -> float:
        """What searching it costs, in rows scanned by codes."""
        if self.chunk is None:
            return _FLOATS_COST * len(self.vectors)
        return len(self.vectors) * (_BITS_COST if self.chunk.bits is not None else 1.0)

    def allowed(self) -> Mask | None:
        """Return which of the vectors may be returned; None where all may."""
        if self.target.allowed is None:
            return None
        owners = self._owners()
        return self.target.allowed[owners]

    def rows(self, slots: NDArray[np.integer]) -> NDArray[np.int32]:
        """Return whose vectors these are."""
        rows: NDArray[np.int32] = self._owners()[slots]
        return rows

    def _owners(self) -> NDArray[np.int32]:
        owners = side(self.target.view, self.role).shelf.owners
        return owners[self.start : self.start + len(self.vectors)]


def side(view: View, role: Role) -> Side:
    """Return the vectors of a role."""
    return view.own if role is Role.OWN else view.context


def parts(targets: Iterable[Target]) -> list[Part]:
    """Cut targets into what is searched at one go."""
    return [
        Part(role, one, start, vectors, chunk)
        for one in targets
        for role in (Role.OWN, Role.CONTEXT)
        for start, vectors, chunk in side(one.view, role).shelf.parts()
    ]


def shared(parts: Sequence[Part], shares: int) -> list[list[Part]]:
    """Deal parts out so that each share costs about the same."""
    hands: list[list[Part]] = [[] for _ in range(shares)]
    costs = [0.0] * shares
    for part in sorted(parts, key=lambda part: part.cost, reverse=True):
        place = costs.index(min(costs))
        hands[place].append(part)
        costs[place] += part.cost
    return [hand for hand in hands if hand]


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


def pairwise(rows: Floats) -> list[list[float]]:
    """Return all cosines between the rows."""
    wide = rows.astype(np.float64)
    answer: list[list[float]] = np.vecdot(wide[:, None], wide[None, :]).clip(-1.0, 1.0).tolist()
    return answer


def similar(
    vector: Vector, places: Sequence[tuple[View, int]], role: Role, dimension: int
) -> list[float | None]:
    """Return the cosines of the vectors at these places, None where there is none."""
    rows, present = gathered(places, role, dimension)
    if not present.any():
        return [None] * len(places)
    values = cosines(vector, rows).tolist()
    if present.all():
        return values  # type: ignore[no-any-return]
    return [value if there else None for value, there in zip(values, present.tolist(), strict=True)]


def gathered(
    places: Sequence[tuple[View, int] | None], role: Role, dimension: int
) -> tuple[Floats, Mask]:
    """Return the vectors at these places, zeros where there is none, and where there is one."""
    rows = np.zeros((len(places), dimension), np.float32)
    present = np.zeros(len(places), np.bool_)
    by_view: dict[int, tuple[View, list[int], list[int]]] = {}
    for index, place in enumerate(places):
        if place is not None:
            view, row = place
            if id(view) not in by_view:
                by_view[id(view)] = (view, [], [])
            _, indexes, numbers = by_view[id(view)]
            indexes.append(index)
            numbers.append(row)
    for view, indexes, numbers in by_view.values():
        one = side(view, role)
        slots = one.slots[numbers]
        there = np.flatnonzero(slots >= 0)
        if len(there):
            chosen = np.array(indexes)[there]
            rows[chosen] = one.shelf.taken(slots[there])
            present[chosen] = True
    return rows, present


def merged(parts: Sequence[Ranked], limit: int) -> tuple[tuple[MemoryId, float], ...]:
    """Return the best of several answers, best first, ties by id."""
    ranked = sorted((entry for part in parts for entry in part), key=lambda e: (-e[1], e[0]))
    return tuple(ranked[:limit])


def _nearest(
    vector: Vector, question: Question, parts: Sequence[Part], limit: int
) -> tuple[Ranked, bool]:
    masks = [part.allowed() for part in parts]
    guessed = [
        place
        for place, (part, mask) in enumerate(zip(parts, masks, strict=True))
        if _goes_by_bits(part, mask)
    ]
    found = [
        nothing() if place in guessed else _found(question, part, mask, limit)
        for place, (part, mask) in enumerate(zip(parts, masks, strict=True))
    ]
    by_bits = _by_guesses(
        question, [parts[place] for place in guessed], [masks[place] for place in guessed], limit
    )
    for place, one in zip(guessed, by_bits, strict=True):
        found[place] = one
    floor = _floor(found, limit)
    for place, part in enumerate(parts):
        wanted = limit + _MARGIN
        while found[place].rest + found[place].error >= floor:
            wanted *= 8
            assert part.chunk is not None
            found[place] = part.chunk.nearest(question, wanted, masks[place])
            floor = max(floor, _floor(found, limit))
    pairs = list(zip(parts, found, strict=True))
    return _rescored(vector, question, pairs, floor, limit), not guessed


def _goes_by_bits(part: Part, allowed: Mask | None) -> bool:
    if part.chunk is None or part.chunk.bits is None:
        return False
    if not part.chunk.bits.pays(part.chunk.count):
        return False
    return allowed is None or bool(allowed.mean() >= _BITS_SHARE_MIN)


def _found(question: Question, part: Part, allowed: Mask | None, limit: int) -> Found:
    if part.chunk is None:
        slots = None if allowed is None else np.flatnonzero(allowed)
        return _in_full(question, part, slots)
    return part.chunk.nearest(question, limit + _MARGIN, allowed)


def _by_guesses(
    question: Question, parts: Sequence[Part], masks: Sequence[Mask | None], limit: int
) -> list[Found]:
    """Search by bits: whoever may be among the best by a wide margin is scored by its code."""
    first = []
    for part, mask in zip(parts, masks, strict=True):
        assert part.chunk is not None
        assert part.chunk.bits is not None
        first.append(part.chunk.guessed(question, part.chunk.bits.usual, mask))
    worth = _worth_of_the_best(question, parts, first, limit)
    found = []
    for part, mask, guesses in zip(parts, masks, first, strict=True):
        chunk = part.chunk
        assert chunk is not None
        assert chunk.bits is not None
        bound = worth - _DOUBTS * chunk.bits.doubt(question)
        wanted = chunk.bits.usual
        while guesses.last > bound:
            wanted *= 4
            guesses = chunk.guessed(question, wanted, mask)  # noqa: PLW2901
        slots = guesses.slots[guesses.cosines >= bound]
        chunk.bits.learn(len(slots))
        if len(slots) <= _FULL_MAX:
            found.append(_in_full(question, part, slots))
        else:
            among = np.zeros(chunk.count, np.bool_)
            among[slots] = True
            found.append(chunk.nearest(question, min(len(slots), limit + _MARGIN), among))
    return found


def _worth_of_the_best(
    question: Question, parts: Sequence[Part], guesses: Sequence[Guesses], limit: int
) -> float:
    """Return what must be expected of the best: the true cosine of the last of them so far."""
    if not guesses:
        return -1.0
    best = np.concatenate([one.cosines for one in guesses])
    if len(best) > _LOOKED_AT:
        lowest = np.partition(best, -_LOOKED_AT)[-_LOOKED_AT]
    else:
        lowest = best.min(initial=np.inf)
    scores = np.concatenate(
        [
            _in_full(question, part, one.slots[one.cosines >= lowest]).scores
            for part, one in zip(parts, guesses, strict=True)
        ]
    )
    rank = max(1, limit // _BEST_SHARE)
    return -1.0 if len(scores) < rank else float(np.partition(scores, -rank)[-rank])


def _in_full(question: Question, part: Part, slots: NDArray[np.integer] | None) -> Found:
    """Score vectors in float32; None stands for all of them."""
    if slots is not None and not len(slots):
        return nothing()
    vectors = part.vectors if slots is None else part.vectors[slots]
    # Row by row, in this thread: a matrix product waits for helper threads, and while the embedder
    # keeps the cores busy that takes a hundred times longer than the work.
    scores: Floats = np.vecdot(vectors, question.vector[0])
    chosen = np.arange(len(vectors)) if slots is None else slots
    return Found(chosen.astype(np.int64), scores, _float_error(question), -np.inf)


def _float_error(question: Question) -> float:
    return float(question.vector.shape[1] * np.finfo(np.float32).eps)


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
    narrowed: list[tuple[Part, NDArray[np.int64], Floats]] = []
    scores: list[Found] = []
    for part, one in found:
        slots = one.slots[one.scores + np.float32(one.error) >= np.float32(floor)]
        if len(slots):
            vectors = part.vectors[slots]
            products: Floats = np.vecdot(vectors, question.vector[0])
            narrowed.append((part, slots, vectors))
            scores.append(Found(slots, products, _float_error(question), -np.inf))
    floor = _floor(scores, limit)
    ranked: Ranked = []
    for (part, slots, vectors), one in zip(narrowed, scores, strict=True):
        chosen = one.scores + np.float32(one.error) >= np.float32(floor)
        values = cosines(vector, vectors[chosen]).tolist()
        ids = part.target.view.ids
        rows = part.rows(slots[chosen]).tolist()
        ranked += zip((ids[row] for row in rows), values, strict=True)
    return list(merged([ranked], limit))
