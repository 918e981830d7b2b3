"""Recall: find what answers a question, and say why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from application.indexing.models import Installed, Models
from application.recalling.candidates import Gathered, Gatherer, Search
from application.recalling.reranking import Reranking, reranked
from application.storing.planning import checked_vector
from domain.context_block import context_block
from domain.errors import InvalidInput
from domain.link import Direction
from domain.memory import MemoryId, check_time, checked_text
from domain.namespace import Namespace, NamespacePolicy, root_of
from domain.ports import CanonicalStore, MemoryGraph
from domain.ranking import (
    NEAR_DUPLICATE,
    Candidate,
    Tuning,
    diversify,
    fuse,
    listen,
    ordered,
    relevance,
    tuned,
    weigh,
)
from domain.recall import HOPS_MAX, Hit, RecallAnswer, RecallQuery

QUERY_BYTES_MAX = 16 * 1024
SWITCHES_MAX = 3
EXPAND_FROM = 10
EXPAND_LIMIT = 50
BUDGET_TOKENS_MAX = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Recall:
    """Answer a question with ranked memories. Raises `InvalidInput` naming the field."""

    store: CanonicalStore
    models: Models
    graph: MemoryGraph
    reranking: Reranking | None
    now: Callable[[], datetime]
    elapsed: Callable[[], float]
    k_max: int

    async def __call__(
        self, query: RecallQuery, *, within: Namespace | None = None
    ) -> RecallAnswer:
        """Return the best `k` memories of the scope that pass the filter.

        Links are followed inside `within`; None is everywhere in the tenant.
        """
        started = self.elapsed()
        self._check(query)
        gatherer, search, gathered = await self._gathered(query)
        tuning = self._tuning(query, gathered.standing.policy)
        pool = self._rank(gathered.pool, query, tuning)
        if query.expand:
            pool = await self._expand(pool, gatherer, search, query, tuning, within=within)
        pool, unjudged = await reranked(self.reranking, pool, query.text, tuning)
        ranked = await self._diversified(pool, gatherer, search, tuning)
        hits = self._hits(ranked, query)
        context = None
        if query.budget_tokens is not None:
            context = context_block([hit.memory for hit in hits], query.budget_tokens)
        return RecallAnswer(
            hits=hits,
            context=context,
            degraded=(*search.degraded, *gathered.degraded, *unjudged),
            exact=gathered.exact,
            took_ms=(self.elapsed() - started) * 1000,
        )

    def _check(self, query: RecallQuery) -> None:
        if query.text is None and query.vector is None:
            raise InvalidInput("query", "give query, vector, or both")
        if query.text is not None:
            checked_text(query.text, "query")
            if not query.text.strip():
                raise InvalidInput("query", "is empty")
            if len(query.text.encode()) > QUERY_BYTES_MAX:
                raise InvalidInput("query", f"is longer than {QUERY_BYTES_MAX} bytes")
        check_time(query.as_of, "as_of")
        if query.weights or query.signals:
            # What the namespace says comes under it later; wrong names are refused before any work.
            self._tuning(query, NamespacePolicy())
        if not 1 <= query.k <= self.k_max:
            raise InvalidInput("k", f"must be 1 to {self.k_max}")
        if not 0 <= query.expand <= HOPS_MAX:
            raise InvalidInput("expand", f"must be 0 to {HOPS_MAX} hops")
        if query.min_relevance is not None and not 0 <= query.min_relevance <= 1:
            raise InvalidInput("min_relevance", "must be 0 to 1")
        if query.budget_tokens is not None and not 1 <= query.budget_tokens <= BUDGET_TOKENS_MAX:
            raise InvalidInput("budget_tokens", f"must be 1 to {BUDGET_TOKENS_MAX}")
        if query.wants_reranking and self.reranking is None:
            raise InvalidInput("rerank", "no reranker is configured")
        if query.wants_reranking and query.text is None:
            raise InvalidInput("rerank", "needs a query in words")

    async def _gathered(self, query: RecallQuery) -> tuple[Gatherer, Search, Gathered]:
        """Return the candidates, all of them asked of the one model that answers.

        Which one that is comes with the candidates, so it is guessed first.
        """
        served = await self.models.guessed(self.store)
        for remaining in reversed(range(SWITCHES_MAX)):
            search = await self._prepare(query, served)
            gathered = await served.gatherer.gather(search)
            answering = self.models.told(gathered.standing.fact)
            if answering.name == served.name or not remaining:
                return served.gatherer, search, gathered
            served = answering
        raise AssertionError("the last round always returns")

    def _tuning(self, query: RecallQuery, policy: NamespacePolicy) -> Tuning:
        asked = {} if query.rerank is None else {"rerank": query.rerank}
        return tuned(
            [(policy.weights, policy.signals), (query.weights, {**query.signals, **asked})],
            half_life_days=policy.half_life_days,
            now=query.as_of or self.now(),
            unasked=() if self.reranking is None else self.reranking.signals,
        )

    async def _prepare(self, query: RecallQuery, served: Installed) -> Search:
        vector = None if query.vector is None else checked_vector(query.vector, served.model)
        moment = None if query.include_expired else query.as_of or self.now()
        filter = replace(query.filter, valid_at=moment)
        return await served.gatherer.prepare(query.text, vector, query.scope, filter, query.k)

    @staticmethod
    def _rank(pool: list[Candidate], query: RecallQuery, tuning: Tuning) -> list[Candidate]:
        fuse(pool, tuning)
        if query.text is not None:
            listen(pool, query.text, tuning)
        weigh(pool, tuning)
        return ordered(pool)

    async def _expand(
        self,
        pool: list[Candidate],
        gatherer: Gatherer,
        search: Search,
        query: RecallQuery,
        tuning: Tuning,
        *,
        within: Namespace | None,
    ) -> list[Candidate]:
        """Let the best hits bring along what they are linked to."""
        if not pool:
            return pool
        root = within or root_of(query.scope.namespace)
        await self.graph.catch_up(root)
        starts = [candidate.memory.id for candidate in pool[:EXPAND_FROM]]
        hops = await self._hops(starts, root, query.expand)
        known = {candidate.memory.id: candidate for candidate in pool}
        for id in hops.keys() & known.keys():
            known[id].hops = hops.pop(id)
        linked = await gatherer.add_linked(search, hops) if hops else []
        return self._rank([*pool, *linked], query, tuning)

    async def _hops(
        self, starts: Sequence[MemoryId], root: Namespace, depth: int
    ) -> dict[MemoryId, int]:
        """Return how far memories lie from a hit; a hit itself, from a better one."""
        places = {id: place for place, id in enumerate(starts)}
        hops: dict[MemoryId, int] = {}
        for place, start in enumerate(starts):
            walk = await self.graph.neighbors(
                [start], root, direction=Direction.BOTH, type=None, depth=depth, limit=EXPAND_LIMIT
            )
            for id, distance, _ in walk.steps:
                if distance and places.get(id, len(starts)) > place:
                    hops[id] = min(distance, hops.get(id, distance))
        nearest = sorted(hops.items(), key=lambda entry: (entry[1], entry[0]))
        return dict(nearest[: EXPAND_LIMIT + len(starts)])

    async def _diversified(
        self, ranked: list[Candidate], gatherer: Gatherer, search: Search, tuning: Tuning
    ) -> list[Candidate]:
        head = ranked[: 2 * search.wanted][:100]
        if not head[1:] or not tuning.weight("diversity"):
            return ranked
        likeness = await gatherer.likeness([candidate.memory.id for candidate in head])
        if likeness is None or not _has_repeats(likeness):
            return ranked
        diversify(head, likeness, tuning)
        return ordered(ranked)

    @staticmethod
    def _hits(ranked: list[Candidate], query: RecallQuery) -> tuple[Hit, ...]:
        hits = []
        for candidate in ranked:
            likely = relevance(candidate)
            if query.min_relevance is None or likely >= query.min_relevance:
                parts = {name: value for name, value in candidate.parts.items() if value}
                hits.append(Hit(candidate.memory, candidate.score, likely, parts))
            if len(hits) == query.k:
                break
        return tuple(hits)


def _has_repeats(likeness: Sequence[Sequence[float]]) -> bool:
    """Tell whether any two are alike enough to be looked at: mostly none are."""
    return any(max(row[:index]) >= NEAR_DUPLICATE for index, row in enumerate(likeness) if index)
