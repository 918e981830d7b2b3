"""Refuse what would only queue: so many requests at a time, and no memory beyond."""

from __future__ import annotations

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from domain.errors import Overloaded

READING, WRITING = "reading", "writing"
#: Asked by those who watch over the process, most of all when it has too much to do.
UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics"})
#: These stay open for as long as the caller listens.
STREAMS = frozenset({"/v1/events"})
_QUESTIONS = frozenset({"/v1/recall", "/v1/recall/batch", "/recall"})
_READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Bounded(ASGIMiddleware):
    """Let in at most so many requests of each class at a time; the rest is told to come again.

    A request counts from before its body is read until its answer is sent, whatever it waits for.
    """

    def __init__(self, *, reading_max: int, writing_max: int) -> None:
        self._limits = {READING: reading_max, WRITING: writing_max}
        #: How many are in the house, by class.
        self.inside = {READING: 0, WRITING: 0}

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on; raise `Overloaded` when too many are there already."""
        kind = class_of(str(scope.get("method")), scope["path_template"])
        if kind is None:
            await next_app(scope, receive, send)
            return
        if self.inside[kind] >= self._limits[kind]:
            raise Overloaded(f"{self._limits[kind]} {kind} requests are being answered: try again")
        self.inside[kind] += 1
        try:
            await next_app(scope, receive, send)
        finally:
            self.inside[kind] -= 1


def class_of(method: str, route: str) -> str | None:
    """Return which limit a request counts under, None where it counts under none."""
    if route in UNCOUNTED or route in STREAMS:
        return None
    if method in _READING_METHODS or route in _QUESTIONS:
        return READING
    return WRITING
