"""Messages of an event log as part of the traces that caused them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager

from adapters.observation.tracing import Tracing
from domain.messaging import Message, MessageSource, Subscription


class TracedSource:
    """Implements `domain.messaging.MessageSource` over another one.

    Each batch leaves a span in the traces of its messages, from when it was handed out until its
    effect was safe.
    """

    def __init__(self, inner: MessageSource, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing

    @asynccontextmanager
    async def subscribe(self, topic: str, group: str, /) -> AsyncIterator[Subscription]:
        """Become a member until the block ends."""
        async with self._inner.subscribe(topic, group) as subscription:
            yield _Traced(subscription, topic, self._tracing)


class _Traced:
    def __init__(self, inner: Subscription, topic: str, tracing: Tracing) -> None:
        self._inner = inner
        self._topic = topic
        self._tracing = tracing
        self._block: AbstractContextManager[None] | None = None

    async def batches(self) -> AsyncIterator[list[Message]]:
        async for batch in self._inner.batches():
            self._block = self._tracing.consumed(self._topic, batch)
            self._block.__enter__()
            yield batch

    async def done(self, messages: Sequence[Message], /) -> None:
        await self._inner.done(messages)
        block, self._block = self._block, None
        if block is not None:
            block.__exit__(None, None, None)
