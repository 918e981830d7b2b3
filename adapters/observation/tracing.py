"""Traces, when somebody wants them: nothing of OpenTelemetry is imported otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from adapters.observation.meter import Meter
from domain.events import Event
from domain.messaging import Message

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from adapters.observation.spans import Spans

T = TypeVar("T")

_TRACES_PATH = "/v1/traces"
#: For one batch, with every retry: a collector that is away holds up the end of a process so long.
_EXPORT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """Where spans are sent (None: nowhere, traces are off) and how many.

    `headers` are `name=value` pairs separated by commas, as OpenTelemetry writes them. Of the
    traces that begin here `ratio` are recorded; those that callers began are as they decided.
    `libraries` names the clients whose calls become spans.
    """

    endpoint: str | None
    headers: str | None = field(default=None, repr=False)
    ratio: float = 1.0
    service: str = "soma"
    libraries: Sequence[str] = ()

    @property
    def url(self) -> str:
        """The address that takes spans."""
        base = (self.endpoint or "").rstrip("/")
        return base if base.endswith(_TRACES_PATH) else base + _TRACES_PATH

    @property
    def header_fields(self) -> Mapping[str, str]:
        """The headers by name."""
        pairs = (pair.partition("=") for pair in (self.headers or "").split(","))
        return {name.strip(): value.strip() for name, equals, value in pairs if equals}


class Tracing:
    """Construct, `open`, use, `close`; without an endpoint all of it does nothing.

    `current_trace` returns the `traceparent` of present work that no span of this process
    surrounds. `exporter` replaces the one that sends spans to the endpoint.
    """

    def __init__(
        self,
        settings: TraceSettings,
        meter: Meter,
        *,
        current_trace: Callable[[], str | None],
        exporter: SpanExporter | None = None,
    ) -> None:
        self._settings = settings
        self._meter = meter
        self._current_trace = current_trace
        self._exporter = exporter
        self._spans: Spans | None = None
        self._users = 0

    async def open(self) -> None:
        """Begin to make spans. Opened twice, it ends when it is closed twice."""
        self._users += 1
        if self._spans is None and (self._settings.endpoint or self._exporter):
            self._spans = await asyncio.to_thread(self._made)
        self._meter.spans = self._spans

    async def close(self) -> None:
        """Send what has not been sent, and make no more spans."""
        self._users -= 1
        if self._users:
            return
        self._meter.spans = None
        spans, self._spans = self._spans, None
        if spans is not None:
            await asyncio.to_thread(spans.close)

    def traceparent(self, given: str | None) -> str | None:
        """Return the `traceparent` of the span we are in, else the given one."""
        return given if self._spans is None else self._spans.traceparent() or given

    def served(self, app: T) -> T:
        """Return an ASGI app with a span around each request, named by its route template."""
        return app if self._spans is None else self._spans.served(app)

    def grpc_interceptors(self) -> list[Any]:
        """Return what a gRPC server (`grpc.aio`) is to be given: a span around each call."""
        return [] if self._spans is None else self._spans.grpc_interceptors()

    def produced(self, producer: T) -> T:
        """Return a Kafka producer whose messages continue the trace in their headers."""
        return producer if self._spans is None else self._spans.produced(producer)

    def applying(self, events: Sequence[Event]) -> AbstractContextManager[object]:
        """Do what the block does for these events as part of the traces that caused them."""
        if self._spans is None:
            return nullcontext()
        return self._spans.continuing([event.trace for event in events], "events.apply")

    @contextmanager
    def consumed(self, topic: str, messages: Sequence[Message]) -> Iterator[None]:
        """Note, when the block ends, that it worked on these messages."""
        if self._spans is None:
            yield
            return
        traces = [message.headers.get("traceparent") for message in messages]
        with self._spans.noting(traces, f"{topic} process"):
            yield

    def _made(self) -> Spans:
        from adapters.observation.spans import spans_of

        exporter = self._exporter or self._otlp_exporter()
        return spans_of(self._settings, exporter, self._meter.tallies, self._current_trace)

    def _otlp_exporter(self) -> SpanExporter:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(
            endpoint=self._settings.url,
            headers=dict(self._settings.header_fields),
            timeout=_EXPORT_SECONDS,
        )
