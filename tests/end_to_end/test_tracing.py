"""One trace from a request to what the worker does because of it, on real servers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from dependency_injector import providers
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from adapters.environment import Settings
from adapters.observation.tracing import TraceSettings, Tracing
from application.tracing import current_trace
from container import Container, build, running, running_worker
from entrypoints.grpc.wire import memory_pb2 as wire
from entrypoints.http.app import create_app
from entrypoints.worker.loops import loops_of
from entrypoints.worker.observing import Observer
from tests.end_to_end.embedded import settings_for
from tests.end_to_end.grpc_client import doors_of
from tests.servers.server import ServerProcess, free_port

ROOT = Path(__file__).resolve().parents[2]
SPACE = "planted/namespace"
#: Large enough for its body to be kept in Redis.
CONTENT = "planted words about a kettle " * 100
PREFIX = "opentelemetry.instrumentation."
PATIENCE_SECONDS = 60.0


@pytest.fixture
def qdrant(tmp_path: Path) -> Iterator[str]:
    """Give a server that speaks Qdrant's HTTP: the client's local mode behind it."""
    port = free_port()
    command = [sys.executable, "-m", "tests.servers.qdrant_stand_in", "--port", str(port)]
    server = ServerProcess(
        [*command, "--path", str(tmp_path / "qdrant")],
        port=port,
        url=f"http://127.0.0.1:{port}",
        log=tmp_path / "qdrant.log",
        environ={"PYTHONPATH": str(ROOT)},
    )
    server.start()
    yield server.url
    server.kill()


@pytest.fixture
def settings(
    tmp_path: Path, postgres_url: str, redis_server: str, kafka_server: str, qdrant: str
) -> Settings:
    """The server profile with everything it can have."""
    apart = f"trace-{uuid.uuid4().hex[:8]}"
    return settings_for(
        tmp_path,
        postgres_url=postgres_url,
        redis_url=redis_server,
        redis_prefix=apart,
        redis_bodies=True,
        redis_timeout_seconds=5.0,
        qdrant_url=qdrant,
        kafka_servers=kafka_server,
        kafka_prefix=f"{apart}.",
        kafka_partitions=1,
        kafka_replicas=1,
        embedder="none",
        vector_dimension=4,
        background_embedding=False,
    )


class Recorded:
    """What was exported so far."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def of_trace(self, trace_id: int) -> list[ReadableSpan]:
        return [span for span in self.spans if span.context and span.context.trace_id == trace_id]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                if condition():
                    return
                await asyncio.sleep(0.05)  # polls a condition


def names(spans: list[ReadableSpan]) -> set[str]:
    return {span.name for span in spans}


def scopes(spans: list[ReadableSpan]) -> set[str]:
    found = {span.instrumentation_scope.name for span in spans if span.instrumentation_scope}
    return {name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX)}


@asynccontextmanager
async def traced_pair(
    settings: Settings, recorded: Recorded
) -> AsyncIterator[tuple[httpx.AsyncClient, Container]]:
    """Run an API and a worker with all its loops in this process, traced as one."""
    api, worker = build(settings), build(settings)
    tracing = Tracing(
        TraceSettings(endpoint=None, libraries=("httpx", "psycopg", "redis")),
        api.meter(),
        current_trace=current_trace,
        exporter=recorded.exporter,
    )
    for container in (api, worker):
        container.tracing.override(providers.Object(tracing))
        container.meter.override(providers.Object(api.meter()))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(api))
        await stack.enter_async_context(running_worker(worker))
        await worker.topics().create_topics()
        loops = loops_of(
            worker, lambda name: Observer(name, worker.tallies(), worker.failure_log())
        )
        tasks = [asyncio.create_task(_run(loop)) for loop in loops.values()]
        yield await stack.enter_async_context(_client(api)), worker
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(loop: Callable[[], Any]) -> None:
    await loop()


