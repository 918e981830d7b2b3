"""Event logs for the contract suite, and what its tests read and write them with."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from adapters.event_json import encode_event
from adapters.inprocess.events import InProcessLog
from adapters.kafka.connection import KafkaConnection
from adapters.kafka.dead_letters import KafkaDeadLetters
from adapters.kafka.messages import record
from adapters.kafka.producer import KafkaProducer
from adapters.kafka.publisher import KafkaPublisher
from adapters.kafka.source import KafkaSource, Membership
from adapters.kafka.topics import KafkaTopics
from domain.errors import SomaError
from domain.events import Event, EventType
from domain.memory import MemoryId
from domain.messaging import DeadLetters, EventPublisher, Message, MessageSource, Subscription
from domain.namespace import Namespace

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
READ_SECONDS = 30.0
# The shortest times brokers allow: members that vanish are missed soon.
IMPATIENT = Membership(session_timeout_seconds=6.0, heartbeat_seconds=1.0, batch_max=100)


class Send(Protocol):
    """Puts a message into a topic, as a producer outside Soma would."""

    async def __call__(
        self,
        topic: str,
        /,
        *,
        key: str | None,
        body: bytes | None,
        headers: Mapping[str, str] | None = None,
    ) -> None: ...


@dataclass(frozen=True)
class EventLog:
    """The ports of one log."""

    publisher: EventPublisher
    source: MessageSource
    dead_letters: DeadLetters
    send: Send


def in_process_log() -> EventLog:
    """Return an empty log within this process."""
    log = InProcessLog(encode=encode_event, now=lambda: NOW, batch_max=100)
    return EventLog(log, log, log, log.send)


@asynccontextmanager
async def kafka_log(
    servers: str, *, timeout_seconds: float = 10.0, report: Callable[[SomaError], None] = print
) -> AsyncIterator[EventLog]:
    """Give an empty log on a server that others use too."""
    connection = kafka_connection(servers, timeout_seconds=timeout_seconds)
    await KafkaTopics(connection, partitions=4).create_topics()
    publisher = KafkaPublisher(connection, encode=encode_event)
    dead_letters = KafkaDeadLetters(
        connection, now=lambda: NOW, group_prefix=connection.topic_prefix
    )
    outside = KafkaProducer(connection)

    async def send(
        topic: str,
        /,
        *,
        key: str | None,
        body: bytes | None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        await outside.send([record(connection.topic(topic), key, body, headers or {})])

    try:
        yield EventLog(
            publisher,
            KafkaSource(connection, report=report, membership=membership(connection)),
            dead_letters,
            send,
        )
    finally:
        await publisher.close()
        await dead_letters.close()
        await outside.close()


def kafka_connection(servers: str, *, timeout_seconds: float = 10.0) -> KafkaConnection:
    """Return a connection whose topics nobody else uses."""
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    return KafkaConnection(servers=servers, topic_prefix=prefix, timeout_seconds=timeout_seconds)


def membership(connection: KafkaConnection, *, close_timeout_seconds: float = 10.0) -> Membership:
    """Return how members behave in tests, in groups that nobody else uses."""
    return replace(
        IMPATIENT,
        group_prefix=connection.topic_prefix,
        close_timeout_seconds=close_timeout_seconds,
    )


def an_event(namespace: str = "acme", seq: int = 1, *, trace: str | None = None) -> Event:
    """Return an event with the given place in its feed."""
    return Event(
        id=str(uuid.UUID(int=seq)),
        namespace=Namespace(namespace),
        seq=seq,
        type=EventType.REVISED,
        memory_id=MemoryId(str(uuid.UUID(int=1000 + seq))),
        version=seq,
        at=NOW + timedelta(seconds=seq),
        changed=("content",),
        trace=trace,
    )


async def read(subscription: Subscription, count: int, *, done: bool = True) -> list[Message]:
    """Return the next messages, at least `count`."""
    messages: list[Message] = []
    async with asyncio.timeout(READ_SECONDS):
        async for batch in subscription.batches():
            messages += batch
            if done:
                await subscription.done(batch)
            if len(messages) >= count:
                break
    return messages
