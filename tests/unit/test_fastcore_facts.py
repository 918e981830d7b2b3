"""Filters worked out from columns, held against the domain's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.fastcore import facts as facts_module
from adapters.fastcore import facts_file, payload_path
from adapters.fastcore.facts import Columns
from domain.filter import AllOf, AnyOf, Box, Comparison, Condition, Filter, Not, Operator
from domain.memory import Kind, Memory, MemoryId, Source
from domain.namespace import Namespace
from domain.ports import Facts

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)

_names = st.sampled_from(["ana", "ben", "tea", "milk"])
_times = st.integers(-3, 3).map(lambda n: START + timedelta(microseconds=n))
_axes = st.sampled_from([-1.0, 0.0, 0.5, 2.0])
_places = st.one_of(st.tuples(_axes), st.tuples(_axes, _axes))
_numbers = st.sampled_from([0, 1, -1, 2.5, 1e300, 2**53, 2**53 + 1, -(2**60), 1.0, 0.0])
_scalars = st.one_of(
    st.none(), st.booleans(), _numbers, st.sampled_from(["", "a", "b", "ä", "1", "true"])
)
_values = st.one_of(_scalars, st.lists(_scalars, max_size=2))
_keys = st.sampled_from(["a", "b", "c.d"])
_payloads = st.dictionaries(
    _keys, st.one_of(_values, st.dictionaries(_keys, _values, max_size=2)), max_size=3
)
_memories = st.builds(
    lambda kind, level, tags, source, moment, place, payload: Memory(
        id=MemoryId("m"),
        namespace=Namespace("acme"),
        kind=kind,
        content="tea",
        content_hash="",
        created_at=moment,
        updated_at=moment,
        version=1,
        seq=1,
        level=level,
        payload=payload,
        tags=tuple(tags),
        coordinate=place,
        source=Source(actor=source[0], session=source[1]),
    ),
    st.sampled_from(list(Kind)),
    st.integers(0, 2),
    st.lists(_names, unique=True, max_size=3),
    st.tuples(st.none() | _names, st.none() | _names),
    _times,
    st.none() | _places,
    _payloads,
)
_paths = st.sampled_from([("a",), ("b",), ("c.d",), ("a", "b"), ("b", "c.d"), ("z",)])
_ordered = st.sampled_from([Operator.GT, Operator.GTE, Operator.LT, Operator.LTE])
_comparisons = st.one_of(
    st.builds(Comparison, _paths, st.sampled_from([Operator.EQ, Operator.NE]), _scalars),
    st.builds(Comparison, _paths, st.just(Operator.IN), st.lists(_scalars, min_size=1).map(tuple)),
    st.builds(Comparison, _paths, st.just(Operator.EXISTS), st.booleans()),
    st.builds(Comparison, _paths, _ordered, _numbers | st.sampled_from(["", "a", "ä"])),
)
_conditions: st.SearchStrategy[Condition] = st.recursive(
    _comparisons,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: AllOf(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=5,
)


def _boxed(corners: tuple[tuple[float, ...], tuple[float, ...]]) -> Box:
    pairs = list(zip(*corners, strict=False))
    return Box(tuple(min(pair) for pair in pairs), tuple(max(pair) for pair in pairs))


_filters = st.builds(
    lambda kinds, tags, tags_any, times, box, where, level, source: Filter(
        kinds=tuple(kinds),
        tags=tuple(tags),
        tags_any=tuple(tags_any),
        occurred_after=times[0],
        occurred_before=times[1],
        box=box,
        where=where,
        level=level,
        actor=source[0],
        session=source[1],
    ),
    st.lists(st.sampled_from(list(Kind)), max_size=2),
    st.lists(_names, max_size=1),
    st.lists(_names, max_size=2),
    st.tuples(st.none() | _times, st.none() | _times),
    st.none() | st.tuples(_places, _places).map(_boxed),
    st.none() | _conditions,
    st.none() | st.integers(0, 2),
    st.tuples(st.none() | _names, st.none() | _names),
)


def facts_of(memory: Memory) -> Facts:
    return Facts(
        kind=memory.kind,
        level=memory.level,
        tags=memory.tags,
        actor=memory.source.actor,
        session=memory.source.session,
        happened_at=(memory.happened_at - EPOCH) // timedelta(microseconds=1),
        coordinate=memory.coordinate,
        payload=json.dumps(memory.payload),
    )


def columns_of(memories: list[Memory]) -> Columns:
    """Add them in several goes, as they come."""
    columns = Columns()
    for start in range(0, len(memories), 2):
        columns.extend(start, [facts_of(memory) for memory in memories[start : start + 2]])
    return columns


def passing(columns: Columns, filter: Filter, count: int) -> list[bool]:
    assert columns.can_tell(filter)
    answer: list[bool] = columns.mask(filter, count).tolist()
    return answer


@given(memories=st.lists(_memories, max_size=7), filter=_filters, data=st.data())
def test_agrees_with_the_domain_also_after_keeping_writing_and_giving_way(
    memories: list[Memory], filter: Filter, data: st.DataObject
) -> None:
    columns = columns_of(memories)
    expected = [filter.matches(memory) for memory in memories]

    assert expected == passing(columns, filter, len(memories))
    shown = data.draw(st.integers(0, len(memories)))
    assert expected[:shown] == passing(columns, filter, shown)

    kept = sorted(data.draw(st.sets(st.sampled_from(range(len(memories))))) if memories else ())
    fewer = columns.kept(np.array(kept, np.intp))
    assert [expected[row] for row in kept] == passing(fewer, filter, len(kept))

    said, arrays = facts_file.written(fewer)
    read = facts_file.read(json.loads(json.dumps(said)), arrays)
    assert [expected[row] for row in kept] == passing(read, filter, len(kept))

    # A change that was worked out and never came into force gives way to the next one.
    fewer.extend(len(kept), [facts_of(memory) for memory in memories])
    fewer.extend(len(kept), [facts_of(memory) for memory in memories[:1]])
    assert [*(expected[row] for row in kept), *expected[:1]] == passing(
        fewer, filter, len(kept) + len(memories[:1])
    )


def test_what_no_row_holds_any_more_is_left_behind() -> None:
    columns = Columns()
    columns.extend(0, [Facts(tags=("old",), actor="gone", payload='{"a": "secret"}'), Facts()])

    said, _ = facts_file.written(columns.kept(np.array([1], np.intp)))

    assert not {"old", "gone", "secret"} & set(json.dumps(said).replace('"', " ").split())


def test_leaves_payloads_to_the_store_that_would_take_too_many_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(facts_module, "_PATHS_MAX", 2)
    wanted = Filter(where=Comparison(("a",), Operator.EQ, 1))
    columns = Columns()
    columns.extend(0, [Facts(payload='{"a": 1, "b": 1}')])
    assert columns.can_tell(wanted)

    columns.extend(1, [Facts(payload='{"c": 1}')])

    assert not columns.can_tell(wanted)
    assert columns.can_tell(Filter(level=0))


def test_leaves_orders_to_the_store_where_each_text_would_be_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(payload_path, "_COMPARED_MAX", 2)
    columns = Columns()
    columns.extend(0, [Facts(payload=json.dumps({"a": text, "n": 1})) for text in "xyz"])

    assert not columns.can_tell(Filter(where=Comparison(("a",), Operator.GT, "x")))
    assert columns.can_tell(Filter(where=Comparison(("a",), Operator.EQ, "x")))
    assert columns.can_tell(Filter(where=Comparison(("n",), Operator.GT, 0)))
