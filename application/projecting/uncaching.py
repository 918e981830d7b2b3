"""Take erased content out of the cache, also when whoever erased it could not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from application.projecting.following import Follower
from domain.errors import CacheUnavailable
from domain.events import Event, EventType
from domain.memory import MemoryId

BODIES = "body_cache"


@dataclass(frozen=True, kw_only=True)
class DropErasedBodies:
    """Remove the cached bodies of every memory that was erased.

    Who erases removes them at once; this is for a cache that was down then, or a reader that put
    one back. `drop` is given last versions by memory and tells whether the cache could be asked.
    """

    follower: Follower
    drop: Callable[[Mapping[MemoryId, int]], Awaitable[bool]]

    async def __call__(self) -> int:
        """Return how many events were looked at; raise `CacheUnavailable` to try again."""
        return await self.follower.follow(BODIES, self._drop)

    async def _drop(self, events: Sequence[Event], _: str) -> None:
        erased = {e.memory_id: e.version for e in events if e.type is EventType.ERASED}
        if erased and not await self.drop(erased):
            raise CacheUnavailable("erased bodies stay in the cache until it can be asked")
