"""Let a reranker judge the best candidates; without one, their order stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import RerankerUnavailable
from domain.ports import CanonicalStore, Reranker
from domain.ranking import Candidate, Tuning, ordered
from domain.reranking import RERANKED, judge, passages


@dataclass(frozen=True, kw_only=True)
class Reranking:
    """Asks the reranker about the head of a ranking."""

    store: CanonicalStore
    reranker: Reranker

    async def __call__(
        self, ranked: Sequence[Candidate], question: str, tuning: Tuning
    ) -> list[Candidate]:
        """Return them in their new order; raise `RerankerUnavailable` having changed nothing."""
        head = ranked[:RERANKED]
        if len(head) <= 1:
            return list(ranked)
        async with self.store.reading() as tx:
            places = await tx.memories.session_places([candidate.memory.id for candidate in head])
        scores = await self.reranker.scores(question, passages(head, places))
        judge(ranked, head, scores, tuning)
        return ordered(ranked)


async def reranked(
    reranking: Reranking | None, ranked: list[Candidate], question: str | None, tuning: Tuning
) -> tuple[list[Candidate], tuple[str, ...]]:
    """Rerank where it is switched on; name the reranker when it was wanted and is not there."""
    if not tuning.weight("rerank") or question is None:
        return ranked, ()
    if reranking is None:
        return ranked, ("reranker",)
    try:
        return await reranking(ranked, question, tuning), ()
    except RerankerUnavailable:
        return ranked, ("reranker",)
