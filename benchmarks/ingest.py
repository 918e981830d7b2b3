"""How fast memories come in: `python benchmarks/ingest.py`.

`wait=indexed` against the same embed calls alone, taken in turns in one process (target: 85 %);
single stores from several clients at once, who share transactions; `wait=stored` over HTTP into a
real server (target: 3,000 memories/s); and how fast that server
recalls while it embeds the backlog and afterwards (target: at most 2 times as long).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from dependency_injector import providers

from adapters.environment import load_settings
from benchmarks.engine_recall import unit_rows
from benchmarks.http_load import loaded, request
from benchmarks.measuring import Server, percentile, report, serving
from benchmarks.texts import questions, remarks
from container import build, running
from domain.draft import Draft, Wait
from domain.memory import Source
from domain.ports import Embedder
from domain.vector import EmbeddingModel, Vector

NAMESPACE = "benchmark"
SINGLES = "singles"
CLIENTS = (1, 8, 32)
SESSION_TURNS = 20
START = datetime(2026, 1, 1, tzinfo=UTC)


class Recorder:
    """An embedder that remembers which texts it was given."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self.calls: list[list[str]] = []

    @property
    def model(self) -> EmbeddingModel:
        """The model behind."""
        return self._inner.model

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        """Note the call and pass it on."""
        self.calls.append(list(texts))
        return await self._inner.embed_passages(texts)

    async def embed_query(self, text: str, /) -> Vector:
        """Pass it on."""
        return await self._inner.embed_query(text)


def place(index: int) -> tuple[datetime, str]:
    """Say when the n-th remark was made, and in which session."""
    return START + timedelta(minutes=index), f"session_{index // SESSION_TURNS}"


async def indexed_rate(count: int, batch: int, rounds: int) -> dict[str, object]:
    """Store with `wait=indexed`, then make the same embed calls again with nothing around them."""
    texts = remarks(count * rounds)
    storing = alone = 0.0
    vectors = 0
    with tempfile.TemporaryDirectory() as folder:
        container = build(load_settings({}, {"data_dir": Path(folder)}))
        recorder = Recorder(container.local_embedder())
        container.embedder.override(providers.Object(recorder))
        async with running(container):
            await recorder.embed_passages(["the model is loaded by its first use"])
            for one_round in range(rounds):
                recorder.calls.clear()
                first = one_round * count
                storing += await _store(container.remember_batch(), texts, first, count, batch)
                calls = list(recorder.calls)
                vectors += sum(len(call) for call in calls)
                started = time.perf_counter()
                for call in calls:
                    await recorder.embed_passages(call)
                alone += time.perf_counter() - started
    return {
        "measure": "wait=indexed, in process",
        "memories": count * rounds,
        "memories/s": count * rounds / storing,
        "vectors/s": vectors / storing,
        "embedding alone, vectors/s": vectors / alone,
        "ratio": f"{alone / storing:.2f}",
    }


async def _store(
    remember_batch: object, texts: Sequence[str], first: int, count: int, batch: int
) -> float:
    assert callable(remember_batch)
    started = time.perf_counter()
    for begin in range(first, first + count, batch):
        end = min(begin + batch, first + count)
        drafts = [_draft(index, texts[index]) for index in range(begin, end)]
        stored = await remember_batch(drafts, wait=Wait.INDEXED, actor="benchmark")
        assert all(result.indexed for result in stored)
    return time.perf_counter() - started


def _draft(index: int, text: str) -> Draft:
    at, session = place(index)
    source = Source(actor=text.partition(":")[0], session=session)
    return Draft(content=text, namespace=NAMESPACE, occurred_at=at, source=source)


def bodies(count: int, batch: int) -> list[bytes]:
    """Encode the requests beforehand: the client is not what is measured."""
    memories = []
    for index, text in enumerate(remarks(count, seed=8)):
        at, session = place(index)
        source = {"actor": text.partition(":")[0], "session": session}
        memories.append(
            {
                "content": text,
                "namespace": NAMESPACE,
                "occurred_at": at.isoformat(),
                "source": source,
            }
        )
    return [
        json.dumps({"memories": memories[begin : begin + batch], "wait": "stored"}).encode()
        for begin in range(0, count, batch)
    ]


