"""What processes share: caches, limits, locks, news."""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from domain.namespace import Namespace, Scope


class Cache(Protocol):
    """Immutable values under versioned keys: nothing in it can be stale, all of it can be lost."""

    async def get(self, key: str, /) -> bytes | None:
        """Return the value if it is still there."""

    async def put(self, key: str, value: bytes, /) -> None:
        """Keep the value for as long as there is room."""

    async def get_many(self, keys: Sequence[str], /) -> dict[str, bytes]:
        """Return those values that are still there, in one round trip."""

    async def put_many(self, values: Mapping[str, bytes], /) -> None:
        """Keep the values, in one round trip."""

    async def drop(self, keys: Sequence[str], /) -> bool:
        """Remove values whose content must not stay; False when nobody could be asked."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a rate limit: `reset_seconds` until the window gives room again."""

    granted: bool
    limit: int
    remaining: int
    reset_seconds: float


class RateLimiter(Protocol):
    """Counts calls per key in a sliding window."""

    async def take(
        self, key: str, /, *, limit: int, window_seconds: float, calls: int = 1
    ) -> Allowance:
        """Count calls, all or none, unless they exceed `limit` in any window of that length."""


class Locks(Protocol):
    """Keeps two workers from doing the same job; what protects the data is the fence.

    Where nobody can be asked a lock is granted: the job is then done twice at worst.
    """

    async def acquire(self, name: str, owner: str, /, *, ttl_seconds: float) -> bool:
        """Take a free lock, or renew one's own."""

    async def release(self, name: str, owner: str, /) -> None:
        """Give the lock back if it is still one's own."""


class EventBus(Protocol):
    """Wakes those who follow a change feed; a lost or double wake-up is harmless."""

    async def publish(self, namespaces: Iterable[Namespace], /) -> None:
        """Say that these feeds have moved."""

    def subscribe(self, scope: Scope | None, /) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Iterate over wake-ups for a scope (None: everywhere); several may be merged into one."""
