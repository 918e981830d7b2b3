"""Store what producers put into the event log: exactly once in effect, or parked with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from application.remember import Remember
from application.tracing import traced
from domain.draft import Draft, Wait
from domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    SomaError,
    TooLarge,
    Unavailable,
)
from domain.messaging import DeadLetters, Message, MessageSource, Subscription

ACTOR = "ingest"
KEY_HEADER = "idempotency-key"
TRACE_HEADER = "traceparent"
#: Each takes a connection of the store, which the other loops need too.
LANES_AT_ONCE = 3
RETRY_SECONDS_MIN = 0.5
RETRY_SECONDS_MAX = 5.0


@dataclass(frozen=True, kw_only=True)
class Ingest:
    """Remember the memories of a topic, with the use case that every other door uses.

    The idempotency key is the one in the message's header, or else its place in the log: a message
    that comes twice is stored once. `read` raises `InvalidInput` for a body that is no draft.
    """

    remember: Remember
    source: MessageSource
    dead_letters: DeadLetters
    read: Callable[[bytes], Draft]
    report: Callable[[SomaError], None]
    done: Callable[[int], None]
    topic: str
    group: str

    async def __call__(self) -> None:
        """Run until cancelled."""
        async with self.source.subscribe(self.topic, self.group) as subscription:
            async for batch in subscription.batches():
                await self._finish(subscription, batch)

    async def _finish(self, subscription: Subscription, batch: Sequence[Message]) -> None:
        """Take every message of a batch to its end, in the order of each key."""
        lanes: dict[tuple[int, str | None], list[Message]] = {}
        for message in batch:
            lanes.setdefault((message.partition, message.key), []).append(message)
        free = asyncio.Semaphore(LANES_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for lane in lanes.values():
                group.create_task(self._in_order(lane, free))
        await subscription.done(batch)
        self.done(len(batch))

    async def _in_order(self, messages: Sequence[Message], free: asyncio.Semaphore) -> None:
        async with free:
            for message in messages:
                await self._take(message)

    async def _take(self, message: Message) -> None:
        """Store or park one message; what does not answer is waited for."""
        patience = RETRY_SECONDS_MIN
        while True:
            try:
                await self._store_or_park(message)
                return
            except Unavailable as error:
                self.report(error)
                await asyncio.sleep(patience)
                patience = min(patience * 2, RETRY_SECONDS_MAX)

    async def _store_or_park(self, message: Message) -> None:
        try:
            if message.body is None:
                raise InvalidInput("body", "is empty")
            draft = self.read(message.body)
            with traced(message.headers.get(TRACE_HEADER)):
                await self.remember(
                    draft, wait=Wait.STORED, actor=ACTOR, idempotency_key=_key_of(message)
                )
        except (InvalidInput, TooLarge, NotFound, Conflict) as error:
            await self.dead_letters.park(message, str(error))


def _key_of(message: Message) -> str:
    given = message.headers.get(KEY_HEADER)
    return given or f"{message.topic}/{message.partition}/{message.offset}"
