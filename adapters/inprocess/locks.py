"""Locks of this process."""

from __future__ import annotations

from collections.abc import Callable


class InProcessLocks:
    """Remembers who holds what until when."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns seconds from any fixed moment, such as `time.monotonic`."""
        self._clock = clock
        self._held: dict[str, tuple[str, float]] = {}

    async def acquire(self, name: str, owner: str, /, *, ttl_seconds: float) -> bool:
        """Take a free lock, or renew one's own."""
        now = self._clock()
        self._held = {name: held for name, held in self._held.items() if held[1] > now}
        holder, _ = self._held.get(name, (owner, now))
        if holder != owner:
            return False
        self._held[name] = (owner, now + ttl_seconds)
        return True

    async def release(self, name: str, owner: str, /) -> None:
        """Give the lock back if it is still one's own."""
        holder, _ = self._held.get(name, (None, 0.0))
        if holder == owner:
            del self._held[name]
