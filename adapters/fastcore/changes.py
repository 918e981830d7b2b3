"""What has happened to the memories of a namespace since a watermark."""

from __future__ import annotations

from collections.abc import AsyncIterator

from domain.events import EventType, FeedPosition
from domain.memory import MemoryId
from domain.namespace import Namespace
from domain.ports import Transaction

EVENTS_AT_ONCE = 1000

_CONCERNS_MEMORIES = set(EventType) - {EventType.LINKED, EventType.UNLINKED}


def is_worth_following(watermark: int, position: FeedPosition, memories: int) -> bool:
    """Tell whether applying what is missing can help, and is cheaper than loading again."""
    missing = position.seq - watermark
    return 0 <= missing <= max(5 * EVENTS_AT_ONCE, memories)


async def touched_since(
    tx: Transaction, namespace: Namespace, watermark: int, position: FeedPosition
) -> AsyncIterator[tuple[set[MemoryId], int]]:
    """Iterate over (memories concerned, sequence number reached) up to the position.

    Ends early where the feed was pruned beyond the watermark.
    """
    while watermark < position.seq:
        events = await tx.feed.after(namespace, watermark, limit=EVENTS_AT_ONCE)
        if not events or events[0].seq != watermark + 1:
            return
        watermark = events[-1].seq
        yield {e.memory_id for e in events if e.type in _CONCERNS_MEMORIES}, watermark
