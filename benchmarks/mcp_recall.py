"""How soon MCP answers: `python benchmarks/mcp_recall.py`.

Starts `soma mcp` on a filled data directory and takes the time to its first answer, then that of
further recalls beside what the use case itself took for each of them.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import httpx
from mcp import Client, StdioServerParameters

from benchmarks.measuring import percentile, report, serving, soma_command, soma_environment
from benchmarks.texts import questions, remarks

NAMESPACE = "benchmark"
BATCH = 500
TIMEOUT_SECONDS = 120.0


async def first_answer(data: Path, question: str) -> float:
    """Return the seconds from starting the process to its first answer."""
    started = time.perf_counter()
    async with _client(data) as client:
        await client.call_tool("recall", {"query": question, "namespace": NAMESPACE})
        return time.perf_counter() - started


async def further(data: Path, asked: list[str]) -> list[float]:
    """Return the milliseconds of recalls in a process that has answered already."""
    async with _client(data) as client:
        times = []
        for question in asked:
            started = time.perf_counter()
            await client.call_tool("recall", {"query": question, "namespace": NAMESPACE})
            times.append(1000 * (time.perf_counter() - started))
        return times


def over_socket(data: Path, asked: list[str]) -> list[float]:
    """Return what the use case itself says it takes, asked the same through REST."""
    with (
        serving(data) as server,
        httpx.Client(base_url=server.url, timeout=TIMEOUT_SECONDS) as http,
    ):
        return [
            float(
                http.post("/v1/recall", json={"query": q, "namespace": NAMESPACE}).json()["took_ms"]
            )
            for q in asked
        ]


def fill(data: Path, count: int) -> None:
    """Store memories and wait for their vectors."""
    with (
        serving(data) as server,
        httpx.Client(base_url=server.url, timeout=TIMEOUT_SECONDS) as http,
    ):
        texts = remarks(count)
        for begin in range(0, count, BATCH):
            memories = [
                {"content": text, "namespace": NAMESPACE} for text in texts[begin : begin + BATCH]
            ]
            http.post("/v1/memories/batch", json={"memories": memories}).raise_for_status()


def _client(data: Path) -> Client:
    command, *arguments = soma_command("mcp", "--data", str(data))
    parameters = StdioServerParameters(command=command, args=arguments, env=soma_environment())
    return Client(parameters, read_timeout_seconds=TIMEOUT_SECONDS)


async def measure(data: Path, runs: int, count: int) -> list[dict[str, object]]:
    """Measure both and lay them out."""
    asked = questions(count + 1)
    starts = [await first_answer(data, asked[0]) for _ in range(runs + 1)][1:]
    engine = over_socket(data, asked)[1:]
    times = (await further(data, asked))[1:]
    return [
        {
            "first answer p50 s": f"{percentile(starts, 0.5):.2f}",
            "worst s": f"{max(starts):.2f}",
            "recall by tool p50 ms": percentile(times, 0.5),
            "use case p50 ms": percentile(engine, 0.5),
            "beyond the engine ms": percentile(times, 0.5) - percentile(engine, 0.5),
        }
    ]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memories", type=int, default=700)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        fill(data, options.memories)
        rows = asyncio.run(measure(data, options.runs, options.queries))
    report(f"MCP over stdio, {options.memories} memories", rows, as_json=options.json)


if __name__ == "__main__":
    main()
