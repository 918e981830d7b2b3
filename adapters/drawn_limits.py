"""Rate limits whose calls are drawn from a far counter in blocks: most calls ask nobody."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from domain.ports import Allowance, RateLimiter

#: A block is at most this part of the limit, and is spent within this part of the window.
_BLOCK_PART = 100
_LIFE_PART = 64
_KEYS_MAX = 10_000


@dataclass(slots=True)
class _Block:
    """Calls that the far counter has counted already, and what it said then."""

    size: int
    left: int
    until: float
    allowance: Allowance

    def spend(self, now: float, life_seconds: float) -> Allowance:
        """Take one call of the block."""
        self.left -= 1
        told_at = self.until - life_seconds
        reset_seconds = max(0.0, self.allowance.reset_seconds - (now - told_at))
        remaining = self.allowance.remaining + self.left
        return Allowance(True, self.allowance.limit, remaining, reset_seconds)


class DrawnRateLimiter:
    """Asks the far counter for one call at a time, and for more as long as they are used up fast.

    What is drawn and not spent soon is lost, so a key never makes more calls than its limit, and
    may be refused up to a hundredth of it per process early. The far window is longer by the life
    of a block: no window of the asked length holds more calls than the limit.
    """

    def __init__(self, far: RateLimiter, elapsed: Callable[[], float]) -> None:
        """`elapsed` returns seconds from any fixed moment."""
        self._far = far
        self._elapsed = elapsed
        self._blocks: OrderedDict[tuple[str, float], _Block] = OrderedDict()

    async def take(
        self, key: str, /, *, limit: int, window_seconds: float, calls: int = 1
    ) -> Allowance:
        """Count calls, unless they exceed `limit` in any window of that length."""
        if calls != 1 or limit < 2 * _BLOCK_PART:
            return await self._far.take(
                key, limit=limit, window_seconds=window_seconds, calls=calls
            )
        life_seconds = window_seconds / _LIFE_PART
        far_window = window_seconds + life_seconds
        place = (key, window_seconds)
        now = self._elapsed()
        block = self._blocks.get(place)
        if block is not None and block.left and now < block.until:
            return block.spend(now, life_seconds)
        used_up = block is not None and now < block.until
        size = min(2 * block.size, limit // _BLOCK_PART) if block is not None and used_up else 1
        allowance = await self._far.take(key, limit=limit, window_seconds=far_window, calls=size)
        if not allowance.granted and size > 1:
            size = 1
            allowance = await self._far.take(key, limit=limit, window_seconds=far_window)
        if not allowance.granted:
            self._blocks.pop(place, None)
            return allowance
        drawn = _Block(size, size, now + life_seconds, allowance)
        self._blocks[place] = drawn
        self._blocks.move_to_end(place)
        if len(self._blocks) > _KEYS_MAX:
            self._blocks.popitem(last=False)
        return drawn.spend(now, life_seconds)
