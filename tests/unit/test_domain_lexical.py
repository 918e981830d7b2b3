"""BM25 against figures worked out by hand."""

from __future__ import annotations

import math

import pytest

from domain.lexical import FieldStatistics, TermCounts, bm25, coverage, inverse_frequency

# Four documents of 10 terms in all: an average of 2.5.
SCOPE = FieldStatistics(documents=4, total_length=10, frequencies={"red": 1, "car": 3, "the": 4})


def test_the_inverse_frequency_is_always_positive() -> None:
    assert inverse_frequency("red", SCOPE) == pytest.approx(math.log(1 + 3.5 / 1.5))
    assert inverse_frequency("car", SCOPE) == pytest.approx(math.log(1 + 1.5 / 3.5))
    assert inverse_frequency("the", SCOPE) == pytest.approx(math.log(1 + 0.5 / 4.5))
    assert inverse_frequency("never", SCOPE) == pytest.approx(math.log(10))


def test_bm25_gives_the_figures_worked_out_by_hand() -> None:
    # k1 = 0.9, b = 0.4; length 5: saturation 0.9 * (0.6 + 0.4 * 5 / 2.5) = 1.26.
    # red once: 1.2039728 * 1.9 / 2.26; car twice: 0.3566749 * 2 * 1.9 / 3.26.
    document = TermCounts(length=5, counts={"red": 1, "car": 2})
    assert bm25(("red", "car"), document, SCOPE) == pytest.approx(1.0121895 + 0.4157561, abs=1e-6)
    # The average length leaves saturation at k1: red once gives 1.2039728 * 1.9 / 1.9.
    average = FieldStatistics(documents=4, total_length=20, frequencies={"red": 1})
    assert bm25(("red",), document, average) == pytest.approx(1.2039728, abs=1e-6)


def test_a_repeated_query_term_counts_once_and_an_absent_one_not_at_all() -> None:
    document = TermCounts(length=2, counts={"red": 1})
    once = bm25(("red",), document, SCOPE)
    assert bm25(("red", "red", "car"), document, SCOPE) == once > 0


def test_an_empty_scope_scores_nothing() -> None:
    nothing = FieldStatistics(documents=0, total_length=0, frequencies={})
    assert bm25(("red",), TermCounts(length=1, counts={"red": 1}), nothing) == 0.0
    assert bm25(("red",), TermCounts(length=0, counts={}), FieldStatistics(1, 0, {})) == 0.0


def test_coverage_is_the_share_of_the_weight_of_the_words_found() -> None:
    red, car = math.log(1 + 3.5 / 1.5), math.log(1 + 1.5 / 3.5)
    document = TermCounts(length=2, counts={"red": 3})
    assert coverage(("red", "car"), document, SCOPE) == pytest.approx(red / (red + car))
    assert coverage(("red",), document, SCOPE) == 1.0
    assert coverage((), document, SCOPE) == 0.0


def test_statistics_of_another_moment_never_break_the_formula() -> None:
    late = FieldStatistics(documents=2, total_length=4, frequencies={"red": 9})
    assert math.isfinite(bm25(("red",), TermCounts(length=2, counts={"red": 1}), late))
