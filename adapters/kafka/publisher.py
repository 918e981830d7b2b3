"""Events on their way to everybody who listens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.producer import KafkaProducer, Record, Traced, as_it_is
from domain.delivery import EventEncoder, event_headers
from domain.events import Event
from domain.messaging import EVENTS_TOPIC


class KafkaPublisher:
    """Implements `domain.messaging.EventPublisher`; construct, use, `close`."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        encode: EventEncoder,
        traced: Traced = as_it_is,
    ) -> None:
        self._producer = KafkaProducer(connection, traced=traced)
        self._topic = connection.topic(EVENTS_TOPIC)
        self._encode = encode

    async def publish(self, events: Sequence[Event], /, *, epoch: str) -> None:
        """Return when every event is acknowledged; raises `BrokerUnavailable`."""
        if events:
            await self._producer.send(self._records(events, epoch))

    async def ping(self) -> None:
        """Raise `BrokerUnavailable` when nothing answers."""
        await self._producer.ping()

    async def close(self) -> None:
        """Let the connections go."""
        await self._producer.close()

    def _records(self, events: Sequence[Event], epoch: str) -> Iterator[Record]:
        """Encode while sending, on the producer's thread: a full batch never holds up the loop."""
        for event in events:
            yield Record(
                self._topic,
                event.namespace.encode(),
                self._encode(event, epoch),
                list(event_headers(event).items()),
            )
