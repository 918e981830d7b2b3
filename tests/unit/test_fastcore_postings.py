"""The words of one namespace in memory: views that stand still, and compaction."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from adapters.fastcore.eligible import eligible
from adapters.fastcore.matching import QUERY_TERMS_MAX, Target, best
from adapters.fastcore.postings import Postings, View
from domain.filter import Filter
from domain.memory import MemoryId
from domain.ports import IndexedTerms

WORDS = ("tea", "milk", "sugar", "salt")

_texts = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)
_changes = st.lists(
    st.tuples(st.integers(0, 7), st.none() | st.tuples(_texts, st.none() | _texts)),
    min_size=4,
    max_size=30,
)


def _terms(id: str, own: str, context: str | None = None) -> IndexedTerms:
    return IndexedTerms(MemoryId(id), own, context, (-math.inf, math.inf, math.inf))


def _change(postings: Postings, *items: IndexedTerms, gone: tuple[str, ...] = ()) -> None:
    seq = postings.view.watermark + 1
    postings.install(postings.prepared(items, [MemoryId(id) for id in gone], seq))


def _found(view: View, *terms: str, limit: int = 10) -> list[str]:
    return list(best(terms, [Target(view, eligible(view, Filter(), None))], limit))


@given(changes=_changes)
def test_compaction_changes_no_answer_and_drops_what_is_dead(
    changes: list[tuple[int, tuple[str, str | None] | None]],
) -> None:
    postings = Postings("epoch", 0)
    for number, texts in changes:
        id = f"m{number}"
        if texts is None:
            _change(postings, gone=(id,))
        else:
            _change(postings, _terms(id, *texts))
    _change(postings, _terms("last", "tea"))
    before = {word: _found(postings.view, word, "tea") for word in WORDS}

    compact = postings.compacted()

    view = compact.view
    assert {word: _found(view, word, "tea") for word in WORDS} == before
    assert view.count == view.documents == len(compact.places) == postings.view.documents
    assert view.totals == postings.view.totals
    assert set(view.vocabulary) == {word for word in WORDS if _found(view, word)}
    _change(compact, _terms("later", "honey tea"))
    assert _found(compact.view, "honey") == ["later"]


def test_a_view_shows_nothing_of_what_happens_after_it() -> None:
    postings = Postings("epoch", 0)
    _change(postings, _terms("a", "tea"), _terms("b", "tea milk"))
    before = postings.view

    _change(postings, _terms("a", "milk"), *(_terms(f"n{n}", "tea") for n in range(50)))
    _change(postings, gone=("b",))

    assert _found(before, "tea") == ["a", "b"]
    assert _found(postings.view, "milk") == ["a"]
    assert before.documents == 2


def test_what_has_not_changed_takes_no_new_row() -> None:
    postings = Postings("epoch", 0)
    _change(postings, _terms("a", "tea", "tea milk"))

    _change(postings, _terms("a", "tea", "tea milk"))

    assert postings.view.count == 1
    assert postings.view.watermark == 2


def test_only_the_rarest_words_of_a_very_long_question_count() -> None:
    postings = Postings("epoch", 0)
    common = [f"w{number}" for number in range(QUERY_TERMS_MAX + 1)]
    texts = [_terms(f"m{number}", " ".join(common)) for number in range(3)]
    _change(postings, *texts, _terms("rare", "saffron"), _terms("last", max(common)))

    found = _found(postings.view, *common, "saffron")

    assert "rare" in found
    assert "last" not in found


def test_is_charged_for_what_it_holds() -> None:
    postings = Postings("epoch", 0)
    empty = postings.size_bytes

    _change(postings, *(_terms(f"m{number}", f"tea w{number}") for number in range(500)))

    assert postings.size_bytes > empty + 500 * 2 * 8
