"""Searching by bits: guess widely, and score whoever may be among the best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adapters.fastcore.chunk import Found, Guesses, Mask, Question
from adapters.fastcore.parts import Part, in_full

#: How many a first pass by codes brings, beside what is wanted: mostly enough to be certain.
MARGIN = 500
#: Searching by bits, whoever is guessed to lie this many times the guess's doubt below the best is
#: left out: of those that are as good as the last of the best, one in forty.
_DOUBTS = 2.0
#: How many of the best guesses are looked at in full to learn what the best are worth, and which
#: share of what is wanted counts as the best: the rest is in reserve.
_LOOKED_AT = 96
_BEST_SHARE = 5
#: Who wants fewer gets the same care: the best of few is so good that the others are missed.
_WANTED_MIN = 50
#: Up to so many candidates are scored in full at once.
_FULL_MAX = 256
#: A filter that keeps less than this share is searched by codes, which can be told what to skip.
_BITS_SHARE_MIN = 0.25


def goes_by_bits(question: Question, part: Part, allowed: Mask | None) -> bool:
    """Tell whether a part is searched by bits."""
    if part.chunk is None or part.chunk.bits is None:
        return False
    if not part.chunk.bits.tells(question) or not part.chunk.bits.pays(part.chunk.count):
        return False
    return allowed is None or bool(allowed.mean() >= _BITS_SHARE_MIN)


def by_guesses(
    question: Question, parts: Sequence[Part], masks: Sequence[Mask | None], limit: int
) -> list[Found]:
    """Search by bits: whoever may be among the best by a wide margin is scored by its code."""
    first = []
    for part, mask in zip(parts, masks, strict=True):
        assert part.chunk is not None
        assert part.chunk.bits is not None
        first.append(part.chunk.guessed(question, part.chunk.bits.usual, mask))
    worth = _worth_of_the_best(question, parts, first, limit)
    found = []
    for part, mask, guesses in zip(parts, masks, first, strict=True):
        chunk = part.chunk
        assert chunk is not None
        assert chunk.bits is not None
        bound = worth - _DOUBTS * chunk.bits.doubt(question)
        wanted = chunk.bits.usual
        while guesses.last > bound:
            wanted *= 4
            guesses = chunk.guessed(question, wanted, mask)  # noqa: PLW2901
        slots = guesses.slots[guesses.cosines >= bound]
        chunk.bits.learn(len(slots))
        if len(slots) <= _FULL_MAX:
            found.append(in_full(question, part, slots))
        else:
            among = np.zeros(chunk.count, np.bool_)
            among[slots] = True
            found.append(chunk.nearest(question, min(len(slots), limit + MARGIN), among))
    return found


def _worth_of_the_best(
    question: Question, parts: Sequence[Part], guesses: Sequence[Guesses], limit: int
) -> float:
    """Return what must be expected of the best: the true cosine of the last of them so far."""
    if not guesses:
        return -1.0
    best = np.concatenate([one.cosines for one in guesses])
    if len(best) > _LOOKED_AT:
        lowest = np.partition(best, -_LOOKED_AT)[-_LOOKED_AT]
    else:
        lowest = best.min(initial=np.inf)
    scores = np.concatenate(
        [
            in_full(question, part, one.slots[one.cosines >= lowest]).scores
            for part, one in zip(parts, guesses, strict=True)
        ]
    )
    rank = max(limit, _WANTED_MIN) // _BEST_SHARE
    return -1.0 if len(scores) < rank else float(np.partition(scores, -rank)[-rank])
