"""How arrays and payloads are spelt for PostgreSQL."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.postgres.arrays import numbers, texts
from adapters.postgres.rows import exact_json, sent_values_of
from domain.memory import Payload
from tests.contracts.store_fixtures import a_memory

_NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("values", "spelt"),
    [
        ([], "{}"),
        ([""], '{""}'),
        (["NULL", "a,b", "{c}", " d "], '{"NULL","a,b","{c}"," d "}'),
        (['say "hi"', "back\\slash"], '{"say \\"hi\\"","back\\\\slash"}'),
    ],
)
def test_spells_texts_so_that_none_is_taken_for_syntax(values: list[str], spelt: str) -> None:
    assert texts(values) == spelt


def test_spells_numbers_and_what_is_missing() -> None:
    assert numbers([]) == "{}"
    assert numbers([1, None, -3]) == "{1,NULL,-3}"


@given(st.dictionaries(st.text("ab"), _NUMBERS | st.lists(_NUMBERS) | st.text("0123456789e+")))
@example({"a": 2.0**53})
@example({"a": 1e16})
@example({"a": 9007199254740991.0})
def test_sends_facts_whose_numbers_compare_as_the_payload_does(payload: Payload) -> None:
    facts = sent_values_of(a_memory(payload=payload))[0]

    assert json.loads(facts, parse_float=Decimal) == json.loads(
        exact_json(payload), parse_float=Decimal
    )
