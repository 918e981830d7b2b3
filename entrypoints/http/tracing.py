"""Take up the trace of the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from application.tracing import traced

if TYPE_CHECKING:
    from entrypoints.observation import Tracing

_HEADER = b"traceparent"


class Traced(ASGIMiddleware):
    """Answer each request as part of the trace of our own span, or the one its header names."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on."""
        given = next((value for name, value in scope["headers"] if name == _HEADER), None)
        named = None if given is None else given.decode("latin-1")
        with traced(self._tracing.traceparent(named)):
            await next_app(scope, receive, send)
