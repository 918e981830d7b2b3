"""Serve the tools over stdin and stdout, for the data directory or server that options name."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Iterator

from mcp.server.stdio import stdio_server

from entrypoints.cli.client import http_client
from entrypoints.mcp.rest import Rest
from entrypoints.mcp.server import create_server
from entrypoints.mcp.unread import Readable
from entrypoints.version import version_text


async def serve_stdio(options: argparse.Namespace) -> None:
    """Answer until stdin ends, or SIGINT or SIGTERM; nothing but the protocol goes to stdout."""
    async with http_client(options) as http:
        rest = Rest(http)
        server = create_server(version_text(), lambda _: rest, namespace=options.settings.namespace)
        # Whoever may have to become the owner of the directory does so while the client says hello.
        warming = asyncio.create_task(_warmed(rest))
        try:
            with _cancelled_by_signals():
                async with stdio_server() as (incoming, outgoing):
                    readable = Readable(incoming, outgoing)
                    await server.run(readable, outgoing, server.create_initialization_options())
        finally:
            warming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await warming


async def _warmed(rest: Rest) -> None:
    from entrypoints.mcp.rest import Refused

    with contextlib.suppress(Refused):
        await rest.get("/v1/namespaces", limit=1)


@contextlib.contextmanager
def _cancelled_by_signals() -> Iterator[None]:
    """End the block when told to stop; what is open is closed in order."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    handled = (signal.SIGINT, signal.SIGTERM)
    told = []

    def stop(number: int) -> None:
        told.append(number)
        task.cancel()

    for number in handled:
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    except asyncio.CancelledError:
        if not told:
            raise
        task.uncancel()
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
