"""What a whole run tells outside of its answers holds no content, no question and no key."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.failures.cluster import Cluster
from tests.failures.story import TIMEOUT_SECONDS, until, vector_of
from tests.failures.test_ingest import produce
from tests.servers.server import ServerProcess

#: Everything secret holds this word, and nothing else does.
PLANTED = "xylophonist"
KEY = f"key-{PLANTED}-{uuid.uuid4().hex}"
SPACE = f"acme/{PLANTED}"
LONG = f"the {PLANTED} lives here. " * 200


class Collector(BaseHTTPRequestHandler):
    """Takes spans as a collector does, and keeps the bytes."""

    taken: list[bytes]

    def do_POST(self) -> None:
        """Keep the body."""
        self.taken.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def collecting() -> Iterator[tuple[str, list[bytes]]]:
    """Run a collector; give its address and what it has taken."""
    taken: list[bytes] = []
    handler = type("Taking", (Collector,), {"taken": taken})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", taken
        finally:
            server.shutdown()
            thread.join()


def client(process: ServerProcess, key: str = KEY) -> httpx.Client:
    """Return a client with a key."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=process.url, headers=headers, timeout=TIMEOUT_SECONDS)


def use_everything(http: httpx.Client) -> None:
    """Do what users do, right and wrong."""
    body = {"namespace": SPACE, "content": LONG, "vector": vector_of(LONG), "tags": [PLANTED]}
    stored = http.post("/v1/memories", json={**body, "payload": {PLANTED: PLANTED}})
    assert stored.status_code == 201, stored.text
    id = stored.json()["memory"]["id"]
    batch = {"memories": [{**body, "content": f"{PLANTED} {n}"} for n in range(5)]}
    assert http.post("/v1/memories/batch", json=batch).is_success
    asked = {"namespace": SPACE, "query": f"where is the {PLANTED}?", "vector": vector_of(LONG)}
    assert http.post("/v1/recall", json=asked).is_success
    where = {"field": PLANTED, "op": "eq", "value": PLANTED}
    assert http.post("/v1/recall", json={**asked, "where": where}).status_code in {200, 400}
    assert http.get("/v1/memories", params={"namespace": SPACE, "tags": PLANTED}).is_success
    assert http.get(f"/v1/namespaces/{SPACE}").is_success
    assert http.patch(f"/v1/memories/{id}", json={"content": f"{LONG} now"}).is_success
    assert http.get(f"/v1/memories/{id}/history").is_success
    assert http.get("/v1/export", params={"namespace": SPACE}).is_success
    lines = f'{{"content": "{PLANTED}", "{PLANTED}": 1}}\n'
    assert http.post("/v1/import", content=lines).is_success
    assert http.delete(f"/v1/memories/{id}", params={"erase": True}).is_success


def be_refused(http: httpx.Client, process: ServerProcess) -> None:
    """Do what is refused, with secrets in every place."""
    refused = [
        http.post("/v1/memories", json={"content": PLANTED, PLANTED: 1}),
        http.post("/v1/memories", content=f'{{"content": "{PLANTED}'),
        http.post("/v1/recall", json={"query": PLANTED, "k": PLANTED}),
        http.get(f"/v1/memories/{PLANTED}"),
        http.get(f"/{PLANTED}", params={PLANTED: PLANTED}),
        http.get("/v1/memories", params={"namespace": f"{PLANTED}//"}),
        http.get(f"/v1/{PLANTED}", headers={"X-Request-ID": f'"{PLANTED}"'}),
    ]
    with client(process, f"wrong-{PLANTED}") as stranger:
        refused.append(stranger.get("/v1/memories", params={"namespace": SPACE}))
    assert {answer.status_code for answer in refused} <= {400, 401, 404}


@pytest.mark.slow
def test_neither_logs_nor_metrics_nor_spans_hold_content_or_keys(cluster: Cluster) -> None:
    with collecting() as (endpoint, taken):
        told = {
            "SOMA_BOOTSTRAP_KEY": KEY,
            "SOMA_LOG_LEVEL": "debug",
            "SOMA_LOG_FORMAT": "json",
            "SOMA_OTLP_ENDPOINT": endpoint,
            "SOMA_OTLP_HEADERS": f"authorization={KEY}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            **cluster.settings,
        }
        api = cluster.api("told-api", **told)
        worker = cluster.worker("told-worker", **told)
        with client(api) as http, client(worker) as watcher:
            use_everything(http)
            be_refused(http, api)
            produce(cluster.kafka.server.url, [{"content": PLANTED, PLANTED: 1}, PLANTED.encode()])
            until(lambda: _parked(watcher.get("/metrics").text) >= 2, "both messages are parked")
            for part in (cluster.redis, cluster.qdrant, cluster.kafka, cluster.postgres):
                part.fail("refuse")
                try:
                    http.post("/v1/recall", json={"namespace": SPACE, "query": PLANTED})
                    http.post("/v1/memories", json={"namespace": SPACE, "content": PLANTED})
                finally:
                    part.recover("refuse")
            until(lambda: http.get("/readyz").status_code == 200, "the store answers again")
            metrics = http.get("/metrics").text + watcher.get("/metrics").text
            until(lambda: any(b"POST /v1/recall" in body for body in taken), "spans have come")
        api.stop()
        worker.stop()

    logs = {name: (cluster.folder / f"{name}.log").read_text() for name in _NAMES}
    spoken = {**logs, "metrics": metrics, "spans": repr(taken)}
    assert {name: _lines_with(text, PLANTED) for name, text in spoken.items()} == {
        name: [] for name in spoken
    }
    lines = [json.loads(line) for line in logs["told-api"].splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["event"] == "request"]
    assert {200, 201, 400, 401, 404, 503} <= {line["status"] for line in requests}
    assert {"bootstrap", None} == {line["caller"] for line in requests}
    assert all(line["request_id"] for line in requests)
    assert all(line["trace_id"] for line in requests if line["route"].startswith("/v1"))
    assert "soma_dependency_up" in metrics


_NAMES = ("told-api", "told-worker")


def _parked(metrics: str) -> float:
    wanted = 'soma_adapter_seconds_count{operation="park",outcome="ok",port="dead_letters"} '
    found = [line.removeprefix(wanted) for line in metrics.splitlines() if line.startswith(wanted)]
    return sum(map(float, found))


def _lines_with(text: str, word: str) -> list[str]:
    return [line[:300] for line in text.splitlines() if word in line]
