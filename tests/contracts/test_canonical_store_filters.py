"""A store's filters agree with `Filter.matches`, whatever the memories and the filter."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.filter import (
    AllOf,
    AnyOf,
    Box,
    Comparison,
    Condition,
    Filter,
    Not,
    Operator,
    Scalar,
    parse_where,
)
from domain.memory import Kind, Memory, Source
from domain.namespace import Namespace
from domain.ports import CanonicalStore
from tests.contracts.store_fixtures import (
    START,
    a_memory,
    analysed,
    exactly,
    ids,
    new_id,
    stored,
)

_spaces = itertools.count()

KEYS = ["a", "b", "it's", "two words", "käse", "日本", "%_", "back\\slash", "tab\t", "$[0]", "ID"]
ORDERED = (Operator.GT, Operator.GTE, Operator.LT, Operator.LTE)
keys = st.sampled_from(["a", "a", "b", *KEYS])
small = [0, 1, -1, 1.0, 0.1, 0.30000000000000004, 5e-324, 1.7976931348623157e308, -0.0, 1e16]
large = [2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**30, 2.0**63]
edges = st.sampled_from([*small, *large])
numbers = edges | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.sampled_from(["", "a", "B", "1", "true", "null", "é", "e\u0301", "\U0001f600", "\uffff"])
texts = texts | st.sampled_from(["\"quoted'", "back\\slash", "line\nbreak", "a b", "%", "_"])
scalars = st.none() | st.booleans() | numbers | texts
payloads = st.dictionaries(
    keys,
    scalars
    | st.lists(scalars, max_size=2)
    | st.dictionaries(keys, scalars | st.dictionaries(keys, scalars, max_size=2), max_size=2),
    max_size=4,
)
paths = st.lists(keys, min_size=1, max_size=3).map(tuple)
comparisons = st.one_of(
    st.builds(Comparison, paths, st.sampled_from([Operator.EQ, Operator.NE]), scalars),
    st.builds(Comparison, paths, st.just(Operator.EXISTS), st.booleans()),
    st.builds(
        Comparison,
        paths,
        st.just(Operator.IN),
        st.lists(scalars, min_size=1, max_size=4).map(tuple),
    ),
    st.builds(
        Comparison,
        paths,
        st.sampled_from(ORDERED),
        numbers | texts | st.sampled_from([float("inf"), float("-inf"), float("nan")]),
    ),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple).map(AllOf),
        st.lists(inner, max_size=3).map(tuple).map(AnyOf),
        st.builds(Not, inner),
    ),
    max_leaves=5,
)

moments = st.integers(-3, 3).map(lambda number: START + timedelta(microseconds=number))
names = st.sampled_from(["a", "A", "ä", "o'neil", "a b", "%"])
axes = st.sampled_from([0.0, 0.1, 0.1 + 0.2, 0.3, 1.0, -1e308])
coordinates = st.lists(axes, min_size=1, max_size=3).map(tuple)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """Build a box whose corners are in order."""
    corners = draw(st.lists(st.tuples(axes, axes), min_size=1, max_size=3))
    return Box(tuple(min(pair) for pair in corners), tuple(max(pair) for pair in corners))


FIELDS: dict[str, st.SearchStrategy[object]] = {
    "kinds": st.lists(st.sampled_from(Kind), max_size=2).map(tuple),
    "tags": st.lists(names, max_size=2).map(tuple),
    "tags_any": st.lists(names, max_size=2).map(tuple),
    "occurred_after": moments,
    "occurred_before": moments,
    "box": boxes(),
    "level": st.integers(0, 1),
    "actor": names,
    "session": names,
    "valid_at": moments,
}


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    """Build a filter of one to three fields: more would let nothing through."""
    fields = draw(st.sets(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3))
    return Filter(**{name: draw(FIELDS[name]) for name in sorted(fields)})  # type: ignore[arg-type]


@st.composite
def memories(draw: st.DrawFn, namespace: Namespace) -> list[Memory]:
    """Build a few memories at different places."""
    places = draw(st.lists(st.none() | coordinates, min_size=1, max_size=6))
    return [
        Memory(
            id=new_id(),
            namespace=namespace,
            kind=draw(st.sampled_from(Kind)),
            content="x",
            content_hash="x",
            created_at=draw(moments),
            updated_at=START,
            version=1,
            seq=1,
            level=draw(st.integers(0, 1)),
            payload=draw(payloads),
            tags=tuple(sorted(draw(st.sets(names, max_size=3)))),
            coordinate=place if places.index(place) == index else None,
            occurred_at=draw(st.none() | moments),
            valid_from=draw(st.none() | moments),
            valid_to=draw(st.none() | moments),
            expires_at=draw(st.none() | moments),
            source=Source(actor=draw(st.none() | names), session=draw(st.none() | names)),
        )
        for index, place in enumerate(places)
    ]


async def agree(store: CanonicalStore, memories: list[Memory], filter: Filter) -> None:
    """Compare every read that filters with the reference."""
    expected = {memory.id for memory in memories if filter.matches(memory)}
    scope = exactly(memories[0].namespace)
    async with store.writing() as tx:
        await tx.memories.add(memories, actor="tester")
        await tx.lexicon.put({memory.id: analysed("word") for memory in memories})

        assert set(await tx.memories.find_ids(scope, filter)) == expected
        assert set(ids(await tx.memories.find(scope, filter, limit=100))) == expected
        assert set((await tx.memories.verify(ids(memories), scope, filter)).memories) == expected
        assert set(await tx.lexicon.nominate(["word"], scope, filter, limit=100)) == expected


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_agrees_on_fields(store: CanonicalStore, data: st.DataObject) -> None:
    namespace = Namespace(f"fields/{next(_spaces)}")

    await agree(store, data.draw(memories(namespace)), data.draw(filters()))


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(payloads=st.lists(payloads, min_size=1, max_size=6), condition=conditions)
@example(payloads=[{"a": {"b": 2**64}}], condition=Comparison(("a", "b"), Operator.EQ, 2.0**64))
@example(payloads=[{"a": 0.1}, {"a": 1e-320}], condition=Comparison(("a",), Operator.GT, 0.1))
async def test_agrees_on_payloads(
    store: CanonicalStore, payloads: list[dict[str, object]], condition: Condition
) -> None:
    namespace = Namespace(f"payloads/{next(_spaces)}")
    found = [
        Memory(
            id=new_id(),
            namespace=namespace,
            kind=Kind.SEMANTIC,
            content="x",
            content_hash="x",
            created_at=START,
            updated_at=START,
            version=1,
            seq=1,
            payload=payload,
        )
        for payload in payloads
    ]

    await agree(store, found, Filter(where=condition))


VALUES: list[Scalar] = [*small, *large, None, True, False, "", "1", "true", "null", "é", "\uffff"]


async def test_compares_every_sort_of_value_with_every_other(store: CanonicalStore) -> None:
    odd: list[object] = [[], [1], {}, {"a": 1}]
    found = [a_memory(payload={"a": value}) for value in [*VALUES, *odd]]
    found += [a_memory(), a_memory(payload={"b": 1})]
    await stored(store, *found)
    conditions = [
        Comparison(("a",), operator, value)
        for value in [*VALUES, float("inf"), float("-inf"), float("nan"), "\U0001f600"]
        for operator in (Operator.EQ, Operator.NE, *ORDERED)
    ]
    conditions += [Comparison(("a",), Operator.EXISTS, wanted) for wanted in (True, False)]
    conditions += [Comparison(("a",), Operator.IN, tuple(VALUES[n : n + 3])) for n in range(25)]

    async with store.reading() as tx:
        for condition in conditions:
            filter = Filter(where=condition)
            expected = {memory.id for memory in found if filter.matches(memory)}
            assert set(await tx.memories.find_ids(exactly(), filter)) == expected, condition


@pytest.mark.parametrize("microseconds", [-1, 0, 1])
async def test_draws_the_line_at_the_microsecond(store: CanonicalStore, microseconds: int) -> None:
    at = START + timedelta(microseconds=microseconds)
    found = [
        a_memory(valid_to=START),
        dataclasses.replace(a_memory(), valid_from=START),
        dataclasses.replace(a_memory(), expires_at=START),
        dataclasses.replace(a_memory(minutes=5), occurred_at=START),
        a_memory(minutes=5),
    ]

    for filter in (
        Filter(occurred_after=at),
        Filter(occurred_before=at),
        Filter(valid_at=at),
    ):
        namespace = Namespace(f"line/{next(_spaces)}")
        fresh = [dataclasses.replace(one, id=new_id(), namespace=namespace) for one in found]
        await agree(store, fresh, filter)


@pytest.mark.parametrize(
    "where",
    [
        {"a') OR 1=1 --": 1},
        {"a": "' OR ''='"},
        {"or": [{"a": {"in": [f"value {number}" for number in range(64)]}}] * 64},
        {"a." + "b." * 200 + "c": {"exists": True}},
        {"not": {"not": {"not": {"not": {"not": {"not": {"a": 1}}}}}}},
    ],
)
async def test_takes_every_condition_as_data(
    store: CanonicalStore, where: dict[str, object]
) -> None:
    now = datetime.fromisoformat("2026-01-01T00:00:00Z")
    memory = Memory(
        id=new_id(),
        namespace=Namespace("safe"),
        kind=Kind.SEMANTIC,
        content="x",
        content_hash="x",
        created_at=now,
        updated_at=now,
        version=1,
        seq=1,
        payload={"b": 1},
    )

    await agree(store, [memory], Filter(where=parse_where(where)))
