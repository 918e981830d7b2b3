"""Let a reranker judge the best candidates; without one, their order stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.errors import RerankerUnavailable
from domain.memory import MemoryId
from domain.ports import CanonicalStore, Passage, Reranker, Transaction
from domain.ranking import Candidate, Tuning, ordered
from domain.reranking import RERANKED, judge, passages
from domain.texts import own_text, text_hash
from domain.vector import TokenStates

#: Nobody waits for more passages to be read than these when nobody has asked for a judgement.
UNREAD_MAX = 4


@dataclass(frozen=True, kw_only=True)
class Reranking:
    """Asks the reranker about the head of a ranking.

    `states_of` names the model whose token states it can use. `unasked` says that it judges where
    nobody has asked for it, too: because what it reads is kept, that costs next to nothing.
    """

    store: CanonicalStore
    reranker: Reranker
    states_of: str | None = None
    unasked: bool = False

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that are on because of it."""
        return ("rerank",) if self.unasked else ()

    async def __call__(
        self, ranked: Sequence[Candidate], question: str, tuning: Tuning
    ) -> list[Candidate]:
        """Return them in their new order; raise `RerankerUnavailable` having changed nothing."""
        head = ranked[:RERANKED]
        if len(head) <= 1:
            return list(ranked)
        read = await self.read(head)
        if not tuning.asked("rerank") and not _at_hand(head, read):
            return list(ranked)
        judge(ranked, head, await self.reranker.scores(question, read), tuning)
        return ordered(ranked)

    async def read(self, head: Sequence[Candidate]) -> list[Passage]:
        """Return what the reranker reads of each candidate."""
        async with self.store.reading() as tx:
            places = await tx.memories.session_places([candidate.memory.id for candidate in head])
            states = await self._states(tx, head)
        return passages(head, places, states)

    async def _states(
        self, tx: Transaction, head: Sequence[Candidate]
    ) -> Mapping[MemoryId, TokenStates]:
        """Return the states that are kept of the texts of these very memories."""
        if self.states_of is None:
            return {}
        memories = {candidate.memory.id: candidate.memory for candidate in head}
        return {
            kept.memory_id: kept.states
            for kept in await tx.embeddings.states(list(memories), self.states_of)
            if kept.input_hash == text_hash(own_text(memories[kept.memory_id]))
        }


def _at_hand(head: Sequence[Candidate], read: Sequence[Passage]) -> bool:
    """Tell whether a judgement has to read next to nothing, the question included."""
    unread = sum(passage.states is None for passage in read)
    return unread <= UNREAD_MAX and any(candidate.cosine is not None for candidate in head)


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
