"""When the memories of a namespace are valid: kept for those that are not valid at all times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore.growing import Growing

Span = tuple[float, float, float]

_ALWAYS: Span = (-math.inf, math.inf, math.inf)


class Spans:
    """(valid_from, valid_to, expires_at) in Unix seconds of bounded rows. One writer at a time.

    Readers in other threads may ask while rows are added.
    """

    def __init__(self) -> None:
        self._rows: Growing[np.int32] = Growing([], np.int32)
        self._times: Growing[np.float64] = Growing(np.empty((0, 3)), np.float64)

    @property
    def count(self) -> int:
        """How many rows are bounded."""
        return len(self._rows)

    @property
    def size_bytes(self) -> int:
        """What it takes."""
        return self._rows.size_bytes + self._times.size_bytes

    def extend(self, start: int, spans: Sequence[Span]) -> None:
        """Add rows from `start` on; rows of a change that never came into force give way."""
        kept = int(np.searchsorted(self._rows.values(), start))
        self._rows.truncate(kept)
        self._times.truncate(kept)
        bounded = [(row, span) for row, span in enumerate(spans, start) if span != _ALWAYS]
        if bounded:
            self._times.extend([span for _, span in bounded])
            self._rows.extend([row for row, _ in bounded])

    def kept(self, rows: NDArray[np.intp]) -> Spans:
        """Return those of these rows only (ascending), numbered anew."""
        copy = Spans()
        mine = self._rows.values()
        places = np.searchsorted(rows, mine)
        stays = places < len(rows)
        stays[stays] = rows[places[stays]] == mine[stays]
        copy._rows.extend(places[stays])
        copy._times.extend(self._times.values()[stays])
        return copy

    def written(self) -> dict[str, NDArray[np.generic]]:
        """Return everything as arrays."""
        return {"rows": self._rows.values(), "times": self._times.values()}

    @staticmethod
    def read(arrays: Mapping[str, NDArray[np.generic]]) -> Spans:
        """Make of arrays what they were written from."""
        spans = Spans()
        spans._rows.extend(arrays["rows"])
        spans._times.extend(arrays["times"])
        return spans

    def out_of_date(self, moment: float, count: int) -> NDArray[np.int32]:
        """Return which of the first `count` rows are not valid at a moment."""
        rows = self._rows.values()
        times = self._times.values(len(rows))
        current = (times[:, 0] <= moment) & (moment < times[:, 1]) & (moment < times[:, 2])
        late = rows[~current]
        return late[late < count]
