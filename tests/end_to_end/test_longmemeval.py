"""The LongMemEval benchmark on a made-up file of the official format, with figures known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.haystacks import (
    Answered,
    Granularity,
    Haystack,
    Ranking,
    discounted_gain,
    ranking,
    read_haystacks,
    score_rows,
)
from benchmarks.longmemeval import WHOLE, Way, ask_all
from tests.end_to_end.embedded import installation

FILE = Path(__file__).parent / "data" / "longmemeval.json"


@pytest.fixture
def haystacks() -> list[Haystack]:
    return read_haystacks(FILE)


def test_only_what_users_said_is_stored_each_turn_under_its_number(
    haystacks: list[Haystack],
) -> None:
    first = haystacks[0]

    assert ["other_a_1", "answer_1_1", "answer_1_3", "other_b_2"] == [t.id for t in first.turns]
    assert ["other_a", "answer_1", "other_b"] == [s.id for s in first.sessions]
    assert "My kettle has the colour red. How do I descale iron?" == first.sessions[1].text
    assert [False, True, False, False] == [turn.target for turn in first.turns]
    assert "2023-05-21T10:00:03+00:00" == first.turns[2].at.isoformat()


def test_two_rules_say_which_questions_count(haystacks: list[Haystack]) -> None:
    assert [False, False, False, True] == [haystack.is_abstention for haystack in haystacks]
    assert [True, True, False, True] == [haystack.has_user_target for haystack in haystacks]


def test_the_first_two_ranks_count_in_full() -> None:
    assert 2 == discounted_gain([True, True])
    assert 1 + 1 / math.log2(3) == pytest.approx(discounted_gain([False, True, True]))
    assert 0 == discounted_gain([])


def test_all_any_and_ndcg_are_those_of_the_official_code() -> None:
    judged = Ranking(tuple("xaybz"), frozenset("abc"), tuple("abcxyz"))

    assert {"recall_all": 0, "recall_any": 0, "ndcg_any": 0} == judged.scores(1)
    found = judged.scores(5)
    assert (0, 1) == (found["recall_all"], found["recall_any"])
    assert (1 + 1 / 2) / (2 + 1 / math.log2(3)) == pytest.approx(found["ndcg_any"])
    assert 1 == Ranking(tuple("bca"), frozenset("abc"), tuple("abcx")).scores(3)["recall_all"]
    assert 0.5 == judged.reciprocal_rank


def test_turns_are_counted_until_there_are_enough_sessions() -> None:
    judged = Ranking(("s", "s", "s", "t", "u"), frozenset("t"), ("s", "s", "s", "t", "u"))

    assert [1, 4, 5, 9] == [judged.reaching(distinct) for distinct in (1, 2, 3, 9)]


def test_a_turn_beside_the_answer_does_not_stand_for_its_session(
    haystacks: list[Haystack],
) -> None:
    answered = Answered(haystacks[0], Granularity.TURN, ("answer_1_3", "other_a_1"), 0.0)

    assert 0 == ranking(answered, as_sessions=True).scores(5)["recall_any"]
    assert 1 == ranking(answered, labelled=False).scores(5)["recall_any"]
    assert frozenset({"answer_1_1"}) == ranking(answered).gold


@pytest.mark.parametrize("granularity", Granularity)
async def test_a_file_is_stored_asked_and_scored(
    tmp_path: Path, haystacks: list[Haystack], granularity: Granularity
) -> None:
    async with installation(tmp_path) as soma:
        ways = {
            WHOLE: Way(),
            "semantic": Way({"semantic": 0.0}),
            "off": Way(signals={"date": False}),
        }
        every = await ask_all(soma, haystacks, granularity, ways)
        left = await soma.list_namespaces()()

    answered = every[WHOLE]
    rows = {str(row["level"]): row for row in score_rows(answered)}
    assert {name: len(found) for name, found in every.items()} == dict.fromkeys(ways, 3)
    assert 3 == len(answered)
    assert all(stats.memories == 0 for stats in left.items)
    assert {2} == {row["n"] for level, row in rows.items() if "by the user" in level}
    assert {3} == {row["n"] for level, row in rows.items() if "470" in level}
    for row in rows.values():
        assert row["recall_all@5"] == row["recall_any@10"] == row["R@1"] == row["MRR"] == 100
        assert row["ndcg_any@5"] == pytest.approx(100)
