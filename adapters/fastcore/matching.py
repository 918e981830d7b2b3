"""The best matches for words: BM25 over exact statistics, the same numbers in any layout.

A memory scores BM25 by its own text and a share (`CONTEXT_SHARE`) of BM25 by its text among its
neighbours, as `domain.lexical` computes them. Each sum runs over the terms in the question's order,
so the same memories give the same numbers however their postings lie.

Not every posting is looked at: lists are added up from the weightiest down, and once enough
memories have more than all the lists that are left could give, the rest is looked up for those
memories only that can still be among the best (MaxScore: Turtle and Flood, "Query evaluation:
strategies and optimizations", 1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore.blocks import Ints, found
from adapters.fastcore.postings import View
from domain.lexical import CONTEXT_SHARE, K1, B, FieldStatistics, inverse_frequency
from domain.memory import MemoryId

QUERY_TERMS_MAX = 64
"""Beyond this many, only the rarest terms of a question nominate."""

_FIELDS = (0, 1)
_SHARES = (1.0, CONTEXT_SHARE)
#: What sums in float32 may be off by, beside their size.
_SLACK = 1e-4
#: Adding up a posting costs so much less than looking up a row.
_LOOKED_UP_FROM = 8

#: The rows that hold a term in a field, ascending, and how often.
Postings = tuple[Ints, Ints]
#: Per term: its postings by field.
Matches = dict[str, tuple[Postings, Postings]]
Mask = NDArray[np.bool_]
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A view to search, and the rows that may be returned; None where all may."""

    view: View
    allowed: Mask | None


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """The postings of a term in a field, what one of them is worth, and at most."""

    rows: Ints
    counts: Ints
    lengths: Ints
    weight: float
    average: float
    most: float

    @staticmethod
    def of(
        postings: Postings, lengths: Ints, shortest: int, weight: float, average: float
    ) -> Listed:
        """Make one; in the shortest of all texts it would be worth the most.

        `lengths` are those of all rows in the field.
        """
        rows, counts = postings
        most = _bm25(weight, counts.max(initial=0), np.int32(shortest), average)
        return Listed(rows, counts, lengths, weight, average, float(most))

    def worth(self, rows: NDArray[np.integer], counts: Ints) -> NDArray[np.float32]:
        """Return what these postings add to a score, in float32."""
        saturation = self.lengths[rows].astype(np.float32)
        saturation *= np.float32(K1 * B / self.average)
        saturation += np.float32(K1 * (1 - B))
        worth = counts.astype(np.float32)
        saturation += worth
        worth *= np.float32(self.weight * (K1 + 1))
        worth /= saturation
        return worth


def best(terms: Sequence[str], targets: Sequence[Target], limit: int) -> list[MemoryId]:
    """Return the best matches for any of the encoded terms, ties by id.

    The statistics are those of all targets together, whatever may be returned.
    """
    matches = [_matches(target.view, terms) for target in targets]
    frequencies = _frequencies(terms, matches)
    views = [target.view for target in targets]
    fields = [_statistics(views, frequencies, field) for field in _FIELDS]
    chosen = _rarest(terms, frequencies)
    ids: list[MemoryId] = []
    scores: list[Scores] = []
    for target, match in zip(targets, matches, strict=True):
        if match:
            lists = _lists(target.view, match, chosen, fields)
            rows = _contenders(target, lists, limit)
            total = _scores(target.view, rows, match, chosen, fields)
            if len(total) > limit:
                # Only the best of each target, and what ties with the last of them, are spelt out.
                kept = total >= np.partition(total, -limit)[-limit]
                rows, total = rows[kept], total[kept]
            ids += [target.view.ids[row] for row in rows.tolist()]
            scores.append(total)
    if not ids:
        return []
    ranked = sorted(
        (score, id) for score, id in zip((-np.concatenate(scores)).tolist(), ids, strict=True)
    )
    return [id for _, id in ranked[:limit]]


def work(terms: Sequence[str], views: Sequence[View]) -> int:
    """Estimate how many postings `best` will look at, at most."""
    return sum(view.count * sum(term in view.vocabulary for term in terms) for view in views)


def _matches(view: View, terms: Sequence[str]) -> Matches:
    numbers = [view.vocabulary.get(term, -1) for term in terms]
    known = [(term, number) for term, number in zip(terms, numbers, strict=True) if number >= 0]
    if not known:
        return {}
    keys = np.array([2 * number + field for _, number in known for field in _FIELDS], np.int64)
    lists = found(view.blocks, keys)
    if view.documents < view.count:
        alive = view.rows.alive
        lists = [(rows[mask], counts[mask]) for rows, counts in lists for mask in [alive[rows]]]
    return {term: (lists[2 * place], lists[2 * place + 1]) for place, (term, _) in enumerate(known)}