async def test_one_trace_runs_from_a_request_to_the_effect_of_the_worker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    recorded = Recorded()
    async with traced_pair(settings, recorded) as (http, _):
        body = {"namespace": SPACE, "content": CONTENT, "vector": [1, 0, 0, 0]}
        stored = await http.post("/v1/memories", json=body)
        assert stored.status_code == 201, stored.text
        await recorded.until(lambda: "POST /v1/memories" in names(recorded.spans))
        [request] = [span for span in recorded.spans if span.kind is SpanKind.SERVER]
        assert request.context is not None
        trace_id = request.context.trace_id

        def is_complete() -> bool:
            found = recorded.of_trace(trace_id)
            wanted = {"vector_projection.put", "events.apply", "memory.events process"}
            return wanted <= names(found)

        await recorded.until(is_complete)
        recalled = await http.post("/v1/recall", json={"namespace": SPACE, "query": "kettle"})
        assert recalled.status_code == 200, recalled.text

    one_trace = recorded.of_trace(trace_id)
    assert {"asgi", "psycopg", "redis", "httpx", "confluent_kafka"} <= scopes(one_trace)
    assert {"remember", "store.write", "publisher.publish"} <= names(one_trace)
    by_id = {span.context.span_id: span for span in one_trace if span.context}
    assert all(span.parent.span_id in by_id for span in one_trace if span.parent)
    assert [request] == [span for span in one_trace if span.parent is None]
    assert scopes([span for span in recorded.spans if span not in one_trace]) <= {
        "asgi",
        "psycopg",
        "redis",
        "httpx",
    }
    told = " ".join(span.to_json() for span in recorded.spans)
    assert "planted" not in told
    assert "kettle" not in told


async def test_what_the_worker_does_by_the_clock_begins_no_trace(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    recorded = Recorded()
    async with traced_pair(settings, recorded) as (_, worker):
        relayed = ("relay",)
        tallies = worker.meter().tallies
        await recorded.until(
            lambda: relayed in {labels for labels, _, _ in tallies.timings("use_case")}
        )

    assert recorded.spans == []


async def test_a_caller_who_names_a_trace_is_answered_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    recorded = Recorded()
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    unsampled = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    container = build(settings_for(tmp_path, embedder="none"))
    container.tracing.override(
        providers.Object(
            Tracing(
                TraceSettings(endpoint=None),
                container.meter(),
                current_trace=current_trace,
                exporter=recorded.exporter,
            )
        )
    )
    async with running(container), _client(container) as http:
        for traceparent in (given, unsampled):
            await http.get(f"/v1/namespaces/{SPACE}", headers={"traceparent": traceparent})
        await recorded.until(lambda: recorded.spans)

    assert {0x0AF7651916CD43DD8448EB211C80319C} == {
        span.context.trace_id for span in recorded.spans if span.context
    }
    assert {"GET /v1/namespaces/{path}", "show_namespace", "store.read"} <= names(recorded.spans)
    assert SPACE not in " ".join(span.to_json() for span in recorded.spans)


def test_without_a_collector_nothing_makes_or_sends_spans(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFF.format(folder=str(tmp_path))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (0, "[]\n") == (done.returncode, done.stdout), done.stderr


OFF = """
import asyncio, sys
from pathlib import Path
import httpx
from adapters.environment import load_settings
from container import build, running
from entrypoints.http.app import create_app

async def ask():
    container = build(load_settings({{}}, {{"data_dir": Path({folder!r}), "embedder": "none"}}))
    async with running(container):
        transport = httpx.ASGITransport(create_app(container))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            answer = await http.post("/v1/recall", json={{"query": "x"}})
            assert answer.status_code == 200, answer.text
            await http.get("/metrics")

asyncio.run(ask())
# Litestar itself imports the API where it is installed.
working = ("opentelemetry.sdk", "opentelemetry.exporter")
print([name for name in sys.modules if name.startswith(working)])
"""


def _client(container: Container) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(container))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_the_health_of_grpc_can_be_followed_while_calls_are_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    recorded = Recorded()
    container = build(settings_for(tmp_path, embedder="none", grpc_port=0))
    tracing = Tracing(
        TraceSettings(endpoint=None),
        container.meter(),
        current_trace=current_trace,
        exporter=recorded.exporter,
    )
    container.tracing.override(providers.Object(tracing))
    asked = health_pb2.HealthCheckRequest(service="soma.v1.MemoryService")
    async with running(container), doors_of(container) as doors:
        watch = health_pb2_grpc.HealthStub(doors.channel).Watch(asked)
        while (await watch.read()).status != health_pb2.HealthCheckResponse.SERVING:
            pass
        watch.cancel()
        await doors.stub.Recall(wire.RecallRequest(query="x"))
        await recorded.until(lambda: "/soma.v1.MemoryService/Recall" in names(recorded.spans))

    assert not [name for name in names(recorded.spans) if "health" in name.lower()]
