"""The change feed: what happened in a namespace, in order. Events never carry content."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.memory import MemoryId
from domain.namespace import Namespace


class EventType(StrEnum):
    """What happened."""

    REMEMBERED = "memory.remembered"
    REVISED = "memory.revised"
    EMBEDDED = "memory.embedded"
    FORGOTTEN = "memory.forgotten"
    ERASED = "memory.erased"
    LINKED = "memory.linked"
    UNLINKED = "memory.unlinked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of the change feed; `seq` counts from 1 without gaps in each namespace.

    For `memory.linked` and `memory.unlinked`, `memory_id` is the source of the link. `trace` is
    the W3C `traceparent` of the request that made the change, where there was one.
    """

    id: str
    namespace: Namespace
    seq: int
    type: EventType
    memory_id: MemoryId
    version: int
    at: datetime
    changed: tuple[str, ...] = ()
    link_target: MemoryId | None = None
    link_type: str | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """How far a scope's change feeds have come: the store's epoch and the sum of the heads.

    No watermark passes its head, so the sums are equal only if every part is.
    """

    epoch: str
    seq: int
