"""Locks for jobs where there is no Redis: kept in the canonical store, which all workers share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from domain.ports import CanonicalStore


class StoreLocks:
    """Implements `domain.ports.Locks`. Raises `StoreUnavailable`."""

    def __init__(self, store: CanonicalStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def acquire(self, name: str, owner: str, /, *, ttl_seconds: float) -> bool:
        """Take a free lock, or renew one's own."""
        key = f"lock:{name}"
        async with self._store.writing() as tx:
            # Taking a number first makes those who want the same lock wait for each other.
            await tx.fences.take(key)
            holder, _, until = (await tx.settings.get(key) or "").rpartition(" ")
            if until and holder != owner and datetime.fromisoformat(until) > self._now():
                return False
            end = self._now() + timedelta(seconds=ttl_seconds)
            await tx.settings.set(key, f"{owner} {end.isoformat()}")
        return True

    async def release(self, name: str, owner: str, /) -> None:
        """Give the lock back if it is still one's own."""
        key = f"lock:{name}"
        async with self._store.writing() as tx:
            await tx.fences.take(key)
            holder, _, _ = (await tx.settings.get(key) or "").rpartition(" ")
            if holder == owner:
                await tx.settings.set(key, "")
