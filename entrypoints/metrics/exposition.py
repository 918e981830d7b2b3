"""Write the tallies of the process, and levels read for the occasion, as Prometheus wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

from domain.errors import SomaError
from entrypoints.errors import outcome_of_kind
from entrypoints.metrics.catalogue import METRICS, Metric
from entrypoints.metrics.levels import Levels, read_levels

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Samples

    from container import Container
    from entrypoints.observation import Labels, Tallies

CONTENT_TYPE = "text/plain; version=0.0.4"


async def exposition(container: Container, *, backlogs: bool) -> bytes:
    """Return every metric in Prometheus' text format.

    `backlogs` is for the process that works them off: to count them is not free.
    """
    from prometheus_client import generate_latest

    levels = await read_levels(container, backlogs=backlogs)
    registry = registry_of(container.tallies(), levels)
    return await asyncio.to_thread(generate_latest, registry)


def registry_of(tallies: Tallies, levels: Levels) -> CollectorRegistry:
    """Return a registry of the present: it is made anew each time, so nothing in it is old."""
    from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Present(tallies, levels))
    return registry


class _Present:
    """Turns tallies and levels into Prometheus' samples."""

    def __init__(self, tallies: Tallies, levels: Levels) -> None:
        self._tallies = tallies
        self._levels = levels

    def collect(self) -> Iterator[Samples]:
        """Return every metric, also one that has no sample yet."""
        for metric in METRICS:
            if metric.kind == "histogram":
                yield self._histogram(metric)
            elif metric.kind == "counter":
                yield self._counter(metric)
            else:
                yield self._gauge(metric)

    def _histogram(self, metric: Metric) -> Samples:
        from prometheus_client.core import HistogramMetricFamily

        names = (*metric.labels, "outcome") if metric.with_outcome else metric.labels
        family = HistogramMetricFamily(metric.name, metric.help, labels=names)
        bounds = [*(str(bound) for bound in self._tallies.bounds_seconds), "+Inf"]
        for labels, counts, seconds in self._series(metric):
            family.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), seconds)
        return family

    def _series(self, metric: Metric) -> Iterator[tuple[Labels, list[int], float]]:
        """Merge what several types of error have in common as an outcome."""
        merged: dict[Labels, tuple[list[int], float]] = {}
        for labels, ending, timing in self._tallies.timings(metric.family):
            named = (*labels, outcome_name(ending)) if metric.with_outcome else labels
            counts, seconds = merged.get(named, ([0] * len(timing.counts), 0.0))
            both = [a + b for a, b in zip(counts, timing.counts, strict=True)]
            merged[named] = (both, seconds + timing.seconds)
        for named, (counts, seconds) in merged.items():
            yield named, counts, seconds

    def _counter(self, metric: Metric) -> Samples:
        from prometheus_client.core import CounterMetricFamily

        family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, count in self._counts(metric).items():
            family.add_metric(labels, count)
        return family

    def _counts(self, metric: Metric) -> Mapping[Labels, float]:
        if metric.family == "http_requests":
            timings = self._tallies.timings("http_request")
            return {labels: sum(timing.counts) for labels, _, timing in timings}
        counts = self._levels.get(metric.family) or self._tallies.counts(metric.family)
        # Without a zero before it, the first of a kind would not be seen as an increase.
        return counts if metric.labels else {(): 0.0, **counts}

    def _gauge(self, metric: Metric) -> Samples:
        from prometheus_client.core import GaugeMetricFamily

        family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        levels = {
            **self._levels.get(metric.family, {}),
            **self._tallies.levels(metric.family),
        }
        for labels, value in levels.items():
            family.add_metric(labels, value)
        return family


def outcome_name(ending: type[BaseException] | None) -> str:
    """Return "ok", the slug of an error, "cancelled", or "failed" for what nobody expected."""
    if ending is None:
        return "ok"
    if issubclass(ending, SomaError):
        return outcome_of_kind(ending).slug
    return "cancelled" if issubclass(ending, asyncio.CancelledError) else "failed"
