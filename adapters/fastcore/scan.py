"""Exact nearest neighbours over views: a fast pass in float32, then a reproducible one in float64.

The fast pass may round a row differently depending on where the row lies. So it only picks those
that can be among the nearest, within its worst rounding error, and their cosines are summed again
row by row: the same memories give the same numbers in any layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore.segment import Floats, Mask, View
from domain.memory import MemoryId
from domain.vector import Role, Vector

_RESCORED_AT_ONCE = 4096

Ranked = list[tuple[MemoryId, float]]


@dataclass(frozen=True, slots=True)
class Target:
    """A view to search, and the rows that may be returned; None when validity alone decides."""

    view: View
    allowed: tuple[int, ...] | None


def nearest(
    vector: Vector, targets: Sequence[Target], moment: float | None, limit: int
) -> tuple[Ranked, Ranked]:
    """Return the nearest by own and by context vector; `moment` in Unix seconds."""
    masks = [_eligible(target, moment) for target in targets]
    views = [target.view for target in targets]
    return (
        _nearest(vector, Role.OWN, views, masks, limit),
        _nearest(vector, Role.CONTEXT, views, masks, limit),
    )


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


def gathered(places: Sequence[tuple[View, int] | None], role: Role, dimension: int) -> Floats:
    """Return the vectors at these places, zeros where there is none."""
    rows = np.zeros((len(places), dimension), np.float32)
    for index, place in enumerate(places):
        if place is not None:
            rows[index] = _matrix(place[0], role)[place[1]]
    return rows


def has(view: View, role: Role, row: int) -> bool:
    """Tell whether a row has a vector of this role."""
    return bool(_present(view, role)[row])


def merged(parts: Sequence[Ranked], limit: int) -> tuple[tuple[MemoryId, float], ...]:
    """Return the best of several answers, best first, ties by id."""
    ranked = sorted((entry for part in parts for entry in part), key=lambda e: (-e[1], e[0]))
    return tuple(ranked[:limit])


def _eligible(target: Target, moment: float | None) -> Mask:
    view = target.view
    mask = view.rows.alive[: view.count]
    if target.allowed is not None:
        chosen = np.zeros(view.count, np.bool_)
        chosen[list(target.allowed)] = True
        return mask & chosen
    if moment is None:
        return mask
    spans = view.rows.spans[: view.count]
    current = (spans[:, 0] <= moment) & (moment < spans[:, 1]) & (moment < spans[:, 2])
    return mask & current


def _nearest(
    vector: Vector, role: Role, views: Sequence[View], masks: Sequence[Mask], limit: int
) -> Ranked:
    if not views:
        return []
    query = np.frombuffer(vector.data, "<f4")
    scores = np.concatenate(
        [_scores(query, view, role, mask) for view, mask in zip(views, masks, strict=True)]
    )
    eligible = int(np.count_nonzero(scores > -np.inf))
    if not eligible:
        return []
    if eligible > limit:
        # Both the last of the nearest and its rival may be off by dim * eps / 2.
        slack = len(query) * float(np.finfo(np.float32).eps)
        floor = float(np.partition(scores, -limit)[-limit]) - slack
    else:
        floor = float(np.finfo(np.float32).min)
    ranked: Ranked = []
    for view, rows in _split(np.flatnonzero(scores >= floor), views):
        values = cosines(vector, _matrix(view, role)[rows]).tolist()
        ranked += zip((view.ids[row] for row in rows.tolist()), values, strict=True)
    return list(merged([ranked], limit))


def _scores(query: Floats, view: View, role: Role, mask: Mask) -> Floats:
    usable = mask & _present(view, role)[: view.count]
    if not usable.any():
        return np.full(view.count, -np.inf, np.float32)
    # Row by row, in this thread: a matrix product waits for helper threads, and while the embedder
    # keeps the cores busy that takes a hundred times longer than the work.
    scores: Floats = np.vecdot(_matrix(view, role)[: view.count], query)
    scores[~usable] = -np.inf
    return scores


def _split(
    chosen: NDArray[np.intp], views: Sequence[View]
) -> Iterator[tuple[View, NDArray[np.intp]]]:
    """Turn positions in the joined scores back into rows of each view."""
    start = 0
    for view in views:
        low, high = np.searchsorted(chosen, (start, start + view.count))
        if low < high:
            yield view, chosen[low:high] - start
        start += view.count


def _matrix(view: View, role: Role) -> Floats:
    return view.rows.own if role is Role.OWN else view.rows.context


def _present(view: View, role: Role) -> Mask:
    return view.rows.has_own if role is Role.OWN else view.rows.has_context
