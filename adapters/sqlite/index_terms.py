# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""What the lexicon holds of each live memory, for text indexes built from it."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence

from adapters.sqlite.rows import FACTS, Row, facts_of, list_json
from adapters.sqlite.session import Session
from domain.memory import MemoryId
from domain.namespace import Namespace
from domain.ports import IndexedTerms

_SELECTED = (
    "SELECT m.id, t.own, t.context, m.valid_from, m.valid_to, m.expires_at,"
    f" {FACTS} FROM {{source}}"
    " CROSS JOIN memory_terms t ON t.memory = m.number WHERE m.forgotten_at IS NULL"
)


class SqliteIndexTerms:
    """Implements `domain.ports.IndexTerms`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def page(
        self, namespace: Namespace, /, *, limit: int, after: MemoryId | None = None
    ) -> list[IndexedTerms]:
        """Return live memories that are in the lexicon, in id order."""
        return await self._session.run(_page, namespace, limit, after)

    async def of(self, ids: Sequence[MemoryId], /) -> list[IndexedTerms]:
        """Return the live ones among `ids` that are in the lexicon."""
        return await self._session.run(_of, ids)


def _page(
    connection: sqlite3.Connection, namespace: Namespace, limit: int, after: MemoryId | None
) -> list[IndexedTerms]:
    source = "namespaces n CROSS JOIN memories m ON m.namespace_id = n.id"
    rows = connection.execute(
        f"{_SELECTED.format(source=source)} AND n.path = ? AND m.id > ? ORDER BY m.id LIMIT ?",
        [namespace, after or "", limit],
    )
    return [_indexed(row) for row in rows]


def _of(connection: sqlite3.Connection, ids: Sequence[MemoryId]) -> list[IndexedTerms]:
    source = "json_each(?) w CROSS JOIN memories m ON m.id = w.value"
    rows = connection.execute(_SELECTED.format(source=source), [list_json(set(ids))])
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
