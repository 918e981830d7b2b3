"""What the worker counts: work done, failures, and how far projections are behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge

if TYPE_CHECKING:
    from domain.errors import SomaError


class Measures:
    """The metrics of one worker process."""

    def __init__(self, report: Callable[[SomaError], None]) -> None:
        self.registry = CollectorRegistry()
        self._report = report
        self._done = Counter(
            "soma_worker_done",
            "Events relayed or projected, messages ingested, jobs run.",
            ("loop",),
            registry=self.registry,
        )
        self._failures = Counter(
            "soma_worker_failures",
            "Steps that failed and are tried again.",
            ("loop", "error"),
            registry=self.registry,
        )
        self._lag = Gauge(
            "soma_projection_lag_events",
            "Events that a projection has not applied.",
            ("projection",),
            registry=self.registry,
        )
        self._pending = Gauge(
            "soma_pending_vectors", "Vectors that wait to be computed.", registry=self.registry
        )

    def observer(self, loop: str) -> Observer:
        """Return what one loop tells its doings to."""
        return Observer(self, loop)

    def note_backlog(self, lags: dict[str, int], pending: int) -> None:
        """Set the gauges."""
        for projection, lag in lags.items():
            self._lag.labels(projection).set(lag)
        self._pending.set(pending)

    def note_done(self, loop: str, count: int) -> None:
        """Count work."""
        self._done.labels(loop).inc(count)

    def note_failure(self, loop: str, error: SomaError) -> None:
        """Count and report a failure."""
        self._failures.labels(loop, type(error).__name__).inc()
        self._report(error)


class Observer:
    """Measures, seen from one loop."""

    def __init__(self, measures: Measures, loop: str) -> None:
        self._measures = measures
        self._loop = loop

    def done(self, count: int) -> None:
        """Count finished work."""
        self._measures.note_done(self._loop, count)

    def failed(self, error: SomaError) -> None:
        """Count and report what will be tried again."""
        self._measures.note_failure(self._loop, error)
