"""Messages to and from an event log: what other systems hear of Soma, and what they hand in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from domain.events import Event

EVENTS_TOPIC = "memory.events"
INGEST_TOPIC = "memory.ingest"
DEAD_LETTER_TOPIC = "memory.dlq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it lies in a topic; `partition` and `offset` name its place for good."""

    topic: str
    partition: int
    offset: int
    key: str | None
    body: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)


class EventPublisher(Protocol):
    """Sends events to everybody who listens, in order within each namespace."""

    async def publish(self, events: Sequence[Event], /, *, epoch: str) -> None:
        """Return when every event is safe in the log.

        Raises `BrokerUnavailable`; some of the events may have arrived, and are sent again later.
        """

    async def ping(self) -> None:
        """Raise `BrokerUnavailable` when nothing answers."""


class Subscription(Protocol):
    """A member of a consumer group while it reads."""

    def batches(self) -> AsyncIterator[list[Message]]:
        """Iterate over what arrives; the next batch is asked for when the last one is done.

        Messages that were not `done` come again, here or at another member. Interruptions of the
        log are waited out.
        """

    async def done(self, messages: Sequence[Message], /) -> None:
        """Say that the effect of these messages is safe."""


class MessageSource(Protocol):
    """Hands the messages of a topic to the members of a group."""

    def subscribe(self, topic: str, group: str, /) -> AbstractAsyncContextManager[Subscription]:
        """Become a member until the block ends."""


class DeadLetters(Protocol):
    """Keeps messages that nobody can use, with the reason."""

    async def park(self, message: Message, reason: str, /) -> None:
        """Return when the message is safe in the dead-letter topic; raise `BrokerUnavailable`."""

    async def replay(self, topic: str, /, *, limit: int) -> int:
        """Send up to `limit` parked messages of a topic back to it; return how many were sent."""
