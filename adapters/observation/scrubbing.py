"""What may leave the process in a span: what is on a list.

Instrumentations write URLs, statements and the messages of errors into spans, and more with each
version. Any of it may hold content, questions or keys.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from adapters.observation.tallies import Tallies

EXPORTED = "trace_spans"
#: Attributes whose values are names of things, never what somebody has written.
_LISTED = frozenset(
    {
        *("http.method", "http.request.method", "http.route", "http.scheme", "url.scheme"),
        *("http.status_code", "http.response.status_code", "http.flavor"),
        *("network.protocol.version", "server.address", "server.port"),
        *("net.peer.name", "net.peer.port", "net.host.port"),
        *("db.system", "db.system.name", "db.redis.args_length", "db.redis.pipeline_length"),
        *("messaging.system", "messaging.destination", "messaging.destination.name"),
        *("messaging.operation", "messaging.kafka.partition"),
        *("rpc.system", "rpc.service", "rpc.method", "rpc.grpc.status_code"),
        "error.type",
    }
)
_NAME_LENGTH_MAX = 100


class ScrubbingExporter(SpanExporter):
    """Passes on what is on the list, and counts how many spans went and how many were lost."""

    def __init__(self, inner: SpanExporter, tallies: Tallies) -> None:
        self._inner = inner
        self._tallies = tallies

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans."""
        result = self._inner.export([_scrubbed(span) for span in spans])
        outcome = "sent" if result is SpanExportResult.SUCCESS else "lost"
        self._tallies.count(EXPORTED, (outcome,), len(spans))
        return result

    def shutdown(self) -> None:
        """End."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits."""
        return self._inner.force_flush(timeout_millis)


def _scrubbed(span: ReadableSpan) -> ReadableSpan:
    attributes = span.attributes or {}
    return ReadableSpan(
        name=span.name[:_NAME_LENGTH_MAX],
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={name: value for name, value in attributes.items() if name in _LISTED},
        events=(),
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