def stored_rate(client: httpx.Client, count: int, batch: int) -> dict[str, object]:
    """Store with `wait=stored`, one batch after the other."""
    requests = bodies(count, batch)
    headers = {"Content-Type": "application/json"}
    started = time.perf_counter()
    for body in requests:
        client.post("/v1/memories/batch", content=body, headers=headers).raise_for_status()
    seconds = time.perf_counter() - started
    return {"measure": "wait=stored, HTTP", "memories": count, "memories/s": count / seconds}


def single_rates(server: Server, count: int) -> list[dict[str, object]]:
    """Store one memory a request, vectors given, from 1, 8 and 32 clients at once."""
    rows: list[dict[str, object]] = []
    texts = remarks(len(CLIENTS) * count, seed=9)
    vectors = [base64.b64encode(row.tobytes()).decode() for row in unit_rows(count, seed=9)]
    for turn, clients in enumerate(CLIENTS):
        requests = []
        for text, vector in zip(texts[turn * count :], vectors, strict=False):
            body = {"content": text, "namespace": SINGLES, "vector": vector}
            requests.append(request(server.url, "/v1/memories", json.dumps(body).encode()))
        before = server.cpu_seconds()
        load = loaded(server.url, requests, clients)
        spent = server.cpu_seconds() - before
        rows.append(
            {
                "one memory a request": f"{clients} clients",
                "memories/s": load.rate,
                "p50 ms": percentile(load.times, 0.5),
                "p95 ms": percentile(load.times, 0.95),
                "CPU ms": f"{1000 * spent / count:.2f}",
            }
        )
    return rows


def pending(client: httpx.Client) -> int:
    """Return how many vectors the server still has to compute."""
    answer = client.get(f"/v1/namespaces/{NAMESPACE}").raise_for_status()
    return int(answer.json()["pending_vectors"])


def recall_times(client: httpx.Client, asked: Sequence[str]) -> list[float]:
    """Return the milliseconds of each recall."""
    times = []
    for question in asked:
        started = time.perf_counter()
        body = {"query": question, "namespace": NAMESPACE}
        client.post("/v1/recall", json=body).raise_for_status()
        times.append(1000 * (time.perf_counter() - started))
    return times


def backlog(client: httpx.Client, count: int) -> list[dict[str, object]]:
    """Recall while vectors are missing, and again when none is."""
    asked = questions(2 * count + 5)
    recall_times(client, asked[:5])
    waiting = pending(client)
    during = recall_times(client, asked[5 : 5 + count])
    left = pending(client)
    if not left:
        raise SystemExit("the backlog was gone before it could be measured: raise --stored")
    started = time.perf_counter()
    while remaining := pending(client):
        time.sleep(0.5)
    rate = left / (time.perf_counter() - started)
    after = recall_times(client, asked[5 + count :])
    rows: list[dict[str, object]] = []
    for name, times, vectors in (("during", during, waiting), ("after", after, remaining)):
        rows.append(
            {
                "recall over HTTP": f"{name} the backlog",
                "vectors missing": vectors,
                "p50 ms": percentile(times, 0.5),
                "p95 ms": percentile(times, 0.95),
                "p50 ratio": f"{percentile(times, 0.5) / percentile(after, 0.5):.2f}",
                "backlog vectors/s": rate if name == "during" else "",
            }
        )
    return rows


def measure(options: argparse.Namespace) -> None:
    """Run the three measures and print."""
    rows: list[Mapping[str, object]] = [
        asyncio.run(indexed_rate(options.indexed, options.indexed_batch, options.rounds))
    ]
    report("Ingest, wait=indexed", rows, as_json=options.json)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder)) as server,
        httpx.Client(base_url=server.url, timeout=120) as client,
    ):
        report("Ingest, singles", single_rates(server, options.singles), as_json=options.json)
        rows = [stored_rate(client, options.stored, options.stored_batch)]
        report("Ingest, wait=stored", rows, as_json=options.json)
        report("Recall", backlog(client, options.recalls), as_json=options.json)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--indexed", type=int, default=300, help="memories per round")
    parser.add_argument("--indexed-batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stored", type=int, default=6000, help="memories over HTTP")
    parser.add_argument("--stored-batch", type=int, default=500)
    parser.add_argument("--singles", type=int, default=500, help="per number of clients")
    parser.add_argument("--recalls", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
