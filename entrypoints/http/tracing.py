"""Take up the trace of the caller."""

from __future__ import annotations

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from application.tracing import traced

_HEADER = b"traceparent"


class Traced(ASGIMiddleware):
    """Answer each request as part of the trace that its `traceparent` header names."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on."""
        given = next((value for name, value in scope["headers"] if name == _HEADER), None)
        with traced(None if given is None else given.decode("latin-1")):
            await next_app(scope, receive, send)
