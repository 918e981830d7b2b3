"""Follow the change feed of a namespace, from any point in its past."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from application.access.subtree import seen_from
from domain.events import Event, FeedPosition
from domain.namespace import Namespace, Scope
from domain.ports import CanonicalStore, EventBus

PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Yield events in order as they are committed; None is a heartbeat. Never ends by itself.

    A position of another epoch, or beyond the head, starts again from the first event: after a
    restore nothing that a follower knew is certain.
    """

    store: CanonicalStore
    bus: EventBus
    heartbeat_seconds: float = 15.0

    async def __call__(
        self,
        namespace: Namespace,
        *,
        after: FeedPosition | None = None,
        within: Namespace | None = None,
    ) -> AsyncIterator[tuple[str, Event] | None]:
        """Follow one exact namespace; without `after` from its first event."""
        scope = Scope(namespace)
        async with self.bus.subscribe(scope) as wakeups:
            epoch, seq = await self._start(scope, after)
            while True:
                async with seen_from(self.store, within).reading() as tx:
                    events = await tx.feed.after(namespace, seq, limit=PAGE)
                for event in events:
                    yield epoch, event
                    seq = event.seq
                if len(events) == PAGE:
                    continue
                if not await self._woken(wakeups):
                    yield None

    async def _start(self, scope: Scope, after: FeedPosition | None) -> tuple[str, int]:
        async with self.store.reading() as tx:
            head = await tx.feed.position(scope)
        if after is None or after.epoch != head.epoch or after.seq > head.seq:
            return head.epoch, 0
        return head.epoch, after.seq

    async def _woken(self, wakeups: AsyncIterator[None]) -> bool:
        try:
            # Not wait_for: in Python 3.11 it can swallow a cancellation.
            async with asyncio.timeout(self.heartbeat_seconds):
                await anext(wakeups)
        except TimeoutError:
            return False
        return True
