"""How memories become tokens, numbers and sparse vectors."""

from __future__ import annotations

import sys

import pytest

from adapters.qdrant.facts import FACTS_MAX, NUMBERS_MAX, facts_of, nearest_float, value_token
from adapters.qdrant.words import document_words, query_words


def test_values_of_different_types_have_different_tokens() -> None:
    values = [None, True, False, 0, 1, 1.5, "", "1", "true", "null", "1.5"]

    tokens = {value_token(("a",), value) for value in values}

    assert len(values) == len(tokens)


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (0, -0.0), (2**64, 2.0**64)])
def test_equal_numbers_have_equal_tokens(one: float, other: float) -> None:
    assert value_token(("a",), one) == value_token(("a",), other)


@pytest.mark.parametrize(("one", "other"), [(2**53, 2**53 + 1), (10**30, 1e30), (10**400, 10**401)])
def test_different_numbers_of_any_size_have_different_tokens(one: float, other: float) -> None:
    assert value_token(("a",), one) != value_token(("a",), other)


def test_paths_are_not_joined() -> None:
    assert set(facts_of({"a": {"b": 1}}).tokens).isdisjoint(facts_of({"a.b": 1}).tokens)


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("-inf")])
def test_numbers_beyond_floats_become_the_largest(value: float) -> None:
    assert sys.float_info.max == abs(nearest_float(value))


def test_deep_payloads_are_walked_through() -> None:
    payload: dict[str, object] = {"end": 1}
    for _ in range(5000):
        payload = {"a": payload}

    assert facts_of(payload).cut


def test_long_payloads_are_cut_and_say_so() -> None:
    texts = facts_of({f"key {number}": "x" for number in range(FACTS_MAX)})
    numbers = facts_of({f"key {number}": number for number in range(NUMBERS_MAX + 1)})

    assert texts.cut
    assert numbers.cut
    assert len(texts.tokens) <= FACTS_MAX
    assert len(numbers.numbers) <= NUMBERS_MAX
    assert not facts_of({"a": 1, "b": [1, 2]}).cut


def test_rarer_and_repeated_words_of_short_texts_weigh_more() -> None:
    once, twice = document_words(["a", "b"]), document_words(["a", "a"])
    long = document_words(["a", *("b" for _ in range(200))])
    weight_of = dict(zip(long.indices, long.values, strict=True))
    [place] = query_words(["a"]).indices

    assert max(once.values) < max(twice.values)
    assert weight_of[place] < max(once.values)


def test_a_question_counts_every_word_once() -> None:
    question = query_words(["b", "a", "b"])

    assert sorted(question.indices) == question.indices
    assert [1.0, 1.0] == question.values
