"""Text indexes of which one stands in for another."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.fallback.circuit import Circuit
from adapters.fallback.index import Fits, tried
from domain.errors import IndexUnavailable
from domain.events import FeedPosition
from domain.filter import Filter
from domain.lexical import LexicalEvidence
from domain.memory import MemoryId
from domain.namespace import Scope
from domain.ports import TextIndex


class FallbackTextIndex:
    """Asks the first index, and the second whenever the first does not answer."""

    def __init__(self, first: TextIndex, second: TextIndex, *, circuit: Circuit) -> None:
        self._first = first
        self._second = second
        self._circuit = circuit

    async def nominate(
        self, terms: Sequence[str], scope: Scope, filter: Filter, /, *, limit: int
    ) -> list[MemoryId]:
        """Return memories with any of the terms from whichever index answers."""
        try:
            return await tried(
                self._circuit, lambda: self._first.nominate(terms, scope, filter, limit=limit)
            )
        except IndexUnavailable:
            return await self._second.nominate(terms, scope, filter, limit=limit)

    def evidence(
        self,
        ids: Sequence[MemoryId],
        terms: Sequence[str],
        scope: Scope,
        position: FeedPosition,
        /,
    ) -> LexicalEvidence | None:
        """Return what the first index has at hand, else the second."""
        return self._first.evidence(ids, terms, scope, position) or self._second.evidence(
            ids, terms, scope, position
        )


class FittingTextIndex:
    """Asks the first index where a scope fits into it, and the second elsewhere."""

    def __init__(self, first: TextIndex, second: TextIndex, *, fits: Fits) -> None:
        self._first = first
        self._second = second
        self._fits = fits

    async def nominate(
        self, terms: Sequence[str], scope: Scope, filter: Filter, /, *, limit: int
    ) -> list[MemoryId]:
        """Return memories with any of the terms from the index that the scope fits into."""
        if not terms:
            return []
        chosen = self._first if await self._fits(scope) else self._second
        return await chosen.nominate(terms, scope, filter, limit=limit)

    def evidence(
        self,
        ids: Sequence[MemoryId],
        terms: Sequence[str],
        scope: Scope,
        position: FeedPosition,
        /,
    ) -> LexicalEvidence | None:
        """Return what the first index has at hand: only what fits into it is there."""
        return self._first.evidence(ids, terms, scope, position)
