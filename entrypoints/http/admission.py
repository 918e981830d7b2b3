"""Refuse what would only queue, and a body that does not arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send

from application.access.seats import Kind, Seat, Seats
from domain.errors import CallerGone, TooSlow

#: Asked by those who watch over the process, most of all when it has too much to do.
UNWATCHED = frozenset({"/healthz", "/readyz", "/metrics"})
#: These stay open for as long as the caller listens.
STREAMS = frozenset({"/v1/events"})
#: What a tool calls for its caller counts, in this process; the request around it counts until its
#: body is there: beyond that it would be a second one.
AROUND = frozenset({"/mcp"})
#: A body of any length, as fast as it can be stored: not late as long as it goes on.
ENDLESS = frozenset({"/v1/import"})
#: So much longer than a whole body may the next piece of an endless one take: whoever makes it may
#: have to think about every line.
_PATIENCE = 10
_UNCOUNTED = UNWATCHED | STREAMS | AROUND
_QUESTIONS = frozenset({"/v1/recall", "/v1/recall/batch", "/recall"})
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
_SEAT = "soma.seat"


class Bounded(ASGIMiddleware):
    """Let in as many requests as there is room for, and none for longer than its body needs."""

    def __init__(self, seats: Seats, *, body_seconds: float) -> None:
        self._seats = seats
        self._body_seconds = body_seconds

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on; raise `Overloaded` when too many are there already."""
        method, route = str(scope.get("method")), scope["path_template"]
        if method not in _WITHOUT_BODY:
            receive = _in_time(receive, self._body_seconds, piecewise=route in ENDLESS)
        with ExitStack() as stack:
            if route in AROUND and method not in _WITHOUT_BODY:
                self._take_seat(stack, scope, Kind.WRITING)
                receive = _then(receive, stack.close)
            elif (kind := kind_of(method, route)) is not None:
                self._take_seat(stack, scope, kind)
            await next_app(scope, receive, send)

    def _take_seat(self, stack: ExitStack, scope: Scope, kind: Kind) -> None:
        scope[_SEAT] = stack.enter_context(self._seats.entered(kind))  # type: ignore[literal-required]


def kind_of(method: str, route: str) -> Kind | None:
    """Return which limit a request counts under, None where it counts under none."""
    if route in _UNCOUNTED:
        return None
    if method in _WITHOUT_BODY or route in _QUESTIONS:
        return Kind.READING
    return Kind.WRITING


def seat_of(scope: Scope) -> Seat | None:
    """Return what a request is counted by, None when it is not."""
    return scope.get(_SEAT)  # type: ignore[return-value]


def _then(receive: Receive, done: Callable[[], None]) -> Receive:
    """Return `receive` as it tells when the body is there as a whole."""

    async def received() -> HTTPReceiveMessage:
        message: HTTPReceiveMessage = await receive()  # type: ignore[assignment]
        if not message.get("more_body", False):
            done()
        return message

    return received


def _in_time(receive: Receive, seconds: float, *, piecewise: bool) -> Receive:
    """Return `receive` as it raises `TooSlow` for a late body and `CallerGone` for a torn one.

    `piecewise`: each piece has ten times as long, else all of it together has so long.
    """
    seconds *= _PATIENCE if piecewise else 1
    until = asyncio.get_running_loop().time() + seconds
    is_whole = False

    async def received() -> HTTPReceiveMessage:
        nonlocal until, is_whole
        if is_whole:
            return await receive()  # type: ignore[return-value]
        if piecewise:
            until = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(until):
                message: HTTPReceiveMessage = await receive()  # type: ignore[assignment]
        except TimeoutError as error:
            raise TooSlow(seconds) from error
        if message["type"] == "http.disconnect":
            raise CallerGone("the body broke off")
        is_whole = not message.get("more_body", False)
        return message

    return received
