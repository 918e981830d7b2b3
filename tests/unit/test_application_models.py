"""Which model is in force, being filled, and past: the moves from one state to another."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from application.indexing.models import ModelState

AT = datetime(2026, 3, 1, tzinfo=UTC)
SINCE = AT.isoformat()


def test_a_model_is_filled_beside_the_one_that_answers() -> None:
    state = ModelState("a").towards("b", AT)

    assert state == ModelState("a", "b")
    assert state.filled == ("a", "b")


def test_the_filled_model_takes_over_and_the_other_one_is_past() -> None:
    state = ModelState("a", "b", "b").switched("b", AT)

    assert state == ModelState("b", None, "b", {"a": SINCE})
    assert state.cleared("a") == ModelState("b", None, "b")


def test_changing_one_s_mind_leaves_what_was_begun_to_be_cleared_away() -> None:
    begun = ModelState("a", "b")

    assert begun.towards("c", AT) == ModelState("a", "c", retired={"b": SINCE})
    assert begun.towards("a", AT) == ModelState("a", retired={"b": SINCE})


def test_a_model_that_is_past_may_come_back() -> None:
    assert ModelState("b", retired={"a": SINCE}).towards("a", AT) == ModelState("b", "a")


MOVES = st.lists(
    st.tuples(st.sampled_from(["towards", "switched", "cleared"]), st.sampled_from("abc"))
)


@given(MOVES)
def test_no_model_in_force_is_ever_to_be_cleared_away(moves: list[tuple[str, str]]) -> None:
    state = ModelState("a")

    for move, model in moves:
        before = state
        if move == "cleared":
            state = state.cleared(model)
        else:
            state = state.towards(model, AT) if move == "towards" else state.switched(model, AT)
        assert not set(state.filled) & state.retired.keys()
        assert {*before.filled, *before.retired} <= {*state.filled, *state.retired, model}
        assert ModelState(**json.loads(state.encoded())) == state
