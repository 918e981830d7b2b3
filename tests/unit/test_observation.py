"""Wrappers that time calls change nothing else, and levels that nobody renews are not shown."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from adapters.inprocess.cache import InProcessCache
from adapters.inprocess.limits import InProcessRateLimiter
from adapters.observation.log import Log
from adapters.observation.meter import Meter, observed
from adapters.observation.ports import CountedCache, CountedLimiter, watched, watched_store
from adapters.observation.tallies import BUCKETS_SECONDS, Tallies
from adapters.observation.tracing import TraceSettings, Tracing
from adapters.qdrant.failures import CollectionMissing
from domain.errors import IndexUnavailable, MemoryNotFound, StoreUnavailable
from domain.memory import MemoryId
from entrypoints.metrics.catalogue import METRICS
from entrypoints.metrics.exposition import outcome_name, registry_of
from tests.contracts.event_logs import an_event


class Adapter:
    """Something with calls of every kind."""

    limit = 3

    async def ask(self, question: str, /, *, loud: bool = False) -> str:
        """Answer, or fail on demand."""
        if question == "fail":
            raise StoreUnavailable("no")
        return question.upper() if loud else question

    def plain(self) -> int:
        """Answer at once."""
        return self.limit


class Remembering:
    """A use case that may fail."""

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error

    async def __call__(self, content: str) -> str:
        """Return the content."""
        if self._error is not None:
            raise self._error
        return content

    async def health(self) -> str:
        """Answer beside the call."""
        return "well"


class Counting:
    """A use case that answers bit by bit."""

    def __init__(self) -> None:
        self.closed = False

    async def __call__(self, up_to: int) -> AsyncIterator[int]:
        """Yield numbers."""
        try:
            for number in range(up_to):
                yield number
        finally:
            self.closed = True


class Store:
    """A store of one memory."""

    def __init__(self, *, opens: bool = True) -> None:
        self._opens = opens

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Any]:
        """Open a snapshot."""
        if not self._opens:
            raise StoreUnavailable("no")
        yield SimpleNamespace(memories=Adapter(), anything="else")

    writing = reading

    async def ping(self) -> None:
        """Answer."""


def taken(tallies: Tallies, family: str) -> dict[tuple[str, ...], int]:
    """Return how often each series was noted, with its outcome."""
    return {
        (*labels, outcome_name(ending)): sum(timing.counts)
        for labels, ending, timing in tallies.timings(family)
    }


def gone() -> MemoryNotFound:
    return MemoryNotFound(MemoryId("x"))


async def test_an_adapter_answers_as_before_and_its_calls_are_timed() -> None:
    tallies = Tallies()
    adapter = watched(Adapter(), "oracle", Meter(tallies))

    assert await adapter.ask("a") == "a"
    assert await adapter.ask("b", loud=True) == "B"
    with pytest.raises(StoreUnavailable):
        await adapter.ask("fail")
    assert (adapter.plain(), adapter.limit) == (3, 3)
    assert taken(tallies, "adapter") == {
        ("oracle", "ask", "ok"): 2,
        ("oracle", "ask", "store-unavailable"): 1,
    }


async def test_a_use_case_answers_as_before_and_its_outcome_is_noted() -> None:
    tallies = Tallies()
    meter = Meter(tallies)

    assert await observed("remember", Remembering(), meter)("x") == "x"
    for error in (gone(), RuntimeError(), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            await observed("remember", Remembering(error), meter)("x")

    assert await observed("remember", Remembering(), meter).health() == "well"
    assert taken(tallies, "use_case") == {
        ("remember", outcome): 1 for outcome in ("ok", "memory-not-found", "failed", "cancelled")
    }


async def test_a_stream_that_nobody_wants_any_more_is_closed_and_counts_once() -> None:
    tallies = Tallies()
    counting = Counting()
    stream = observed("watch", counting, Meter(tallies))(10)

    async for number in stream:
        if number == 2:
            break
    await stream.aclose()  # type: ignore[attr-defined]

    assert counting.closed
    assert taken(tallies, "use_case") == {("watch", "ok"): 1}


async def test_transactions_and_what_is_done_in_them_are_timed() -> None:
    tallies = Tallies()
    store = watched_store(Store(), Meter(tallies))

    async with store.reading() as tx:
        assert await tx.memories.ask("a") == "a"
        assert tx.anything == "else"
    with pytest.raises(MemoryNotFound):
        async with store.writing():
            raise gone()
    with pytest.raises(StoreUnavailable):
        async with watched_store(Store(opens=False), Meter(tallies)).reading():
            pytest.fail("it does not open")

    assert taken(tallies, "adapter") == {
        ("store", "memories.ask", "ok"): 1,
        ("store", "read", "ok"): 1,
        ("store", "write", "memory-not-found"): 1,
        ("store", "read", "store-unavailable"): 1,
    }


async def test_spans_surround_calls_and_transactions_while_there_is_who_makes_them() -> None:
    names: list[str] = []

    class Spans:
        def within(self, name: str, /) -> AbstractContextManager[object]:
            names.append(name)
            return nullcontext()

    meter = Meter(Tallies())
    meter.spans = Spans()
    async with watched_store(Store(), meter).reading() as tx:
        await tx.memories.ask("a")
    await observed("remember", Remembering(), meter)("x")

    assert names == ["store.read", "store.memories.ask", "remember"]


async def test_a_cache_counts_what_it_had_and_what_it_lacked() -> None:
    tallies = Tallies()
    cache = CountedCache(InProcessCache(10_000), "process", tallies)

    await cache.put("a", b"1")
    await cache.put_many({"b": b"2"})
    assert await cache.get("a") == b"1"
    assert await cache.get("c") is None
    assert await cache.get_many(["a", "b", "c", "d"]) == {"a": b"1", "b": b"2"}
    assert await cache.drop(["a"])

    assert tallies.counts("cache_hits") == {("process",): 3}
    assert tallies.counts("cache_misses") == {("process",): 3}


async def test_a_refused_request_is_counted() -> None:
    tallies = Tallies()
    limiter = CountedLimiter(InProcessRateLimiter(lambda: 0.0), tallies)

    granted = [(await limiter.take("key", limit=2, window_seconds=1)).granted for _ in range(3)]

    assert granted == [True, True, False]
    assert tallies.counts("rate_limit_refusals") == {(): 1}


def test_a_level_that_nobody_renews_is_not_shown() -> None:
    now = [0.0]
    tallies = Tallies(lambda: now[0])
    tallies.level("consumer_lag", ("memory.ingest", "ingest"), 7)

    assert tallies.levels("consumer_lag") == {("memory.ingest", "ingest"): 7}
    now[0] = 61.0
    assert tallies.levels("consumer_lag") == {}


@given(st.lists(st.floats(0, 100), max_size=50))
def test_a_histogram_counts_every_duration_once_up_to_its_bound(durations: list[float]) -> None:
    tallies = Tallies()
    for seconds in durations:
        tallies.timed("use_case", ("recall",), None, seconds)

    samples = {
        sample.labels.get("le", sample.name): sample.value
        for family in registry_of(tallies, {}).collect()
        if family.name == "soma_use_case_seconds"
        for sample in family.samples
    }

    if not durations:
        assert samples == {}
        return
    for bound in BUCKETS_SECONDS:
        assert samples[str(bound)] == sum(seconds <= bound for seconds in durations)
    assert samples["+Inf"] == samples["soma_use_case_seconds_count"] == len(durations)
    assert samples["soma_use_case_seconds_sum"] == pytest.approx(sum(durations))


def test_errors_with_one_slug_are_one_series() -> None:
    tallies = Tallies()
    for error in (RuntimeError, KeyError):
        tallies.timed("use_case", ("recall",), error, 0.1)

    [family] = [f for f in registry_of(tallies, {}).collect() if f.name == "soma_use_case_seconds"]
    counts = [sample for sample in family.samples if sample.name.endswith("_count")]

    assert [(sample.labels["outcome"], sample.value) for sample in counts] == [("failed", 2)]


def test_an_error_that_only_an_adapter_knows_counts_as_what_it_is_to_everybody_else() -> None:
    """An API that asked before its collection was made showed no metric until it was restarted."""
    tallies = Tallies()
    for error in (IndexUnavailable, CollectionMissing):
        tallies.timed("adapter", ("vector_projection", "search"), error, 0.1)

    [family] = [f for f in registry_of(tallies, {}).collect() if f.name == "soma_adapter_seconds"]
    counts = [sample for sample in family.samples if sample.name.endswith("_count")]

    found = [(sample.labels["outcome"], sample.value) for sample in counts]
    assert [("index-unavailable", 2)] == found


def test_a_counter_without_labels_begins_at_nought() -> None:
    families = {family.name: family for family in registry_of(Tallies(), {}).collect()}

    [sample] = families["soma_rate_limit_refusals"].samples

    assert 0 == sample.value


def test_every_metric_is_announced_before_it_has_a_value() -> None:
    announced = {family.name for family in registry_of(Tallies(), {}).collect()}

    assert {metric.name for metric in METRICS} <= announced


def test_lines_carry_trace_and_request_but_not_the_words_of_an_unexpected_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    log = Log("info", "json", lambda: trace)
    with log.about(request_id="r-1"):
        log.failed("http.failed", ValueError("planted"), route="/x")
    log.done("request", status=200)

    failed, done = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "r-1") == (
        failed["trace_id"],
        failed["span_id"],
        failed["request_id"],
    )
    assert "planted" not in str(failed)
    assert "request_id" not in done


def test_what_a_library_logs_is_told_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log("info", "json", lambda: None)
    record = logging.LogRecord("lib", logging.ERROR, "f", 7, "planted %s", ("x",), None, "work")
    log.warned(record)

    line = json.loads(capsys.readouterr().err)
    assert ("library.warned", "lib:work:7") == (line["event"], line["place"])
    assert "planted" not in str(line)


def test_the_collectors_address_may_be_given_with_or_without_its_path() -> None:
    for given_url in ("http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"):
        assert TraceSettings(endpoint=given_url).url == "http://c:4318/v1/traces"
    settings = TraceSettings(endpoint="http://c", headers="authorization=Bearer a=b, x=1")
    assert settings.header_fields == {"authorization": "Bearer a=b", "x": "1"}
    assert "Bearer" not in repr(settings)


async def test_traces_that_are_off_wrap_nothing() -> None:
    tracing = Tracing(TraceSettings(endpoint=None), Meter(Tallies()), current_trace=lambda: None)
    app = object()

    await tracing.open()
    assert tracing.served(app) is app
    assert tracing.produced(app) is app
    assert tracing.grpc_interceptors() == []
    assert tracing.traceparent("given") == "given"
    with tracing.applying([]), tracing.consumed("memory.events", []):
        pass
    await tracing.close()


async def test_work_for_many_requests_stands_in_one_trace_and_is_linked_with_the_others() -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing(
        TraceSettings(endpoint=None),
        Meter(Tallies()),
        current_trace=lambda: None,
        exporter=exporter,
    )
    traces = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2, 3)]
    events = [an_event(seq=seq, trace=trace) for seq, trace in enumerate([*traces, None, "x"], 1)]

    await tracing.open()
    assert len(tracing.grpc_interceptors()) == 1
    with tracing.applying([*events, *events]):
        pass
    await tracing.close()

    spans = {span.context.trace_id: span for span in exporter.get_finished_spans() if span.context}
    assert len(exporter.get_finished_spans()) == 3
    assert {1, 2, 3} == spans.keys()
    assert [2, 3] == [link.context.trace_id for link in spans[1].links]
    assert [1] == [link.context.trace_id for link in spans[3].links]
    parents = [spans[number].parent for number in (1, 2, 3)]
    assert [1, 2, 3] == [parent.span_id for parent in parents if parent is not None]
