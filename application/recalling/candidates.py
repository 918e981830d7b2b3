"""Gather candidates from projections and hold them against the canonical store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from application.recalling.knowing import Known
from domain.errors import EmbedderUnavailable, IndexUnavailable
from domain.filter import Filter, is_current
from domain.lexical import FieldScorer
from domain.memory import Memory, MemoryId
from domain.namespace import Scope
from domain.ports import (
    Analyser,
    CanonicalStore,
    Embedder,
    Standing,
    TextIndex,
    VectorIndex,
    VectorNominations,
)
from domain.ranking import Candidate
from domain.vector import MODEL_SETTING, Vector

POOL_MIN = 50
ROUNDS_MAX = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One question, ready to be asked; `degraded` names what it had to do without."""

    text: str | None
    terms: tuple[str, ...]
    words: tuple[MemoryId, ...]
    vector: Vector | None
    scope: Scope
    filter: Filter
    wanted: int
    degraded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gathered:
    """Verified candidates with their evidence, and what could not be asked.

    `standing` is what the store said when the answer was found to be current.
    """

    pool: list[Candidate]
    degraded: tuple[str, ...]
    exact: bool
    standing: Standing


@dataclass(frozen=True, kw_only=True)
class Gatherer:
    """Asks both kinds of index, checks every candidate, and refills what falls away.

    The consistency rule lives here: an answer counts only if the index had applied every event
    that the canonical store had when its rows were first read.
    """

    store: CanonicalStore
    known: Known
    index: VectorIndex
    words: TextIndex
    analyser: Analyser
    embedder: Embedder

    async def prepare(
        self, text: str | None, vector: Vector | None, scope: Scope, filter: Filter, wanted: int
    ) -> Search:
        """Analyse and embed a question; a silent embedder leaves the words."""
        terms = self.analyser.terms(text) if text else ()
        limit = max(POOL_MIN, 2 * wanted)
        words: Sequence[MemoryId] = ()
        degraded: tuple[str, ...] = ()
        if terms and vector is None:
            # The model and the database work side by side: neither needs the other's answer.
            words, (vector, degraded) = await asyncio.gather(
                self._by_words(terms, scope, filter, limit), self._meaning(text, vector)
            )
        else:
            words = await self._by_words(terms, scope, filter, limit)
            vector, degraded = await self._meaning(text, vector)
        return Search(
            text=text,
            terms=terms,
            words=tuple(words),
            vector=vector,
            scope=scope,
            filter=filter,
            wanted=wanted,
            degraded=degraded,
        )

    async def gather(self, search: Search) -> Gathered:
        """Return the verified pool: at least `wanted` candidates wherever the scope holds them."""
        memories, nominated, standing = await self._verified(search)
        pool = await self._with_words(search, memories, standing)
        missing = not await self._add_cosines(search, pool) or _is_stand_in(search, nominated)
        exact = nominated is None or nominated.exact
        return Gathered(list(pool.values()), ("vector_index",) if missing else (), exact, standing)

    async def _verified(
        self, search: Search
    ) -> tuple[dict[MemoryId, Memory], VectorNominations | None, Standing]:
        """Nominate and verify until the answer is current and large enough."""
        limit = max(POOL_MIN, 2 * search.wanted)
        words: Sequence[MemoryId] = search.words
        required: int | None = None
        for remaining in reversed(range(ROUNDS_MAX)):
            nominated = await self._nearest(search, limit)
            ids = _merge(nominated, words)
            memories, standing = await self._standing(search, ids)
            required = standing.position.seq if required is None else required
            current = _covers(nominated, standing.position.epoch, required)
            enough = len(memories) >= search.wanted or len(ids) < limit
            if (current and enough) or not remaining:
                return memories, nominated, standing
            if current:
                limit *= 4
                words = await self._by_words(search.terms, search.scope, search.filter, limit)
            else:
                await self.index.catch_up(search.scope)
        raise AssertionError("the last round always returns")

    async def _standing(
        self, search: Search, ids: Sequence[MemoryId]
    ) -> tuple[dict[MemoryId, Memory], Standing]:
        """Return those candidates that are live, in scope and pass, and the heads with them."""
        held = self.known.held(search.scope, ids)
        standing = await self.store.glance(
            lambda tx: tx.memories.standing(search.scope, held.claim, fact=MODEL_SETTING)
        )
        live = self.known.verified(search.scope, held, standing)
        return _passing(live, search.filter), standing

    async def add_linked(self, search: Search, hops: dict[MemoryId, int]) -> list[Candidate]:
        """Return candidates reached over links that pass the filter, with their evidence."""
        memories, standing = await self._standing(search, list(hops))
        pool = await self._with_words(search, memories, standing)
        await self._add_cosines(search, pool)
        for id, candidate in pool.items():
            candidate.hops = hops[id]
        return list(pool.values())

    async def likeness(self, ids: Sequence[MemoryId]) -> list[list[float]] | None:
        """Return cosines between memories, `(n, n)`; None when no index answers."""
        try:
            return await self.index.pairwise(ids)
        except IndexUnavailable:
            return None

    async def _nearest(self, search: Search, limit: int) -> VectorNominations | None:
        """Ask the vector index; without it the words remain."""
        if search.vector is None:
            return None
        try:
            return await self.index.nominate(
                search.vector, search.scope, search.filter, limit=limit
            )
        except IndexUnavailable:
            return None

    async def _meaning(
        self, text: str | None, vector: Vector | None
    ) -> tuple[Vector | None, tuple[str, ...]]:
        if vector is not None or not text:
            return vector, ()
        try:
            return await self.embedder.embed_query(text), ()
        except EmbedderUnavailable:
            return None, ("embedder",)

    async def _by_words(
        self, terms: Sequence[str], scope: Scope, filter: Filter, limit: int
    ) -> list[MemoryId]:
        if not terms:
            return []
        return await self.words.nominate(terms, scope, filter, limit=limit)

    async def _with_words(
        self, search: Search, memories: Mapping[MemoryId, Memory], standing: Standing
    ) -> dict[MemoryId, Candidate]:
        """Make candidates of memories, with the evidence of their words."""
        pool = {id: Candidate(memory) for id, memory in memories.items()}
        if not search.terms or not pool:
            return pool
        ids = list(pool)
        evidence = self.words.evidence(ids, search.terms, search.scope, standing.position)
        if evidence is None:
            async with self.store.reading() as tx:
                evidence = await tx.lexicon.evidence(ids, search.terms, search.scope)
        by_own = FieldScorer.of(search.terms, evidence.own)
        by_context = FieldScorer.of(search.terms, evidence.context)
        for id, (own, context) in evidence.documents.items():
            candidate = pool[id]
            candidate.lexical = by_own.bm25(own)
            candidate.context_lexical = by_context.bm25(context)
            candidate.coverage = by_own.coverage(own)
        return pool

    async def _add_cosines(self, search: Search, pool: dict[MemoryId, Candidate]) -> bool:
        """Add the evidence of the vectors; False when no index answers."""
        if search.vector is None:
            return True
        try:
            found = await self.index.similarities(search.vector, list(pool))
        except IndexUnavailable:
            return False
        for id, (own, context) in found.items():
            pool[id].cosine = own
            pool[id].context_cosine = context
        return True


def _is_stand_in(search: Search, nominated: VectorNominations | None) -> bool:
    """Tell whether somebody else, or nobody, answered for the vector index."""
    if search.vector is None:
        return False
    return nominated is None or nominated.substitute


def _merge(nominated: VectorNominations | None, words: Sequence[MemoryId]) -> list[MemoryId]:
    near = () if nominated is None else (*nominated.own, *nominated.context)
    return list(dict.fromkeys([*(id for id, _ in near), *words]))


def _covers(nominated: VectorNominations | None, epoch: str, seq: int) -> bool:
    if nominated is None:
        return True
    return nominated.position.epoch == epoch and nominated.position.seq >= seq


def _passing(memories: dict[MemoryId, Memory], filter: Filter) -> dict[MemoryId, Memory]:
    """Return those memories that pass, in their order."""
    moment = filter.valid_at
    if not filter.only_time:
        return {id: memory for id, memory in memories.items() if filter.matches(memory)}
    if moment is None:
        return memories
    # Most questions have no filter, and most memories no end: this is asked of every candidate.
    return {
        id: memory
        for id, memory in memories.items()
        if (memory.valid_from is None and memory.valid_to is None and memory.expires_at is None)
        or is_current(memory, moment)
    }
