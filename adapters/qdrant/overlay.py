"""What Qdrant has not been told yet, read from the canonical store in one snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from domain.errors import IndexUnavailable
from domain.events import FeedPosition
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Scope
from domain.ports import Transaction

OVERLAY_MAX = 5000


@dataclass(frozen=True, slots=True)
class Overlay:
    """Memories that Qdrant may hold wrongly or not at all, and those of them that pass.

    Qdrant's answer without `touched`, and `passing` as the store has them, make up the state at
    `position`.
    """

    position: FeedPosition
    touched: tuple[MemoryId, ...]
    passing: tuple[MemoryId, ...]


async def read_overlay(tx: Transaction, projection: str, scope: Scope, filter: Filter) -> Overlay:
    """Return what lies beyond the watermark; raise `IndexUnavailable` when that is too much."""
    lag = await tx.projections.lag(projection, scope, limit=OVERLAY_MAX)
    if not lag.complete:
        raise IndexUnavailable(f"Qdrant lacks more than {OVERLAY_MAX} changes of this scope")
    if not lag.touched:
        return Overlay(lag.position, (), ())
    verified = await tx.memories.verify(lag.touched, scope, filter)
    return Overlay(lag.position, lag.touched, tuple(sorted(verified.memories)))
