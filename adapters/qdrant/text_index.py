"""Words: Qdrant's sparse vectors nominate, the canonical store adds what is new."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.qdrant.collection import Collection
from adapters.qdrant.failures import CollectionRemade
from adapters.qdrant.filters import scope_filter
from adapters.qdrant.index import memories_of
from adapters.qdrant.overlay import Overlay, read_overlay
from adapters.qdrant.points import WORDS
from adapters.qdrant.words import query_words
from domain.events import FeedPosition
from domain.filter import Filter
from domain.lexical import LexicalEvidence, bm25
from domain.memory import MemoryId
from domain.namespace import Scope
from domain.ports import CanonicalStore, Transaction
from domain.vector import Role

_ROLES = (Role.OWN, Role.CONTEXT)


class QdrantTextIndex:
    """Implements `domain.ports.TextIndex`. Not to be called from within a transaction."""

    def __init__(self, store: CanonicalStore, collection: Collection) -> None:
        self._store = store
        self._collection = collection

    async def nominate(
        self, terms: Sequence[str], scope: Scope, filter: Filter, /, *, limit: int
    ) -> list[MemoryId]:
        """Return matches: those that Qdrant lacks first, then Qdrant's best, up to `limit` each.

        Conditions on the payload may be answered too widely. Raises `IndexUnavailable`.
        """
        if not terms:
            return []
        try:
            return await self._nominate(terms, scope, filter, limit)
        except CollectionRemade:
            return await self._nominate(terms, scope, filter, limit)

    async def _nominate(
        self, terms: Sequence[str], scope: Scope, filter: Filter, limit: int
    ) -> list[MemoryId]:
        from qdrant_client import models

        title = await self._collection.title()
        async with self._store.reading() as tx:
            overlay = await read_overlay(tx, title, scope, filter)
            recent = await _matching(tx, overlay, terms, scope)
        [points] = await self._collection.query(
            title,
            [
                models.QueryRequest(
                    query=query_words(terms),
                    using=WORDS,
                    filter=scope_filter(scope, filter, roles=_ROLES, without=overlay.touched),
                    # A memory has a point for its own words and one for its neighbours'.
                    limit=2 * limit,
                    with_payload=["memory"],
                )
            ],
        )
        return [*recent[:limit], *memories_of(points)[:limit]]

    def evidence(
        self,
        ids: Sequence[MemoryId],
        terms: Sequence[str],
        scope: Scope,
        position: FeedPosition,
        /,
    ) -> LexicalEvidence | None:
        """Return None: Qdrant keeps weights, not counts."""
        return None


async def _matching(
    tx: Transaction, overlay: Overlay, terms: Sequence[str], scope: Scope
) -> list[MemoryId]:
    """Return what is new and holds any of the terms, best first, ties by id."""
    if not overlay.passing:
        return []
    evidence = await tx.lexicon.evidence(overlay.passing, terms, scope)
    scores = {
        id: bm25(terms, own, evidence.own) + bm25(terms, context, evidence.context)
        for id, (own, context) in evidence.documents.items()
        if any(own.counts.get(term) or context.counts.get(term) for term in terms)
    }
    return sorted(scores, key=lambda id: (-scores[id], id))
