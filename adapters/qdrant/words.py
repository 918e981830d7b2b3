"""Words as sparse vectors: the memory's side of BM25; Qdrant adds the inverse frequencies.

The average length of a text is a constant here, for the server does not know the true one of a
scope. That bends the order of nominations a little, and nothing else: the pool is scored by the
domain's BM25 over exact statistics.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from domain.lexical import K1, B

if TYPE_CHECKING:
    from qdrant_client.models import SparseVector

AVERAGE_TERMS = 64
QUERY_TERMS_MAX = 1024


def document_words(terms: Sequence[str]) -> SparseVector:
    """Return how much each term weighs in a text."""
    saturation = K1 * (1 - B + B * len(terms) / AVERAGE_TERMS)
    weights: defaultdict[int, float] = defaultdict(float)
    for term, count in Counter(terms).items():
        weights[_number(term)] += count * (K1 + 1) / (count + saturation)
    return _sparse(weights)


def query_words(terms: Sequence[str]) -> SparseVector:
    """Return a question: every term weighs the same."""
    return _sparse({_number(term): 1.0 for term in list(dict.fromkeys(terms))[:QUERY_TERMS_MAX]})


def _number(term: str) -> int:
    """Return the term's place among 2**32; two terms that share one count as the same."""
    return int.from_bytes(hashlib.blake2b(term.encode(), digest_size=4).digest(), "little")


def _sparse(weights: dict[int, float]) -> SparseVector:
    from qdrant_client.models import SparseVector

    indices = sorted(weights)
    return SparseVector(indices=indices, values=[weights[index] for index in indices])
