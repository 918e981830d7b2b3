"""The two calls of the seed manual, `POST /store` and `POST /recall`, as aliases of `/v1`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

from litestar import Response, post
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType

from application.access.permits import Operation
from domain.draft import Draft, Remembered
from domain.errors import InvalidInput
from domain.filter import parse_where
from domain.memory import NESTING_MAX, Kind, is_nested_deeper, nested_too_deeply
from domain.namespace import Namespace
from domain.recall import RecallAnswer, RecallQuery
from entrypoints.http import shapes
from entrypoints.http.access import needs
from entrypoints.http.memories import stored
from entrypoints.http.problems import BODY, documented
from entrypoints.http.requests import Soma
from entrypoints.http.schemas import Body, Payload, Space, given_or
from entrypoints.http.schemas_recall import K_DEFAULT, RecallBody
from entrypoints.http.shapes import shaped

#: Where a payload keeps its text, the first that is there.
TEXT_KEYS = ("content", "text", "fact", "message", "summary", "task", "description")


class StoreBody(Body):
    """A payload at a coordinate; the text to remember is taken from the payload."""

    coordinate: Annotated[
        list[float] | str,
        shaped({**shapes.COORDINATE, **shapes.NUMBERS}, examples=["0.1,0.2", [0.1, 0.2]]),
    ]
    payload: Payload
    memory_type: Kind | None = None
    type: Kind | None = None
    namespace: Space | UnsetType = UNSET

    def draft(self, home: Namespace) -> Draft:
        """Return it as the domain has it; `home` is where it goes without a namespace."""
        if self.memory_type and self.type and self.memory_type != self.type:
            raise InvalidInput("type", "contradicts memory_type")
        return Draft(
            content=_text(self.payload),
            namespace=given_or(self.namespace, home),
            kind=self.memory_type or self.type,
            payload=self.payload,
            coordinate=_numbers(self.coordinate),
        )


class SeedRecallBody(RecallBody):
    """As POST /v1/recall; `top_k` is `k`, and `filters` are payload values that must be equal."""

    top_k: Annotated[int, shaped(shapes.K, examples=[5])] | None = None
    filters: dict[str, str | int | float | bool | None] | None = None

    def asked(self, home: Namespace) -> RecallQuery:
        """Return it as the domain has it; raise `InvalidInput` naming the field."""
        query = super().asked(home)
        if self.top_k is not None:
            if self.k not in {K_DEFAULT, self.top_k}:
                raise InvalidInput("top_k", "contradicts k")
            query = replace(query, k=self.top_k)
        if not self.filters:
            return query
        if self.where is not None:
            raise InvalidInput("filters", "cannot be combined with where")
        equal: dict[str, object] = {key: {"eq": value} for key, value in self.filters.items()}
        filter = replace(query.filter, where=parse_where(equal))
        return replace(query, filter=filter)


@post(
    "/store",
    opt=needs(Operation.REMEMBER),
    status_code=201,
    tags=["seed manual"],
    responses={
        **documented(400, *BODY),
        200: ResponseSpec(Remembered, description="It was known already", generate_examples=False),
    },
)
async def store(data: JSONBody[StoreBody], soma: Soma) -> Response[Remembered]:
    """Store a payload at a coordinate (alias of POST /v1/memories)."""
    return stored(await soma.remember(data.draft(soma.home)))


@post(
    "/recall",
    opt=needs(Operation.RECALL),
    status_code=200,
    tags=["seed manual"],
    responses=documented(400, *BODY),
)
async def seed_recall(data: JSONBody[SeedRecallBody], soma: Soma) -> RecallAnswer:
    """Find memories (alias of POST /v1/recall)."""
    return await soma.recall(data.asked(soma.home))


def _text(payload: dict[str, object]) -> str:
    for key in TEXT_KEYS:
        value = payload.get(key)
        if isinstance(value, str) and value.strip():
            return value
    if is_nested_deeper(payload, NESTING_MAX):
        raise nested_too_deeply("payload")
    return json.dumps(payload, ensure_ascii=False, sort_keys=True)


def _numbers(coordinate: list[float] | str) -> list[float]:
    if isinstance(coordinate, list):
        return coordinate
    try:
        return [float(axis) for axis in coordinate.split(",")]
    except ValueError as error:
        raise InvalidInput("coordinate", "must be numbers joined by commas") from error


ROUTES = [store, seed_recall]
