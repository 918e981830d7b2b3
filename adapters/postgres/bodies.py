# ruff: noqa: S608 - statements are put together from constants; user text is always a parameter
"""Large contents and payloads out of a cache instead of PostgreSQL.

A body never changes: its key names the epoch of the store, the memory and the version. Which
memories live, and at which version, is always read from PostgreSQL.

Nothing may outlive an erasure. Who erases drops the bodies after the commit. A reader puts a body
only after its snapshot, and afterwards looks whether the memory has been erased: if that was
committed before the look, the reader drops what it put; if later, so does the one who erased.
Should either of them die in between, `drop` on the event `memory.erased` or the cache's own time
limit takes the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapters.postgres.rows import COLUMNS, Row
from adapters.postgres.session import Session
from domain.memory import MemoryId
from domain.ports import Cache

BODY_BYTES_MIN = 2048
"""Smaller bodies come along with their row: asking a cache for them takes longer."""

_BODY = ("payload", "content")
_SMALL = f"octet_length(m.payload) + octet_length(m.content) < {BODY_BYTES_MIN}"

#: As `rows.SELECTED`, but large bodies are NULL. The epoch comes last.
SELECTED_WITHOUT_BODIES = (
    "m.id, n.path, "
    + ", ".join(
        f"CASE WHEN {_SMALL} THEN m.{column} END" if column in _BODY else f"m.{column}"
        for column in COLUMNS
    )
    + ", (SELECT value FROM settings WHERE name = 'epoch')"
)

_VERSION = 2 + COLUMNS.index("version")
_LENGTH_BYTES = 4


class Bodies:
    """Puts bodies of memories into a cache and takes them out again."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def complete(self, session: Session, rows: Sequence[Row]) -> list[Row]:
        """Return rows of `SELECTED_WITHOUT_BODIES` as rows of `SELECTED`, in the same snapshot.

        What had to be read from PostgreSQL is noted in the session, to be put later.
        """
        keys = {row[0]: _key(row[-1], row[0], row[_VERSION]) for row in rows if row[-2] is None}
        if not keys:
            return [row[:-1] for row in rows]
        kept = await self._cache.get_many(list(keys.values()))
        bodies = {id: _opened(kept[key]) for id, key in keys.items() if key in kept}
        missing = [id for id in keys if bodies.get(id) is None]
        if missing:
            for id, payload, content in await session.rows(
                "SELECT id, payload, content FROM memories WHERE id = ANY(%s::text[])", [missing]
            ):
                bodies[id] = (payload, content)
                session.bodies_read[keys[id]] = (id, _packed(payload, content))
        return [
            (*row[:-3], *(bodies[row[0]] or ())) if row[0] in bodies else row[:-1] for row in rows
        ]

    async def keep(self, read: Mapping[str, tuple[str, bytes]]) -> None:
        """Put bodies; the caller has to look afterwards which memories were erased meanwhile."""
        await self._cache.put_many({key: body for key, (_, body) in read.items()})

    async def take_back(self, keys: Sequence[str]) -> None:
        """Remove what was put."""
        await self._cache.drop(keys)

    async def drop(self, epoch: str, erased: Mapping[MemoryId, int]) -> bool:
        """Remove every version up to the given ones; False when nobody could be asked."""
        return await self._cache.drop(
            [
                _key(epoch, id, version)
                for id, last in erased.items()
                for version in range(1, last + 1)
            ]
        )


def _key(epoch: str, id: str, version: int) -> str:
    return f"body:{epoch}:{id}:{version}"


def _packed(payload: str, content: str) -> bytes:
    first = payload.encode()
    return len(first).to_bytes(_LENGTH_BYTES, "big") + first + content.encode()


def _opened(body: bytes) -> tuple[str, str] | None:
    """Return payload and content; None when the value is nothing that was put here."""
    end = _LENGTH_BYTES + int.from_bytes(body[:_LENGTH_BYTES], "big")
    if len(body) < max(end, _LENGTH_BYTES):
        return None
    try:
        return body[_LENGTH_BYTES:end].decode(), body[end:].decode()
    except UnicodeDecodeError:
        return None
