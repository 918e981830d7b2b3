"""A recall: the question, the hits, and why each hit is where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.filter import Filter
from domain.memory import Memory
from domain.namespace import Scope

K_MAX = 1000
HOPS_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallQuery:
    """What is asked: by words (`text`), by a given vector, or both.

    `filter.valid_at` stays None: the use case sets it from `as_of`, the clock, or not at all
    (`include_expired`). `expand` is a number of hops along links; `budget_tokens` asks for a
    context block of at most that size. `rerank` is None where the namespace decides.
    """

    text: str | None
    scope: Scope
    vector: Sequence[float] | None = None
    filter: Filter = field(default_factory=Filter)
    k: int = 10
    as_of: datetime | None = None
    include_expired: bool = False
    min_relevance: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    signals: Mapping[str, bool] = field(default_factory=dict)
    rerank: bool | None = None
    expand: int = 0
    budget_tokens: int | None = None

    @property
    def wants_reranking(self) -> bool:
        """Whether this very question asks for a reranker, by the field or by the signal."""
        return self.signals.get("rerank", False) if self.rerank is None else self.rerank


@dataclass(frozen=True, slots=True)
class Hit:
    """A recalled memory. `parts` are weighted contributions that sum to `score` within 1e-6.

    `relevance` (0 to 1) is comparable across queries; `score` only orders the hits of one.
    """

    memory: Memory
    score: float
    relevance: float
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallAnswer:
    """Ranked hits; `degraded` names what could not be asked, `exact` whether all was scanned."""

    hits: tuple[Hit, ...]
    context: str | None
    degraded: tuple[str, ...]
    exact: bool
    took_ms: float
