"""How fast the embedded store takes memories: `python benchmarks/store_sqlite.py`.

Memories with given vectors go in by the use case, a hundred at a time (target: 8,000 a second) and
one at a time. Then the very same rows (memories, terms, vectors, events, and what the full-text
index is told) go into a second file of the same schema and settings, as many per transaction, with
nothing but executemany. They take turns, round by round, in one process. CPU time is that of the
whole process, on a busy machine the steadier figure.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dependency_injector import providers

from adapters.environment import load_settings
from adapters.sqlite.connection import connect, set_up_writer
from adapters.sqlite.store import SqliteStore
from benchmarks.measuring import report
from benchmarks.store_postgres import drafts
from container import build
from domain.draft import Draft, Wait

#: The rows of one memory, and what finds those that are new.
TABLES = {
    "memories": "number > ? AND number <= ? ORDER BY number",
    "memory_terms": "memory > ? AND memory <= ? ORDER BY memory",
    "embeddings": "memory > ? AND memory <= ? ORDER BY memory",
    "events": "seq > ? AND seq <= ? ORDER BY seq",
}
INDEX = "INSERT INTO lexical_index (rowid, scope, own, context) VALUES (?, ?, ?, ?)"
WAITS = (Wait.STORED, Wait.INDEXED)


@dataclass(frozen=True)
class Load:
    """The rows of one batch for one statement."""

    statement: str
    rows: list[tuple[Any, ...]]


@dataclass
class Spent:
    """What storing some memories took, in seconds."""

    memories: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    _began: tuple[float, float] = field(default=(0.0, 0.0))

    def begin(self) -> None:
        """Start both clocks."""
        self._began = time.perf_counter(), time.process_time()

    def end(self, memories: int) -> None:
        """Stop them."""
        self.wall += time.perf_counter() - self._began[0]
        self.cpu += time.process_time() - self._began[1]
        self.memories += memories


def loads(connection: sqlite3.Connection, after: int, until: int) -> list[Load]:
    """Read the rows of one batch. The first memory and its event have the same number."""
    found = []
    for table, condition in TABLES.items():
        cursor = connection.execute(f"SELECT * FROM {table} WHERE {condition}", [after, until])  # noqa: S608
        marks = ", ".join("?" * len(cursor.description))
        found.append(Load(f"INSERT INTO {table} VALUES ({marks})", cursor.fetchall()))  # noqa: S608
    documents = connection.execute(
        "SELECT * FROM lexical_documents WHERE memory > ? AND memory <= ?", [after, until]
    )
    return [*found, Load(INDEX, documents.fetchall())]


def insert(path: Path, batches: Sequence[Sequence[Load]], spent: Spent) -> None:
    """Load batches with nothing but executemany, one transaction each."""
    with closing(connect(path)) as connection:
        set_up_writer(connection)
        connection.execute("INSERT OR IGNORE INTO namespaces (path) VALUES ('benchmark')")
        spent.begin()
        for batch in batches:
            connection.execute("BEGIN IMMEDIATE")
            for load in batch:
                connection.executemany(load.statement, load.rows)
            connection.execute("COMMIT")
        spent.end(sum(len(batch[0].rows) for batch in batches))


async def remember(
    use_case: Any, made: Sequence[Draft], size: int, wait: Wait, spent: Spent
) -> None:
    """Store memories by the use case."""
    spent.begin()
    for begin in range(0, len(made), size):
        results = await use_case(made[begin : begin + size], wait=wait, actor="benchmark")
        assert all(result.indexed and not result.deduplicated for result in results)
    spent.end(len(made))


async def measure(
    options: argparse.Namespace, folder: Path, size: int, batches: int
) -> list[dict[str, object]]:
    """Take turns and return the rates; the first turns warm up and do not count."""
    here, there = folder / f"store{size}.db", folder / f"bare{size}.db"
    for path in (here, there):
        store = SqliteStore(path)
        await store.open()
        await store.close()
    container = build(load_settings({}, {"embedder": "none"}))
    store = SqliteStore(here)
    container.store.override(providers.Object(store))
    await store.open()
    done, count = 0, size * batches
    totals = {name: Spent() for name in (*(wait.value for wait in WAITS), "executemany")}
    for turn in range(len(WAITS) * (options.rounds + 1)):
        wait = WAITS[turn % len(WAITS)]
        if turn == len(WAITS):
            totals = {name: Spent() for name in totals}
        made = drafts(count, 1000 * size + turn)
        await remember(container.remember_batch(), made, size, wait, totals[wait.value])
        with closing(connect(here)) as reading:
            firsts = range(done, done + count, size)
            rows = [loads(reading, first, first + size) for first in firsts]
        done += count
        insert(there, rows, totals["executemany"])
    await store.close()
    bare = totals["executemany"]
    return [
        {
            "measure": f"{name}, {size} at a time",
            "memories/s": spent.memories / spent.wall,
            "of executemany": f"{bare.wall / bare.memories * spent.memories / spent.wall:.2f}",
            "ms per call": f"{1e3 * spent.wall * size / spent.memories:.2f}",
            "CPU ms per call": f"{1e3 * spent.cpu * size / spent.memories:.2f}",
        }
        for name, spent in totals.items()
    ]


async def measure_all(options: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Measure batches, then single memories."""
    return [
        *await measure(options, folder, options.batch, options.batches),
        *await measure(options, folder, 1, options.singles),
    ]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--batches", type=int, default=10, help="per round")
    parser.add_argument("--singles", type=int, default=100, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, help="where the files go; default: a temporary folder")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.data) as folder:
        rows = asyncio.run(measure_all(options, Path(folder)))
    report("Storing into SQLite", rows, as_json=options.json)


if __name__ == "__main__":
    main()