def _frequencies(
    terms: Sequence[str], matches: Sequence[Matches]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many memories hold each term that any of them holds, by field."""
    own = dict.fromkeys(terms, 0)
    context = dict.fromkeys(terms, 0)
    for match in matches:
        for term, (by_own, by_context) in match.items():
            own[term] += len(by_own[0])
            context[term] += len(by_context[0])
    return own, context


def _statistics(
    views: Sequence[View], frequencies: Sequence[dict[str, int]], field: int
) -> FieldStatistics:
    documents = sum(view.documents for view in views)
    return FieldStatistics(documents, sum(view.totals[field] for view in views), frequencies[field])


def _rarest(terms: Sequence[str], frequencies: Sequence[dict[str, int]]) -> list[str]:
    """Return the rarest terms, in the order given."""
    if len(terms) <= QUERY_TERMS_MAX:
        return list(terms)
    own, context = frequencies
    known = [term for term in terms if own[term] or context[term]]
    rarest = set(
        sorted(known, key=lambda term: (own[term] + context[term], term))[:QUERY_TERMS_MAX]
    )
    return [term for term in terms if term in rarest]


def _lists(
    view: View, matches: Matches, terms: Sequence[str], fields: Sequence[FieldStatistics]
) -> list[Listed]:
    """Return the lists of a question, the weightiest first."""
    lists = [
        Listed.of(
            matches[term][field],
            view.rows.lengths[field],
            view.shortest[field],
            _SHARES[field] * inverse_frequency(term, statistics),
            statistics.total_length / statistics.documents,
        )
        for term in terms
        if term in matches
        for field, statistics in enumerate(fields)
        if statistics.total_length and len(matches[term][field][0])
    ]
    return sorted(lists, key=lambda one: one.most, reverse=True)


def _contenders(target: Target, lists: Sequence[Listed], limit: int) -> NDArray[np.intp]:
    """Return the rows that can be among the best `limit`, or tie with the last of them."""
    scores = np.zeros(target.view.count, np.float32)
    left = sum(one.most for one in lists)
    rows: NDArray[np.intp] | None = None
    for one in lists:
        if rows is None and _more_than(scores, left * (1 + _SLACK), target.allowed) >= limit:
            rows = _above(scores, target.allowed, left, limit)
        if rows is None or len(one.rows) < _LOOKED_UP_FROM * len(rows):
            # A row holds a term once: there is nothing to add up within one list.
            scores[one.rows] += one.worth(one.rows, one.counts)
        else:
            places, counts = _counted((one.rows, one.counts), rows)
            holders = rows[places]
            scores[holders] += one.worth(holders, counts)
        left -= one.most
        if rows is not None:
            rows = rows[scores[rows] >= _floor(scores[rows], left, limit)]
    return _above(scores, target.allowed, 0.0, limit) if rows is None else rows


def _above(
    scores: NDArray[np.float32], allowed: Mask | None, left: float, limit: int
) -> NDArray[np.intp]:
    """Return the rows allowed that may still be among the best when lists worth `left` remain."""
    if allowed is not None:
        scores[~allowed] = 0.0
    return np.flatnonzero((scores > 0) & (scores >= _floor(scores, left, limit)))


def _floor(scores: NDArray[np.float32], left: float, limit: int) -> float:
    return _last_of_best(scores, limit) * (1 - _SLACK) - max(left, 0.0) * (1 + _SLACK)


def _more_than(scores: NDArray[np.float32], bound: float, allowed: Mask | None) -> int:
    above = scores > np.float32(bound)
    return int(np.count_nonzero(above if allowed is None else above & allowed))


def _last_of_best(scores: NDArray[np.float32], limit: int) -> float:
    """Return the score of rank `limit`, 0 where fewer have one."""
    # Mostly the best are few among many: sorting those above half of the highest is enough.
    high = scores[scores > scores.max(initial=0.0) / 2]
    if len(high) < limit:
        high = scores[scores > 0]
    if len(high) < limit:
        return 0.0
    return float(np.partition(high, -limit)[-limit])


def _scores(
    view: View,
    rows: NDArray[np.intp],
    matches: Matches,
    terms: Sequence[str],
    fields: Sequence[FieldStatistics],
) -> Scores:
    """Return the exact scores of some rows (ascending)."""
    total: Scores = np.zeros(len(rows))
    for field, (statistics, share) in enumerate(zip(fields, _SHARES, strict=True)):
        if not statistics.total_length:
            continue
        scores: Scores = np.zeros(len(rows))
        average = statistics.total_length / statistics.documents
        for term in terms:
            if term not in matches:
                continue
            places, counts = _counted(matches[term][field], rows)
            lengths = view.rows.lengths[field, rows[places]]
            weight = inverse_frequency(term, statistics)
            scores[places] += _bm25(weight, counts, lengths, average)
        total += share * scores
    return total


def _counted(
    postings: Postings, rows: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Return which of the rows hold a term, and how often."""
    holders, counts = postings
    places = np.searchsorted(holders, rows)
    inside = np.flatnonzero(places < len(holders))
    inside = inside[holders[places[inside]] == rows[inside]]
    return inside, counts[places[inside]]


def _bm25(
    weight: float, counts: Ints | np.int32, lengths: Ints | np.int32, average: float
) -> Scores:
    """Return what postings add to a score, with the operations of `domain.lexical` in its order."""
    saturation = K1 * (1 - B + B * lengths / average)
    return np.asarray(weight * counts * (K1 + 1) / (counts + saturation))
