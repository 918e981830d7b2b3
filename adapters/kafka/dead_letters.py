"""Messages nobody can use: kept with the reason, and sent back when somebody says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.failures import translated
from adapters.kafka.messages import record
from adapters.kafka.producer import KafkaProducer
from adapters.kafka.section import Section
from domain.delivery import dead_letter_headers, parked_body, replay_headers
from domain.messaging import DEAD_LETTER_TOPIC, Message

_BATCH_MAX = 500


class KafkaDeadLetters:
    """Implements `domain.messaging.DeadLetters`; construct, use, `close`.

    Each topic has a group of its own that remembers how far its messages were sent back, so a
    replay of one topic never passes over the messages of another. Two replays of one topic at the
    same time send messages twice.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        now: Callable[[], datetime],
        group_prefix: str = "soma.",
    ) -> None:
        self._connection = connection
        self._producer = KafkaProducer(connection)
        self._now = now
        self._group_prefix = group_prefix

    async def park(self, message: Message, reason: str, /) -> None:
        """Return when the message is safe; raises `BrokerUnavailable`."""
        headers = dead_letter_headers(message, reason, self._now())
        topic = self._connection.topic(DEAD_LETTER_TOPIC)
        body, _ = parked_body(message)
        await self._producer.send([record(topic, message.key, body, headers)])

    async def replay(self, topic: str, /, *, limit: int) -> int:
        """Send back up to `limit` messages of those that lie there now; raises `BrokerUnavailable`.

        What was sent is remembered after it is acknowledged: a replay that breaks off may send its
        last messages again.
        """
        group = f"{self._group_prefix}replay.{topic}"
        section = Section(self._connection, DEAD_LETTER_TOPIC, group)
        with translated():
            async with section:
                return await self._replayed(section, topic, limit)

    async def close(self) -> None:
        """Let the connections go."""
        await self._producer.close()

    async def _replayed(self, section: Section, topic: str, limit: int) -> int:
        def wanted(message: Message) -> bool:
            return message.headers.get("dlq-topic") == topic

        sent = 0
        while sent < limit and not section.ended:
            batch = await section.read(wanted, min(_BATCH_MAX, limit - sent))
            await self._send_back(batch, topic)
            await section.remember()
            sent += len(batch)
        return sent

    async def _send_back(self, batch: list[Message], topic: str) -> None:
        cluster_topic = self._connection.topic(topic)
        if batch:
            await self._producer.send(
                record(cluster_topic, message.key, message.body, replay_headers(message.headers))
                for message in batch
            )
