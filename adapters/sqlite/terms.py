"""Index terms in the form that the full-text index keeps them intact: `[a-z0-9_]+`."""

from __future__ import annotations

from collections.abc import Sequence

from domain.lexical import TermCounts, encoded


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
