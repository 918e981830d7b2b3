"""Qdrant's conditions are never narrower than `Filter.matches`, and equal where they say so."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from qdrant_client import models

from adapters.qdrant.facts import FACTS_MAX
from adapters.qdrant.filters import said, scope_filter
from adapters.qdrant.projection import QdrantProjection
from domain.filter import Comparison, Condition, Filter, Not, Operator, parse_where
from domain.memory import Memory, MemoryId
from domain.namespace import Namespace, Scope
from domain.vector import Role
from tests.contracts.projecting import projected
from tests.contracts.store_fixtures import a_memory, below, exactly
from tests.contracts.test_canonical_store_filters import (
    ORDERED,
    VALUES,
    conditions,
    filters,
    memories,
    payloads,
)
from tests.qdrant_server import TestQdrant

_spaces = itertools.count()


@pytest.fixture
async def projection(qdrant: TestQdrant) -> QdrantProjection:
    """A projection to fill and to ask."""
    opened = QdrantProjection(qdrant.collection())
    await opened.open()
    return opened


async def answered(projection: QdrantProjection, scope: Scope, filter: Filter) -> set[MemoryId]:
    """Return what Qdrant lets through."""
    found, _ = await projection._collection.read(
        lambda client, name: client.scroll(
            name, scroll_filter=scope_filter(scope, filter, roles=[Role.OWN]), limit=1000
        )
    )
    return {MemoryId((point.payload or {})["memory"]) for point in found}


async def agree(
    projection: QdrantProjection, scope: Scope, found: list[Memory], filter: Filter
) -> None:
    """Compare Qdrant's answer with the reference."""
    expected = {memory.id for memory in found if filter.matches(memory)}
    answer = await answered(projection, scope, filter)
    if said(filter)[1]:
        assert expected == answer, filter
    else:
        assert expected <= answer, filter


async def filled(
    projection: QdrantProjection, found: list[Memory]
) -> tuple[QdrantProjection, Scope]:
    await projection.put([projected(memory) for memory in found])
    return projection, exactly(found[0].namespace)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_agrees_on_fields(projection: QdrantProjection, data: st.DataObject) -> None:
    found = data.draw(memories(Namespace(f"fields/{next(_spaces)}")))
    filter = data.draw(filters())

    await agree(*await filled(projection, found), found, filter)
    assert said(filter)[1]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(payloads=st.lists(payloads, min_size=1, max_size=6), condition=conditions)
@example(payloads=[{"a": {"b": 2**64}}], condition=Comparison(("a", "b"), Operator.EQ, 2.0**64))
@example(payloads=[{"a": 10**308}], condition=Comparison(("a",), Operator.GT, 1e308))
@example(payloads=[{"a": 10**308}], condition=Not(Comparison(("a",), Operator.LTE, 10**308)))
@example(payloads=[{"a": 2**53 + 1}], condition=Comparison(("a",), Operator.GT, 2**53))
async def test_agrees_on_payloads(
    projection: QdrantProjection, payloads: list[dict[str, object]], condition: Condition
) -> None:
    namespace = Namespace(f"payloads/{next(_spaces)}")
    found = [a_memory(payload=payload, namespace=namespace) for payload in payloads]

    await agree(*await filled(projection, found), found, Filter(where=condition))


async def test_compares_every_sort_of_value_with_every_other(
    projection: QdrantProjection,
) -> None:
    odd: list[object] = [[], [1], {}, {"a": 1}, 10**308]
    found = [a_memory(payload={"a": value}) for value in [*VALUES, *odd]]
    found += [a_memory(), a_memory(payload={"b": 1})]
    await filled(projection, found)

    for value in [*VALUES, float("inf"), float("-inf"), float("nan"), 10**308]:
        for operator in (Operator.EQ, Operator.NE, *ORDERED):
            comparison = Comparison(("a",), operator, value)
            await agree(projection, exactly(), found, Filter(where=comparison))
            await agree(projection, exactly(), found, Filter(where=Not(comparison)))


async def test_lets_long_payloads_through_when_it_has_not_kept_all_of_them(
    projection: QdrantProjection,
) -> None:
    long = {f"key {number}": number for number in range(FACTS_MAX)}
    found = [a_memory(payload=long), a_memory(payload={"key 0": 0})]
    await filled(projection, found)

    for where in ({"key 255": 255}, {"key 255": {"gte": 255}}, {"not": {"key 0": 0}}):
        filter = Filter(where=parse_where(where))
        assert found[0].id in await answered(projection, exactly(), filter)
    assert found[1].id not in await answered(
        projection, exactly(), Filter(where=parse_where({"not": {"key 0": 0}}))
    )


@pytest.mark.parametrize(
    ("where", "exact"),
    [
        ({"a": {"gt": 1, "lte": 2.5}, "b": "x"}, True),
        ({"or": [{"a": 1}, {"b": {"in": [True, None]}}]}, True),
        ({"not": {"a": {"exists": True}}}, True),
        ({"a": {"gt": "text"}}, False),
        ({"a": {"gt": 2**53}}, False),
        ({"not": {"a": {"lt": "text"}}}, False),
    ],
)
def test_says_whether_it_says_exactly_what_was_asked(where: dict[str, object], exact: bool) -> None:
    assert exact is said(Filter(where=parse_where(where)))[1]


async def test_a_subtree_is_its_root_and_what_is_below(projection: QdrantProjection) -> None:
    places = ["acme", "acme/a", "acme/a/b", "acmee", "other/acme"]
    found = [a_memory(namespace=Namespace(place)) for place in places]
    await filled(projection, found)

    assert {one.id for one in found[:3]} == await answered(projection, below("acme"), Filter())
    assert {found[1].id} == await answered(projection, exactly(Namespace("acme/a")), Filter())


async def test_leaves_out_what_it_is_told_to(projection: QdrantProjection) -> None:
    found = [a_memory(), a_memory()]
    await filled(projection, found)
    without = scope_filter(exactly(), Filter(), roles=[Role.OWN], without=[found[0].id])

    points, _ = await projection._collection.read(
        lambda client, name: client.scroll(name, scroll_filter=without, limit=10)
    )

    assert [found[1].id] == [(point.payload or {})["memory"] for point in points]


def test_a_filter_of_nothing_is_no_condition() -> None:
    assert (None, True) == said(Filter())
    assert isinstance(said(Filter(level=0))[0], models.Filter)
