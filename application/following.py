"""Apply the change feeds to something outside the store, together with any number of others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from domain.events import Event
from domain.namespace import Scope
from domain.ports import CanonicalStore

SHARDS = 16

#: Is given events, each namespace's in order, and the epoch they belong to.
Apply = Callable[[Sequence[Event], str], Awaitable[None]]
#: Surrounds the application of events, such as with the traces that caused them.
Around = Callable[[Sequence[Event]], AbstractContextManager[object]]


@dataclass(frozen=True, kw_only=True)
class Follower:
    """Hands over what lies beyond the watermarks, and moves them when that is done.

    A share of the namespaces is locked while its events are applied. Whoever dies in between has
    moved no watermark, so the next one applies the same again: nothing is lost, and what is
    applied twice must have its effect once.
    """

    store: CanonicalStore
    events_at_once: int
    around: Around = nullcontext

    async def follow(self, name: str, apply: Apply) -> int:
        """Apply one batch of every share; return how many events (0: nothing waits, or is taken).

        Raises what `apply` raises; the batches before it stay applied.
        """
        async with self.store.reading() as tx:
            if not await tx.projections.backlog(name):
                return 0
        return sum([await self._share(name, shard, apply) for shard in range(SHARDS)])

    async def _share(self, name: str, shard: int, apply: Apply) -> int:
        async with self.store.writing() as tx:
            if not await tx.projections.lock_shard(name, shard):
                return 0
            events = await tx.projections.outstanding(
                name, shard=shard, shards=SHARDS, limit=self.events_at_once
            )
            if not events:
                return 0
            position = await tx.feed.position(Scope(events[0].namespace))
            with self.around(events):
                await apply(events, position.epoch)
            await tx.projections.advance(name, {event.namespace: event.seq for event in events})
        return len(events)
