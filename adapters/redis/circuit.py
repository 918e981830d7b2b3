"""A circuit breaker: what did not answer is left alone for a while."""

from __future__ import annotations

from collections.abc import Callable


class Circuit:
    """Open after a failure; then one question per pause is let through, until one is answered."""

    def __init__(self, *, pause_seconds: float, clock: Callable[[], float]) -> None:
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._next_probe: float | None = None
        self._failed = False
        self._answered = False

    @property
    def is_settled(self) -> bool:
        """Whether the last thing known is that questions are answered."""
        return self._answered

    def lets_through(self) -> bool:
        """Tell whether a question may be asked now; of many callers one becomes the probe."""
        if self._next_probe is None:
            return True
        if self._clock() < self._next_probe:
            return False
        self._next_probe = self._clock() + self._pause_seconds
        return True

    def note_answer(self) -> None:
        """Close the circuit."""
        self._next_probe = None
        self._failed = False
        self._answered = True

    def note_failure(self) -> bool:
        """Open the circuit; tell whether this is where an outage begins."""
        begins = not self._failed
        self._next_probe = self._clock() + self._pause_seconds
        self._failed = True
        self._answered = False
        return begins
