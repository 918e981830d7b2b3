"""Wake-ups within this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager

from domain.namespace import Namespace, Scope


class InProcessBus:
    """Wakes subscribers on the same event loop.

    A subscriber owes at most one wake-up however often its feeds move meanwhile, so a slow one
    costs no memory and never holds up a publisher.
    """

    def __init__(self) -> None:
        self._subscribers: set[_Subscriber] = set()

    async def publish(self, namespaces: Iterable[Namespace], /) -> None:
        """Wake everybody who follows one of these namespaces."""
        moved = tuple(namespaces)
        for subscriber in self._subscribers:
            subscriber.notice(moved)

    @asynccontextmanager
    async def subscribe(self, scope: Scope | None, /) -> AsyncGenerator[AsyncIterator[None]]:
        """Iterate over wake-ups from now on, until the block ends."""
        subscriber = _Subscriber(scope)
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)
            subscriber.end()


class _Subscriber:
    """An iterator over the wake-ups of one scope; it ends with its subscription."""

    def __init__(self, scope: Scope | None) -> None:
        self._scope = scope
        self._moved = asyncio.Event()
        self._ended = False

    def notice(self, namespaces: tuple[Namespace, ...]) -> None:
        scope = self._scope
        if scope is None or any(scope.contains(namespace) for namespace in namespaces):
            self._moved.set()

    def end(self) -> None:
        self._ended = True
        self._moved.set()

    def __aiter__(self) -> AsyncIterator[None]:
        return self

    async def __anext__(self) -> None:
        await self._moved.wait()
        if self._ended:
            raise StopAsyncIteration
        self._moved.clear()
