"""Rank a pool of candidates: normalised score fusion, then what is known beside the words.

Each stage is a pure function that adds named parts to candidates; a score is the sum of its parts.
docs/recall.md says how the weights were measured; `benchmarks/locomo.py` reproduces the figures.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.conversation import (
    asks_when,
    date_match,
    is_statement,
    named_date,
    named_speaker,
    session_key,
    tells_time,
)
from domain.errors import InvalidInput
from domain.memory import Memory

#: `benchmarks/tune_weights.py` and `benchmarks/tune_rerank.py` say what others would bring.
WEIGHTS: Mapping[str, float] = {
    "lexical": 0.3,
    "semantic": 0.7,
    "context_semantic": 0.4,
    "context_lexical": 0.3,
    "session": 0.4,
    "speaker": 0.2,
    "statement": 0.15,
    "temporal": 0.2,
    "date": 0.4,
    "graph": 0.3,
    "importance": 0.1,
    "recency": 0.2,
    "diversity": 0.5,
    "rerank": 0.6,
}
SIGNALS: Mapping[str, bool] = {
    name: name != "rerank" for name in WEIGHTS if name not in {"lexical", "semantic"}
}
WEIGHT_MAX = 100
SESSION_TOP = 3
NEAR_DUPLICATE = 0.97
#: Of what happened again and again so many are shown before the rest steps back.
TIMES_SHOWN = 2


@dataclass(slots=True)
class Candidate:
    """A memory in the pool: raw evidence, and the parts of its score so far.

    Cosines are in [-1, 1] or None where no vector is known; `lexical` and `context_lexical` are
    BM25 scores; `coverage` is the share of the question's words it holds; `hops` the distance
    along links from a hit. `by_another`: the question names a speaker, and somebody else said it.
    """

    memory: Memory
    cosine: float | None = None
    context_cosine: float | None = None
    lexical: float = 0.0
    context_lexical: float = 0.0
    coverage: float = 0.0
    hops: int | None = None
    by_another: bool = False
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The sum of the parts."""
        return math.fsum(self.parts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Weights and switches in force for one recall."""

    weights: Mapping[str, float]
    signals: Mapping[str, bool]
    half_life_days: float | None
    now: datetime
    switched_on: frozenset[str] = frozenset()

    def asked(self, name: str) -> bool:
        """Tell whether somebody switched a signal on, rather than left it as it is."""
        return name in self.switched_on

    def weight(self, name: str) -> float:
        """Return the weight of a part; 0 when its signal is off."""
        return self.weights[name] if self.signals.get(name, True) else 0.0


def tuned(
    layers: Sequence[tuple[Mapping[str, float], Mapping[str, bool]]],
    *,
    half_life_days: float | None,
    now: datetime,
    unasked: Collection[str] = (),
) -> Tuning:
    """Lay weights and signals over the defaults; raise `InvalidInput` for unknown names.

    `unasked` are signals that are on here though they are off by default.
    """
    weights, signals = dict(WEIGHTS), {**SIGNALS, **dict.fromkeys(unasked, True)}
    switched_on: set[str] = set()
    for more_weights, more_signals in layers:
        for name, weight in more_weights.items():
            if name not in WEIGHTS:
                raise InvalidInput(f"weights.{name}", f"is not one of {', '.join(WEIGHTS)}")
            if not math.isfinite(weight) or not 0 <= weight <= WEIGHT_MAX:
                raise InvalidInput(f"weights.{name}", f"must be a number from 0 to {WEIGHT_MAX}")
            weights[name] = weight
        for name, switch in more_signals.items():
            if name not in SIGNALS:
                raise InvalidInput(f"signals.{name}", f"is not one of {', '.join(SIGNALS)}")
            signals[name] = switch
            (switched_on.add if switch else switched_on.discard)(name)
    return Tuning(
        weights=weights,
        signals=signals,
        half_life_days=half_life_days,
        now=now,
        switched_on=frozenset(switched_on),
    )


def fuse(pool: Sequence[Candidate], tuning: Tuning) -> None:
    """Add the parts that come from words and meaning, each normalised over the pool.

    BM25 is divided by its maximum, cosines are min-max scaled (RECALL ladder: beats rank fusion).
    A memory without neighbours stands for its own context.
    """
    own = min_max([c.cosine for c in pool])
    context = min_max([c.cosine if c.context_cosine is None else c.context_cosine for c in pool])
    words = _share([c.lexical for c in pool])
    near = _share([c.context_lexical for c in pool])
    evidence = {
        "lexical": words,
        "semantic": own,
        "context_semantic": context,
        "context_lexical": near,
    }
    for name, values in evidence.items():
        weight = tuning.weight(name)
        for candidate, value in zip(pool, values, strict=True):
            candidate.parts[name] = weight * value
    _add_sessions(pool, [(a + b) / 2 for a, b in zip(words, own, strict=True)], tuning)


def _add_sessions(pool: Sequence[Candidate], hybrid: Sequence[float], tuning: Tuning) -> None:
    """Lift every turn by its session: the mean of the session's best three, min-max scaled."""
    if all(candidate.memory.source.session is None for candidate in pool):
        return
    # A memory outside any conversation is a session of its own, so that a note among chats is
    # neither lifted nor buried by them.
    keys = [session_key(c.memory) or ("", c.memory.id, 0) for c in pool]
    sessions: dict[tuple[str, str, int], list[float]] = {}
    for key, value in zip(keys, hybrid, strict=True):
        sessions.setdefault(key, []).append(value)
    means = {}
    for key, values in sessions.items():
        best = sorted(values, reverse=True)[:SESSION_TOP]
        means[key] = math.fsum(best) / len(best)
    scaled = dict(zip(means, min_max(list(means.values())), strict=True))
    weight = tuning.weight("session")
    for key, candidate in zip(keys, pool, strict=True):
        candidate.parts["session"] = weight * scaled[key]


def listen(pool: Sequence[Candidate], question: str, tuning: Tuning) -> None:
    """Add what the question says of speaker and time."""
    date = named_date(question, tuning.now.date()) if tuning.weight("date") else None
    if date is not None:
        for candidate in pool:
            match = date_match(date, candidate.memory)
            if match:
                candidate.parts["date"] = tuning.weight("date") * match
    if any(c.memory.source.session or c.memory.source.actor for c in pool):
        _listen_to_speakers(pool, question, tuning)


def _listen_to_speakers(pool: Sequence[Candidate], question: str, tuning: Tuning) -> None:
    """Add what counts where memories come from a conversation."""
    speaker = named_speaker(
        question, (c.memory.source.actor for c in pool if c.memory.source.actor)
    )
    when = asks_when(question)
    for candidate in pool:
        memory = candidate.memory
        candidate.parts["statement"] = tuning.weight("statement") * is_statement(memory.content)
        if speaker is not None:
            candidate.parts["speaker"] = tuning.weight("speaker") * (memory.source.actor == speaker)
            candidate.by_another = _speaks_for_another(memory, speaker, tuning)
        if when:
            candidate.parts["temporal"] = tuning.weight("temporal") * tells_time(memory.content)


def _speaks_for_another(memory: Memory, speaker: str, tuning: Tuning) -> bool:
    return bool(tuning.weight("speaker")) and memory.source.actor not in {None, speaker}


def weigh(pool: Sequence[Candidate], tuning: Tuning) -> None:
    """Add importance, recency and closeness along links.

    Importance i gives (i - 1) / (i + 1), so the default of 1 changes nothing. Recency is
    2 ** (-age / half-life), only where the namespace has a half-life; pinned memories do not age.
    """
    for candidate in pool:
        memory = candidate.memory
        importance = (memory.importance - 1) / (memory.importance + 1)
        if importance:
            candidate.parts["importance"] = tuning.weight("importance") * importance
        if tuning.half_life_days:
            age = max(0.0, (tuning.now - memory.happened_at).total_seconds() / 86400)
            fresh = 1.0 if memory.pinned else 2.0 ** (-age / tuning.half_life_days)
            candidate.parts["recency"] = tuning.weight("recency") * fresh
        if candidate.hops:
            candidate.parts["graph"] = tuning.weight("graph") / candidate.hops


def ordered(pool: Sequence[Candidate]) -> list[Candidate]:
    """Return the pool, best first; ties by id."""
    return sorted(pool, key=lambda c: (-round(c.score, 9), c.memory.id))


def diversify(
    ranked: Sequence[Candidate], likeness: Sequence[Sequence[float]], tuning: Tuning
) -> list[Candidate]:
    """Move what nearly repeats a better hit behind the rest; `likeness` is `(n, n)` cosines.

    What was said at another time is no repetition at first: it happened again. From the third time
    on it is, or what happens every day would leave no room for anything else.
    """
    weight = tuning.weight("diversity")
    for index, candidate in enumerate(ranked):
        alike = [
            ranked[better].memory
            for better in range(index)
            if likeness[index][better] >= NEAR_DUPLICATE
        ]
        again = all(_different_times(candidate.memory, memory) for memory in alike)
        repeats = bool(alike) and not (again and len(alike) < TIMES_SHOWN)
        if repeats and weight:
            candidate.parts["diversity"] = -weight
    return ordered(ranked)


def relevance(candidate: Candidate) -> float:
    """Return how likely a hit answers the question (0 to 1), on unnormalised evidence.

    A logistic of the better cosine, of the share of the question's words found, and of whether
    somebody else than the one asked about said it, fitted by `benchmarks/calibrate_relevance.py`
    with the default embedder.
    """
    cosines = [c for c in (candidate.cosine, candidate.context_cosine) if c is not None]
    if not cosines:
        return _logistic(6.6 * candidate.coverage - 1.4 * candidate.by_another - 1.9)
    evidence = 19.7 * max(cosines) + 5.5 * candidate.coverage
    return _logistic(evidence - 2.0 * candidate.by_another - 13.8)


def min_max(values: Sequence[float | None]) -> list[float]:
    """Scale to 0 to 1 over what is known; what is unknown is 0, and all are 1 where none differ."""
    known = [value for value in values if value is not None]
    if not known:
        return [0.0] * len(values)
    low, high = min(known), max(known)
    span = high - low
    if span <= 0:
        return [0.0 if value is None else 1.0 for value in values]
    return [0.0 if value is None else (value - low) / span for value in values]


def _different_times(one: Memory, other: Memory) -> bool:
    return one.occurred_at != other.occurred_at


def _share(values: Sequence[float]) -> list[float]:
    high = max(values, default=0.0)
    return [value / high if high > 0 else 0.0 for value in values]


def _logistic(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))
