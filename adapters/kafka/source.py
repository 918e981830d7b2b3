"""Members of consumer groups."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from adapters.kafka.connection import Configuration, KafkaConnection
from adapters.kafka.failures import Report
from adapters.kafka.member import KafkaMember

_STATISTICS_MS = 10_000


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


#: Is told topic, group and how many messages of the member's partitions are not done.
NoteLag = Callable[[str, str, int], None]


def _unnoted(_topic: str, _group: str, _lag: int) -> None:
    return


class KafkaSource:
    """Implements `domain.messaging.MessageSource`."""

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        report: Report,
        membership: Membership = Membership(),
        note_lag: NoteLag = _unnoted,
    ) -> None:
        self._connection = connection
        self._report = report
        self._note_lag = note_lag
        self._membership = membership

    @asynccontextmanager
    async def subscribe(self, topic: str, group: str, /) -> AsyncIterator[KafkaMember]:
        """Become a member until the block ends; interruptions of Kafka go to `report`."""
        member = KafkaMember(
            self._configuration(topic, group),
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

    def _configuration(self, topic: str, group: str) -> Configuration:
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
                "statistics.interval.ms": _STATISTICS_MS,
                "stats_cb": self._lag_reader(topic, group),
            }
        )

    def _lag_reader(self, topic: str, group: str) -> Callable[[str], None]:
        """Return what reads the client's statistics, on the thread that polls."""
        cluster_topic = self._connection.topic(topic)

        def read(statistics: str) -> None:
            lag = lag_in(statistics, cluster_topic)
            if lag is not None:
                self._note_lag(topic, group, lag)

        return read


def lag_in(statistics: str, topic: str) -> int | None:
    """Return how many messages of a topic wait in the partitions of this member.

    None as long as it has none, or does not know yet. `statistics` is librdkafka's JSON.
    """
    topics = json.loads(statistics).get("topics", {})
    lags = [
        _lag_of(partition)
        for partition in topics.get(topic, {}).get("partitions", {}).values()
        if partition.get("fetch_state") == "active"
    ]
    return sum(lags) if lags and min(lags) >= 0 else None


def _lag_of(partition: dict[str, int]) -> int:
    """Return how many messages of a partition wait; less than nought as long as that is unknown.

    The client knows no lag where nothing has ever been finished. All that is there waits then: a
    group begins with the earliest. Else one partition that never had a message would hide the rest.
    """
    lag = partition.get("consumer_lag", -1)
    first, end = partition.get("lo_offset", -1), partition.get("hi_offset", -1)
    if lag < 0 and partition.get("committed_offset", 0) < 0 and min(first, end) >= 0:
        return end - first
    return lag
