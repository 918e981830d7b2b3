"""What the tools take: the fields of REST that a model has use for, described for it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from domain.memory import NESTING_MAX

Namespace = Annotated[
    str,
    Meta(
        description="where to look or store, a path such as team/project/user; "
        "leave it out for the caller's own",
        max_length=2063,
    ),
]
Id = Annotated[str, Meta(description="a memory's id, as other tools return it", max_length=64)]
Time = Annotated[datetime, Meta(tz=True)]
Tags = Annotated[list[str], Meta(max_length=64)]
Kind = Literal["episodic", "semantic", "procedural"]
FreeJson = Annotated[
    dict[str, Any],
    Meta(description=f"free JSON to filter by later, at most {NESTING_MAX} levels deep"),
]
Budget = Annotated[
    int,
    Meta(ge=50, le=100_000, description="about how many tokens the answer may take; default 1500"),
]

BUDGET_TOKENS = 1500


class Arguments(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The arguments of a tool; nothing unknown is accepted."""


class RememberArguments(Arguments):
    """One memory to store."""

    content: Annotated[
        str,
        Meta(
            description="one self-contained statement, with names instead of pronouns; "
            "no secrets, no passwords, nothing the user asked not to keep",
            min_length=1,
            max_length=65536,
        ),
    ]
    namespace: Namespace | None = None
    kind: (
        Annotated[
            Kind,
            Meta(
                description="episodic: what happened (default); semantic: what is known; "
                "procedural: how to do something"
            ),
        ]
        | None
    ) = None
    tags: Tags | None = None
    payload: FreeJson | None = None
    occurred_at: (
        Annotated[Time, Meta(description="when it happened, RFC 3339 with an offset")] | None
    ) = None
    valid_from: Annotated[Time, Meta(description="since when it is true")] | None = None
    valid_to: Annotated[Time, Meta(description="until when it is true")] | None = None
    ttl_seconds: Annotated[float, Meta(gt=0, description="forget it after this time")] | None = None
    importance: Annotated[float, Meta(ge=0, description="1 is usual")] | None = None
    actor: Annotated[str, Meta(description="who said or did it")] | None = None
    session: Annotated[str, Meta(description="in which conversation")] | None = None


class RecallArguments(Arguments):
    """A question and which memories may answer it."""

    query: Annotated[str, Meta(description="a question or statement in plain words", min_length=1)]
    namespace: Namespace | None = None
    scope: (
        Annotated[
            Literal["exact", "subtree"],
            Meta(
                description="subtree: this namespace and everything below it. Left out: exact, "
                "but for a caller who has one subtree and names no namespace all of it"
            ),
        ]
        | UnsetType
    ) = UNSET
    k: Annotated[int, Meta(ge=1, le=1000, description="at most this many memories")] = 8
    kinds: list[Kind] = field(default_factory=list)
    tags: Annotated[Tags, Meta(description="all of these")] = field(default_factory=list)
    tags_any: Annotated[Tags, Meta(description="any of these")] = field(default_factory=list)
    occurred_after: Time | None = None
    occurred_before: Time | None = None
    as_of: Annotated[Time, Meta(description="what was true at this time, not now")] | None = None
    where: (
        Annotated[
            dict[str, Any],
            Meta(description='conditions on the payload, such as {"turn": {"gte": 3}}'),
        ]
        | None
    ) = None
    min_relevance: (
        Annotated[float, Meta(ge=0, le=1, description="0.5 leaves out what is not about the query")]
        | None
    ) = None
    expand: Annotated[int, Meta(ge=0, le=3, description="hops along links to follow")] = 0
    budget_tokens: Budget = BUDGET_TOKENS


class GetArguments(Arguments):
    """Which memory to show."""

    id: Id
    known_at: Annotated[Time, Meta(description="as it was known at this time")] | None = None
    budget_tokens: Budget = BUDGET_TOKENS


class ForgetArguments(Arguments):
    """Which memory to forget."""

    id: Id
    erase: Annotated[bool, Meta(description="also remove its content and history for good")] = False


class LinkArguments(Arguments):
    """Two memories and how they are connected."""

    source: Id
    target: Id
    type: Annotated[
        str,
        Meta(
            description="what the source is to the target, such as caused or part_of",
            pattern="^[A-Za-z0-9_.:-]{1,64}$",
        ),
    ] = "related"
    weight: Annotated[float, Meta(gt=0, description="strength; 1 is usual")] = 1.0
    properties: FreeJson = field(default_factory=dict)


class ExploreArguments(Arguments):
    """Where to start walking along links, and how far or where to."""

    id: Id
    to: Annotated[Id, Meta(description="find the shortest path to this memory instead")] | None = (
        None
    )
    type: Annotated[str, Meta(description="only links of this type")] | None = None
    direction: Literal["out", "in", "both"] = "both"
    depth: Annotated[int, Meta(ge=1, le=8, description="hops")] = 1
    limit: Annotated[int, Meta(ge=1, le=1000)] = 20
    budget_tokens: Budget = BUDGET_TOKENS


class StatsArguments(Arguments):
    """Which namespaces to count."""

    namespace: Namespace | None = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="at most this many namespaces")] = 50
    budget_tokens: Budget = BUDGET_TOKENS
