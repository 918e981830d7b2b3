"""Filling a segment from the store, and keeping it up with the feed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from adapters.fastcore.changes import is_worth_following, touched_since
from adapters.fastcore.threads import in_thread
from domain.events import FeedPosition
from domain.memory import MemoryId
from domain.namespace import Namespace
from domain.ports import IndexedVector, Transaction

if TYPE_CHECKING:
    from adapters.fastcore.segment import Segment

_PAGE = 2000
#: Up to here a change takes about half a millisecond.
_INLINE_CHANGED = 32
#: Growing storage for this many rows or fewer is quick.
_INLINE_ROWS_MOVED = 1000


async def load(tx: Transaction, namespace: Namespace, segment: Segment) -> None:
    """Fill an empty segment with what the store holds, in pages."""
    seq = segment.view.watermark
    last: MemoryId | None = None
    while page := await tx.embeddings.page(namespace, segment.model, limit=_PAGE, after=last):
        await _apply(segment, page, (), seq)
        last = page[-1].memory_id
        if len(page) < _PAGE:
            return


async def follow(
    tx: Transaction,
    namespace: Namespace,
    segment: Segment,
    position: FeedPosition,
    note: Callable[[Segment, Iterable[MemoryId], Iterable[MemoryId]], None],
) -> bool:
    """Apply what is new; False when only loading again can help (or is cheaper).

    `note` is told of every change in force: what is there now, and what is gone.
    """
    view = segment.view
    if view.epoch != position.epoch:
        return False
    if not is_worth_following(view.watermark, position, len(segment.places)):
        return False
    async for touched, seq in touched_since(tx, namespace, view.watermark, position):
        found = await tx.embeddings.of(sorted(touched), segment.model) if touched else []
        gone = touched.difference(item.memory_id for item in found)
        await _apply(segment, found, gone, seq)
        note(segment, [item.memory_id for item in found], gone)
    return segment.view.watermark == position.seq


async def _apply(
    segment: Segment, changed: Sequence[IndexedVector], gone: Iterable[MemoryId], seq: int
) -> None:
    small = segment.view.count <= _INLINE_ROWS_MOVED or segment.has_room(len(changed))
    if len(changed) <= _INLINE_CHANGED and small:
        segment.apply(changed, gone, seq)
        return
    segment.install(await in_thread(lambda: segment.prepared(changed, gone, seq)))
