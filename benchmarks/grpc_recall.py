"""How fast gRPC recalls beside HTTP: `python benchmarks/grpc_recall.py`.

One server process with both doors and asyncio clients in this one; vectors given; the doors take
turns, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import random
import socket
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import grpc
import httpx

from benchmarks.measuring import percentile, report, serving
from benchmarks.texts import remarks
from entrypoints.grpc.wire import memory_pb2 as wire
from entrypoints.grpc.wire.memory_pb2_grpc import MemoryServiceStub

NAMESPACE = "benchmark"
DIMENSION = 384
BATCH = 500
TURNS = 4

Ask = Callable[[list[float]], Awaitable[object]]


def vectors(count: int, seed: int) -> list[list[float]]:
    """Make vectors up."""
    generator = random.Random(seed)
    return [[generator.gauss(0, 1) for _ in range(DIMENSION)] for _ in range(count)]


def fill(client: httpx.Client, count: int) -> None:
    """Store memories with given vectors."""
    memories = [
        {"content": text, "namespace": NAMESPACE, "vector": _packed(vector)}
        for text, vector in zip(remarks(count), vectors(count, 1), strict=True)
    ]
    for begin in range(0, count, BATCH):
        body = {"memories": memories[begin : begin + BATCH]}
        client.post("/v1/memories/batch", json=body).raise_for_status()


async def measure(url: str, port: int, queries: int, clients: int) -> list[dict[str, object]]:
    """Ask through both doors in turns."""
    options = [("grpc.enable_http_proxy", 0)]
    async with (
        httpx.AsyncClient(base_url=url, timeout=60) as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel,
    ):
        stub = MemoryServiceStub(channel)

        async def over_http(vector: list[float]) -> object:
            body = {"namespace": NAMESPACE, "vector": _packed(vector)}
            return (await http.post("/v1/recall", json=body)).raise_for_status().json()

        async def over_grpc(vector: list[float]) -> object:
            return await stub.Recall(wire.RecallRequest(namespace=NAMESPACE, vector=vector))

        doors: dict[str, Ask] = {"HTTP": over_http, "gRPC": over_grpc}
        for ask in doors.values():
            await _run(ask, vectors(20, 2), 1)
        times: dict[str, list[float]] = {name: [] for name in doors}
        seconds = dict.fromkeys(doors, 0.0)
        for turn in range(TURNS):
            asked = vectors(queries, 10 + turn)
            for name, ask in doors.items():
                started = time.perf_counter()
                times[name] += await _run(ask, asked, clients)
                seconds[name] += time.perf_counter() - started
    return [
        {
            "door": name,
            "clients": clients,
            "recalls/s": TURNS * queries / seconds[name],
            "p50 ms": percentile(times[name], 0.5),
            "p95 ms": percentile(times[name], 0.95),
            "rate : HTTP": f"{seconds['HTTP'] / seconds[name]:.2f}",
        }
        for name in doors
    ]


async def _run(ask: Ask, asked: Sequence[list[float]], clients: int) -> list[float]:
    waiting = iter(asked)
    times: list[float] = []

    async def client() -> None:
        for vector in waiting:
            started = time.perf_counter()
            await ask(vector)
            times.append(1000 * (time.perf_counter() - started))

    await asyncio.gather(*(client() for _ in range(clients)))
    return times


def _packed(vector: list[float]) -> str:
    return base64.b64encode(array("f", vector).tobytes()).decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memories", type=int, default=2000)
    parser.add_argument("--queries", type=int, default=200, help="per turn and door")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    port = _free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), SOMA_GRPC_PORT=str(port), SOMA_EMBEDDER="none") as server,
    ):
        with httpx.Client(base_url=server.url, timeout=120) as client:
            fill(client, options.memories)
        rows: list[dict[str, object]] = []
        for clients in (1, 8):
            rows += asyncio.run(measure(server.url, port, options.queries, clients))
        report(f"Recall by door, {options.memories} memories", rows, as_json=options.json)


if __name__ == "__main__":
    main()
