"""How fast a server and the command line recall: `python benchmarks/http_recall.py`.

A real server process over 5,000 memories, distinct questions, so that every one is embedded
(target: p50 under 15 ms); then 1, 8 and 32 clients that give a vector, beside the same web
framework with nothing behind it (target: at least 800 recalls/s from 8 clients, HTTP adds at most
1.5 ms at p50); then whole processes: `soma recall` on the warm data directory (target: under 1.5 s)
and `soma --help` (target: under 0.3 s). `CPU` is the server's processor time for each request.
"""

from __future__ import annotations

import argparse
import base64
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.engine_recall import unit_rows
from benchmarks.http_load import loaded, request
from benchmarks.measuring import (
    Server,
    await_ready,
    percentile,
    report,
    serving,
    soma_command,
    soma_environment,
)
from benchmarks.texts import questions, remarks

NAMESPACE = "benchmark"
BATCH = 500
SESSION_TURNS = 20
CLIENTS = (1, 8, 32)
JSON = {"Content-Type": "application/json"}


def fill(client: httpx.Client, texts: list[str]) -> None:
    """Store the texts, in sessions, and wait for the last vector."""
    known = client.get(f"/v1/namespaces/{NAMESPACE}")
    if known.status_code == httpx.codes.OK and known.json()["memories"] >= len(texts):
        return
    for begin in range(0, len(texts), BATCH):
        memories = [
            {
                "content": text,
                "namespace": NAMESPACE,
                "source": {"session": f"session_{index // SESSION_TURNS}"},
            }
            for index, text in enumerate(texts[begin : begin + BATCH], begin)
        ]
        body = {"memories": memories, "wait": "stored"}
        client.post("/v1/memories/batch", json=body).raise_for_status()
    while client.get(f"/v1/namespaces/{NAMESPACE}").raise_for_status().json()["pending_vectors"]:
        time.sleep(1)


def http_times(client: httpx.Client, count: int) -> list[dict[str, object]]:
    """Ask over one connection; return the times seen by the client and by the use case."""
    seen, inside = [], []
    for index, question in enumerate(questions(count + 10)):
        started = time.perf_counter()
        answer = client.post("/v1/recall", json={"query": question, "namespace": NAMESPACE})
        elapsed = 1000 * (time.perf_counter() - started)
        if index >= 10:
            seen.append(elapsed)
            inside.append(float(answer.raise_for_status().json()["took_ms"]))
    return [
        {
            "recall": name,
            "n": len(times),
            "p50 ms": percentile(times, 0.5),
            "p95 ms": percentile(times, 0.95),
        }
        for name, times in (("over HTTP", seen), ("of which the use case", inside))
    ]


def concurrent(server: Server, bodies: Sequence[bytes], name: str) -> list[dict[str, object]]:
    """Ask with 1, 8 and 32 clients at once."""
    requests = [request(server.url, "/v1/recall", body) for body in bodies]
    loaded(server.url, requests[: len(requests) // 4], 4)
    rows: list[dict[str, object]] = []
    for clients in CLIENTS:
        before = server.cpu_seconds()
        load = loaded(server.url, requests, clients)
        spent = server.cpu_seconds() - before
        rows.append(
            {
                "recall, vector given": name,
                "clients": clients,
                "recalls/s": load.rate,
                "p50 ms": f"{percentile(load.times, 0.5):.2f}",
                "p95 ms": f"{percentile(load.times, 0.95):.2f}",
                "CPU ms": f"{1000 * spent / len(requests):.2f}",
            }
        )
    return rows


def given_vectors(count: int) -> list[bytes]:
    """Make up questions by vectors of the default model's dimension."""
    rows = unit_rows(count, seed=5)
    texts = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in rows]
    return [json.dumps({"vector": text, "namespace": NAMESPACE}).encode() for text in texts]


@contextmanager
def bare(answer_bytes: int) -> Iterator[Server]:
    """Serve answers of that length with nothing behind them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = str(Path(__file__).with_name("bare_server.py"))
    process = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, script, str(port), str(answer_bytes)], env=soma_environment()
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await_ready(url, process)
        yield Server(url, process.pid)
    finally:
        process.terminate()
        process.wait()


def process_times(name: str, arguments: list[str], runs: int) -> dict[str, object]:
    """Run a command several times and return the seconds of the whole process."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(  # noqa: S603 - our own command
            soma_command(*arguments),
            env=soma_environment(),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        times.append(time.perf_counter() - started)
    warm = times[1:]
    return {
        "whole process": name,
        "n": runs,
        "p50 s": f"{percentile(warm, 0.5):.2f}",
        "best s": f"{min(warm):.2f}",
        "worst s": f"{max(warm):.2f}",
    }


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Run all measures on one data directory and print."""
    texts = remarks(options.memories, source=options.texts)
    with serving(folder) as server, httpx.Client(base_url=server.url, timeout=120) as client:
        fill(client, texts)
        rows: list[Mapping[str, object]] = [*http_times(client, options.queries)]
        report(f"Recall over HTTP, {options.memories} memories", rows, as_json=options.json)
        bodies = given_vectors(options.loaded)
        answer_bytes = len(client.post("/v1/recall", content=bodies[0], headers=JSON).content)
        crowd = concurrent(server, bodies, "Soma")
        report("Server", [{"resident MB": server.resident_mb()}], as_json=options.json)
    with bare(answer_bytes) as server:
        crowd += concurrent(server, bodies, "the web framework alone")
    report("Clients at once", crowd, as_json=options.json)
    recall = ["recall", questions(1, seed=5)[0], "--data", str(folder), "--namespace", NAMESPACE]
    rows = [
        process_times("soma recall (embedded)", recall, options.runs),
        process_times("soma --help", ["--help"], options.runs),
    ]
    report(f"Command line, {options.memories} memories", rows, as_json=options.json)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=Path, help="store the lines of this file first")
    parser.add_argument("--data", type=Path, help="keep the memories here between runs")
    parser.add_argument("--memories", type=int, default=5000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--loaded", type=int, default=2000, help="recalls per number of clients")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    if options.data is not None:
        measure(options, options.data)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(folder))


if __name__ == "__main__":
    main()
