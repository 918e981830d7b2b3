"""How fast Fast Core nominates, beside plain scans: `python benchmarks/fast_core.py`.

No store: the index is filled from memory, and one question is one `nominate` of 50 candidates. Two
kinds of vectors: lifelike ones (embedded remarks, mixed and shaken so that neighbourhoods stay
plausible) and uniformly random ones, the hard case for codes. In turns with every question NumPy
multiplies 10,000 x 384 and scans all vectors for their best ten.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from adapters.environment import load_settings
from adapters.fastcore.budget import Budget
from adapters.fastcore.fast_core import FastCore
from adapters.fastcore.snapshots import Snapshots
from benchmarks.measuring import percentile, report
from benchmarks.texts import questions, remarks
from container import build
from domain.events import FeedPosition
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, Scope
from domain.ports import CanonicalStore, Facts, IndexedVector
from domain.vector import Vector

DIMENSION = 384
PRODUCT_ROWS = 10_000
WANTED, NOMINATED = 10, 50
SCOPE = Scope(Namespace("benchmark"))
WARM_UP = 10
TEXTS = 4000

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Shown:
    """As much of a canonical store as an index asks when it loads."""

    vectors: Floats

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Shown]:
        """Stand for a transaction, too."""
        yield self

    @property
    def feed(self) -> Shown:
        """The change feed: all has been there from the start."""
        return self

    @property
    def embeddings(self) -> Shown:
        """The vectors."""
        return self

    async def position(self, scope: Scope, /) -> FeedPosition:
        """Return where the feed stands."""
        return FeedPosition("epoch", 1)

    async def page(
        self, namespace: Namespace, model: str, /, *, limit: int, after: MemoryId | None = None
    ) -> list[IndexedVector]:
        """Return a page; every hundredth memory is tagged."""
        start = 0 if after is None else int(after) + 1
        return [
            IndexedVector(
                MemoryId(f"{row:036}"),
                Vector(self.vectors[row].tobytes()),
                None,
                (-math.inf, math.inf, math.inf),
                Facts(tags=("rare",) if row % 100 == 0 else ()),
            )
            for row in range(start, min(start + limit, len(self.vectors)))
        ]


def unit(rows: Floats) -> Floats:
    """Return the rows at length 1."""
    scaled: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def random_vectors(count: int, seed: int) -> Floats:
    """Make up vectors of every direction, `(count, DIMENSION)`."""
    return unit(np.random.default_rng(seed).standard_normal((count, DIMENSION), np.float32))


async def lifelike_vectors(count: int, asked: int) -> tuple[Floats, Floats]:
    """Embed remarks and questions; make more remarks by mixing two and shaking the mixture."""
    container = build(load_settings({}, {}))
    embedder = container.local_embedder()
    passages = await embedder.embed_passages(remarks(min(count, TEXTS)))
    base = np.stack([np.frombuffer(one.data, "<f4") for one in passages])
    posed = [await embedder.embed_query(text) for text in questions(asked)]
    rows = np.empty((count, DIMENSION), np.float32)
    rows[: len(base)] = base
    draw = np.random.default_rng(3)
    for start in range(len(base), count, 50_000):
        many = min(50_000, count - start)
        one, other = draw.integers(0, len(base), (2, many))
        share = draw.uniform(0.5, 1.0, (many, 1)).astype(np.float32)
        noise = draw.standard_normal((many, DIMENSION), np.float32) * np.float32(0.015)
        rows[start : start + many] = unit(share * base[one] + (1 - share) * base[other] + noise)
    return rows, np.stack([np.frombuffer(one.data, "<f4") for one in posed])


def milliseconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def scanned(rows: Floats, query: Floats) -> NDArray[np.intp]:
    """Return the best ten by brute force."""
    scores = rows @ query
    best = np.argpartition(scores, -WANTED)[-WANTED:]
    ranked: NDArray[np.intp] = best[np.argsort(-scores[best])]
    return ranked


async def measured(
    kind: str, rows: Floats, queries: Floats, *, exact_rows: int
) -> list[dict[str, object]]:
    """Fill an index, open it again from its file, and ask it."""
    with tempfile.TemporaryDirectory() as folder:
        index, loaded, reopened = await filled(rows, Path(folder), exact_rows)
        return await asked(kind, rows, queries, index, {"load s": loaded, "reopen s": reopened})


async def filled(rows: Floats, folder: Path, exact_rows: int) -> tuple[FastCore, float, float]:
    """Fill an index from the store, and another one from the file of the first; time both.

    Reopening counts until the first question is answered.
    """

    def made() -> FastCore:
        return FastCore(
            cast(CanonicalStore, Shown(rows)),
            "model",
            DIMENSION,
            budget=Budget(2**40),
            exact_rows=exact_rows,
            snapshots=Snapshots(folder),
        )

    first, started = made(), time.perf_counter()
    await first.catch_up(SCOPE)
    loaded = time.perf_counter() - started
    await first.close()
    await first.reset()
    index, started = made(), time.perf_counter()
    await index.nominate(Vector(rows[0].tobytes()), SCOPE, Filter(), limit=NOMINATED)
    return index, loaded, time.perf_counter() - started


async def asked(
    kind: str, rows: Floats, queries: Floats, index: FastCore, seconds: Mapping[str, float]
) -> list[dict[str, object]]:
    """Ask an index, with and without a filter, in turns with brute force."""
    product = random_vectors(PRODUCT_ROWS, 4)
    found = []
    for name, filter in (("none", Filter()), ("keeps 1 %", Filter(tags=("rare",)))):
        kept = rows if name == "none" else rows[::100]
        step = len(rows) // len(kept)
        times: dict[str, list[float]] = {"own": [], "product": [], "scan": []}
        hits, exact = 0, True
        for turn, query in enumerate(queries):
            vector = Vector(query.tobytes())
            began = time.perf_counter()
            answer = await index.nominate(vector, SCOPE, filter, limit=NOMINATED)
            spent = 1000 * (time.perf_counter() - began)
            truth = {f"{row * step:036}" for row in scanned(kept, query).tolist()}
            hits += len(truth & {id for id, _ in answer.own[:WANTED]})
            exact = answer.exact
            if turn >= WARM_UP:
                times["own"].append(spent)
                times["product"].append(milliseconds(lambda: product @ query))  # noqa: B023
                times["scan"].append(milliseconds(lambda: scanned(rows, query)))  # noqa: B023
        middle = {key: percentile(values, 0.5) for key, values in times.items()}
        found.append(
            {
                "vectors": kind,
                "memories": len(rows),
                "filter": name,
                "p50 ms": f"{middle['own']:.2f}",
                "p95 ms": f"{percentile(times['own'], 0.95):.2f}",
                "least ms": f"{min(times['own']):.2f}",
                "10k product ms": f"{middle['product']:.2f}",
                "NumPy scan ms": f"{middle['scan']:.2f}",
                "least scan ms": f"{min(times['scan']):.2f}",
                "of the scan": f"{middle['own'] / middle['scan']:.2f}",
                f"recall@{WANTED}": f"{hits / WANTED / len(queries):.4f}",
                "exact": exact,
                "bytes / float32": f"{index.vector_bytes / rows.nbytes:.3f}",
                **{name: f"{value:.2f}" for name, value in seconds.items()},
            }
        )
    return found


async def measure(options: argparse.Namespace) -> list[dict[str, object]]:
    """Measure every size and kind."""
    rows: list[dict[str, object]] = []
    asked = options.queries + WARM_UP
    for size in options.memories:
        for kind in options.vectors:
            if kind == "random":
                vectors, queries = random_vectors(size, 1), random_vectors(asked, 2)
            else:
                vectors, queries = await lifelike_vectors(size, asked)
            rows += await measured(kind, vectors, queries, exact_rows=options.exact_rows)
    return rows


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memories", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument(
        "--vectors", nargs="+", choices=("lifelike", "random"), default=["lifelike", "random"]
    )
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--exact-rows", type=int, default=50_000)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    report("Fast Core", asyncio.run(measure(options)), as_json=options.json)


if __name__ == "__main__":
    main()
