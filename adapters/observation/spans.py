"""Spans by OpenTelemetry's SDK; imported only while traces are on.

The official instrumentations make the spans of ASGI, gRPC, psycopg, redis-py, httpx and Kafka's
producer. What they and we write into spans passes `scrubbing` on its way out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters.observation.scrubbing import ScrubbingExporter
from adapters.observation.tallies import Tallies
from adapters.observation.tracing import TraceSettings

_HEADER = "traceparent"
#: Requests that machines make every few seconds.
_UNWATCHED = "/healthz$,/readyz$,/metrics$"
#: Of a batch that concerns more traces, the others are left without a span.
_TRACES_MAX = 100
_PROPAGATOR = TraceContextTextMapPropagator()


def spans_of(
    settings: TraceSettings,
    exporter: SpanExporter,
    tallies: Tallies,
    current_trace: Callable[[], str | None],
) -> Spans:
    """Make everything ready, the instrumented libraries included."""
    provider = TracerProvider(
        sampler=ParentBased(root=_OnlyRequests(settings.ratio)),
        resource=Resource.create({"service.name": settings.service}),
    )
    provider.add_span_processor(BatchSpanProcessor(ScrubbingExporter(exporter, tallies)))
    instrumentors = [_instrumentor(name) for name in settings.libraries]
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    return Spans(provider, instrumentors, current_trace)


def _instrumentor(name: str) -> Any:
    if name == "psycopg":
        from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor

        return PsycopgInstrumentor()
    if name == "redis":
        from opentelemetry.instrumentation.redis import RedisInstrumentor

        return RedisInstrumentor()
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    return HTTPXClientInstrumentor()


class _OnlyRequests(Sampler):
    """Lets traces begin with a request: what a process does by the clock begins none."""

    def __init__(self, ratio: float) -> None:
        self._requests = TraceIdRatioBased(ratio)

    def should_sample(  # noqa: PLR0917 - the SDK's
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        """Decide about a span that has no parent."""
        asked = self._requests if kind is SpanKind.SERVER else ALWAYS_OFF
        return asked.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Name the rule."""
        return f"OnlyRequests{{{self._requests.get_description()}}}"


class Spans:
    """Makes spans and joins those of several processes into one trace."""

    def __init__(
        self,
        provider: TracerProvider,
        instrumentors: Sequence[Any],
        current_trace: Callable[[], str | None],
    ) -> None:
        self._provider = provider
        self._instrumentors = instrumentors
        self._current_trace = current_trace
        self._tracer = provider.get_tracer("soma")

    def close(self) -> None:
        """Send what has not been sent; blocks until then."""
        for instrumentor in self._instrumentors:
            instrumentor.uninstrument()
        self._provider.shutdown()

    @contextmanager
    def within(self, name: str, /) -> Iterator[None]:
        """Do what the block does inside of a span."""
        with self._tracer.start_as_current_span(
            name,
            context=self._outside(),
            # Messages of errors may hold content.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                _failed(span, error)
                raise

    def traceparent(self) -> str | None:
        """Return the `traceparent` of the present span, None outside of any."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get(_HEADER)

    def served(self, app: Any) -> Any:
        """Return an ASGI app with a span around each request."""
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

        return OpenTelemetryMiddleware(
            app,
            excluded_urls=_UNWATCHED,
            # By its template: the path itself names namespaces.
            default_span_details=_route_of,
            tracer_provider=self._provider,
            exclude_spans=["receive", "send"],
        )

    def grpc_interceptors(self) -> list[Any]:
        """Return the official interceptor of gRPC's asyncio server.

        Health is left out: it is asked by machines, and its Watch is of a form that it cannot wrap.
        """
        from opentelemetry.instrumentation.grpc import aio_server_interceptor, filters

        traced = filters.negate(filters.health_check())
        return [aio_server_interceptor(self._provider, traced)]  # type: ignore[no-untyped-call]

    def produced(self, producer: Any) -> Any:
        """Return a Kafka producer whose messages continue the trace in their headers."""
        from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor

        official = ConfluentKafkaInstrumentor.instrument_producer(producer, self._provider)
        return _Producer(producer, official)

    @contextmanager
    def continuing(self, traces: Sequence[str | None], name: str) -> Iterator[None]:
        """Do what the block does in the first of these traces; the others get a span beside it."""
        parents = _parents(traces)
        if not parents:
            yield
            return
        started = time.time_ns()
        token = attach(parents[0])
        try:
            with self.within(name):
                here = trace.get_current_span()
                for other in parents[1:]:
                    here.add_link(_span_context(other))
                    link = Link(here.get_span_context())
                    self._tracer.start_span(name, other, links=[link], start_time=started).end()
                yield
        finally:
            detach(token)

    @contextmanager
    def noting(self, traces: Sequence[str | None], name: str) -> Iterator[None]:
        """Leave a span in each of these traces when the block has ended."""
        started = time.time_ns()
        yield
        for parent in _parents(traces):
            self._tracer.start_span(name, parent, SpanKind.CONSUMER, start_time=started).end()

    def _outside(self) -> Context | None:
        """Return where a span belongs that no other span of this process surrounds."""
        if trace.get_current_span().get_span_context().is_valid:
            return None
        return _context_of(self._current_trace())


class _Producer:
    """A producer that sends each message in the trace of its own header, which is renewed."""

    def __init__(self, plain: Any, official: Any) -> None:
        self._plain = plain
        self._official = official

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def produce(self, topic: str, *, headers: list[tuple[str, Any]], **rest: Any) -> None:
        """Send one message."""
        given = next((value for name, value in headers if name == _HEADER), None)
        parent = _context_of(given.decode("latin-1") if isinstance(given, bytes) else given)
        if parent is None:
            self._plain.produce(topic, headers=headers, **rest)
            return
        others = [header for header in headers if header[0] != _HEADER]
        token = attach(parent)
        try:
            self._official.produce(topic, headers=others, **rest)
        finally:
            detach(token)


def _route_of(scope: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    route = str(scope.get("path_template", ""))
    return f"{scope['method']} {route}", {"http.route": route}


def _failed(span: Span, error: BaseException) -> None:
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(Status(StatusCode.ERROR))


def _parents(traces: Sequence[str | None]) -> list[Context]:
    """Return the contexts of the different traces among these, not more than a hundred."""
    by_trace: dict[int, Context] = {}
    for traceparent in dict.fromkeys(traces):
        context = _context_of(traceparent)
        if context is not None and len(by_trace) < _TRACES_MAX:
            by_trace.setdefault(_span_context(context).trace_id, context)
    return list(by_trace.values())


def _context_of(traceparent: str | None) -> Context | None:
    if traceparent is None:
        return None
    context = _PROPAGATOR.extract({_HEADER: traceparent}, Context())
    return context if _span_context(context).is_valid else None


def _span_context(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()
