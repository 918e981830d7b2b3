"""Rate limits of this process."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from domain.ports import Allowance

#: The window is cut into this many slots, so that it closes with at most 1/16 of it as delay.
_SLOTS = 16


@dataclass(slots=True)
class _Window:
    """Calls per slot that still count."""

    counts: dict[int, int] = field(default_factory=dict)

    def close(self, now: int) -> None:
        """Forget the slots that no longer touch the window that ends now."""
        for slot in [slot for slot in self.counts if not now - _SLOTS <= slot <= now]:
            del self.counts[slot]

    def first_with_room(self, now: int, below: int) -> int:
        """Return the slot in which fewer than `below` calls count if none is made till then."""
        left = sum(self.counts.values())
        for slot in sorted(self.counts):
            left -= self.counts[slot]
            if left < below:
                return slot + _SLOTS + 1
        return now + _SLOTS + 1


class InProcessRateLimiter:
    """Counts calls per slot of a sixteenth of the window.

    Every slot that touches the last window counts in full, so that no window of that length,
    wherever it begins, holds more than `limit` granted calls. Of more than `keys_max` keys the
    least recently used is forgotten.
    """

    def __init__(self, clock: Callable[[], float], *, keys_max: int = 10_000) -> None:
        """`clock` returns seconds from any fixed moment, such as `time.monotonic`."""
        self._clock = clock
        self._keys_max = keys_max
        self._windows: OrderedDict[tuple[str, int], _Window] = OrderedDict()

    async def take(
        self, key: str, /, *, limit: int, window_seconds: float, calls: int = 1
    ) -> Allowance:
        """Count calls, all or none, unless they exceed `limit` in any window of that length.

        A call counts for its window and up to 1/16 longer. Refused calls do not count.
        """
        slot_us = max(1, math.ceil(window_seconds * 1_000_000 / _SLOTS))
        now_us = math.floor(self._clock() * 1_000_000)
        now = now_us // slot_us
        window = self._window(key, slot_us)
        window.close(now)
        used = sum(window.counts.values())
        granted = used + calls <= limit
        if granted:
            window.counts[now] = window.counts.get(now, 0) + calls
            used += calls
        reset_us = window.first_with_room(now, min(used, limit)) * slot_us - now_us
        return Allowance(granted, limit, max(0, limit - used), reset_us / 1_000_000)

    def _window(self, key: str, slot_us: int) -> _Window:
        window = self._windows.setdefault((key, slot_us), _Window())
        self._windows.move_to_end((key, slot_us))
        if len(self._windows) > self._keys_max:
            self._windows.popitem(last=False)
        return window
