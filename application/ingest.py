"""Store what producers put into the event log: exactly once in effect, or parked with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from application.access.admission import OWNER, Access, Peer
from application.access.guarded import Guarded
from application.tracing import traced
from domain.access import Permission, Principal
from domain.draft import Draft, Wait
from domain.errors import (
    AccessDenied,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    SomaError,
    TooLarge,
    Unavailable,
)
from domain.messaging import DeadLetters, Message, MessageSource, Subscription
from domain.namespace import Namespace

KEY_HEADER = "idempotency-key"
TOKEN_HEADER = "soma-key"  # noqa: S105  (where the key is, not one)
TRACE_HEADER = "traceparent"
#: Who writes to the topic without a key, as long as none is demanded.
INGEST = Principal("ingest", Permission.WRITE)
#: The log counts nothing against producers: how fast it is read is the limit.
PRODUCER = Peer(None, is_local=True)
REFUSALS = (AccessDenied, Forbidden, InvalidInput, TooLarge, NotFound, Conflict)
#: Each takes a connection of the store, which the other loops need too.
LANES_AT_ONCE = 3
RETRY_SECONDS_MIN = 0.5
RETRY_SECONDS_MAX = 5.0


@dataclass(frozen=True, kw_only=True)
class Ingest:
    """Remember the memories of a topic, with the use case that every other door uses.

    The idempotency key is the one in the message's header, or else its place in the log: a message
    that comes twice is stored once. Where keys are demanded the header `soma-key` holds one; a
    message without a key that works, or for a namespace that it does not reach, is parked. `read`
    raises `InvalidInput` for a body that is no draft.
    """

    access: Access
    guarded: Callable[[Principal], Guarded]
    source: MessageSource
    dead_letters: DeadLetters
    read: Callable[[bytes, Namespace], Draft]
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
            principal = await self.access.identify(message.headers.get(TOKEN_HEADER), PRODUCER)
            soma = self.guarded(INGEST if principal is OWNER else principal)
            draft = self.read(message.body, soma.home)
            with traced(message.headers.get(TRACE_HEADER)):
                await soma.remember(draft, wait=Wait.STORED, idempotency_key=_key_of(message))
        except REFUSALS as error:
            await self.dead_letters.park(message, str(error))


def _key_of(message: Message) -> str:
    given = message.headers.get(KEY_HEADER)
    return given or f"{message.topic}/{message.partition}/{message.offset}"
