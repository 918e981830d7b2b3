"""Order the best candidates again by a reranker's judgement, as one more part of their scores.

The figures are in docs/recall.md; `benchmarks/tune_rerank.py` chooses the weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from domain.memory import MemoryId
from domain.ports import Passage, SessionPlace
from domain.ranking import Candidate, Tuning, min_max
from domain.texts import own_text
from domain.vector import TokenStates

#: How many of the best are judged: with 40 R@25 is half a point better than with 30, with more
#: R@5 and MRR fall.
RERANKED = 40
#: What is left of `lexical` and `semantic` beside a judgement that rests on words and meaning, too.
OWN_LEFT = 4 / 7


def passages(
    candidates: Sequence[Candidate],
    places: Mapping[MemoryId, SessionPlace],
    states: Mapping[MemoryId, TokenStates],
) -> list[Passage]:
    """Return what a reranker reads of each, and which of them stand side by side in a session."""
    positions = {candidate.memory.id: index for index, candidate in enumerate(candidates)}
    found = []
    for candidate in candidates:
        place = places.get(candidate.memory.id, SessionPlace(None, None))
        beside = (
            positions[id]
            for id in (place.previous, place.next)
            if id is not None and id in positions
        )
        memory = candidate.memory
        found.append(Passage(own_text(memory), tuple(beside), states.get(memory.id)))
    return found


def judge(
    pool: Sequence[Candidate],
    judged: Sequence[Candidate],
    scores: Sequence[float],
    tuning: Tuning,
) -> None:
    """Add the judgement, min-max scaled; all give up the same share of what their own text got."""
    for candidate in pool:
        for name in ("lexical", "semantic"):
            candidate.parts[name] = OWN_LEFT * candidate.parts.get(name, 0.0)
    for candidate, score in zip(judged, min_max(scores), strict=True):
        candidate.parts["rerank"] = tuning.weight("rerank") * score
