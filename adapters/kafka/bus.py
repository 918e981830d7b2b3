"""Wake-ups across processes: whoever follows a feed here hears of changes made elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from adapters.kafka.connection import Configuration, KafkaConnection
from adapters.kafka.failures import Outage, Report, translated, unavailable
from domain.errors import BrokerUnavailable
from domain.messaging import EVENTS_TOPIC
from domain.namespace import Namespace, Scope
from domain.ports import EventBus

if TYPE_CHECKING:
    from confluent_kafka import Message, TopicPartition
    from confluent_kafka.aio import AIOConsumer

_BATCH_MAX = 1000
_POLL_SECONDS = 0.25
_CLOSE_SECONDS = 2.0
_RETRY_SECONDS, _RETRY_MAX_SECONDS = 0.5, 15.0
#: How often new partitions are looked for.
_PARTITIONS_SECONDS = 60.0


class KafkaBus:
    """Implements `domain.ports.EventBus` over the one of this process and the events in Kafka.

    A process wakes its own followers at once, and those of others through `listen` once the relay
    has published. While Kafka is away it does the first alone.
    """

    def __init__(self, inner: EventBus, connection: KafkaConnection, *, report: Report) -> None:
        self._inner = inner
        self._connection = connection
        self._outage = Outage(report)

    async def publish(self, namespaces: Iterable[Namespace], /) -> None:
        """Wake the followers in this process; the relay tells the others."""
        await self._inner.publish(namespaces)

    def subscribe(self, scope: Scope | None, /) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Iterate over wake-ups for a scope."""
        return self._inner.subscribe(scope)

    async def listen(self) -> None:
        """Wake followers of what others publish from now on, until cancelled.

        Raises `ConfigurationError`; interruptions of Kafka are reported and waited out.
        """
        pause_seconds = _RETRY_SECONDS
        while True:
            try:
                with translated():
                    await self._listen_while_it_works()
                pause_seconds = _RETRY_SECONDS
            except BrokerUnavailable as error:
                self._outage.noticed(error)
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _RETRY_MAX_SECONDS)

    async def _listen_while_it_works(self) -> None:
        """Return when the topic has got other partitions than those that are read."""
        from confluent_kafka.aio import AIOConsumer

        threads = ThreadPoolExecutor(2, thread_name_prefix="kafka-bus")
        consumer = AIOConsumer(self._configuration(), executor=threads)
        try:
            partitions = await self._partitions(consumer)
            await consumer.assign(self._ends(partitions))
            while partitions == await self._partitions(consumer):
                await self._pass_on(consumer, _PARTITIONS_SECONDS)
        finally:
            # Not a member of any group: nothing is left behind, so nobody needs to wait for it.
            closing = asyncio.create_task(consumer.close())
            await asyncio.wait([closing], timeout=_CLOSE_SECONDS)
            threads.shutdown(wait=False)

    async def _pass_on(self, consumer: AIOConsumer, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            first = await consumer.poll(_POLL_SECONDS)
            if first is not None:
                messages = [first, *await consumer.consume(_BATCH_MAX, 0)]
                await self._inner.publish(self._moved(messages))

    def _moved(self, messages: Sequence[Message]) -> set[Namespace]:
        moved = set()
        for message in messages:
            error, key = message.error(), message.key()
            if error is not None:
                self._outage.noticed(unavailable(error))
            elif key is not None:
                self._outage.over()
                # A key that is no namespace has no followers.
                moved.add(Namespace(key.decode(errors="replace")))
        return moved

    async def _partitions(self, consumer: AIOConsumer) -> set[int]:
        topic = self._connection.topic(EVENTS_TOPIC)
        described = await consumer.list_topics(topic, timeout=self._connection.timeout_seconds)
        partitions = set(described.topics[topic].partitions)
        if not partitions:
            raise BrokerUnavailable(f"Kafka has no topic {topic!r}")
        return partitions

    def _ends(self, partitions: set[int]) -> list[TopicPartition]:
        from confluent_kafka import OFFSET_END, TopicPartition

        topic = self._connection.topic(EVENTS_TOPIC)
        return [TopicPartition(topic, partition, OFFSET_END) for partition in sorted(partitions)]

    def _configuration(self) -> Configuration:
        return self._connection.configuration(
            {
                "group.id": "soma.listening",  # demanded by the client; nobody joins it
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "latest",
                "allow.auto.create.topics": False,
            }
        )
