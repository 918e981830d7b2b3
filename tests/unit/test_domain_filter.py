"""Filters: the reference evaluation that every backend has to agree with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.filter import Filter, holds, is_current, parse_box, parse_where
from domain.memory import Kind, Memory, MemoryId, Source
from domain.namespace import DEFAULT_NAMESPACE

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MEMORY = Memory(
    id=MemoryId("m"),
    namespace=DEFAULT_NAMESPACE,
    kind=Kind.SEMANTIC,
    content="the boiler is in the cellar",
    content_hash="",
    created_at=NOON - timedelta(days=1),
    updated_at=NOON,
    version=1,
    seq=1,
    payload={"a": {"b": 3}, "flag": True, "name": "Zoë", "nothing": None, "list": [1]},
    tags=("home", "warm"),
    coordinate=(1.0, 2.0),
    occurred_at=NOON,
    valid_from=NOON,
    valid_to=NOON + 10 * SECOND,
    expires_at=NOON + 20 * SECOND,
    source=Source(actor="ann", session="s1"),
)


@pytest.mark.parametrize(
    "passing",
    [
        Filter(),
        Filter(kinds=(Kind.EPISODIC, Kind.SEMANTIC)),
        Filter(tags=("home", "warm")),
        Filter(tags_any=("cold", "warm")),
        Filter(occurred_after=NOON),
        Filter(occurred_before=NOON + SECOND),
        Filter(box=parse_box([1, 2], [1, 2])),
        Filter(level=0),
        Filter(actor="ann"),
        Filter(session="s1"),
        Filter(valid_at=NOON),
        Filter(where=parse_where({"a.b": 3})),
    ],
)
def test_a_memory_passes_what_fits_it(passing: Filter) -> None:
    assert passing.matches(MEMORY)


@pytest.mark.parametrize(
    "failing",
    [
        Filter(kinds=(Kind.EPISODIC,)),
        Filter(tags=("home", "cold")),
        Filter(tags_any=("cold",)),
        Filter(occurred_after=NOON + SECOND),
        Filter(occurred_before=NOON),
        Filter(box=parse_box([1, 2.1], [1, 3])),
        Filter(box=parse_box([0], [9])),
        Filter(level=1),
        Filter(actor="bob"),
        Filter(session="s2"),
        Filter(valid_at=NOON - SECOND),
        Filter(valid_at=NOON + 10 * SECOND),
        Filter(valid_at=NOON + 20 * SECOND),
        Filter(where=parse_where({"a.b": 4})),
        Filter(kinds=(Kind.SEMANTIC,), tags=("cold",)),
    ],
)
def test_a_memory_fails_what_does_not_fit_it(failing: Filter) -> None:
    assert not failing.matches(MEMORY)


def test_validity_and_expiry_are_half_open() -> None:
    moments = [NOON - SECOND, NOON, NOON + 9.999 * SECOND, NOON + 10 * SECOND]
    assert [is_current(MEMORY, moment) for moment in moments] == [False, True, True, False]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"a.b": 3}, True),
        ({"a.b": 3.0}, True),
        ({"a.b": "3"}, False),
        ({"flag": True}, True),
        ({"flag": 1}, False),
        ({"nothing": None}, True),
        ({"nothing": {"exists": True}}, True),
        ({"missing": None}, False),
        ({"missing": {"exists": False}}, True),
        ({"missing": {"ne": 1}}, True),
        ({"missing": {"gt": 1}}, False),
        ({"missing": {"in": [None, 1]}}, False),
        ({"nothing": {"in": [None, 1]}}, True),
        ({"a.b": {"gt": 2, "lt": 4}}, True),
        ({"a.b": {"gt": 3}}, False),
        ({"a.b": {"gte": 3, "lte": 3}}, True),
        ({"a.b": {"gt": "2"}}, False),
        ({"flag": {"gt": 0}}, False),
        ({"name": {"gte": "Zo", "lt": "Zp"}}, True),
        ({"name": {"gt": "Zo"}}, True),
        ({"name": {"ne": "Zoë"}}, False),
        ({"list": {"eq": 1}}, False),
        ({"list": {"exists": True}}, True),
        ({"a": {"ne": 3}}, True),
        ({"a.b.c": {"exists": False}}, True),
        ({"or": [{"a.b": 9}, {"flag": True}]}, True),
        ({"and": [{"a.b": 3}, {"flag": False}]}, False),
        ({"not": {"a.b": 9}}, True),
        ({"not": {"a.b": 3}, "flag": True}, False),
    ],
)
def test_payload_conditions_follow_json_types(where: dict[str, object], expected: bool) -> None:
    assert holds(parse_where(where), MEMORY.payload) is expected


@pytest.mark.parametrize(
    ("where", "field"),
    [
        ({}, "where"),
        ({"a": {}}, "where.a"),
        ({"a": {"like": 1}}, "where.a.like"),
        ({"a": {"eq": {}}}, "where.a.eq"),
        ({"a": [1]}, "where.a.eq"),
        ({"a": {"in": 1}}, "where.a.in"),
        ({"a": {"in": []}}, "where.a.in"),
        ({"a": {"in": [[1]]}}, "where.a.in"),
        ({"a": {"in": list(range(65))}}, "where.a.in"),
        ({"a": {"gt": None}}, "where.a.gt"),
        ({"a": {"lte": True}}, "where.a.lte"),
        ({"a": {"exists": 1}}, "where.a.exists"),
        ({"a..b": 1}, "where.a..b"),
        ({"": 1}, "where."),
        ({'a"b': 1}, 'where.a"b'),
        ({"a": "\x00"}, "where.a.eq"),
        ({"a\x00": 1}, "where.a\x00"),
        ({"or": {}}, "where.or"),
        ({"or": []}, "where.or"),
        ({"or": [{"a": 1}, {}]}, "where.or[1]"),
        ({"and": [{"a": 1}, 3]}, "where.and[1]"),
        ({"not": []}, "where.not"),
        ({"not": {"or": [{"a": {"like": 1}}]}}, "where.not.or[0].a.like"),
        ({f"k{number}": 1 for number in range(65)}, "where"),
    ],
)
def test_a_bad_condition_is_named_by_its_path(where: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_where(where)
    assert refusal.value.field == field


def test_conditions_nest_eight_deep_and_no_deeper() -> None:
    def nested(depth: int) -> dict[str, object]:
        return {"a": 1} if depth == 1 else {"not": nested(depth - 1)}

    parse_where(nested(8))
    with pytest.raises(InvalidInput, match="nested deeper than 8"):
        parse_where(nested(9))


@pytest.mark.parametrize(
    ("low", "high", "field"),
    [([], [1], "box.min"), ([1], [1, 2], "box.max"), ([2, 0], [1, 0], "box.max")],
)
def test_a_bad_box_is_refused(low: list[float], high: list[float], field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_box(low, high)
    assert refusal.value.field == field


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(-3, 3), st.text("ab", max_size=2)
)


@given(value=SCALARS, operand=SCALARS)
def test_equality_splits_every_pair_of_values_in_two(value: object, operand: object) -> None:
    payload = {"a": value}
    equal = holds(parse_where({"a": {"eq": operand}}), payload)
    assert equal is not holds(parse_where({"a": {"ne": operand}}), payload)
    assert equal is holds(parse_where({"a": {"in": [operand]}}), payload)
    assert equal is not holds(parse_where({"not": {"a": operand}}), payload)


@given(value=SCALARS, operand=st.one_of(st.integers(-3, 3), st.text("ab", max_size=2)))
def test_order_is_total_within_a_json_type_and_absent_across(
    value: object, operand: object
) -> None:
    def true(operator: str) -> bool:
        return holds(parse_where({"a": {operator: operand}}), {"a": value})

    number = isinstance(value, int | float) and not isinstance(value, bool)
    comparable = isinstance(value, str) if isinstance(operand, str) else number
    assert [true("lt"), true("eq"), true("gt")].count(True) == int(comparable)
    assert true("lte") is (comparable and not true("gt"))
    assert true("gte") is (comparable and not true("lt"))
