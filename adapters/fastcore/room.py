"""Whether the vectors and the words of a scope have room in memory."""

from __future__ import annotations

from domain.namespace import Namespace, Scope
from domain.ports import CanonicalStore

_PAGE = 1000
_PAGES_MAX = 10
#: What the postings of a text of ordinary length take, its neighbours' words included.
_WORDS_BYTES = 1500
#: What the facts that filters look at take, once beside the vectors and once beside the words.
_FACTS_BYTES = 150
#: What codes add to vectors.
_CODED = 1.3


class Room:
    """Tells whether a Fast Core of `budget_bytes` can hold all of a scope at once."""

    def __init__(self, store: CanonicalStore, dimension: int, *, budget_bytes: int) -> None:
        self._store = store
        self._dimension = dimension
        self._budget_bytes = budget_bytes

    async def __call__(self, scope: Scope, /) -> bool:
        """Count the scope's memories; a subtree of too many namespaces does not fit."""
        from adapters.fastcore.segment import ROW_OVERHEAD_BYTES

        # Two vectors of float32 with their codes.
        vectors = int(2 * 4 * self._dimension * _CODED)
        row_bytes = vectors + ROW_OVERHEAD_BYTES + 2 * _FACTS_BYTES + _WORDS_BYTES
        memories = 0
        last: Namespace | None = None
        async with self._store.reading() as tx:
            for _ in range(_PAGES_MAX):
                page = await tx.namespaces.stats(scope, limit=_PAGE, after=last)
                memories += sum(part.memories for part in page)
                if memories * row_bytes > self._budget_bytes:
                    return False
                if len(page) < _PAGE:
                    return True
                last = page[-1].path
        return False
