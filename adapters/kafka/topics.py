"""The topics Soma needs."""

from __future__ import annotations

import asyncio

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.failures import translated
from adapters.kafka.producer import MESSAGE_BYTES_MAX
from domain.errors import BrokerUnavailable
from domain.messaging import DEAD_LETTER_TOPIC, EVENTS_TOPIC, INGEST_TOPIC

_WEEK_MS = str(7 * 24 * 3600 * 1000)


class KafkaTopics:
    """Creates what is absent; topics that exist stay as they are.

    `partitions` bounds how many workers share a topic; `replication` of -1 is the broker's own
    default.
    """

    def __init__(
        self, connection: KafkaConnection, *, partitions: int = 12, replication: int = -1
    ) -> None:
        self._connection = connection
        self._partitions = partitions
        self._replication = replication

    async def create_topics(self) -> None:
        """Return when the topics are there; raises `BrokerUnavailable`."""
        with translated():
            await asyncio.to_thread(self._create)

    def _create(self) -> None:
        from confluent_kafka import KafkaError, KafkaException
        from confluent_kafka.admin import AdminClient
        from confluent_kafka.cimpl import NewTopic

        topics = {
            EVENTS_TOPIC: {"cleanup.policy": "delete"},
            INGEST_TOPIC: {"cleanup.policy": "delete", "retention.ms": _WEEK_MS},
            DEAD_LETTER_TOPIC: {
                "cleanup.policy": "delete",
                "retention.ms": _WEEK_MS,
                "max.message.bytes": str(MESSAGE_BYTES_MAX),
            },
        }
        timeout = self._connection.timeout_seconds
        # Held until the answers are there: it takes its questions back when it goes.
        admin = AdminClient(self._connection.configuration({}))
        futures = admin.create_topics(
            [
                NewTopic(
                    self._connection.topic(name),
                    num_partitions=self._partitions,
                    replication_factor=self._replication,
                    config=config,
                )
                for name, config in topics.items()
            ],
            operation_timeout=timeout,
            request_timeout=timeout,
        )
        for name, future in futures.items():
            try:
                future.result(timeout + 1.0)
            except TimeoutError as error:
                raise BrokerUnavailable(f"Kafka does not create the topic {name!r}") from error
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
