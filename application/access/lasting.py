"""What goes on for a long time ends with the key it was begun with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def while_confirmed(
    items: AsyncIterator[T], confirm: Callable[[], Awaitable[None]], *, every_seconds: float
) -> AsyncGenerator[T, None]:
    """Pass items on; `confirm`, which ends it all by raising, is asked also while none comes."""
    upcoming: asyncio.Future[T] | None = None
    try:
        while True:
            upcoming = asyncio.ensure_future(anext(items))
            while not upcoming.done():
                await asyncio.wait({upcoming}, timeout=every_seconds)
                await confirm()
            try:
                item = upcoming.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        if upcoming is not None and not upcoming.done():
            upcoming.cancel()
            await asyncio.wait({upcoming})
        if isinstance(items, AsyncGenerator):
            await items.aclose()
