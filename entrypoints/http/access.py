"""Who may call: a key, callers from this machine, and the socket in the data directory."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import MethodNotAllowedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from application.access.admission import OWNER, Access, Admission, Peer
from application.access.guarded import Guarded
from application.access.permits import Operation
from container import Container
from domain.errors import Forbidden
from entrypoints.credentials import API_KEY, AUTHORIZATION, is_loopback, token_of
from entrypoints.http.admission import seat_of

ADMISSION = "soma.admission"
_TRUSTED = "soma.trusted"
_OPERATION = "operation"
_OPEN = "is_open"
_OWNERS_SOCKET = Peer(None, is_owner=True)

Connection = ASGIConnection[Any, Any, Any, State]


def needs(operation: Operation) -> dict[str, object]:
    """Return a route's options that say what it does: whoever may not do it is not let in."""
    return {_OPERATION: operation}


def is_open() -> dict[str, object]:
    """Return the options of a route that anybody may ask."""
    return {_OPEN: True}


def operation_of(handler: BaseRouteHandler) -> Operation | None:
    """Return what a route does; None when it is open to all. A route must say either."""
    return None if handler.opt.get(_OPEN) else Operation(handler.opt[_OPERATION])


def over_socket(app: ASGIApp) -> ASGIApp:
    """Return the app as served on the data directory's socket, where file permissions decide.

    A scope key cannot come from the network: the server builds the scope.
    """

    async def trusted(scope: Scope, receive: Receive, send: Send) -> None:
        scope[_TRUSTED] = True  # type: ignore[literal-required]
        await app(scope, receive, send)

    return trusted


def is_owner(connection: Connection) -> bool:
    """Tell whether a call came over the data directory's socket."""
    return bool(connection.scope.get(_TRUSTED))


async def admit(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let in who may do what the route does.

    Raises `AccessDenied`, `RateLimited`, `Forbidden`, or `PermissionDeniedException` for a web
    page that speaks to loopback.
    """
    if handler.opt.get(_OPEN):
        return
    guarded = await admitted(connection)
    if connection.scope.get("method") == "OPTIONS":
        # Litestar's own answer names only the method that it met first.
        raise MethodNotAllowedException(headers={"Allow": ", ".join(_methods(connection))})
    operation = handler.opt.get(_OPERATION)
    if operation is None:
        raise Forbidden("nothing is known about this route")
    guarded.require(operation)


async def admitted(connection: Connection) -> Guarded:
    """Return the use cases for who is asking, and note them as `connection.auth`."""
    state = connection.app.state
    # Only this process can put an admission into a scope: a tool calling on behalf of its caller.
    admission = admission_of(connection.scope) or await _admission(connection, state.access)
    seat = seat_of(connection.scope)
    if seat is not None:
        seat.of(admission.principal.key_id)
    guarded: Guarded = state.guarded(admission.principal)
    connection.scope["auth"] = guarded
    connection.scope[ADMISSION] = admission  # type: ignore[literal-required]
    return guarded


async def _admission(connection: Connection, access: Access) -> Admission:
    peer = _peer_of(connection)
    token = None
    if not peer.is_owner:
        headers = connection.headers
        token = token_of(headers.get(AUTHORIZATION), headers.get(API_KEY))
    admission = await access.admit(token, peer)
    if admission.principal is OWNER and not peer.is_owner:
        _refuse_foreign_pages(connection)
    return admission


def admission_of(scope: Scope) -> Admission | None:
    """Return how a request was let in, None when it was not (yet)."""
    return scope.get(ADMISSION)  # type: ignore[return-value]


def caller(request: Request[Any, Guarded, State]) -> Guarded:
    """Return what the caller may do."""
    return request.auth


def keep_gate(state: State, container: Container) -> None:
    """Give an application what `admit` needs."""
    state.access = container.access()
    state.guarded = container.guarded()


def _methods(connection: Connection) -> list[str]:
    """Return what may be done with the route that was asked for."""
    place = connection.scope["path_template"]
    found = [route.methods for route in connection.app.routes if route.path_format == place]
    # What is no route of Litestar's speaks a protocol of its own, by POST.
    return sorted(set().union(*found) - {"OPTIONS"}) or ["POST"]


def _peer_of(connection: Connection) -> Peer:
    if connection.scope.get(_TRUSTED):
        return _OWNERS_SOCKET
    client = connection.scope.get("client")
    return _network_peer(client[0] if client else "")


@lru_cache(maxsize=1024)
def _network_peer(address: str) -> Peer:
    return Peer(address, is_local=is_loopback(address))


def _refuse_foreign_pages(connection: Connection) -> None:
    """Without a key only this machine may speak, and no web page on its behalf.

    A browser can be led to loopback by a rebound DNS name (Host) or from another site (Origin).
    """
    host = connection.headers.get("host")
    if host is not None and not is_loopback(_hostname(f"//{host}")):
        raise PermissionDeniedException("without an API key the Host must be localhost")
    origin = connection.headers.get("origin")
    if origin is not None and not is_loopback(_hostname(origin)):
        raise PermissionDeniedException("without an API key other web sites may not call")


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
