"""What BM25 needs to score a pool, counted in postings: the same numbers as the store's lexicon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from adapters.fastcore.blocks import Block, Ints
from adapters.fastcore.postings import View
from domain.lexical import FieldStatistics, LexicalEvidence, TermCounts, encoded
from domain.memory import MemoryId

_FIELDS = (0, 1)

#: A view, and where in it each memory alive stands.
Source = tuple[View, Mapping[MemoryId, int]]


def evidence(
    ids: Sequence[MemoryId], terms: Sequence[str], sources: Sequence[Source]
) -> LexicalEvidence:
    """Return the statistics of all sources together, and the counts of those ids that they hold.

    Costs a pass over the postings of the terms only where rows are dead, else a search per id.
    """
    words = {encoded(term): term for term in terms}
    frequencies: tuple[dict[str, int], dict[str, int]] = ({}, {})
    found: dict[MemoryId, tuple[TermCounts, TermCounts]] = {}
    for view, places in sources:
        held = [id for id in ids if id in places]
        rows = np.array([places[id] for id in held], np.int32)
        counts = _counts(view, words, rows, frequencies)
        lengths = view.rows.lengths[:, rows].tolist()
        for place, id in enumerate(held):
            own, context = (
                TermCounts(lengths[field][place], counts[field][place]) for field in _FIELDS
            )
            found[id] = (own, context)
    documents = sum(view.documents for view, _ in sources)
    own_statistics, context_statistics = (
        FieldStatistics(
            documents, sum(view.totals[field] for view, _ in sources), frequencies[field]
        )
        for field in _FIELDS
    )
    return LexicalEvidence(own_statistics, context_statistics, found)


def _counts(
    view: View,
    words: Mapping[str, str],
    rows: Ints,
    frequencies: tuple[dict[str, int], dict[str, int]],
) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """Count each word in each row, by field, and add up how many memories hold it."""
    counted: tuple[list[dict[str, int]], list[dict[str, int]]] = (
        [{} for _ in rows],
        [{} for _ in rows],
    )
    alive = None if view.documents == view.count else view.rows.alive
    for word, term in words.items():
        number = view.vocabulary.get(word, -1)
        if number < 0:
            continue
        for field in _FIELDS:
            holders = 0
            for block in view.blocks:
                having, often = _list(block, 2 * number + field)
                if not len(having):
                    continue
                live = having if alive is None else having[alive[having]]
                holders += len(live)
                places = np.searchsorted(having, rows)
                inside = np.flatnonzero(places < len(having))
                inside = inside[having[places[inside]] == rows[inside]]
                for place, count in zip(
                    inside.tolist(), often[places[inside]].tolist(), strict=True
                ):
                    counted[field][place][term] = count
            if holders:
                frequencies[field][term] = frequencies[field].get(term, 0) + holders
    return counted


def _list(block: Block, key: int) -> tuple[Ints, Ints]:
    place = int(np.searchsorted(block.keys, key))
    if place == len(block.keys) or block.keys[place] != key:
        return block.rows[:0], block.counts[:0]
    chosen = slice(int(block.starts[place]), int(block.starts[place + 1]))
    return block.rows[chosen], block.counts[chosen]
