"""The bodies and query parameters of requests that find memories."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from litestar.params import FromQuery, QueryParameter
from msgspec import UNSET, Meta, UnsetType, field

from domain.errors import InvalidInput
from domain.filter import Box, Condition, Filter, parse_box, parse_where
from domain.memory import TAG_LENGTH_MAX, Kind, check_time, checked_text
from domain.namespace import Namespace, Scope, ScopeKind, parse_namespace
from domain.recall import RecallAnswer, RecallQuery
from domain.revision import SOURCE_LENGTH_MAX
from entrypoints.decoding import decoded
from entrypoints.http import shapes
from entrypoints.http.schemas import (
    Body,
    Coordinate,
    Signals,
    SourceBody,
    Space,
    Time,
    Weights,
    given_or,
)
from entrypoints.http.shapes import shaped
from entrypoints.http.vectors import GivenVector, vector_values

QUERIES_MAX = 100
K_DEFAULT = 10
LEVEL_MAX = 1000
LEVEL: shapes.Shape = {"minimum": 0, "maximum": LEVEL_MAX}

Where = Annotated[
    dict[str, object],
    Meta(
        description="conditions on the payload: eq, ne, in, gt, gte, lt, lte, exists, and, or, not",
        examples=[{"turn": {"gte": 3}, "channel": "chat"}],
    ),
]
FilterTags = Annotated[list[str], shaped(shapes.FILTER_TAGS, examples=[["preference"]])]
SpaceParameter = Annotated[
    str | None,
    QueryParameter(
        description="a namespace path; absent: `default`, or where the key is bound",
        schema_extra=dict(shapes.NAMESPACE),
    ),
]
ScopeParameter = Annotated[
    ScopeKind,
    QueryParameter(name="scope", description="`exact`, or `subtree` for everything below it too"),
]
LimitParameter = Annotated[int, QueryParameter(ge=1, le=1000, description="the size of a page")]
CursorParameter = Annotated[
    str | None, QueryParameter(description="`next_cursor` of the page before")
]
TimeParameter = Annotated[
    datetime | None, QueryParameter(description="RFC 3339 with an offset (write `+` as `%2B`)")
]


class BoxBody(Body):
    """An axis-parallel box of coordinates, both corners included."""

    min: Coordinate
    max: Coordinate

    def box(self) -> Box:
        """Return it as the domain has it."""
        return parse_box(self.min, self.max)


class RecallBody(Body):
    """A question by words, by a vector, or both, and which memories may answer it."""

    query: (
        Annotated[str, shaped(shapes.NOT_BLANK, examples=["How does Alice want to be contacted?"])]
        | None
    ) = None
    vector: GivenVector | None = None
    namespace: Space | UnsetType = UNSET
    scope: ScopeKind = ScopeKind.EXACT
    k: Annotated[int, shaped(shapes.K, "1 to 1000", examples=[K_DEFAULT])] = K_DEFAULT
    kinds: list[Kind] = field(default_factory=list)
    tags: FilterTags = field(default_factory=list)
    tags_any: FilterTags = field(default_factory=list)
    occurred_after: Time | None = None
    occurred_before: Time | None = None
    box: BoxBody | None = None
    where: Where | None = None
    level: Annotated[int, Meta(ge=0, le=LEVEL_MAX), shaped(LEVEL)] | None = None
    source: SourceBody | None = None
    as_of: Time | None = None
    include_expired: bool = False
    min_relevance: Annotated[float, shaped(shapes.FRACTION, "0 to 1", examples=[0.3])] | None = None
    weights: Weights = field(default_factory=dict)
    signals: Signals = field(default_factory=dict)
    rerank: Annotated[
        bool | None, Meta(description="judge the best candidates; null: as the namespace says")
    ] = None
    expand: Annotated[
        bool | int, shaped(shapes.HOPS, "hops along links, 0 to 3; true is 1", examples=[1])
    ] = 0
    budget_tokens: Annotated[int, shaped(shapes.BUDGET, examples=[800])] | None = None

    def asked(self, home: Namespace) -> RecallQuery:
        """Return it as the domain has it; raise `InvalidInput` naming the field.

        `home` is where the question goes without a namespace.
        """
        return RecallQuery(
            text=self.query,
            vector=None if self.vector is None else vector_values(self.vector),
            scope=Scope(parse_namespace(given_or(self.namespace, home)), self.scope),
            filter=self._filter(),
            k=self.k,
            as_of=self.as_of,
            include_expired=self.include_expired,
            min_relevance=self.min_relevance,
            weights=self.weights,
            signals=self.signals,
            rerank=self.rerank,
            expand=int(self.expand),
            budget_tokens=self.budget_tokens,
        )

    def _filter(self) -> Filter:
        source = self.source or SourceBody()
        return checked_filter(
            Filter(
                kinds=tuple(self.kinds),
                tags=tuple(self.tags),
                tags_any=tuple(self.tags_any),
                occurred_after=self.occurred_after,
                occurred_before=self.occurred_before,
                box=self.box.box() if self.box else None,
                where=None if self.where is None else parse_where(self.where),
                level=self.level,
                actor=source.actor,
                session=source.session,
            ),
            within="source.",
        )


class RecallBatchBody(Body):
    """Up to 100 questions."""

    queries: Annotated[list[RecallBody], shaped({"minItems": 1, "maxItems": QUERIES_MAX})]

    def asked(self, home: Namespace) -> list[RecallQuery]:
        """Return them as the domain has them; a refusal names the index."""
        if not 1 <= len(self.queries) <= QUERIES_MAX:
            raise InvalidInput("queries", f"must hold 1 to {QUERIES_MAX} questions")
        asked = []
        for index, query in enumerate(self.queries):
            try:
                asked.append(query.asked(home))
            except InvalidInput as error:
                raise error.within(f"queries[{index}]") from error
        return asked


@dataclass(frozen=True, slots=True)
class RecallAnswers:
    """One answer for each question, in order."""

    answers: list[RecallAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListParameters:
    """Which memories to list: the filters of a recall as query parameters."""

    namespace: SpaceParameter = None
    reach: ScopeParameter = ScopeKind.EXACT
    kinds: Annotated[list[Kind] | None, QueryParameter(description="repeatable")] = None
    tags: Annotated[
        list[str] | None,
        QueryParameter(
            description="all of these; repeatable", schema_extra=dict(shapes.FILTER_TAGS)
        ),
    ] = None
    tags_any: Annotated[
        list[str] | None,
        QueryParameter(
            description="any of these; repeatable", schema_extra=dict(shapes.FILTER_TAGS)
        ),
    ] = None
    occurred_after: TimeParameter = None
    occurred_before: TimeParameter = None
    box: Annotated[str | None, QueryParameter(description='JSON: {"min": [0], "max": [1]}')] = None
    where: Annotated[str | None, QueryParameter(description="JSON, as in a recall")] = None
    level: Annotated[int | None, QueryParameter(ge=0, le=LEVEL_MAX, schema_extra=dict(LEVEL))] = (
        None
    )
    actor: Annotated[
        str | None,
        QueryParameter(description="who said or did it", schema_extra=dict(shapes.SOURCE_NAME)),
    ] = None
    session: Annotated[
        str | None,
        QueryParameter(description="in which session", schema_extra=dict(shapes.SOURCE_NAME)),
    ] = None
    as_of: Annotated[datetime | None, QueryParameter(description="valid at this time, not now")] = (
        None
    )
    include_expired: FromQuery[bool] = False
    limit: LimitParameter = 100
    cursor: CursorParameter = None

    def where_and_box(self) -> tuple[Condition | None, Box | None]:
        """Read the two parameters that are JSON text."""
        where, box = None, None
        if self.where is not None:
            where = parse_where(decoded(self.where, dict[str, object], within="where"))
        if self.box is not None:
            box = decoded(self.box, BoxBody, within="box").box()
        return where, box

    def filter(self) -> Filter:
        """Return the filter; raise `InvalidInput` naming the parameter."""
        where, box = self.where_and_box()
        return checked_filter(
            Filter(
                kinds=tuple(self.kinds or ()),
                tags=tuple(self.tags or ()),
                tags_any=tuple(self.tags_any or ()),
                occurred_after=check_time(self.occurred_after, "occurred_after"),
                occurred_before=check_time(self.occurred_before, "occurred_before"),
                box=box,
                where=where,
                level=self.level,
                actor=self.actor,
                session=self.session,
            )
        )


def checked_filter(filter: Filter, *, within: str = "") -> Filter:
    """Refuse texts in a filter that no memory can have; `within` begins the names of the source."""
    names = [(f"{within}actor", filter.actor), (f"{within}session", filter.session)]
    tags = [(f"tags[{index}]", tag) for index, tag in enumerate(filter.tags)]
    tags += [(f"tags_any[{index}]", tag) for index, tag in enumerate(filter.tags_any)]
    for texts, length_max in ((names, SOURCE_LENGTH_MAX), (tags, TAG_LENGTH_MAX)):
        for name, text in texts:
            if text is not None and not 1 <= len(checked_text(text, name)) <= length_max:
                raise InvalidInput(name, f"must have 1 to {length_max} characters")
    return filter
