"""Send the change feed to the event log: the feed is the outbox, a watermark is the cursor."""

from __future__ import annotations

from dataclasses import dataclass

from domain.messaging import EventPublisher
from domain.namespace import Scope
from domain.ports import CanonicalStore

RELAY = "event_log"
SHARDS = 16
EVENTS_AT_ONCE = 2000


@dataclass(frozen=True, kw_only=True)
class Relay:
    """Publish what has not been published, each namespace's events in order.

    Any number of relays share the work: a share of the namespaces is locked while its events are
    sent. Whoever dies in between has not moved the watermark, so the next one sends again.
    """

    store: CanonicalStore
    publisher: EventPublisher

    async def __call__(self) -> int:
        """Return how many events were sent; 0 when nothing waits (or others send it).

        Raises `BrokerUnavailable` or `StoreUnavailable`; then nothing is lost.
        """
        async with self.store.reading() as tx:
            if not await tx.projections.backlog(RELAY):
                return 0
        return sum([await self._share(shard) for shard in range(SHARDS)])

    async def _share(self, shard: int) -> int:
        """Send one batch of a share, unless another relay is at it."""
        async with self.store.writing() as tx:
            if not await tx.projections.lock_shard(RELAY, shard):
                return 0
            events = await tx.projections.outstanding(
                RELAY, shard=shard, shards=SHARDS, limit=EVENTS_AT_ONCE
            )
            if not events:
                return 0
            epoch = (await tx.feed.position(Scope(events[0].namespace))).epoch
            await self.publisher.publish(events, epoch=epoch)
            await tx.projections.advance(RELAY, {event.namespace: event.seq for event in events})
        return len(events)
