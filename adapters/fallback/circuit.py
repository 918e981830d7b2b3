"""Spares callers the wait for something that has just failed slowly."""

from __future__ import annotations

from collections.abc import Callable

REST_SECONDS = 2.0
#: A failure that comes sooner costs nothing worth sparing, and may concern one scope only.
SLOW_SECONDS = 0.1


class Circuit:
    """Lets calls through until one fails slowly; then one probe per rest until one succeeds."""

    def __init__(self, clock: Callable[[], float], *, rest_seconds: float = REST_SECONDS) -> None:
        self._clock = clock
        self._rest_seconds = rest_seconds
        self._rests_until: float | None = None

    def begin(self) -> float | None:
        """Return when a call starts that may be tried, None when it had better not be."""
        now = self._clock()
        if self._rests_until is not None:
            if now < self._rests_until:
                return None
            # This call is the probe: others wait for its outcome.
            self._rests_until = now + self._rest_seconds
        return now

    def succeeded(self) -> None:
        """Let everything through again."""
        self._rests_until = None

    def failed(self, started: float) -> None:
        """Rest, if that failure took long."""
        now = self._clock()
        if now - started >= SLOW_SECONDS or self._rests_until is not None:
            self._rests_until = now + self._rest_seconds
