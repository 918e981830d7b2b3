"""The change feed as Server-Sent Events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, TypeVar

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from application.access.permits import Operation
from domain.errors import AccessDenied, InvalidInput
from domain.events import Event, FeedPosition
from domain.namespace import parse_namespace
from entrypoints.http import shapes
from entrypoints.http.access import needs
from entrypoints.http.problems import documented
from entrypoints.http.requests import Soma
from entrypoints.http.schemas_recall import SpaceParameter

T = TypeVar("T")

_SEQ_DIGITS_MAX = 18


@get(
    "/events", opt=needs(Operation.WATCH), media_type="text/event-stream", responses=documented(400)
)
async def events(
    soma: Soma,
    state: State,
    namespace: SpaceParameter = None,
    last_event_id: Annotated[
        str | None,
        HeaderParameter(
            name="Last-Event-ID",
            description="resume after `epoch:seq`",
            schema_extra=dict(shapes.FEED_POSITION),
        ),
    ] = None,
    after: Annotated[
        str | None,
        QueryParameter(
            name="last_event_id",
            description="the same, for lack of a header",
            schema_extra=dict(shapes.FEED_POSITION),
        ),
    ] = None,
) -> Stream:
    """Follow the change feed of one exact namespace from its first event, or from a position."""
    position = _position(after if last_event_id is None else last_event_id)
    feed = soma.watch(
        parse_namespace(soma.home if namespace is None else namespace), after=position
    )
    return Stream(
        _lines(feed, state.stopping),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


async def until(stopping: asyncio.Event, items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Iterate over `items`, and end as soon as the server stops."""
    stop = asyncio.ensure_future(stopping.wait())
    upcoming: asyncio.Future[T] | None = None
    try:
        while True:
            upcoming = asyncio.ensure_future(anext(items))
            await asyncio.wait({upcoming, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not upcoming.done():
                return
            try:
                item = upcoming.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        for task in (stop, upcoming):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                    await task
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def _lines(
    feed: AsyncIterator[tuple[str, Event] | None], stopping: asyncio.Event
) -> AsyncIterator[bytes]:
    yield b": connected\n\n"
    # A key that ends meanwhile ends the stream as a stopping server does.
    with contextlib.suppress(AccessDenied):
        async for item in _items(feed, stopping):
            if item is None:
                yield b": heartbeat\n\n"
                continue
            epoch, event = item
            head = f"id: {epoch}:{event.seq}\nevent: {event.type}\ndata: "
            yield head.encode() + msgspec.json.encode(event) + b"\n\n"


async def _items(feed: AsyncIterator[T], stopping: asyncio.Event) -> AsyncIterator[T]:
    async with contextlib.aclosing(until(stopping, feed)) as items:
        async for item in items:
            yield item


def _position(last_event_id: str | None) -> FeedPosition | None:
    if last_event_id is None:
        return None
    epoch, _, seq = last_event_id.rpartition(":")
    if not epoch or not seq.isascii() or not seq.isdigit() or len(seq) > _SEQ_DIGITS_MAX:
        raise InvalidInput("Last-Event-ID", "must be `epoch:seq`, as an event's id")
    return FeedPosition(epoch, int(seq))


ROUTES = [events]
