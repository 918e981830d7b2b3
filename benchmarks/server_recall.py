"""Recall in the server profile beside the embedded one: `python benchmarks/server_recall.py`.

The same memories, the same questions (words and a vector, so no model is asked), the use case in
one process; the profiles take turns, question by question. Target: p50 of the server profile at
most twice the embedded one. Qdrant is measured only where `--qdrant` names a server.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from adapters.environment import load_settings
from benchmarks.measuring import percentile, report
from benchmarks.relay import as_url
from benchmarks.store_postgres import DIMENSION, NAMESPACE, database, drafts, server
from benchmarks.texts import remarks
from container import Container, build, opened
from domain.draft import Wait
from domain.namespace import Namespace, Scope
from domain.recall import RecallQuery

DATABASE = "soma_server_recall"
BATCH = 500


async def filled(container: Container, count: int) -> None:
    """Store the memories, and project them where there is something to project to."""
    made = drafts(count, seed=7)
    for start in range(0, count, BATCH):
        await container.remember_batch()(
            made[start : start + BATCH], wait=Wait.STORED, actor="benchmark"
        )
    if container.settings().qdrant_url is not None:
        while await container.project_models()():
            pass


async def asked(container: Container, query: RecallQuery) -> tuple[float, list[str]]:
    """Return the milliseconds of one recall, and what it found."""
    started = time.perf_counter()
    answer = await container.recall()(query)
    assert answer.degraded == ()
    return (time.perf_counter() - started) * 1000, [hit.memory.content for hit in answer.hits]


async def compared(profiles: dict[str, Container], questions: int) -> list[dict[str, object]]:
    """Ask every profile every question in turn."""
    draw = random.Random(3)
    spent: dict[str, list[float]] = {name: [] for name in profiles}
    agreed = 0
    for turn, text in enumerate(remarks(questions + 10, seed=11)):
        vector = tuple(draw.gauss(0, 1) for _ in range(DIMENSION))
        query = RecallQuery(text=text, vector=vector, scope=Scope(Namespace(NAMESPACE)))
        found = {}
        for name, container in profiles.items():
            milliseconds, found[name] = await asked(container, query)
            if turn >= 10:  # the first ones load the library and the segments
                spent[name].append(milliseconds)
        agreed += len({tuple(contents) for contents in found.values()}) == 1
    base = percentile(spent["embedded"], 0.5)
    return [
        {
            "profile": name,
            "p50 ms": percentile(times, 0.5),
            "p95 ms": percentile(times, 0.95),
            "of embedded": f"{percentile(times, 0.5) / base:.2f}",
            "same answers": f"{agreed}/{questions + 10}",
        }
        for name, times in spent.items()
    ]


async def run(options: argparse.Namespace) -> None:
    """Open the profiles side by side and compare them."""
    with server(options.postgres) as url, tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            common: dict[str, object] = {
                "data_dir": Path(folder),
                "embedder": "none",
                "vector_dimension": DIMENSION,
            }
            here = await stack.enter_async_context(database(url, DATABASE))
            chosen: dict[str, dict[str, object]] = {
                "embedded": {},
                "server, Fast Core": {"postgres_url": as_url(here)},
            }
            if options.qdrant:
                there = await stack.enter_async_context(database(url, f"{DATABASE}_q"))
                chosen["server, Qdrant"] = {
                    "postgres_url": as_url(there),
                    "qdrant_url": options.qdrant,
                    "qdrant_prefix": f"benchmark-{random.randrange(10**9)}",
                }
            profiles = {}
            for name, settings in chosen.items():
                container = build(load_settings({}, {**common, **settings}))
                profiles[name] = await stack.enter_async_context(opened(container))
                await filled(container, options.memories)
            rows = await compared(profiles, options.questions)
    report(f"recall, {options.memories} memories", rows, as_json=options.json)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--postgres", metavar="URL")
    parser.add_argument("--qdrant", metavar="URL")
    parser.add_argument("--json", action="store_true")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
