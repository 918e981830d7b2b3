"""Sending with acknowledgement: in order, all or a named failure.

The client's asyncio producer cannot send headers, and waits in whole batches. So this is its
blocking producer on a thread of its own, which is also what keeps one `send` after the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from adapters.kafka.connection import Configuration, KafkaConnection
from adapters.kafka.failures import translated, unavailable
from domain.errors import BrokerUnavailable

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

T = TypeVar("T")

#: Fills requests without a delay anybody notices.
_LINGER_MS = 2
#: Above Kafka's usual limit: a message that just fits one topic is larger when it is parked.
MESSAGE_BYTES_MAX = 1_200_000


#: Makes a producer that tells traces of what it sends.
Traced: TypeAlias = "Callable[[Producer], Producer]"


def as_it_is(producer: Producer) -> Producer:
    return producer


@dataclass(frozen=True, slots=True)
class Record:
    """What is sent; `topic` is the name in the cluster."""

    topic: str
    key: bytes | None
    body: bytes | None
    headers: list[tuple[str, str | bytes | None]]


class KafkaProducer:
    """Sends records and waits until the log has them; construct, use, `close`."""

    def __init__(self, connection: KafkaConnection, *, traced: Traced = as_it_is) -> None:
        self._connection = connection
        self._traced = traced
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-producer")
        self._producer: Producer | None = None

    async def send(self, records: Iterable[Record]) -> None:
        """Return when all are acknowledged by all in-sync replicas.

        Raises `BrokerUnavailable`, at most a little after the connection's timeout. Then those
        that arrived are the first ones of their keys, and nothing more is sent: whoever sends the
        same again keeps the order.
        """
        await self._run(lambda: self._send(records))

    async def close(self) -> None:
        """Let the connections go. A `send` that runs comes to its end first."""
        await self._run(self._discard)
        self._thread.shutdown(wait=False)

    async def ping(self) -> None:
        """Raise `BrokerUnavailable` when no broker answers; waits for its turn."""
        await self._run(self._ping)

    async def _run(self, work: Callable[[], T]) -> T:
        with translated():
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _send(self, records: Iterable[Record]) -> None:
        deadline = time.monotonic() + self._connection.timeout_seconds
        failures: list[KafkaError] = []

        def acknowledged(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        complete = False
        producer = self._opened()
        try:
            for record in records:
                _produce(producer, record, acknowledged, deadline)
                if failures:
                    break
            left = producer.flush(max(0.0, deadline - time.monotonic()))
            complete = not left and not failures
        finally:
            if not complete:
                self._discard()
        if failures:
            raise unavailable(failures[0])
        if left:
            raise BrokerUnavailable(f"Kafka did not acknowledge {left} messages in time")

    def _ping(self) -> None:
        self._opened().list_topics(timeout=self._connection.timeout_seconds)

    def _opened(self) -> Producer:
        if self._producer is None:
            from confluent_kafka import Producer

            self._producer = self._traced(Producer(self._configuration()))
        return self._producer

    def _discard(self) -> None:
        """Take back what was not sent; the next record goes through a fresh producer.

        What is on its way may still arrive, in its order, as a duplicate.
        """
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.flush(0)

    def _configuration(self) -> Configuration:
        return self._connection.configuration(
            {
                "enable.idempotence": True,
                "acks": "all",
                # Nothing overtakes a record that failed: the producer stops, and is replaced.
                "enable.gapless.guarantee": True,
                # Ends later than `send` waits: all that is left is then taken back at once.
                "message.timeout.ms": int(self._connection.timeout_seconds * 2000) + 1000,
                "message.max.bytes": MESSAGE_BYTES_MAX,
                "linger.ms": _LINGER_MS,
                # Java's choice of partition, so that every producer agrees on it.
                "partitioner": "murmur2_random",
            }
        )


def _produce(
    producer: Producer,
    record: Record,
    acknowledged: Callable[[KafkaError | None, Message], None],
    deadline: float,
) -> None:
    """Hand one record over; wait while the queue is full."""
    while True:
        try:
            producer.produce(
                record.topic,
                value=record.body,
                key=record.key,
                headers=record.headers,
                on_delivery=acknowledged,
            )
        except BufferError:
            if time.monotonic() > deadline:
                raise BrokerUnavailable("Kafka takes no more messages") from None
            producer.poll(0.05)
            continue
        producer.poll(0)
        return
