"""The text index of the canonical store itself: always current."""

from __future__ import annotations

from collections.abc import Sequence

from domain.events import FeedPosition
from domain.filter import Filter
from domain.lexical import LexicalEvidence
from domain.memory import MemoryId
from domain.namespace import Scope
from domain.ports import CanonicalStore


class StoreTextIndex:
    """Implements `domain.ports.TextIndex` by the lexicon that every store keeps."""

    def __init__(self, store: CanonicalStore) -> None:
        self._store = store

    async def nominate(
        self, terms: Sequence[str], scope: Scope, filter: Filter, /, *, limit: int
    ) -> list[MemoryId]:
        """Return memories with any of the terms, in a transaction of its own."""
        if not terms:
            return []
        async with self._store.reading() as tx:
            return await tx.lexicon.nominate(terms, scope, filter, limit=limit)

    def evidence(
        self,
        ids: Sequence[MemoryId],
        terms: Sequence[str],
        scope: Scope,
        position: FeedPosition,
        /,
    ) -> LexicalEvidence | None:
        """Return None: nothing is held outside the store."""
        return None
