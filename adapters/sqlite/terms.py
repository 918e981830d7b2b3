"""Index terms in the form that the full-text index keeps them intact: `[a-z0-9_]+`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from domain.lexical import TermCounts

_PLAIN = re.compile(r"[a-z0-9]+")
_LENGTH_MAX = 64
_TERMS_CACHED = 65_536


@lru_cache(maxsize=_TERMS_CACHED)
def encoded(term: str) -> str:
    """Return a term the tokenizer neither splits nor folds; different terms stay different.

    Overlong terms become a digest: equality is all that is asked of a term.
    """
    if len(term) <= _LENGTH_MAX and _PLAIN.fullmatch(term):
        return term
    data = term.encode("utf-8", "surrogatepass")
    if len(data) > _LENGTH_MAX:
        return f"_h{blake2b(data, digest_size=16).hexdigest()}"
    return f"_{data.hex()}"


def joined(terms: Sequence[str]) -> str:
    """Return encoded terms, separated by spaces."""
    return " ".join(map(encoded, terms))


def match_expression(terms: Sequence[str], namespaces: Sequence[int] | None) -> str:
    """Return the FTS5 expression for any of the encoded terms in any of the namespaces."""
    expression = f"{{own context}} : ({_any_of(terms)})"
    if namespaces is None:
        return expression
    return f"{expression} AND scope : ({_any_of([f'n{id}' for id in namespaces])})"


def counts_of(text: str, wanted: dict[str, str], length: int) -> TermCounts:
    """Count in joined terms those that `wanted` maps from encoded to given form."""
    counts: dict[str, int] = {}
    for word in filter(wanted.__contains__, text.split()):
        term = wanted[word]
        counts[term] = counts.get(term, 0) + 1
    return TermCounts(length, counts)


def _any_of(tokens: Sequence[str]) -> str:
    return " OR ".join(f'"{token}"' for token in tokens)
