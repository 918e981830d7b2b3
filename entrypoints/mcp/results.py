"""What the tools return: the part of REST's answers that a model has use for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import field


class Source(msgspec.Struct, omit_defaults=True):
    """Who said or did it, and in which session."""

    actor: str | None = None
    session: str | None = None


class FoundMemory(msgspec.Struct, omit_defaults=True):
    """A memory without its bookkeeping."""

    id: str
    namespace: str
    content: str
    kind: str
    version: int
    tags: list[str] = field(default_factory=list)
    payload: dict[str, Any] = field(default_factory=dict)
    occurred_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    expires_at: datetime | None = None
    source: Source = field(default_factory=Source)


class Remembered(msgspec.Struct):
    """What became of a memory."""

    memory: FoundMemory
    indexed: bool
    deduplicated: bool


class FoundHit(msgspec.Struct):
    """A memory that answers; the parts sum to the score, relevance compares between questions."""

    memory: FoundMemory
    score: float
    relevance: float
    parts: dict[str, float]


class Recalled(msgspec.Struct, omit_defaults=True):
    """The best memories; `omitted` more did not fit into the budget."""

    hits: list[FoundHit]
    omitted: int = 0
    degraded: list[str] = field(default_factory=list)


class Forgotten(msgspec.Struct):
    """A memory that no longer answers."""

    id: str
    erased: bool


class FoundLink(msgspec.Struct, omit_defaults=True):
    """A connection."""

    source: str
    target: str
    type: str
    weight: float
    properties: dict[str, Any] = field(default_factory=dict)


class Neighbor(msgspec.Struct):
    """A memory reached along links, and the links of the last hop."""

    memory: FoundMemory
    depth: int
    links: list[FoundLink]


class Explored(msgspec.Struct, omit_defaults=True):
    """What is linked, nearest first; or the memories of a path in order, with its links."""

    neighbors: list[Neighbor] = field(default_factory=list)
    path: list[FoundMemory] = field(default_factory=list)
    links: list[FoundLink] = field(default_factory=list)
    omitted: int = 0


class NamespaceCounts(msgspec.Struct):
    """What one namespace holds."""

    path: str
    memories: int
    links: int
    pending_vectors: int


class Stats(msgspec.Struct, omit_defaults=True):
    """What the namespaces hold; `more` says that there are others."""

    namespaces: list[NamespaceCounts]
    more: bool = False
    omitted: int = 0
