"""How fast the use case alone recalls, a vector given: `python benchmarks/engine_recall.py`.

One namespace per size; by the vector alone, with words, and with filters that keep half and 1 % of
the memories. Before and after come float32 matrix-vector products of 10,000 x 384 and of the
namespace's own size in the same process (target at 10,000: p50 at most 1.3 products).
Absolute times count where the product of 10,000 x 384 takes at most 1.5 ms. The first questions
fill the cache of decoded memories and do not count; `CPU` is the processor time of one recall, all
threads together, which a busy machine changes least.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters.environment import load_settings
from benchmarks.measuring import percentile, report
from benchmarks.relay import as_url
from benchmarks.store_postgres import database, server
from benchmarks.texts import questions, remarks
from container import Container, build, opened
from domain.draft import Draft, Wait
from domain.filter import Filter
from domain.memory import Source
from domain.namespace import Namespace, Scope
from domain.recall import RecallQuery

DIMENSION = 384
PRODUCT_ROWS = 10_000
NAMESPACE = Namespace("benchmark")
DATABASE = "soma_engine_recall"
BATCH = 1000
SESSION_TURNS = 20
WARM_UP = 300
PRODUCTS = 50

Floats = NDArray[np.float32]
#: What is asked: with words or not, and a tag that the memories must have.
QUESTIONS = {
    "vector": (False, None),
    "vector and words": (True, None),
    "vector, filter keeps 50 %": (False, "half"),
    "vector, filter keeps 1 %": (False, "rare"),
}


def unit_rows(count: int, seed: int) -> Floats:
    """Make up unit vectors, `(count, DIMENSION)`."""
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def draft(index: int, text: str, row: Floats, *, sessions: bool) -> Draft:
    """Make the n-th memory, in a session of twenty where there are sessions."""
    tags = [name for name, every in (("half", 2), ("rare", 100)) if index % every == 0]
    source = Source(actor=text.partition(":")[0], session=f"session_{index // SESSION_TURNS}")
    return Draft(
        content=text,
        namespace=NAMESPACE,
        vector=row.tolist(),
        payload={"page": index},
        tags=tuple(tags),
        source=source if sessions else None,
    )


async def fill(container: Container, vectors: Floats, *, sessions: bool) -> None:
    """Store one memory per vector."""
    texts = remarks(len(vectors))
    for begin in range(0, len(texts), BATCH):
        chunk = range(begin, min(begin + BATCH, len(texts)))
        made = [draft(i, texts[i], vectors[i], sessions=sessions) for i in chunk]
        await container.remember_batch()(made, wait=Wait.STORED, actor="benchmark")


async def asked(
    container: Container, queries: Sequence[RecallQuery], vectors: Floats, product: Floats
) -> dict[str, list[float]]:
    """Ask, with products before and after; return the milliseconds of each.

    Not in turns: the threads of a product spin for a while when it is done.
    """
    times: dict[str, list[float]] = {"recall": [], "CPU": [], "product": [], "own product": []}
    use_case = container.recall()
    multiply(times, vectors, product)
    for turn, query in enumerate(queries):
        started, worked = time.perf_counter(), time.process_time()
        answer = await use_case(query)
        ended, rested = time.perf_counter(), time.process_time()
        assert answer.hits
        assert answer.degraded == ()
        if turn >= WARM_UP:
            times["recall"].append(1000 * (ended - started))
            times["CPU"].append(1000 * (rested - worked))
    multiply(times, vectors, product)
    return times


def multiply(times: dict[str, list[float]], vectors: Floats, product: Floats) -> None:
    """Take the time of some products."""
    for name, rows in (("product", product), ("own product", vectors)):
        for turn in range(PRODUCTS):
            started = time.perf_counter()
            rows @ product[turn]
            times[name].append(1000 * (time.perf_counter() - started))


def made_queries(count: int, *, words: bool, tag: str | None) -> list[RecallQuery]:
    """Make up questions that are all different."""
    rows = unit_rows(count, seed=5)
    plain = RecallQuery(text=None, scope=Scope(NAMESPACE))
    filter = Filter() if tag is None else Filter(tags=(tag,))
    return [
        replace(plain, vector=row.tolist(), text=text if words else None, filter=filter)
        for row, text in zip(rows, questions(count), strict=True)
    ]


async def measured(options: argparse.Namespace, size: int) -> list[dict[str, object]]:
    """Fill one namespace and ask it everything."""
    vectors, product = unit_rows(size, seed=3), unit_rows(PRODUCT_ROWS, seed=4)
    rows: list[dict[str, object]] = []
    async with ready(options) as container:
        await fill(container, vectors, sessions=options.sessions)
        for name, (words, tag) in QUESTIONS.items():
            queries = made_queries(options.queries + WARM_UP, words=words, tag=tag)
            times = await asked(container, queries, vectors, product)
            middle = {key: percentile(values, 0.5) for key, values in times.items()}
            rows.append(
                {
                    "recall": name,
                    "memories": size,
                    "p50 ms": f"{middle['recall']:.2f}",
                    "p95 ms": f"{percentile(times['recall'], 0.95):.2f}",
                    "CPU ms": f"{middle['CPU']:.2f}",
                    "p99 ms": f"{percentile(times['recall'], 0.99):.2f}",
                    "10k x 384 product ms": f"{middle['product']:.2f}",
                    "of that": f"{middle['recall'] / middle['product']:.2f}",
                    "of own product": f"{middle['recall'] / middle['own product']:.2f}",
                }
            )
    return rows


@asynccontextmanager
async def ready(options: argparse.Namespace) -> AsyncIterator[Container]:
    """Open an empty store of the profile."""
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, object] = {
            "data_dir": Path(folder),
            "embedder": "none",
            "vector_dimension": DIMENSION,
        }
        if options.profile == "embedded":
            async with opened(build(load_settings({}, settings))) as container:
                yield container
            return
        with server(options.postgres) as url:
            async with database(url, DATABASE) as here:
                chosen = {**settings, "postgres_url": as_url(here)}
                async with opened(build(load_settings({}, chosen))) as container:
                    yield container


async def measure(options: argparse.Namespace) -> list[dict[str, object]]:
    """Measure every size."""
    return [row for size in options.memories for row in await measured(options, size)]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memories", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--profile", choices=("embedded", "server"), default="embedded")
    parser.add_argument("--postgres", metavar="URL", help="measure on this server")
    parser.add_argument("--sessions", action="store_true", help="memories in sessions of twenty")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    rows = asyncio.run(measure(options))
    report(f"Recall, the use case alone, {options.profile}", rows, as_json=options.json)


if __name__ == "__main__":
    main()
