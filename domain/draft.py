"""What a caller asks to be remembered or changed, before it is checked and stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum, StrEnum
from typing import Generic, TypeVar

from domain.memory import Kind, Memory, MemoryId, Source
from domain.namespace import DEFAULT_NAMESPACE

T = TypeVar("T")


class Wait(StrEnum):
    """What the caller waits for: safe and found by words, or found by meaning too."""

    INDEXED = "indexed"
    STORED = "stored"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLink:
    """A link from the memory being stored to one that exists."""

    target: MemoryId
    type: str
    weight: float = 1.0
    properties: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A memory to store. None means "not given"."""

    content: str
    namespace: str = DEFAULT_NAMESPACE
    kind: Kind | None = None
    payload: Mapping[str, object] | None = None
    tags: Sequence[str] | None = None
    coordinate: Sequence[float] | None = None
    importance: float | None = None
    pinned: bool | None = None
    occurred_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    expires_at: datetime | None = None
    ttl_seconds: float | None = None
    source: Source | None = None
    vector: Sequence[float] | None = None
    links: tuple[NewLink, ...] = ()
    deduplicate: bool = True


class Keep(Enum):
    """The default of every change: leave the field as it is."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Fields to change; None clears a field that may be empty."""

    content: str | Keep = KEEP
    kind: Kind | Keep = KEEP
    payload: Mapping[str, object] | Keep | None = KEEP
    tags: Sequence[str] | Keep | None = KEEP
    coordinate: Sequence[float] | Keep | None = KEEP
    importance: float | Keep | None = KEEP
    pinned: bool | Keep | None = KEEP
    occurred_at: datetime | Keep | None = KEEP
    valid_from: datetime | Keep | None = KEEP
    valid_to: datetime | Keep | None = KEEP
    expires_at: datetime | Keep | None = KEEP
    ttl_seconds: float | Keep | None = KEEP
    source: Source | Keep | None = KEEP
    vector: Sequence[float] | Keep | None = KEEP

    def given(self) -> dict[str, object]:
        """Return the fields to change, by name."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in values if value is not KEEP}


@dataclass(frozen=True, slots=True)
class Remembered:
    """The stored memory; `indexed` says that it is already found by meaning."""

    memory: Memory
    indexed: bool
    deduplicated: bool


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list and where the next part begins."""

    items: tuple[T, ...]
    next_cursor: str | None
