"""Members of consumer groups."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from adapters.kafka.connection import Configuration, KafkaConnection
from adapters.kafka.failures import Report
from adapters.kafka.member import KafkaMember


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """How a member of a group behaves.

    `batch_max` bounds the messages in work. A member that is not heard of for the session timeout
    loses its partitions to the others.
    """

    group_prefix: str = "soma."
    batch_max: int = 500
    session_timeout_seconds: float = 30.0
    heartbeat_seconds: float = 3.0
    close_timeout_seconds: float = 10.0


class KafkaSource:
    """Implements `domain.messaging.MessageSource`."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        report: Report,
        membership: Membership = Membership(),
    ) -> None:
        self._connection = connection
        self._report = report
        self._membership = membership

    @asynccontextmanager
    async def subscribe(self, topic: str, group: str, /) -> AsyncIterator[KafkaMember]:
        """Become a member until the block ends; interruptions of Kafka go to `report`."""
        member = KafkaMember(
            self._configuration(group),
            topic=topic,
            cluster_topic=self._connection.topic(topic),
            batch_max=self._membership.batch_max,
            report=self._report,
        )
        await member.open()
        try:
            yield member
        finally:
            await member.close(within_seconds=self._membership.close_timeout_seconds)

    def _configuration(self, group: str) -> Configuration:
        membership = self._membership
        return self._connection.configuration(
            {
                "group.id": membership.group_prefix + group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": int(membership.session_timeout_seconds * 1000),
                "heartbeat.interval.ms": int(membership.heartbeat_seconds * 1000),
                # Bounds what lies fetched but not handed out.
                "queued.min.messages": membership.batch_max,
                "queued.max.messages.kbytes": 16_384,
            }
        )
