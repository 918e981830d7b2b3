"""The encoding of index terms for the full-text index."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from adapters.sqlite.terms import counts_of, joined, match_expression
from domain.lexical import TermCounts, encoded


@given(st.text(min_size=1))
def test_leaves_nothing_that_a_tokenizer_would_split_or_fold(term: str) -> None:
    assert re.fullmatch(r"[a-z0-9_]{1,140}", encoded(term))


@given(st.text(), st.text())
def test_keeps_different_terms_apart(one: str, other: str) -> None:
    assert (encoded(one) == encoded(other)) == (one == other)


@given(st.text(st.characters(codec="utf-8")))
def test_keeps_encoded_terms_apart_from_plain_ones(term: str) -> None:
    assert encoded(encoded(term)) != encoded(term) or encoded(term) == term


def test_counts_terms_under_the_name_they_were_asked_by() -> None:
    text = joined(["tea", "don't", "tea", "milk"])

    counts = counts_of(text, {encoded(term): term for term in ("tea", "don't", "absent")}, 4)

    assert counts == TermCounts(4, {"tea": 2, "don't": 1})


def test_quotes_every_token() -> None:
    assert match_expression(["a", "_27"], [1, 2]) == (
        '{own context} : ("a" OR "_27") AND scope : ("n1" OR "n2")'
    )
