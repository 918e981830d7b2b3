"""Identifiers that sort by the time they were made: UUID version 7 (RFC 9562)."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from domain.memory import MemoryId

_RANDOM_BITS = 74
_STEP_BITS = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Uuid7Source:
    """Makes ids that are strictly greater than every one it made before.

    Within a millisecond, and when the clock goes back, it counts on in random steps from the id
    before, so ids stay ordered and hard to guess.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> MemoryId:
        """Return a new id in the usual form: 36 characters, lower case."""
        moment = (self._now() - _EPOCH) // _MILLISECOND
        with self._lock:
            if moment <= self._last >> _RANDOM_BITS:
                fresh = self._last + 1 + secrets.randbits(_STEP_BITS)
            else:
                # The top random bit stays free as room for counting on.
                fresh = moment << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS - 1)
            self._last = fresh
        return MemoryId(_spelt(_numbered(fresh)))


def _spelt(number: int) -> str:
    """Write a UUID down; a UUID object would take three times as long."""
    digits = f"{number:032x}"
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts)


def _numbered(value: int) -> int:
    """Spread 48 bits of milliseconds and 74 further bits around version and variant."""
    milliseconds, rest = value >> _RANDOM_BITS, value & ((1 << _RANDOM_BITS) - 1)
    high, low = rest >> 62, rest & ((1 << 62) - 1)
    return milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low
