"""uvicorn as one of several servers in one event loop: no signals, no log set-up, no polling."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import TYPE_CHECKING

from uvicorn import Config, Server

if TYPE_CHECKING:
    from litestar.types import ASGIApp


def configured(app: ASGIApp, *, keep_alive_seconds: int, grace_seconds: int | None) -> Config:
    """Return the configuration of a server that logs no requests: they hold content."""
    return Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=grace_seconds,
    )


class QuietServer(Server):
    """A server that is told to stop by setting `should_exit`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to whoever runs several servers."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; without waiting when nobody is connected."""
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)
