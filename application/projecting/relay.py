"""Send the change feed to the event log: the feed is the outbox, a watermark is the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from application.projecting.following import Follower
from domain.events import Event
from domain.messaging import EventPublisher

RELAY = "event_log"


@dataclass(frozen=True, kw_only=True)
class Relay:
    """Publish what has not been published, each namespace's events in order."""

    follower: Follower
    publisher: EventPublisher

    async def __call__(self) -> int:
        """Return how many events were sent. Raises `BrokerUnavailable` or `StoreUnavailable`."""
        return await self.follower.follow(RELAY, self._publish)

    async def _publish(self, events: Sequence[Event], epoch: str) -> None:
        await self.publisher.publish(events, epoch=epoch)
