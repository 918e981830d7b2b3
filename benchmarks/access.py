"""What the guard costs a recall: `python benchmarks/access.py` (target: with metrics, 0.3 ms).

One process, one store, the question's vector given, so that nothing but the recall itself stands
beside the guard. The ways in take turns, call by call. `--redis URL` counts the limit there.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from adapters.drawn_limits import DrawnRateLimiter
from adapters.environment import load_settings
from adapters.redis.limits import RedisRateLimiter
from adapters.redis.server import RedisServer
from application.access.admission import Access, Peer, Rates
from benchmarks.measuring import percentile, report
from benchmarks.texts import remarks
from container import Container, build, running
from domain.access import Permission, Principal
from domain.draft import Draft
from domain.namespace import Namespace, Scope
from domain.ports import RateLimiter
from domain.recall import RecallQuery

DIMENSION = 384
SPACE = Namespace("benchmark")
FAR = Peer("192.0.2.7")
WARM_UP = 20
LIMIT = 10**9

Way = Callable[[], Awaitable[object]]


def vector(number: int) -> list[float]:
    """Return a vector that differs from text to text."""
    return [1.0 + ((number * 31 + axis * 17) % 97) for axis in range(DIMENSION)]


async def fill(container: Container, count: int) -> None:
    """Store memories with their vectors."""
    texts = remarks(count)
    for begin in range(0, count, 500):
        drafts = [
            Draft(content=text, namespace=SPACE, vector=vector(number))
            for number, text in enumerate(texts[begin : begin + 500], begin)
        ]
        await container.remember_batch()(drafts, actor="benchmark")


def limited(access: Access, limit: int, limiter: RateLimiter | None = None) -> Access:
    """Return the same door with another limit, counted elsewhere."""
    rates = Rates(window_seconds=60, limits=dict.fromkeys(Permission, limit))
    return replace(access, rates=rates, limiter=limiter or access.limiter)


async def ways_in(
    container: Container, far: RateLimiter | None
) -> dict[str, tuple[Way, Way | None]]:
    """Return by name how to ask, and only the admission of it."""
    recall = container.recall()
    guarded = container.guarded()
    tester = guarded(Principal("benchmark", Permission.ADMIN))
    made = await tester.create_key(name="bot", permission=Permission.READ, namespace=SPACE)
    question = RecallQuery(text=None, vector=vector(7), scope=Scope(SPACE), k=10)
    access = container.access()
    doors = {"with a key": limited(access, 0), "with a key and a limit": limited(access, LIMIT)}
    if far is not None:
        doors["with a key and a limit in Redis"] = limited(access, LIMIT, far)
        drawn = DrawnRateLimiter(far, time.perf_counter)
        doors["the same, drawn in blocks"] = limited(access, LIMIT, drawn)

    async def bare() -> object:
        return await recall(question)

    ways: dict[str, tuple[Way, Way | None]] = {"the use case alone": (bare, None)}
    for name, door in doors.items():

        async def admitted(door: Access = door) -> object:
            return await door.admit(made.token, FAR)

        async def through(door: Access = door) -> object:
            principal = (await door.admit(made.token, FAR)).principal
            return await guarded(principal).recall(question)

        ways[name] = (through, admitted)
    return ways


async def seconds(way: Way) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    await way()
    return time.perf_counter() - started


async def measure(options: argparse.Namespace, folder: Path) -> None:
    """Ask in turns and print."""
    settings = load_settings(
        {}, {"data_dir": folder, "embedder": "none", "vector_dimension": DIMENSION}
    )
    container = build(settings)
    async with running(container), far_limiter(container, options.redis) as limiter:
        await fill(container, options.memories)
        ways = await ways_in(container, limiter)
        whole: dict[str, list[float]] = {name: [] for name in ways}
        doors: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(options.queries + WARM_UP):
            for name, (through, admitted) in ways.items():
                taken = await seconds(through)
                door = 0.0 if admitted is None else await seconds(admitted)
                if turn >= WARM_UP:
                    whole[name].append(1000 * taken)
                    doors[name].append(1000 * door)
    rows = [
        {
            "recall": name,
            "n": len(times),
            "p50 ms": f"{percentile(times, 0.5):.3f}",
            "p95 ms": f"{percentile(times, 0.95):.3f}",
            "admission p50 ms": f"{percentile(doors[name], 0.5):.3f}",
        }
        for name, times in whole.items()
    ]
    report(f"The guard, {options.memories} memories", rows, as_json=options.json)


@asynccontextmanager
async def far_limiter(
    container: Container, url: str | None
) -> AsyncIterator[RedisRateLimiter | None]:
    """Count limits in a Redis, where one is named."""
    if url is None:
        yield None
        return
    server = RedisServer(
        url, prefix="soma-benchmark:", timeout_seconds=1.0, report=container.failure_log()
    )
    await server.open()
    yield RedisRateLimiter(server, container.near_limiter())
    await server.close()


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memories", type=int, default=2000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--redis", metavar="URL", help="also count the limit there")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(options, Path(folder)))


if __name__ == "__main__":
    main()
