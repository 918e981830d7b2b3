"""Serve the REST application on an address, on the data directory's socket, or on both."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import ConfigurationError
from entrypoints.credentials import is_loopback

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.types import ASGIApp
    from uvicorn import Server

    from application.access.admission import Access
    from container import Container

BACKLOG = 512
GRACE_SECONDS = 10
KEEP_ALIVE_SECONDS = 30
OWNER_ONLY = 0o600


async def serve_http(
    container: Container,
    *,
    host: str,
    port: int,
    socket_path: Path | None,
    ready: Callable[[str], None] | None = None,
    grpc_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve on `host:port`, and on a socket where one is named, until SIGINT or SIGTERM.

    `ready` is told the URL, `grpc_ready` the address of gRPC where that is served too. Raises
    `ConfigurationError` when an address is taken, or open to others without a key.
    """
    from entrypoints.http.access import over_socket
    from entrypoints.http.app import create_app

    await check_exposure(host, container.access())
    container.failure_log().take_over()
    app = create_app(container)
    async with contextlib.AsyncExitStack() as stack:
        network = stack.enter_context(tcp_listener(host, port))
        servers = [(_server(app), network)]
        if socket_path is not None:
            local = stack.enter_context(_unix_listener(socket_path))
            servers.append((_server(over_socket(app)), local))
        stack.enter_context(_signals([server for server, _ in servers], app))
        address = None
        if container.settings().grpc_port is not None:
            from entrypoints.grpc.server import grpc_served

            address = await stack.enter_async_context(grpc_served(container, app.state.stopping))
        async with asyncio.TaskGroup() as group:
            for server, listener in servers:
                group.create_task(server.serve(sockets=[listener]))
            if ready is not None:
                ready(url_of(network))
            if grpc_ready is not None and address is not None:
                grpc_ready(address)


@asynccontextmanager
async def serve_socket(container: Container, socket_path: Path) -> AsyncIterator[None]:
    """Serve only the socket while the block runs, for other processes on the same directory.

    The web framework is loaded when somebody calls: a short command that nobody calls does not
    pay for it.
    """
    with _unix_listener(socket_path) as listener:
        caller = _Called(container, listener)
        task = asyncio.create_task(caller.serve(), name="socket")
        try:
            yield
        finally:
            await caller.stop(task)


async def check_exposure(host: str, access: Access) -> None:
    """Refuse to be reachable from other machines as long as there is no key to ask for."""
    if is_loopback(host) or await access.demands_keys():
        return
    raise ConfigurationError(
        f"host {host!r} is reachable from other machines and there is no key: "
        "set SOMA_BOOTSTRAP_KEY (or SOMA_BOOTSTRAP_KEY_FILE), make a key with `soma keys create`, "
        "or listen on 127.0.0.1"
    )


class _Called:
    """A server that comes into being with the first connection."""

    def __init__(self, container: Container, listener: socket.socket) -> None:
        self._container = container
        self._listener = listener
        self._app: Litestar | None = None
        self._server: Server | None = None

    async def serve(self) -> None:
        await self._first_caller()
        await asyncio.to_thread(_load)
        from entrypoints.http.access import over_socket
        from entrypoints.http.app import create_app

        self._app = create_app(self._container)
        # Whoever still works through this socket is let finish: it may be a long import.
        self._server = _server(over_socket(self._app), grace_seconds=None)
        await self._server.serve(sockets=[self._listener])

    async def stop(self, task: asyncio.Task[None]) -> None:
        if self._server is None or self._app is None:
            task.cancel()
        else:
            _stop([self._server], self._app)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _first_caller(self) -> None:
        loop = asyncio.get_running_loop()
        called = asyncio.Event()
        loop.add_reader(self._listener, called.set)
        try:
            await called.wait()
        finally:
            loop.remove_reader(self._listener)


def _load() -> None:
    """Import what serving needs, off the event loop."""
    import uvicorn  # noqa: F401

    import entrypoints.http.app  # noqa: F401


def _server(app: ASGIApp, *, grace_seconds: int | None = GRACE_SECONDS) -> Server:
    from entrypoints.http.uvicorn_server import QuietServer, configured

    return QuietServer(
        configured(app, keep_alive_seconds=KEEP_ALIVE_SECONDS, grace_seconds=grace_seconds)
    )


def _stop(servers: list[Server], app: Litestar) -> None:
    """Let streams end and servers finish what they are answering; asked twice, at once."""
    for server in servers:
        server.force_exit = server.should_exit
        server.should_exit = True
    app.state.stopping.set()


@contextlib.contextmanager
def _signals(servers: list[Server], app: Litestar) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    handled = (signal.SIGINT, signal.SIGTERM)
    for number in handled:
        loop.add_signal_handler(number, _stop, servers, app)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def tcp_listener(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on an address while the block runs; raise `ConfigurationError` when it is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on host {host!r}: {error}") from error
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {host}:{port}: {error}") from error
        listener.setblocking(False)
        yield listener


@contextlib.contextmanager
def _unix_listener(path: Path) -> Iterator[socket.socket]:
    """Listen on a socket that only its owner may open.

    The caller owns the data directory: a socket file that is there already is left over.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            path.unlink(missing_ok=True)
            listener.bind(str(path))
            path.chmod(OWNER_ONLY)
            listener.listen(BACKLOG)
        except OSError as error:
            raise ConfigurationError(f"cannot listen on the socket {path}: {error}") from error
        listener.setblocking(False)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def url_of(listener: socket.socket) -> str:
    """Return the address of a listener as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
