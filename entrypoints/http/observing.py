"""Count, time and log requests by route template: their paths and parameters name content."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any, cast

from litestar.datastructures import MutableScopeHeaders
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from entrypoints.observation import Log, Tallies

REQUESTS = "http_request"
REQUEST_ID = "X-Request-ID"
_HEADER = b"x-request-id"
_SANE = re.compile(rb"[A-Za-z0-9._:@+=/-]{1,128}")
_KEY = "soma.request_id"
#: Asked by machines every few seconds: not worth a line unless they fail.
_UNWATCHED = frozenset({"/healthz", "/readyz", "/metrics"})
_FAILED = 500


class Observed(ASGIMiddleware):
    """Observe every request that reached a route; labels are templates, so they stay few."""

    def __init__(self, tallies: Tallies, log: Log) -> None:
        self._tallies = tallies
        self._log = log

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on and note its status and duration."""
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        with self._log.about(request_id=request_id(scope)):
            try:
                await next_app(scope, receive, observed)
            finally:
                self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = str(scope.get("method")), scope["path_template"]
        self._tallies.timed(REQUESTS, (method, route, str(status)), None, seconds)
        if self._log.tells_what_is_done and (route not in _UNWATCHED or status >= _FAILED):
            self._log.done(
                "request",
                method=method,
                route=route,
                status=status,
                seconds=round(seconds, 6),
                caller=_caller(scope),
            )


async def answer_with_request_id(message: Message, scope: Scope) -> None:
    """Put the request's id into the head of its answer, whatever the answer is."""
    if message["type"] == "http.response.start":
        MutableScopeHeaders.from_message(message)[REQUEST_ID] = request_id(scope)


def request_id(scope: Scope) -> str:
    """Return the caller's own id of the request where it is sane, else one made for it."""
    facts = cast("dict[str, Any]", scope)
    known: str | None = facts.get(_KEY)
    if known is None:
        given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
        known = given.decode() if _SANE.fullmatch(given) else uuid.uuid4().hex
        facts[_KEY] = known
    return known


def _caller(scope: Scope) -> str | None:
    """Return the name of who is asking, None when nobody was let in."""
    auth = scope.get("auth")
    return auth if auth is None or isinstance(auth, str) else str(auth.name)
