"""Show one memory, a list of them, or all versions of one."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from application.access.subtree import seen_from
from domain.draft import Page
from domain.errors import InvalidInput, MemoryNotFound
from domain.filter import Filter
from domain.memory import Life, Memory, MemoryId, MemoryVersion, check_time
from domain.namespace import Namespace, Scope
from domain.ports import CanonicalStore, Cursor

PAGE_MAX = 1000
CURSOR_DIGITS_MAX = 18


@dataclass(frozen=True, kw_only=True)
class Show:
    """Return one live memory, as it is or as Soma knew it at `known_at`."""

    store: CanonicalStore

    async def __call__(
        self,
        id: MemoryId,
        *,
        known_at: datetime | None = None,
        within: Namespace | None = None,
    ) -> Memory:
        """Raise `MemoryNotFound` when unknown, forgotten, or not yet known then."""
        moment = check_time(known_at, "known_at")
        store = seen_from(self.store, within)
        if moment is None:
            live = await store.glance(lambda tx: tx.memories.get([id]))
            if id not in live:
                raise MemoryNotFound(id)
            return live[id]
        async with store.reading() as tx:
            memory = (await tx.memories.get([id])).get(id)
            if memory is None:
                raise MemoryNotFound(id)
            if memory.updated_at <= moment:
                return memory
            for entry in await tx.memories.history(id):
                if entry.recorded_at <= moment:
                    return entry.memory
        raise MemoryNotFound(id)


@dataclass(frozen=True, kw_only=True)
class ListMemories:
    """List memories of a scope, newest first."""

    store: CanonicalStore
    now: Callable[[], datetime]

    async def __call__(
        self,
        *,
        scope: Scope,
        filter: Filter,
        as_of: datetime | None = None,
        include_expired: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Memory]:
        """Return one page."""
        check_limit(limit)
        moment = None if include_expired else check_time(as_of, "as_of") or self.now()
        async with self.store.reading() as tx:
            items = await tx.memories.find(
                scope,
                replace(filter, valid_at=moment),
                limit=limit + 1,
                after=_read_cursor(cursor),
            )
        page = tuple(items[:limit])
        more = len(items) > limit
        return Page(page, _write_cursor(page[-1]) if more else None)


@dataclass(frozen=True, kw_only=True)
class History:
    """List every version of a memory, newest first, also of a forgotten one."""

    store: CanonicalStore

    async def __call__(
        self,
        id: MemoryId,
        *,
        limit: int = 100,
        cursor: str | None = None,
        within: Namespace | None = None,
    ) -> Page[MemoryVersion]:
        """Return one page; raise `MemoryNotFound` when the id never existed."""
        check_limit(limit)
        below = read_number(cursor)
        async with seen_from(self.store, within).reading() as tx:
            life, _ = await tx.memories.life(id)
            if life is Life.UNKNOWN:
                raise MemoryNotFound(id)
            versions = await tx.memories.history(id)
        rest = [v for v in versions if below is None or v.version < below]
        page = tuple(rest[:limit])
        return Page(page, str(page[-1].version) if len(rest) > limit else None)


def check_limit(limit: int) -> int:
    """Return a page size of 1 to 1000."""
    if not 1 <= limit <= PAGE_MAX:
        raise InvalidInput("limit", f"must be 1 to {PAGE_MAX}")
    return limit


def read_number(cursor: str | None) -> int | None:
    """Read a cursor that is a number."""
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > CURSOR_DIGITS_MAX:
        raise InvalidInput("cursor", "is not a cursor of this list")
    return int(cursor)


def _write_cursor(memory: Memory) -> str:
    place = json.dumps([memory.happened_at.isoformat(), memory.id])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None) -> Cursor | None:
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        moment, id = json.loads(base64.urlsafe_b64decode(padded.encode()))
        place = Cursor(datetime.fromisoformat(moment), MemoryId(str(id)))
    except (ValueError, TypeError, binascii.Error) as error:
        raise InvalidInput("cursor", "is not a cursor of this list") from error
    if place.happened_at.tzinfo is None:
        raise InvalidInput("cursor", "is not a cursor of this list")
    return place
