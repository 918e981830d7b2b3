"""Every metric by name, with what it means; docs/observability.md is compared with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; its family is what the tallies know it by."""

    family: str
    name: str
    kind: Literal["histogram", "counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()
    with_outcome: bool = False


METRICS = (
    Metric(
        "use_case",
        "soma_use_case_seconds",
        "histogram",
        "What the doors and the loops ask for, from the call to its answer.",
        ("use_case",),
        with_outcome=True,
    ),
    Metric(
        "adapter",
        "soma_adapter_seconds",
        "histogram",
        "Calls of what stands behind a port; of the store: whole transactions (read, write) and "
        "what is done in them.",
        ("port", "operation"),
        with_outcome=True,
    ),
    Metric(
        "http_request",
        "soma_http_request_seconds",
        "histogram",
        "Requests until the answer was complete.",
        ("method", "route", "status"),
    ),
    Metric(
        "grpc_call",
        "soma_grpc_call_seconds",
        "histogram",
        "Calls over gRPC until the answer was complete.",
        ("operation", "code"),
    ),
    Metric(
        "job",
        "soma_job_seconds",
        "histogram",
        "Runs of jobs by kind; exports are timed as use cases only.",
        ("name",),  # `job` is Prometheus' own label
        with_outcome=True,
    ),
    Metric(
        "http_requests",
        "soma_http_requests",
        "counter",
        "Answered requests.",
        ("method", "route", "status"),
    ),
    Metric("cache_hits", "soma_cache_hits", "counter", "Values that a cache had.", ("cache",)),
    Metric(
        "cache_misses", "soma_cache_misses", "counter", "Values that a cache lacked.", ("cache",)
    ),
    Metric(
        "rate_limit_refusals",
        "soma_rate_limit_refusals",
        "counter",
        "Requests refused because their key had used up its rate.",
    ),
    Metric(
        "worker_done",
        "soma_worker_done",
        "counter",
        "Events relayed or projected, messages ingested, jobs run.",
        ("loop",),
    ),
    Metric(
        "worker_failures",
        "soma_worker_failures",
        "counter",
        "Steps that failed and are tried again.",
        ("loop", "error"),
    ),
    Metric(
        "trace_spans",
        "soma_trace_spans",
        "counter",
        "Spans that were sent to the collector, or lost because it did not take them.",
        ("outcome",),
    ),
    Metric(
        "fastcore_evictions",
        "soma_fastcore_evictions",
        "counter",
        "Namespaces that left Fast Core for want of room.",
    ),
    Metric(
        "dependency_up",
        "soma_dependency_up",
        "gauge",
        "1 when a server that is configured answered this scrape within 3 s, else 0.",
        ("dependency",),
    ),
    Metric(
        "projection_lag",
        "soma_projection_lag_events",
        "gauge",
        "Events that a projection has not applied: heads minus watermarks. Absent when the store "
        "does not answer.",
        ("projection",),
    ),
    Metric(
        "outbox",
        "soma_outbox_events",
        "gauge",
        "Events that wait to be published to Kafka. Absent when the store does not answer.",
    ),
    Metric(
        "pending_vectors",
        "soma_pending_vectors",
        "gauge",
        "Vectors that wait to be computed. Absent when the store does not answer.",
    ),
    Metric(
        "jobs",
        "soma_jobs",
        "gauge",
        "Jobs of the last thirty days. Absent when the store does not answer.",
        ("kind", "state"),
    ),
    Metric(
        "stuck_jobs",
        "soma_stuck_jobs",
        "gauge",
        "Jobs whose process has been silent for a minute. Absent when the store does not answer.",
    ),
    Metric(
        "consumer_lag",
        "soma_consumer_lag_messages",
        "gauge",
        "Messages in the partitions of this worker that it has not finished. Absent for a minute "
        "without news from Kafka.",
        ("topic", "group"),
    ),
    Metric(
        "fastcore_bytes",
        "soma_fastcore_bytes",
        "gauge",
        "Memory that Fast Core is charged for.",
        ("part",),
    ),
    Metric(
        "fastcore_limit",
        "soma_fastcore_limit_bytes",
        "gauge",
        "Memory that Fast Core may use.",
    ),
    Metric(
        "fastcore_rows",
        "soma_fastcore_rows",
        "gauge",
        "Memories in Fast Core.",
        ("part",),
    ),
    Metric(
        "fastcore_namespaces",
        "soma_fastcore_namespaces",
        "gauge",
        "Namespaces in Fast Core.",
        ("part",),
    ),
    Metric(
        "build",
        "soma_build_info",
        "gauge",
        "Always 1; the labels say what runs.",
        ("version", "python", "profile"),
    ),
)
