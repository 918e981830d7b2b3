"""The bodies of requests about memories, links and namespaces."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from domain.draft import KEEP, Changes, Draft, Keep, NewLink, Wait
from domain.errors import InvalidInput
from domain.memory import NESTING_MAX, Kind, MemoryId, Source
from domain.namespace import Namespace, NamespacePolicy
from entrypoints.http import shapes
from entrypoints.http.shapes import shaped
from entrypoints.http.vectors import GivenVector, vector_values

T = TypeVar("T")

Time = Annotated[
    datetime,
    Meta(tz=True, description="RFC 3339 with an offset", examples=["2026-01-31T12:00:00Z"]),
]
Later = Annotated[
    datetime,
    Meta(tz=True, description="RFC 3339 with an offset", examples=["2099-12-31T12:00:00Z"]),
]
Space = Annotated[
    str,
    shaped(
        shapes.NAMESPACE,
        "1 to 16 segments joined by `/`; absent: `default`, or where the key is bound",
        examples=["acme/support/alice"],
    ),
]
Content = Annotated[
    str,
    shaped(shapes.NOT_BLANK, "the text to remember", examples=["Alice prefers e-mail to calls."]),
]
Payload = Annotated[
    dict[str, object],
    Meta(
        description=f"free JSON, at most {NESTING_MAX} levels deep",
        examples=[{"channel": "chat", "turn": 7}],
    ),
]
Tags = Annotated[list[str], shaped(shapes.TAGS, "at most 64", examples=[["preference", "contact"]])]
Coordinate = Annotated[
    list[float],
    shaped(
        shapes.COORDINATE, "1 to 16 finite numbers, unique per namespace", examples=[[0.1, 0.2]]
    ),
]
Importance = Annotated[float, shaped(shapes.NOT_NEGATIVE, "at least 0; 1 is usual", examples=[1.0])]
Seconds = Annotated[float, shaped(shapes.POSITIVE, "above 0", examples=[86400.0])]
Id = Annotated[
    str, Meta(description="a memory's id", examples=["01999999-0000-7000-8000-000000000000"])
]
LinkType = Annotated[str, shaped(shapes.LINK_TYPE, examples=["follows"])]
Weight = Annotated[float, shaped(shapes.POSITIVE, "strength, above 0", examples=[1.0])]
Weights = Annotated[dict[str, float], shaped(shapes.WEIGHT_BY_PART)]
Signals = Annotated[dict[str, bool], shaped(shapes.SWITCH_BY_SIGNAL)]


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object in which nothing unknown is accepted."""


class SourceBody(Body):
    """Who said or did it, and in which session."""

    actor: Annotated[str, shaped(shapes.SOURCE_NAME, examples=["alice"])] | None = None
    session: Annotated[str, shaped(shapes.SOURCE_NAME, examples=["2026-01-31-chat"])] | None = None

    def source(self) -> Source:
        """Return it as the domain has it."""
        return Source(actor=self.actor, session=self.session)


class NewLinkBody(Body):
    """A link from the memory being stored to one that exists."""

    target: Id
    type: LinkType
    weight: Weight = 1.0
    properties: Payload = field(default_factory=dict)

    def link(self) -> NewLink:
        """Return it as the domain has it."""
        return NewLink(
            target=MemoryId(self.target),
            type=self.type,
            weight=self.weight,
            properties=self.properties,
        )


class DraftBody(Body):
    """One memory to store. Of `ttl_seconds` and `expires_at` at most one may be given."""

    content: Content
    namespace: Space | UnsetType = UNSET
    kind: Kind | None = None
    payload: Payload | None = None
    tags: Tags | None = None
    coordinate: Coordinate | None = None
    importance: Importance | None = None
    pinned: bool | None = None
    occurred_at: Time | None = None
    valid_from: Time | None = None
    valid_to: Later | None = None
    expires_at: Later | None = None
    ttl_seconds: Seconds | None = None
    source: SourceBody | None = None
    vector: GivenVector | None = None
    links: list[NewLinkBody] = field(default_factory=list)
    deduplicate: bool = True

    def draft(self, home: Namespace) -> Draft:
        """Return it as the domain has it; raise `InvalidInput` for a vector that is none.

        `home` is where it goes without a namespace.
        """
        return Draft(
            content=self.content,
            namespace=given_or(self.namespace, home),
            kind=self.kind,
            payload=self.payload,
            tags=self.tags,
            coordinate=self.coordinate,
            importance=self.importance,
            pinned=self.pinned,
            occurred_at=self.occurred_at,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            expires_at=self.expires_at,
            ttl_seconds=self.ttl_seconds,
            source=self.source.source() if self.source else None,
            vector=None if self.vector is None else vector_values(self.vector),
            links=tuple(link.link() for link in self.links),
            deduplicate=self.deduplicate,
        )


