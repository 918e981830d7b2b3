"""A TCP proxy that can swallow everything: the network failure that no refused connection shows."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from enum import Enum

from tests.servers.server import free_port


class Mode(Enum):
    """What the proxy does with traffic."""

    FORWARD = "forward"
    BLACK_HOLE = "black hole"  # takes connections and bytes, answers nothing
    REFUSE = "refuse"


class Proxy:
    """Listens on a port of its own in a thread of its own, in front of another port."""

    def __init__(self, upstream_port: int, *, port: int | None = None) -> None:
        self.port = port or free_port()
        self._upstream_port = upstream_port
        self._mode = Mode.FORWARD
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def set(self, mode: Mode) -> None:
        """Change what happens to open and to new connections."""
        asyncio.run_coroutine_threadsafe(self._change(mode), self._loop).result(10)

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxy]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        asyncio.run_coroutine_threadsafe(self._change(Mode.FORWARD), self._loop).result(10)
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._change(Mode.REFUSE), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    async def _change(self, mode: Mode) -> None:
        self._mode = mode
        if mode is Mode.REFUSE:
            if self._server is not None:
                self._server.close()
                self._server = None
            for task in list(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
        elif self._server is None:
            self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._between(reader, writer)
        finally:
            self._connections.discard(task)
            await _closed(writer)

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode is Mode.REFUSE:
            return  # It was let in just before the door was shut.
        if self._mode is Mode.BLACK_HOLE:
            await self._pass_on(reader, None)
            return
        upstream, downstream = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        pumps = [
            asyncio.create_task(self._pass_on(reader, downstream)),
            asyncio.create_task(self._pass_on(upstream, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await _closed(downstream)

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter | None
    ) -> None:
        while data := await source.read(65_536):
            if target is not None and self._mode is Mode.FORWARD:
                target.write(data)
                await target.drain()


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Cut a connection, and wait until it is gone."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
