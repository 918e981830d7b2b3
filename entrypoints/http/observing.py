"""Count, time and log requests by route template: their paths and parameters name content."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from application.tracing import current_trace, traced
from entrypoints.http.access import admission_of

if TYPE_CHECKING:
    from entrypoints.observation import Log, Tallies, Tracing

REQUESTS = "http_request"
REQUEST_ID = "X-Request-ID"
_HEADER = b"x-request-id"
_TRACEPARENT = b"traceparent"
_SANE = re.compile(r"[A-Za-z0-9._:@+=/-]{1,128}")
#: Asked by machines every few seconds: not worth a line unless they fail.
_UNWATCHED = frozenset({"/healthz", "/readyz", "/metrics"})
_FAILED = 500


class Observed:
    """Observe every request that reached a route; labels are templates, so they stay few.

    A plain middleware: Litestar's own class for them costs as much again.
    """

    def __init__(self, tallies: Tallies, log: Log, tracing: Tracing) -> None:
        self._tallies = tallies
        self._log = log
        self._tracing = tracing

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Return the app as observed."""

        async def observed(scope: Scope, receive: Receive, send: Send) -> None:
            trace = self._tracing.traceparent(_header(scope, _TRACEPARENT))
            if trace is None and current_trace() is None:
                await self._answered(app, scope, receive, send)
                return
            with traced(trace):
                await self._answered(app, scope, receive, send)

        return observed

    async def _answered(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, name it in the answer, note its status and duration."""
        id = request_id(scope)
        status = 0

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (_HEADER, id.encode())]
            await send(message)

        started = time.perf_counter()
        with self._log.about(request_id=id):
            try:
                await app(scope, receive, named)
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


def request_id(scope: Scope) -> str:
    """Return the caller's own id of the request where it is sane, else one made for it."""
    given = _header(scope, _HEADER)
    return given if given and _SANE.fullmatch(given) else secrets.token_hex(16)


def _header(scope: Scope, name: bytes) -> str | None:
    for known, value in scope["headers"]:
        if known == name:
            return value.decode("latin-1")
    return None


def _caller(scope: Scope) -> str | None:
    """Return the name of who is asking, None when nobody was let in."""
    admission = admission_of(scope)
    return None if admission is None else admission.principal.name
