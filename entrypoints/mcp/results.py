"""What the tools return: the part of REST's answers that a model has use for, within its budget.

What `left_out` names is there, but was too large to be shown. Text and list of a result hold the
same, in the same order.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field
from msgspec.structs import replace

from domain.memory import NESTING_MAX, is_nested_deeper

#: Digits of a score after the point: REST has the others.
_DIGITS = 4

Details = Annotated[
    list[Literal["payload", "details"]],
    Meta(description="not shown for want of room; details: all but what is here"),
]


class Source(msgspec.Struct, omit_defaults=True):
    """Who said or did it, and in which session."""

    actor: str | None = None
    session: str | None = None


class FoundMemory(msgspec.Struct, omit_defaults=True):
    """A memory without its bookkeeping."""

    id: str
    content: Annotated[str, Meta(description="where `cut` is true, its beginning")]
    namespace: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    version: int | UnsetType = UNSET
    tags: list[str] = field(default_factory=list)
    payload: dict[str, Any] = field(default_factory=dict)
    occurred_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    expires_at: datetime | None = None
    source: Source | UnsetType = UNSET
    left_out: Details = field(default_factory=list)
    cut: bool = False

    def __post_init__(self) -> None:
        """Leave out a payload from before there was a limit: no client could read it."""
        if self.source == Source():
            self.source = UNSET
        if is_nested_deeper(self.payload, NESTING_MAX):
            self.payload, self.left_out = {}, ["payload"]

    def lean(self) -> FoundMemory:
        """Return it without its payload."""
        return replace(self, payload={}, left_out=["payload"]) if self.payload else self

    def identified(self) -> FoundMemory:
        """Return what tells it from others."""
        return FoundMemory(
            id=self.id,
            content=self.content,
            namespace=self.namespace,
            kind=self.kind,
            version=self.version,
        )

    def bare(self) -> FoundMemory:
        """Return what identifies it, and what it says."""
        return FoundMemory(id=self.id, content=self.content, left_out=["details"], cut=self.cut)

    def beginning(self, characters: int) -> FoundMemory:
        """Return it with only the beginning of its content."""
        if characters >= len(self.content):
            return self
        return replace(self, content=self.content[:characters], cut=True)


class Remembered(msgspec.Struct):
    """What became of a memory."""

    memory: FoundMemory
    indexed: bool
    deduplicated: bool


class FoundHit(msgspec.Struct, omit_defaults=True):
    """A memory that answers; the parts sum to the score, relevance compares between questions."""

    memory: FoundMemory
    relevance: float
    score: float | UnsetType = UNSET
    parts: dict[str, float] | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Spare the model digits that tell it nothing."""
        self.relevance = round(self.relevance, _DIGITS)
        if self.score is not UNSET:
            self.score = round(self.score, _DIGITS)
        if self.parts is not UNSET:
            self.parts = {name: round(part, _DIGITS) for name, part in self.parts.items()}

    def lean(self) -> FoundHit:
        """Return it without free JSON."""
        return replace(self, memory=self.memory.lean())

    def bare(self) -> FoundHit:
        """Return the least that is of use."""
        return FoundHit(memory=self.memory.bare(), relevance=self.relevance)


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
    left_out: Annotated[
        list[Literal["properties"]], Meta(description="not shown for want of room")
    ] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Leave out properties from before there was a limit: no client could read them."""
        if is_nested_deeper(self.properties, NESTING_MAX):
            self.properties, self.left_out = {}, ["properties"]

    def identified(self) -> FoundLink:
        """Return what tells it from others, and its strength."""
        return FoundLink(self.source, self.target, self.type, self.weight)

    def lean(self) -> FoundLink:
        """Return it without its properties."""
        return replace(self, properties={}, left_out=["properties"]) if self.properties else self


class Neighbor(msgspec.Struct, omit_defaults=True):
    """A memory reached along links, and the links of the last hop."""

    memory: FoundMemory
    depth: int
    links: list[FoundLink] = field(default_factory=list)
    left_out: Annotated[list[Literal["links"]], Meta(description="not shown for want of room")] = (
        field(default_factory=list)
    )

    def lean(self) -> Neighbor:
        """Return it without free JSON."""
        links = [link.lean() for link in self.links]
        return replace(self, memory=self.memory.lean(), links=links)

    def bare(self) -> Neighbor:
        """Return the least that is of use."""
        return Neighbor(memory=self.memory.bare(), depth=self.depth, left_out=["links"])


class Step(msgspec.Struct, omit_defaults=True):
    """A memory of a path, and the link that led to it."""

    memory: FoundMemory
    link: FoundLink | None = None

    def lean(self) -> Step:
        """Return it without free JSON."""
        return Step(self.memory.lean(), self.link and self.link.lean())

    def bare(self) -> Step:
        """Return the least that is of use."""
        return Step(self.memory.bare())


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
