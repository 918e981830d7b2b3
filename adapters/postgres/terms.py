"""Index terms in a form that needs no quoting in a tsvector: `[a-z0-9_]+`."""

from __future__ import annotations

from collections.abc import Sequence

from domain.lexical import TermCounts, encoded

# PostgreSQL keeps no place beyond this one, and at most so many of one term.
_PLACE_MAX = 16_383
_PLACES_MAX = 64


def joined(terms: Sequence[str]) -> str:
    """Return encoded terms, separated by spaces."""
    return " ".join(map(encoded, terms))


def space_lexeme(namespace: int) -> str:
    """Return what marks a document as one of a namespace: no term is spelt like that."""
    return f"#{namespace}"


def document(namespace: int, own: Sequence[str], context: Sequence[str]) -> str:
    """Return a tsvector of encoded terms: own ones weigh A, those of the neighbours D.

    Spelt out here, so that no dictionary of the server changes a term.
    """
    places: dict[str, str] = {}
    for weight, words in (("A", own), ("", context)):
        for place, word in enumerate(words, start=1):
            known = places.get(word)
            if known is None:
                places[word] = f"'{word}':{min(place, _PLACE_MAX)}{weight}"
            elif known.count(",") < _PLACES_MAX - 1:
                places[word] = f"{known},{min(place, _PLACE_MAX)}{weight}"
    return " ".join([f"'{space_lexeme(namespace)}'", *places.values()])


def query(terms: Sequence[str], namespaces: Sequence[int] | None) -> str:
    """Return a tsquery for any of the encoded terms in any of the namespaces."""
    expression = f"({_any_of(terms)})"
    if namespaces is None:
        return expression
    return f"{expression} & ({_any_of([space_lexeme(id) for id in namespaces])})"


def counts_of(text: str, wanted: dict[str, str], length: int) -> TermCounts:
    """Count in joined terms those that `wanted` maps from encoded to given form."""
    counts: dict[str, int] = {}
    for word in text.split():
        if word in wanted:
            term = wanted[word]
            counts[term] = counts.get(term, 0) + 1
    return TermCounts(length, counts)


def _any_of(tokens: Sequence[str]) -> str:
    return " | ".join(f"'{token}'" for token in tokens)
