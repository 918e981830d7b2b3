"""Apply the change feeds to something outside the store, together with any number of others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from domain.errors import SomaError
from domain.events import Event
from domain.namespace import Scope
from domain.ports import CanonicalStore

SHARDS = 16
#: What is applied of a share at first.
EVENTS_AT_FIRST = 100

#: Is given events, each namespace's in order, and the epoch they belong to.
Apply = Callable[[Sequence[Event], str], Awaitable[None]]
#: Surrounds the application of events, such as with the traces that caused them.
Around = Callable[[Sequence[Event]], AbstractContextManager[object]]


@dataclass(slots=True)
class _Pace:
    """How many events of a share are applied at once.

    Twice as many while all goes well. Once that was too many, only a quarter more: each attempt at
    too many costs what it did in vain.
    """

    events: int
    has_failed: bool = False

    def quicken(self, most: int) -> None:
        more = self.events // 4 if self.has_failed else self.events
        self.events = min(most, self.events + max(1, more))

    def slow_down(self) -> None:
        self.events = max(1, self.events // 2)
        self.has_failed = True


@dataclass(frozen=True, kw_only=True)
class Follower:
    """Hands over what lies beyond the watermarks, and moves them when that is done.

    A share of the namespaces is locked while its events are applied. Whoever dies in between has
    moved no watermark, so the next one applies the same again: nothing is lost, and what is
    applied twice must have its effect once.

    Few events are applied at first, and fewer after a failure: of what is too slow for many, and
    of what never lives long enough for many, something stays done each time.
    """

    store: CanonicalStore
    events_at_once: int
    around: Around = nullcontext
    _paces: dict[tuple[str, int], _Pace] = field(default_factory=dict, init=False)

    async def follow(self, name: str, apply: Apply) -> int:
        """Apply one batch of every share; return how many events (0: nothing waits, or is taken).

        A batch is `events_at_once` at most. Raises what `apply` raises; the batches before it stay
        applied.
        """
        async with self.store.reading() as tx:
            if not await tx.projections.backlog(name):
                return 0
        return sum([await self._share(name, shard, apply) for shard in range(SHARDS)])

    async def _share(self, name: str, shard: int, apply: Apply) -> int:
        first = min(EVENTS_AT_FIRST, self.events_at_once)
        pace = self._paces.setdefault((name, shard), _Pace(first))
        limit = pace.events
        try:
            count = await self._batch(name, shard, apply, limit)
        except SomaError:
            pace.slow_down()
            raise
        if count == limit:
            pace.quicken(self.events_at_once)
        return count

    async def _batch(self, name: str, shard: int, apply: Apply, limit: int) -> int:
        async with self.store.writing() as tx:
            if not await tx.projections.lock_shard(name, shard):
                return 0
            events = await tx.projections.outstanding(name, shard=shard, shards=SHARDS, limit=limit)
            if not events:
                return 0
            position = await tx.feed.position(Scope(events[0].namespace))
            with self.around(events):
                await apply(events, position.epoch)
            await tx.projections.advance(name, {event.namespace: event.seq for event in events})
        return len(events)
