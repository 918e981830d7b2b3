"""Which rows of a view may be returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore.facts import Columns
from adapters.fastcore.masks import Masks
from adapters.fastcore.spans import Spans
from domain.filter import Filter

Mask = NDArray[np.bool_]


class Rowed(Protocol):
    """A view of rows with what filters look at: `documents` of the first `count` are alive."""

    @property
    def alive(self) -> Mask:
        """Which rows are alive."""

    @property
    def spans(self) -> Spans:
        """When they are valid."""

    @property
    def facts(self) -> Columns:
        """What else filters look at."""

    @property
    def masks(self) -> Masks:
        """Which rows pass the filters that were asked for lately."""

    @property
    def count(self) -> int:
        """How many rows there are."""

    @property
    def documents(self) -> int:
        """How many are alive."""


def eligible(view: Rowed, filter: Filter, moment: float | None) -> Mask | None:
    """Work out which rows pass the filter and are valid at `moment` (Unix seconds); None: all.

    Only for filters of which the view's facts can tell.
    """
    late = None if moment is None else view.spans.out_of_date(moment, view.count)
    if filter.only_time and view.documents == view.count and (late is None or not len(late)):
        return None
    allowed: Mask = view.alive[: view.count].copy()
    if not filter.only_time:
        allowed &= view.masks.of(view.facts, filter, view.count)
    if late is not None:
        allowed[late] = False
    return allowed


def only(view: Rowed, rows: Sequence[int]) -> Mask:
    """Allow these rows and no others."""
    allowed = np.zeros(view.count, np.bool_)
    allowed[rows] = True
    return allowed


def effort(views: Sequence[Rowed], filter: Filter) -> int:
    """Return how many rows `eligible` has to look at."""
    if not filter.only_time:
        return sum(view.count for view in views if not view.masks.has(filter))
    all_alive = all(view.documents == view.count for view in views)
    return sum(view.spans.count if all_alive else view.count for view in views)


def moment_of(filter: Filter) -> float | None:
    """Return the moment at which a memory must be valid, in Unix seconds."""
    return None if filter.valid_at is None else filter.valid_at.timestamp()
