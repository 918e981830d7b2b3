"""What is searched at one go: the vectors of one role in one chunk, or in none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore.chunk import Chunk, Floats, Found, Mask, Question, nothing
from adapters.fastcore.segment import Side, View
from domain.vector import Role

#: What scanning a row costs by bits and in full, when by codes it costs 1.
_BITS_COST, _FLOATS_COST = 0.4, 2.0
#: What scanning some of the rows costs, when all of them cost 1: to skip is cheap, to pick is not.
_SKIPPING_COST, _PICKING_COST = 0.15, 4.0
_SCATTERED_MAX = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A view to search, and the rows that may be returned; None where all may."""

    view: View
    allowed: Mask | None

    @property
    def share(self) -> float:
        """Which share of the rows may be returned."""
        return 1.0 if self.allowed is None or not len(self.allowed) else float(self.allowed.mean())


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Vectors of one role that are searched at one go: a chunk, or what is in none."""

    role: Role
    target: Target
    start: int
    vectors: Floats
    chunk: Chunk | None
    #: Which share of the view's rows may be returned.
    share: float

    @property
    def cost(self) -> float:
        """What searching it costs, in rows scanned by codes."""
        if self.chunk is None:
            return _FLOATS_COST * len(self.vectors) * self.share
        whole = len(self.vectors) * (_BITS_COST if self.chunk.bits is not None else 1.0)
        if self.target.allowed is None:
            return whole
        return whole * min(_SCATTERED_MAX, _SKIPPING_COST + _PICKING_COST * self.share)

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
        Part(role, one, start, vectors, chunk, share)
        for one in targets
        for share in [one.share]
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


def in_full(question: Question, part: Part, slots: NDArray[np.integer] | None) -> Found:
    """Score vectors in float32; None stands for all of them."""
    if slots is not None and not len(slots):
        return nothing()
    vectors = part.vectors if slots is None else part.vectors[slots]
    # Row by row, in this thread: a matrix product waits for helper threads, and while the embedder
    # keeps the cores busy that takes a hundred times longer than the work.
    scores: Floats = np.vecdot(vectors, question.vector[0])
    chosen = np.arange(len(vectors)) if slots is None else slots
    return Found(chosen.astype(np.int64), scores, float_error(question), -np.inf)


def float_error(question: Question) -> float:
    """Return what a product in float32 may be off by."""
    return float(question.vector.shape[1] * np.finfo(np.float32).eps)
