# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""What the lexicon holds of each live memory, for text indexes built from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from adapters.postgres.rows import FACTS, Row, facts_of, storable
from adapters.postgres.session import Session
from domain.memory import MemoryId
from domain.namespace import Namespace
from domain.ports import IndexedTerms

_SELECTED = (
    "SELECT m.id, t.own, t.context, m.valid_from, m.valid_to, m.expires_at,"
    f" {FACTS} FROM memories m"
    " JOIN memory_terms t ON t.memory = m.number WHERE m.forgotten_at IS NULL"
)


class PostgresIndexTerms:
    """Implements `domain.ports.IndexTerms`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def page(
        self, namespace: Namespace, /, *, limit: int, after: MemoryId | None = None
    ) -> list[IndexedTerms]:
        """Return live memories that are in the lexicon, in id order."""
        rows = await self._session.rows(
            f"{_SELECTED} AND m.namespace_id = (SELECT id FROM namespaces WHERE path = %s)"
            " AND m.id > %s ORDER BY m.id LIMIT %s",
            [namespace, after or "", limit],
        )
        return [_indexed(row) for row in rows]

    async def of(self, ids: Sequence[MemoryId], /) -> list[IndexedTerms]:
        """Return the live ones among `ids` that are in the lexicon."""
        rows = await self._session.rows(f"{_SELECTED} AND m.id = ANY(%s::text[])", [storable(ids)])
        return [_indexed(row) for row in rows]


def _indexed(row: Row) -> IndexedTerms:
    id, own, context, valid_from, valid_to, expires_at, *facts = row
    span = (
        _seconds(valid_from, -math.inf),
        _seconds(valid_to, math.inf),
        _seconds(expires_at, math.inf),
    )
    return IndexedTerms(MemoryId(id), own, context, span, facts_of(tuple(facts)))


def _seconds(value: int | None, absent: float) -> float:
    return absent if value is None else value / 1_000_000
