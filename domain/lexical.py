"""BM25 over the statistics of the queried scope: backends nominate, this ranks.

Formula: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009),
with the always-positive idf ln(1 + (N - df + 0.5) / (df + 0.5)) that Lucene uses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b

from domain.memory import MemoryId

K1 = 0.9
B = 0.4
CONTEXT_SHARE = 0.2
"""What BM25 among the neighbours counts beside BM25 by the own text when words nominate.

The text among the neighbours holds the own words too. R@10 of `benchmarks/locomo.py` is highest
from 0.1 to 0.3 and half a point lower at 0 and at 1.
"""

_PLAIN = re.compile(r"[a-z0-9]+")
_LENGTH_MAX = 64
_TERMS_CACHED = 65_536


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


@lru_cache(maxsize=_TERMS_CACHED)
def encoded(term: str) -> str:
    """Return how stores spell an index term: `[a-z0-9_]+`, different terms differently.

    Overlong terms become a digest: equality is all that is asked of a term.
    """
    if len(term) <= _LENGTH_MAX and _PLAIN.fullmatch(term):
        return term
    data = term.encode("utf-8", "surrogatepass")
    if len(data) > _LENGTH_MAX:
        return f"_h{blake2b(data, digest_size=16).hexdigest()}"
    return f"_{data.hex()}"


def inverse_frequency(term: str, statistics: FieldStatistics) -> float:
    """Return ln(1 + (N - df + 0.5) / (df + 0.5))."""
    df = min(statistics.frequencies.get(term, 0), statistics.documents)
    return math.log(1 + (statistics.documents - df + 0.5) / (df + 0.5))


@dataclass(frozen=True, slots=True)
class FieldScorer:
    """BM25 of one question on one field: what does not depend on the document, computed once."""

    weights: Mapping[str, float]
    total_weight: float
    average: float

    @staticmethod
    def of(terms: Sequence[str], statistics: FieldStatistics) -> FieldScorer:
        """Prepare; a term that the question repeats counts once."""
        weights = {term: inverse_frequency(term, statistics) for term in dict.fromkeys(terms)}
        documents = statistics.documents
        average = statistics.total_length / documents if documents else 0.0
        return FieldScorer(weights, sum(weights.values()), average)

    def bm25(self, document: TermCounts) -> float:
        """Score one document."""
        if not self.average or not document.counts:
            return 0.0
        saturation = K1 * (1 - B + B * document.length / self.average)
        score = 0.0
        for term, weight in self.weights.items():
            count = document.counts.get(term, 0)
            if count:
                score += weight * count * (K1 + 1) / (count + saturation)
        return score

    def coverage(self, document: TermCounts) -> float:
        """Return the idf-weighted share of the question's terms that the document holds."""
        if not document.counts:
            return 0.0
        found = sum(weight for term, weight in self.weights.items() if document.counts.get(term))
        return found / self.total_weight if self.total_weight else 0.0


def bm25(terms: Sequence[str], document: TermCounts, statistics: FieldStatistics) -> float:
    """Score one document; `terms` counts a repeated query term once."""
    return FieldScorer.of(terms, statistics).bm25(document)


def coverage(terms: Sequence[str], document: TermCounts, statistics: FieldStatistics) -> float:
    """Return the idf-weighted share of the query's terms that the document holds (0 to 1)."""
    return FieldScorer.of(terms, statistics).coverage(document)
