"""Run every loop of the worker until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from domain.errors import SomaError
from entrypoints.http.server import check_exposure, tcp_listener, url_of

if TYPE_CHECKING:
    from litestar import Litestar

    from container import Container
    from entrypoints.worker.loops import Loop

GRACE_SECONDS = 10.0


async def run_worker(container: Container, *, ready: Callable[[str], None]) -> None:
    """Work until SIGINT or SIGTERM; `ready` is told where health and metrics are.

    Every step is one transaction or is repeated after an interruption, so stopping means
    cancelling: what was under way is done again by whoever works next.
    """
    from entrypoints.worker.health import health_app
    from entrypoints.worker.loops import loops_of
    from entrypoints.worker.observing import Observer

    settings = container.settings()
    await check_exposure(settings.worker_host, container.access())
    tallies, log = container.tallies(), container.failure_log()
    log.take_over()
    loops = loops_of(container, lambda loop: Observer(loop, tallies, log))
    app = health_app(container)
    stopping = asyncio.Event()
    with tcp_listener(settings.worker_host, settings.worker_port) as listener, _signals(stopping):
        async with _serving(app, listener), _working(loops) as working:
            ready(url_of(listener))
            stopped = asyncio.create_task(stopping.wait())
            await asyncio.wait({stopped, working}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if working.done():
                _raise_first(working)


@asynccontextmanager
async def _working(loops: Mapping[str, Loop]) -> AsyncIterator[asyncio.Task[None]]:
    """Run the loops; the task given ends only when one of them fails for good."""

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for loop in loops.values():
                group.create_task(_run(loop))

    task = asyncio.create_task(all_of_them(), name="loops")
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=GRACE_SECONDS)


def _raise_first(working: asyncio.Task[None]) -> None:
    """Raise the error that ended the loops: one that Soma knows has a line of its own."""
    try:
        working.result()
    except BaseExceptionGroup as group:
        known = group.subgroup(SomaError)
        if known is None:
            raise
        error: BaseException = known
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from group


async def _run(loop: Loop) -> None:
    await loop()


@asynccontextmanager
async def _serving(app: Litestar, listener: socket.socket) -> AsyncIterator[None]:
    from entrypoints.http.uvicorn_server import QuietServer, configured

    server = QuietServer(configured(app, keep_alive_seconds=5, grace_seconds=1))
    task = asyncio.create_task(server.serve(sockets=[listener]), name="health")
    try:
        yield
    finally:
        server.should_exit = True
        await task


@contextlib.contextmanager
def _signals(stopping: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    handled = (signal.SIGINT, signal.SIGTERM)
    for number in handled:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
