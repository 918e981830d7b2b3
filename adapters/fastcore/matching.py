"""The best matches for words: BM25 over exact statistics, the same numbers in any layout.

A memory scores BM25 by its own text and a share (`CONTEXT_SHARE`) of BM25 by its text among its
neighbours, as `domain.lexical` computes them. Each sum runs over the terms in the question's order,
so the same memories give the same numbers however their postings lie.
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

#: Per term: the rows that hold it and how often, by field.
Matches = dict[str, tuple[tuple[Ints, Ints], tuple[Ints, Ints]]]
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Target:
    """A view to search, and the rows that may be returned; None when validity alone decides."""

    view: View
    allowed: tuple[int, ...] | None


def best(
    terms: Sequence[str], targets: Sequence[Target], moment: float | None, limit: int
) -> list[MemoryId]:
    """Return the best matches for any of the encoded terms, ties by id; `moment` in Unix seconds.

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
            total = _scores(target.view, match, chosen, fields)
            rows = np.flatnonzero((total > 0) & _eligible(target, moment))
            rows = rows[_contenders(total[rows], limit)]
            ids += [target.view.ids[row] for row in rows.tolist()]
            scores.append(total[rows])
    if not ids:
        return []
    ranked = sorted(zip((-np.concatenate(scores)).tolist(), ids, strict=True))
    return [id for _, id in ranked[:limit]]


def work(terms: Sequence[str], targets: Sequence[Target]) -> int:
    """Estimate how many postings `best` will look at, at most."""
    return sum(
        target.view.count * sum(term in target.view.vocabulary for term in terms)
        for target in targets
    )


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


def _scores(
    view: View, matches: Matches, terms: Sequence[str], fields: Sequence[FieldStatistics]
) -> Scores:
    """Return the score of every row, 0 where no term is found."""
    total: Scores = np.zeros(view.count)
    for field, (statistics, share) in enumerate(zip(fields, _SHARES, strict=True)):
        if not statistics.total_length:
            continue
        scores: Scores = np.zeros(view.count)
        average = statistics.total_length / statistics.documents
        for term in terms:
            if term not in matches:
                continue
            rows, counts = matches[term][field]
            saturation = K1 * (1 - B + B * view.rows.lengths[field, rows] / average)
            weight = inverse_frequency(term, statistics)
            # A row holds a term once: there is nothing to add up within one list.
            scores[rows] += weight * counts * (K1 + 1) / (counts + saturation)
        total += share * scores
    return total


def _eligible(target: Target, moment: float | None) -> NDArray[np.bool_]:
    view = target.view
    if target.allowed is not None:
        chosen = np.zeros(view.count, np.bool_)
        chosen[list(target.allowed)] = True
        return chosen
    if moment is None:
        return np.ones(view.count, np.bool_)
    spans = view.rows.spans[: view.count]
    return (spans[:, 0] <= moment) & (moment < spans[:, 1]) & (moment < spans[:, 2])


def _contenders(scores: Scores, limit: int) -> NDArray[np.intp]:
    """Return the places of the best `limit` and of all that tie with the last of them."""
    if len(scores) <= limit:
        return np.arange(len(scores))
    return np.flatnonzero(scores >= np.partition(scores, -limit)[-limit])
