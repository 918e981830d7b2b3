"""Counts and durations, kept as plain numbers: writing one down costs less than a microsecond.

The Prometheus library takes 0.1 s to import and several microseconds per observation. So it only
meets these numbers when somebody asks for them (entrypoints/metrics.py).
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable

#: Upper bounds in seconds; what takes longer is counted in one more bucket.
BUCKETS_SECONDS = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0),
)
#: A level that nobody has renewed for so long says nothing about the present.
LEVEL_AGE_MAX_SECONDS = 60.0

Labels = tuple[str, ...]
#: What ended a call: the type of its error, None when there was none.
Ending = type[BaseException] | None


class Timing:
    """How often something took how long."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_SECONDS) + 1)
        self.seconds = 0.0


class Tallies:
    """The numbers of one process, by family and label values.

    Label values must come from a small set: each combination is kept for good.
    """

    #: The bounds that durations are sorted by.
    bounds_seconds = BUCKETS_SECONDS

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._timings: dict[tuple[str, Labels, Ending], Timing] = {}
        self._counts: dict[tuple[str, Labels], float] = {}
        self._levels: dict[tuple[str, Labels], tuple[float, float]] = {}

    def timed(self, family: str, labels: Labels, ending: Ending, seconds: float) -> None:
        """Note how long one call took and how it ended."""
        key = (family, labels, ending)
        timing = self._timings.get(key)
        if timing is None:
            timing = self._timings[key] = Timing()
        timing.counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        timing.seconds += seconds

    def count(self, family: str, labels: Labels = (), times: float = 1) -> None:
        """Note that something happened."""
        key = (family, labels)
        self._counts[key] = self._counts.get(key, 0) + times

    def level(self, family: str, labels: Labels, value: float) -> None:
        """Note how much there is of something now; forgotten unless it is renewed."""
        self._levels[family, labels] = (value, self._clock())

    def timings(self, family: str) -> list[tuple[Labels, Ending, Timing]]:
        """Return every series of a family of timings."""
        return [
            (labels, ending, timing)
            for (known, labels, ending), timing in list(self._timings.items())
            if known == family
        ]

    def counts(self, family: str) -> dict[Labels, float]:
        """Return every series of a family of counts."""
        return {
            labels: count
            for (known, labels), count in list(self._counts.items())
            if known == family
        }

    def levels(self, family: str) -> dict[Labels, float]:
        """Return the levels of a family that are recent enough to be believed."""
        oldest = self._clock() - LEVEL_AGE_MAX_SECONDS
        return {
            labels: value
            for (known, labels), (value, at) in list(self._levels.items())
            if known == family and at >= oldest
        }
