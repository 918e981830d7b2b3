"""The tools over streamable HTTP at /mcp, for whoever the REST API lets in.

Every request stands alone (no sessions), so any replica may answer it. A tool's call of the REST
API happens inside the process, on the admission that the request itself was given.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import httpx
from litestar import asgi
from litestar.datastructures import Headers
from litestar.enums import MediaType
from litestar.types import HTTPReceiveMessage, HTTPRequestEvent, Receive, Scope, Send

from application.access.permits import Operation
from domain.errors import TooLarge
from entrypoints.http.access import ADMISSION, needs
from entrypoints.http.problems import unsupported

if TYPE_CHECKING:
    from litestar import Litestar
    from mcp.server.context import ServerRequestContext
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from application.access.admission import Admission
    from entrypoints.mcp.rest import Rest

BASE_URL = "http://localhost"


@asgi("/mcp", opt=needs(Operation.READ_SCHEMA), copy_scope=True)
async def streamable(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request of the protocol."""
    door: McpDoor = scope["litestar_app"].state.mcp
    await door(scope, receive, send)


class McpDoor:
    """The protocol's side of one application; begins with the first request."""

    def __init__(self, app: Litestar, version: str, *, body_bytes_max: int) -> None:
        self._app = app
        self._version = version
        self._body_bytes_max = body_bytes_max
        self._starting = asyncio.Lock()
        self._manager: StreamableHTTPSessionManager | None = None
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the protocol."""
        if scope["method"] == "POST":  # type: ignore[typeddict-item]
            # Refused here, the library would not say it as a problem.
            _demand_json(scope)
            receive = await _whole(scope, receive, self._body_bytes_max)
        async with self._starting:
            manager = self._manager or await self._started()
        await manager.handle_request(scope, receive, send)  # type: ignore[arg-type]

    async def _started(self) -> StreamableHTTPSessionManager:
        """Start; the protocol's library is imported off the event loop."""
        manager = await asyncio.to_thread(self._create)
        ready = asyncio.Event()
        self._running = asyncio.create_task(self._run(manager, ready), name="mcp")
        await ready.wait()
        self._manager = manager
        return manager

    def _create(self) -> StreamableHTTPSessionManager:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        from entrypoints.mcp.server import create_server

        return StreamableHTTPSessionManager(
            create_server(self._version, self._rest),
            json_response=True,
            stateless=True,
            max_request_body_size=self._body_bytes_max,
        )

    async def _run(self, manager: StreamableHTTPSessionManager, ready: asyncio.Event) -> None:
        async with manager.run():
            ready.set()
            await self._app.state.stopping.wait()

    def _rest(self, context: ServerRequestContext[Any, Any]) -> Rest:
        from entrypoints.mcp.rest import TIMEOUT, Rest

        assert context.request is not None
        scope = context.request.scope
        admission: Admission = scope[ADMISSION]
        transport = httpx.ASGITransport(
            _admitted(self._app, admission),  # type: ignore[arg-type]
            client=scope.get("client") or ("", 0),
        )
        return Rest(
            httpx.AsyncClient(
                transport=transport, base_url=BASE_URL, timeout=TIMEOUT, trust_env=False
            ),
            is_bound=admission.principal.within is not None,
        )

    async def close(self) -> None:
        """Wait for the end after `stopping` was set."""
        if self._running is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._running


def _demand_json(scope: Scope) -> None:
    """Raise 415 for a body that does not say that it is JSON."""
    kind = Headers.from_scope(scope).get("content-type", "")
    if kind.partition(";")[0].strip().lower() != MediaType.JSON:
        raise unsupported("content-type", f"must be {MediaType.JSON.value}")


async def _whole(scope: Scope, receive: Receive, bytes_max: int) -> Receive:
    """Read the body; return what receives it again. Raises `TooLarge`."""
    too_large = TooLarge("body", limit=bytes_max, unit="bytes")
    announced = Headers.from_scope(scope).get("content-length", "")
    if announced.isdecimal() and int(announced) > bytes_max:
        raise too_large
    body = bytearray()
    more = True
    while more:
        message: Any = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > bytes_max:
            raise too_large
    pieces = [HTTPRequestEvent(type="http.request", body=bytes(body), more_body=False)]

    async def again() -> HTTPReceiveMessage:
        return pieces.pop() if pieces else await receive()  # type: ignore[return-value]

    return again


def _admitted(app: Litestar, admission: object) -> object:
    """Return the application as called by somebody who was let in already."""

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        scope[ADMISSION] = admission  # type: ignore[literal-required]
        await app(scope, receive, send)

    return inner
