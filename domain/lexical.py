"""BM25 over the statistics of the queried scope: backends nominate, this ranks.

Formula: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009),
with the always-positive idf ln(1 + (N - df + 0.5) / (df + 0.5)) that Lucene uses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.memory import MemoryId

K1 = 0.9
B = 0.4


@dataclass(frozen=True, slots=True)
class AnalysedText:
    """Index terms of a memory's own text, and of its text among its session neighbours."""

    own: tuple[str, ...]
    context: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FieldStatistics:
    """One field over one scope: document count, sum of lengths in terms, document frequencies."""

    documents: int
    total_length: int
    frequencies: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TermCounts:
    """One document's field: its length in terms and how often each query term occurs."""

    length: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LexicalEvidence:
    """All that BM25 needs to score a pool of memories on both fields."""

    own: FieldStatistics
    context: FieldStatistics
    documents: Mapping[MemoryId, tuple[TermCounts, TermCounts]] = field(default_factory=dict)


def inverse_frequency(term: str, statistics: FieldStatistics) -> float:
    """Return ln(1 + (N - df + 0.5) / (df + 0.5))."""
    df = min(statistics.frequencies.get(term, 0), statistics.documents)
    return math.log(1 + (statistics.documents - df + 0.5) / (df + 0.5))


def bm25(terms: Sequence[str], document: TermCounts, statistics: FieldStatistics) -> float:
    """Score one document; `terms` counts a repeated query term once."""
    if not statistics.documents or not statistics.total_length:
        return 0.0
    average = statistics.total_length / statistics.documents
    saturation = K1 * (1 - B + B * document.length / average)
    score = 0.0
    for term in dict.fromkeys(terms):
        count = document.counts.get(term, 0)
        if count:
            score += inverse_frequency(term, statistics) * count * (K1 + 1) / (count + saturation)
    return score


def coverage(terms: Sequence[str], document: TermCounts, statistics: FieldStatistics) -> float:
    """Return the idf-weighted share of the query's terms that the document holds (0 to 1)."""
    weights = {term: inverse_frequency(term, statistics) for term in dict.fromkeys(terms)}
    total = sum(weights.values())
    found = sum(weight for term, weight in weights.items() if document.counts.get(term))
    return found / total if total else 0.0
