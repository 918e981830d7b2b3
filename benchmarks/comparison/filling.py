"""Filling: the systems take turns, and who cannot be full in time is told so early."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.comparison.contestant import Contestant, Failed
from benchmarks.comparison.facts import available_bytes
from benchmarks.comparison.plan import Plan
from benchmarks.comparison.shapes import Shape

#: The first turn is short, to foresee how long the rest will take; what is made only once must not
#: weigh much in it.
_FIRST_SHARE = 100
_FIRST_MIN = 500
_FIRST_MAX = 2000
#: A turn may take this many times what is left before it is ended by force.
_GRACE = 1.2


@dataclass
class Filled:
    """How far one system has come: through its interface, and loaded past it."""

    stored: int = 0
    seconds: float = 0.0
    loaded: int = 0
    loading_seconds: float = 0.0
    rates: list[float] = field(default_factory=list)
    loading: bool = False

    @property
    def rate(self) -> float:
        """Memories per second through its interface."""
        return self.stored / self.seconds if self.seconds else 0.0

    def note(self, count: int, seconds: float) -> None:
        """Add one turn."""
        if self.loading:
            self.loaded += count
            self.loading_seconds += seconds
        else:
            self.stored += count
            self.seconds += seconds
            self.rates.append(count / seconds)

    def foreseen_seconds(self, total: int) -> float:
        """Return how long filling will have taken at the present pace, which only gets worse."""
        if self.loading:
            left = total - self.stored - self.loaded
            pace = self.loading_seconds / self.loaded if self.loaded else 0.0
            return self.loading_seconds + left * pace
        pace = self.seconds / self.stored
        return total * pace


def turns(total: int, rounds: int) -> Iterator[tuple[int, int]]:
    """Give (first, count) of each turn."""
    first = min(total, max(_FIRST_MIN, min(total // _FIRST_SHARE, _FIRST_MAX)))
    yield 0, first
    size = -(-(total - first) // rounds)
    for begin in range(first, total, max(1, size)):
        yield begin, min(size, total - begin)


def fill(
    contestants: list[Contestant],
    shape: Shape,
    plan: Plan,
    folder: Path,
    drop: Callable[[Contestant, str], None],
) -> dict[str, Filled]:
    """Store all memories in all systems; `drop` those that fail or would take too long."""
    progress = {contestant.name: Filled() for contestant in contestants}
    for first, count in turns(shape.total, plan.rounds):
        for contestant in list(contestants):
            state = progress[contestant.name]
            try:
                _check_room(plan, folder)
                _take_turn(contestant, state, plan, first, count)
                if first + count < shape.total:
                    _look_ahead(contestant, state, shape.total, plan.fill_seconds)
            except Failed as failure:
                drop(contestant, f"{failure} ({_so_far(state)})")
    return progress


def _take_turn(contestant: Contestant, state: Filled, plan: Plan, first: int, count: int) -> None:
    spent = state.loading_seconds if state.loading else state.seconds
    # Preparing the memories is not counted as storing them.
    limit = _GRACE * (plan.fill_seconds - spent) + plan.patience_seconds
    done = contestant.ask(
        "load" if state.loading else "store", limit, first=first, count=count, batch=plan.batch
    )
    state.note(count, done["seconds"])


def _look_ahead(contestant: Contestant, state: Filled, total: int, limit: float) -> None:
    foreseen = state.foreseen_seconds(total)
    if foreseen <= limit:
        return
    if state.loading or not contestant.has_loader:
        raise Failed(f"would take {foreseen / 60:.0f} minutes of the {limit / 60:.0f} allowed")
    state.loading = True


def _check_room(plan: Plan, folder: Path) -> None:
    if available_bytes() < plan.spare_bytes:
        raise Failed("memory ran out")
    if shutil.disk_usage(folder).free < plan.spare_bytes:
        raise Failed("the disk is full")


def _so_far(state: Filled) -> str:
    return f"{state.stored} stored at {state.rate:,.0f}/s"
