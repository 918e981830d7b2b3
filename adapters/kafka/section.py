"""A topic from where a group has come to, up to what lies there now: an end without waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from adapters.kafka.connection import Configuration, KafkaConnection
from adapters.kafka.failures import unavailable
from adapters.kafka.messages import received
from domain.errors import BrokerUnavailable
from domain.messaging import Message

if TYPE_CHECKING:
    from confluent_kafka import Consumer, TopicPartition
    from confluent_kafka import Message as KafkaMessage

T = TypeVar("T")

_LEADER_SECONDS = 0.1


class Section:
    """Reads without being a member of the group, on a thread of its own.

    Every call ends within the connection's timeout; raises `KafkaException` or
    `BrokerUnavailable`.
    """

    def __init__(self, connection: KafkaConnection, topic: str, group: str) -> None:
        self._connection = connection
        self._topic = topic
        self._group = group
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-section")
        self._consumer: Consumer | None = None
        self._ends: dict[int, int] = {}
        self._next: dict[int, int] = {}

    @property
    def ended(self) -> bool:
        """Whether all that lay there at the beginning was read."""
        return not self._ends

    async def __aenter__(self) -> Section:
        """Find out where the section begins and ends."""
        try:
            await self._run(self._open)
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the connection go."""
        await self._leave()

    async def read(self, wanted: Callable[[Message], bool], limit: int) -> list[Message]:
        """Return the next messages that are wanted; fewer than `limit` only at the end."""
        return await self._run(lambda: self._read(wanted, limit))

    async def remember(self) -> None:
        """Let the group begin after what was read, next time."""
        await self._run(self._remember)

    async def _leave(self) -> None:
        await self._run(self._close)
        self._thread.shutdown(wait=False)

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _open(self) -> None:
        from confluent_kafka import Consumer, TopicPartition

        consumer = self._consumer = Consumer(self._configuration())
        timeout = self._connection.timeout_seconds
        name = self._connection.topic(self._topic)
        described = consumer.list_topics(name, timeout=timeout).topics[name]
        places = [TopicPartition(name, partition) for partition in described.partitions]
        if not places:
            return  # the topic is not there yet, and so is nothing in it
        places = consumer.committed(places, timeout=timeout)
        begins = []
        for place in places:
            low, high = self._limits(place)
            # Nothing remembered, pruned since, or a log that was made anew.
            begin = place.offset if low <= place.offset <= high else low
            if begin < high:
                self._ends[place.partition] = high
                begins.append(TopicPartition(name, place.partition, begin))
        consumer.assign(begins)

    def _limits(self, place: TopicPartition) -> tuple[int, int]:
        """Return where a partition begins and ends; waits for a leader, which new ones lack."""
        from confluent_kafka import KafkaError, KafkaException

        timeout = self._connection.timeout_seconds
        deadline = time.monotonic() + timeout
        passing = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
        while True:
            try:
                low, high = self._opened().get_watermark_offsets(place, timeout=timeout)
            except KafkaException as error:
                if error.args[0].code() not in passing or time.monotonic() > deadline:
                    raise
                time.sleep(_LEADER_SECONDS)
            else:
                return low, high

    def _read(self, wanted: Callable[[Message], bool], limit: int) -> list[Message]:
        found: list[Message] = []
        deadline = time.monotonic() + self._connection.timeout_seconds
        while self._ends and len(found) < limit:
            polled = self._opened().poll(0.1)
            if polled is not None and self._arrived(polled):
                deadline = time.monotonic() + self._connection.timeout_seconds
                message = received(polled, self._topic)
                if wanted(message):
                    found.append(message)
            elif time.monotonic() > deadline:
                raise BrokerUnavailable(f"Kafka hands out nothing of the topic {self._topic!r}")
        return found

    def _remember(self) -> None:
        if self._next:
            self._opened().commit(offsets=self._places(self._next), asynchronous=False)
            self._next.clear()

    def _close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def _arrived(self, message: KafkaMessage) -> bool:
        """Note how far a partition is read; tell whether this is a message of the section."""
        from confluent_kafka import KafkaError

        partition, offset = message.partition() or 0, message.offset() or 0
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                raise unavailable(error)
            self._end(partition)
            return False
        end = self._ends.get(partition)
        if end is None or offset >= end:
            self._end(partition)
            return False
        self._next[partition] = offset + 1
        if offset + 1 == end:
            self._end(partition)
        return True

    def _end(self, partition: int) -> None:
        if self._ends.pop(partition, None) is not None:
            self._opened().pause(self._places({partition: 0}))

    def _places(self, offsets: dict[int, int]) -> list[TopicPartition]:
        from confluent_kafka import TopicPartition

        name = self._connection.topic(self._topic)
        return [TopicPartition(name, partition, offset) for partition, offset in offsets.items()]

    def _opened(self) -> Consumer:
        assert self._consumer is not None
        return self._consumer

    def _configuration(self) -> Configuration:
        return self._connection.configuration(
            {
                "group.id": self._group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": False,
            }
        )
