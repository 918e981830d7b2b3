"""A real Prometheus with the overlay's rules, and the dashboard's queries, beside real processes.

Its configuration differs from the overlay's by addresses, paths and the pace only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import grpc
import httpx
import pytest

from entrypoints.grpc.wire import memory_pb2
from entrypoints.grpc.wire.memory_pb2_grpc import MemoryServiceStub
from tests.end_to_end.http_server import remember
from tests.end_to_end.mcp_client import called, over_http
from tests.failures.cluster import Cluster, running_cluster
from tests.failures.story import TIMEOUT_SECONDS, until
from tests.failures.test_ingest import produce
from tests.failures.test_nothing_told import collecting
from tests.observability.overlay import FOLDER, panels, program, read, rules
from tests.observability.prometheus import Prometheus, prometheus
from tests.servers.server import ServerProcess, free_port

PROMETHEUS = program("prometheus")
KEY = "key-of-the-one-who-watches"
SPACE = "acme/watched"
#: Queries that have no series where all is well and nothing waits.
SILENT = {("Steps that fail", "A"), ("Jobs that wait, run or stand still", "A")}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PROMETHEUS is None, reason="Prometheus is not here: `.ci/prometheus` fetches it"
    ),
]


@dataclass(frozen=True)
class Watched:
    """An installation in use, the Prometheus that asks it, and the spans it has sent."""

    cluster: Cluster
    api: ServerProcess
    worker: ServerProcess
    prometheus: Prometheus
    spans: list[bytes]
    grpc_port: int


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Give an installation whose processes are set as the overlay sets them."""
    folder = tmp_path_factory.mktemp("watched")
    port = free_port()
    # The overlay is for a key that is given, as `just up` does, and for the default embedder.
    given = {
        "SOMA_BOOTSTRAP_KEY": KEY,
        "SOMA_EMBEDDER": "bge-small",
        "SOMA_VECTOR_DIMENSION": "384",
    }
    with collecting() as (collector, spans), running_cluster(folder) as cluster:
        told = {name: {**given, **traced(name, collector)} for name in ("api", "worker")}
        api = cluster.api(SOMA_GRPC_PORT=str(port), **told["api"])
        with client(api) as http:
            # Nobody has made a collection yet, and Qdrant says so.
            assert http.get("/metrics").status_code == 200
        worker = cluster.worker(**told["worker"])
        targets = {"soma-api": api.url, "soma-worker": worker.url}
        assert PROMETHEUS is not None
        with prometheus(PROMETHEUS, folder, targets, KEY) as running:
            yield Watched(cluster, api, worker, running, spans, port)


def traced(service: str, collector: str) -> dict[str, str]:
    """Return what the overlay sets for traces, with the address of this collector."""
    environment = read(FOLDER / "compose.yml")["services"][service]["environment"]
    return {
        "SOMA_OTLP_ENDPOINT": collector,
        "SOMA_TRACE_SAMPLE_RATIO": environment["SOMA_TRACE_SAMPLE_RATIO"].partition(":-")[2][:-1],
        "SOMA_SERVICE_NAME": environment["SOMA_SERVICE_NAME"],
    }


def client(process: ServerProcess) -> httpx.Client:
    """Return a client with the key."""
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx.Client(base_url=process.url, headers=headers, timeout=TIMEOUT_SECONDS)


def recall(http: httpx.Client) -> None:
    """Ask for something."""
    answer = http.post("/v1/recall", json={"namespace": SPACE, "query": "kettle"})
    assert answer.status_code == 200, answer.text


async def use_every_door(watched: Watched) -> None:
    """Store, recall and forget, over each protocol, well and badly, so that everything counts."""
    with client(watched.api) as http:
        for number in range(5):
            remember(http, SPACE, f"kettle {number}")
            recall(http)
        id = remember(http, SPACE, "a kettle to forget")["id"]
        assert http.delete(f"/v1/memories/{id}").status_code == 204
        assert http.get(f"/v1/memories/{id}").status_code == 404
        assert http.post("/v1/maintenance/reconcile", params={"check": "true"}).is_success
    async with over_http(watched.api.url, {"Authorization": f"Bearer {KEY}"}) as tools:
        await called(tools, "recall", namespace=SPACE, query="kettle")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{watched.grpc_port}") as channel:
        asked = memory_pb2.RecallRequest(namespace=SPACE, query="kettle")
        call = MemoryServiceStub(channel).Recall
        await call(asked, metadata=[("authorization", f"Bearer {KEY}")])
    produce(watched.cluster.kafka.server.url, [b"poison"])


def are_up(prometheus: Prometheus) -> bool:
    """Tell whether every process has been asked with success."""
    return {target["health"] for target in prometheus.targets()} == {"up"}


async def test_every_process_is_asked_and_every_panel_shows_what_was_done(
    watched: Watched,
) -> None:
    asked = [
        (panel["title"], target["refId"], target["expr"])
        for panel in panels()
        for target in panel.get("targets", [])
    ]

    def empty() -> set[tuple[str, str]]:
        found = {(title, ref) for title, ref, text in asked if not watched.prometheus.query(text)}
        return found - SILENT

    until(lambda: are_up(watched.prometheus), "every process answers Prometheus")
    await use_every_door(watched)

    with suppress(AssertionError):  # what is missing says more than that something is
        until(lambda: not empty(), "every panel shows something", every_seconds=0.5)
    assert set() == empty()


def test_every_rule_can_be_evaluated_and_only_a_parked_message_is_told(watched: Watched) -> None:
    def told() -> set[str]:
        return {rule["name"] for rule in watched.prometheus.rules() if rule["state"] == "firing"}

    until(lambda: "SomaDeadLetters" in told(), "the parked message is told")

    evaluated = {rule["name"]: rule["health"] for rule in watched.prometheus.rules()}
    assert {rule["alert"]: "ok" for rule in rules()} == evaluated
    assert told() == {"SomaDeadLetters"}


def test_spans_arrive_under_the_name_of_the_process_that_made_them(watched: Watched) -> None:
    until(
        lambda: all(
            any(name in body for body in watched.spans) for name in (b"soma-api", b"soma-worker")
        ),
        "both processes have sent spans",
    )


def test_a_worker_that_is_gone_is_not_shown_as_running(watched: Watched) -> None:
    [running] = [panel["targets"][0] for panel in panels() if panel["title"] == "Processes"]

    def workers() -> list[str]:
        return [
            series["value"][1]
            for series in watched.prometheus.query(running["expr"])
            if series["metric"]["job"] == "soma-worker"
        ]

    until(lambda: workers() == ["1"], "the worker is shown")
    watched.worker.stop()

    until(lambda: workers() in (["0"], []), "the worker is not shown any more")
