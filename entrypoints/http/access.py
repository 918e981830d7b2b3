"""Who may call: the bootstrap key, loopback callers, and the socket in the data directory."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from domain.errors import AccessDenied

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_ROUTES = frozenset({"/healthz", "/readyz"})
BY_KEY = "bootstrap"
LOCAL = "local"
_TRUSTED = "soma.trusted"

Connection = ASGIConnection[Any, Any, Any, State]


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


async def admit(connection: Connection, _: BaseRouteHandler) -> None:
    """Let in the owner's socket, the key, or, without a key, callers from this machine.

    Raises `AccessDenied`, or `PermissionDeniedException` for a web page that speaks to loopback.
    """
    if connection.scope.get(_TRUSTED):
        connection.scope["auth"] = LOCAL
        return
    if connection.scope["path_template"] in OPEN_ROUTES:
        return
    key = connection.app.state.bootstrap_key
    if key is None:
        _refuse_foreign_pages(connection)
        connection.scope["auth"] = LOCAL
        return
    if not hmac.compare_digest(_given_key(connection).encode(), key.encode()):
        raise AccessDenied
    connection.scope["auth"] = BY_KEY


def caller(request: Request[Any, str, State]) -> str:
    """Return who is asking, as history and audit name them."""
    return request.auth


def _given_key(connection: Connection) -> str:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return connection.headers.get("x-api-key", "")


def _refuse_foreign_pages(connection: Connection) -> None:
    """Without a key only this machine may speak, and no web page on its behalf.

    A browser can be led to loopback by a rebound DNS name (Host) or from another site (Origin).
    """
    host = connection.headers.get("host")
    if host is not None and _hostname(f"//{host}") not in LOOPBACK:
        raise PermissionDeniedException("without an API key the Host must be localhost")
    origin = connection.headers.get("origin")
    if origin is not None and _hostname(origin) not in LOOPBACK:
        raise PermissionDeniedException("without an API key other web sites may not call")


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
