"""What locked doors and being watched cost a recall: `python benchmarks/watching.py`.

The same question goes to two applications in this process, in turn: the one that is served, with
a key, and one with the same route and use case but no guard, no middleware and no measured port.
Words and a vector are given, so no model is asked. Target: 0.3 ms at the median; traces are off. On
a machine that others use, the time that the event loop's thread worked is the steadier figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from dependency_injector import providers
from litestar import Litestar, Router
from litestar.di import Provide

from adapters.environment import load_settings
from adapters.observation.meter import observed
from adapters.observation.ports import CountedCache, CountedLimiter, watched, watched_store
from benchmarks.measuring import percentile, report
from benchmarks.store_postgres import DIMENSION, NAMESPACE, drafts
from benchmarks.texts import remarks
from container import Container, build, opened
from domain.draft import Wait
from domain.namespace import DEFAULT_NAMESPACE
from entrypoints.http import recalling
from entrypoints.http.app import create_app
from entrypoints.http.problems import HANDLERS
from entrypoints.http.requests import StrictRequest, only_known_parameters

KEY = "a key for the benchmark"
BATCH = 500
WARM_UP = 50


def unwatched(container: Container) -> Container:
    """Return the container with every measuring wrapper taken off."""
    place = {watched: 0, watched_store: 0, CountedCache: 0, CountedLimiter: 0, observed: 1}
    found: list[providers.Provider[Any]] = list(container.traverse())
    for provider in found:
        if isinstance(provider, providers.Factory | providers.Singleton):
            inner = place.get(provider.provides)
            if inner is not None:
                provider.override(provider.args[inner])
    return container


class Unguarded:
    """Stands where the guard is: the use case, asked by nobody in particular."""

    home = DEFAULT_NAMESPACE

    def __init__(self, container: Container) -> None:
        self.recall = container.recall()


def bare_app(container: Container) -> Litestar:
    """Return an application that does nothing but recall."""
    unguarded = Unguarded(container)
    return Litestar(
        route_handlers=[Router("/v1", route_handlers=recalling.ROUTES)],
        dependencies={"soma": Provide(lambda: unguarded, sync_to_thread=False)},
        guards=[only_known_parameters],
        exception_handlers=HANDLERS,
        request_class=StrictRequest,
        openapi_config=None,
        logging_config=None,
    )


async def asked(app: Litestar, body: bytes) -> tuple[tuple[float, float], list[str]]:
    """Return the milliseconds of one recall, those the loop's thread worked, and what it found."""
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"authorization", f"Bearer {KEY}".encode()),
    ]
    scope: dict[str, Any] = {
        **{"type": "http", "method": "POST", "path": "/v1/recall", "raw_path": b"/v1/recall"},
        **{"query_string": b"", "headers": headers, "root_path": "", "scheme": "http"},
        **{"http_version": "1.1", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)},
        **{"asgi": {"version": "3.0"}, "state": {}, "extensions": {}},
    }
    answered: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        answered.append(message)

    started, worked = time.perf_counter(), time.thread_time()
    await app(scope, receive, send)  # type: ignore[arg-type]
    spent = 1000 * (time.perf_counter() - started), 1000 * (time.thread_time() - worked)
    assert answered[0]["status"] == 200, answered
    answer = json.loads(b"".join(message.get("body", b"") for message in answered[1:]))
    return spent, [hit["memory"]["content"] for hit in answer["hits"]]


async def compared(apps: dict[str, Litestar], questions: int) -> list[dict[str, object]]:
    """Ask each application every question, the first one by turns."""
    draw = random.Random(3)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in apps}
    names = list(apps)
    for turn, text in enumerate(remarks(questions + WARM_UP, seed=11)):
        vector = [draw.gauss(0, 1) for _ in range(DIMENSION)]
        body = json.dumps({"query": text, "vector": vector, "namespace": NAMESPACE}).encode()
        found = {}
        for name in names if turn % 2 else reversed(names):
            milliseconds, found[name] = await asked(apps[name], body)
            if turn >= WARM_UP:
                spent[name].append(milliseconds)
        assert len({tuple(hits) for hits in found.values()}) == 1
    pairs = zip(spent["watched"], spent["bare"], strict=True)
    spent["difference"] = [(a[0] - b[0], a[1] - b[1]) for a, b in pairs]
    return [
        {
            "recall": name,
            "n": questions,
            "p50 ms": f"{percentile([wall for wall, _ in times], 0.5):.3f}",
            "p50 ms of the loop's thread": f"{percentile([cpu for _, cpu in times], 0.5):.3f}",
        }
        for name, times in spent.items()
    ]


async def measured(memories: int, questions: int) -> list[dict[str, object]]:
    """Fill two data directories with the same memories and compare."""
    async with AsyncExitStack() as stack:
        containers = []
        for _ in range(2):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            given = {"data_dir": Path(folder), "embedder": "none", "bootstrap_key": KEY}
            settings = load_settings({}, {**given, "vector_dimension": DIMENSION})
            containers.append(build(settings))
        unwatched(containers[1])
        made = drafts(memories, seed=7)
        for container in containers:
            await stack.enter_async_context(opened(container))
            for start in range(0, memories, BATCH):
                await container.remember_batch()(
                    made[start : start + BATCH], wait=Wait.STORED, actor="benchmark"
                )
        apps = {"watched": create_app(containers[0]), "bare": bare_app(containers[1])}
        return await compared(apps, questions)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memories", type=int, default=2000)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args()
    rows = asyncio.run(measured(options.memories, options.questions))
    report(f"Recall watched, {options.memories} memories", rows, as_json=options.json)


if __name__ == "__main__":
    main()