class RememberBody(DraftBody):
    """One memory to store, and what to wait for."""

    wait: Wait = Wait.INDEXED


class RememberBatchBody(Body):
    """Memories to store in one transaction: all of them, or none."""

    memories: Annotated[list[DraftBody], shaped(shapes.BATCH)]
    wait: Wait = Wait.INDEXED

    def drafts(self, home: Namespace) -> list[Draft]:
        """Return them as the domain has them; a refusal names the index."""
        drafts = []
        for index, memory in enumerate(self.memories):
            try:
                drafts.append(memory.draft(home))
            except InvalidInput as error:
                raise error.within(f"memories[{index}]") from error
        return drafts


class ReviseBody(Body):
    """Fields to change; null clears a field that may be empty, an absent field stays."""

    content: Content | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    payload: Payload | UnsetType | None = UNSET
    tags: Tags | UnsetType | None = UNSET
    coordinate: Coordinate | UnsetType | None = UNSET
    importance: Importance | UnsetType | None = UNSET
    pinned: bool | UnsetType | None = UNSET
    occurred_at: Time | UnsetType | None = UNSET
    valid_from: Time | UnsetType | None = UNSET
    valid_to: Later | UnsetType | None = UNSET
    expires_at: Later | UnsetType | None = UNSET
    ttl_seconds: Seconds | UnsetType | None = UNSET
    source: SourceBody | UnsetType | None = UNSET
    vector: GivenVector | UnsetType | None = UNSET
    wait: Wait = Wait.INDEXED

    def changes(self) -> Changes:
        """Return them as the domain has them; raise `InvalidInput` for a vector that is none."""
        source = self.source.source() if isinstance(self.source, SourceBody) else self.source
        vector = self.vector
        if isinstance(vector, list | str):
            vector = vector_values(vector)
        return Changes(
            content=_kept(self.content),
            kind=_kept(self.kind),
            payload=_kept(self.payload),
            tags=_kept(self.tags),
            coordinate=_kept(self.coordinate),
            importance=_kept(self.importance),
            pinned=_kept(self.pinned),
            occurred_at=_kept(self.occurred_at),
            valid_from=_kept(self.valid_from),
            valid_to=_kept(self.valid_to),
            expires_at=_kept(self.expires_at),
            ttl_seconds=_kept(self.ttl_seconds),
            source=_kept(source),
            vector=_kept(vector),
        )


class LinkBody(Body):
    """A link between two memories; storing it again changes weight and properties."""

    source: Annotated[
        str,
        Meta(description="a memory's id", examples=["01999999-1111-7111-8111-111111111111"]),
    ]
    target: Id
    type: LinkType
    weight: Weight = 1.0
    properties: Payload = field(default_factory=dict)


class PolicyBody(Body):
    """What a namespace does differently; what is absent is inherited."""

    half_life_days: Annotated[float, shaped(shapes.DURATION, examples=[90.0])] | None = None
    default_ttl_seconds: Annotated[float, shaped(shapes.DURATION, examples=[86400.0])] | None = None
    weights: Weights = field(default_factory=dict)
    signals: Signals = field(default_factory=dict)

    def policy(self) -> NamespacePolicy:
        """Return it as the domain has it."""
        return NamespacePolicy(
            half_life_days=self.half_life_days,
            default_ttl_seconds=self.default_ttl_seconds,
            weights=self.weights,
            signals=self.signals,
        )


class NamespaceBody(Body):
    """A change of a namespace: its own policy is replaced as a whole."""

    policy: PolicyBody


def given_or(value: str | UnsetType, home: Namespace) -> str:
    """Return the namespace that was given, or the one that is meant without."""
    return home if isinstance(value, UnsetType) else value


def _kept(value: T | UnsetType) -> T | Keep:
    return KEEP if isinstance(value, UnsetType) else value
