"""Ranking: parts sum to the score, the same pool gives the same order."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.context_block import context_block, token_estimate
from domain.errors import InvalidInput
from domain.memory import Kind, Memory, MemoryId, Source
from domain.namespace import DEFAULT_NAMESPACE
from domain.ranking import (
    SIGNALS,
    WEIGHTS,
    Candidate,
    Tuning,
    diversify,
    fuse,
    listen,
    ordered,
    relevance,
    tuned,
    weigh,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUESTION = "When did Ann visit Oslo in May 2023?"
UNIT = st.floats(-1, 1)
SCORE = st.floats(0, 50)


def memory(id: str, **fields: object) -> Memory:
    plain = Memory(
        id=MemoryId(id),
        namespace=DEFAULT_NAMESPACE,
        kind=Kind.EPISODIC,
        content=f"content {id}",
        content_hash=id,
        created_at=NOON,
        updated_at=NOON,
        version=1,
        seq=1,
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def tuning(
    *,
    weights: dict[str, float] | None = None,
    signals: dict[str, bool] | None = None,
    half_life_days: float | None = None,
) -> Tuning:
    return tuned([(weights or {}, signals or {})], half_life_days=half_life_days, now=NOON)


@st.composite
def pools(draw: st.DrawFn) -> list[Candidate]:
    size = draw(st.integers(0, 12))
    names = draw(st.lists(st.text("abcdef", min_size=1), min_size=size, max_size=size, unique=True))
    return [
        Candidate(
            memory(
                name,
                content=draw(st.sampled_from(["I went to Oslo yesterday", "did you?", "tea"])),
                occurred_at=draw(st.sampled_from([None, NOON, NOON - timedelta(days=1000)])),
                importance=draw(st.floats(0, 1e6)),
                pinned=draw(st.booleans()),
                source=Source(
                    actor=draw(st.sampled_from([None, "Ann", "Bob"])),
                    session=draw(st.sampled_from([None, "s1", "s2"])),
                ),
            ),
            cosine=draw(st.none() | UNIT),
            context_cosine=draw(st.none() | UNIT),
            lexical=draw(SCORE),
            context_lexical=draw(SCORE),
            coverage=draw(st.floats(0, 1)),
            hops=draw(st.sampled_from([None, 1, 2])),
        )
        for name in names
    ]


def ranked(pool: list[Candidate], used: Tuning) -> list[Candidate]:
    fuse(pool, used)
    listen(pool, QUESTION, used)
    weigh(pool, used)
    return ordered(pool)


def copied(pool: list[Candidate]) -> list[Candidate]:
    return [replace(candidate, parts={}) for candidate in pool]


@given(pool=pools(), half_life=st.sampled_from([None, 1e-9, 30.0]))
def test_parts_sum_to_the_score_and_stay_within_their_weights(
    pool: list[Candidate], half_life: float | None
) -> None:
    for candidate in ranked(pool, tuning(half_life_days=half_life)):
        assert math.isclose(sum(candidate.parts.values()), candidate.score, abs_tol=1e-6)
        for name, part in candidate.parts.items():
            lowest = -WEIGHTS[name] if name == "importance" else 0.0
            assert lowest - 1e-9 <= part <= WEIGHTS[name] + 1e-9
        assert 0 <= relevance(candidate) <= 1


@given(pool=pools(), data=st.data())
def test_the_order_does_not_depend_on_the_order_of_the_pool(
    pool: list[Candidate], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(copied(pool)))
    one = [(c.memory.id, round(c.score, 9)) for c in ranked(pool, tuning())]
    other = [(c.memory.id, round(c.score, 9)) for c in ranked(list(shuffled), tuning())]
    assert one == other


@given(pool=pools())
def test_ranking_twice_changes_nothing(pool: list[Candidate]) -> None:
    first = [(c.memory.id, dict(c.parts)) for c in ranked(pool, tuning())]
    assert first == [(c.memory.id, dict(c.parts)) for c in ranked(pool, tuning())]


def test_equal_scores_are_ordered_by_id() -> None:
    pool = [Candidate(memory(name), lexical=2.0) for name in "cab"]
    assert [c.memory.id for c in ranked(pool, tuning())] == ["a", "b", "c"]


def test_a_signal_that_is_off_adds_nothing() -> None:
    pool = [
        Candidate(
            memory("a", occurred_at=NOON, source=Source(actor="Ann", session="s"), importance=5),
            cosine=0.4,
            context_cosine=0.2,
            lexical=3,
            context_lexical=1,
            hops=1,
        )
    ]
    (only,) = ranked(pool, tuning(signals=dict.fromkeys(SIGNALS, False), half_life_days=1))
    assert {name for name, part in only.parts.items() if part} == {"lexical", "semantic"}


def test_a_weight_of_zero_and_a_layer_above_win() -> None:
    used = tuned(
        [({"lexical": 1.0, "session": 9.0}, {"date": False}), ({"lexical": 0.0}, {"date": True})],
        half_life_days=None,
        now=NOON,
    )
    assert [used.weight(name) for name in ("lexical", "session", "date")] == [
        0.0,
        9.0,
        WEIGHTS["date"],
    ]


@pytest.mark.parametrize("weight", [-0.1, 101.0, math.nan, math.inf])
def test_a_bad_weight_is_refused(weight: float) -> None:
    with pytest.raises(InvalidInput, match=r"^weights\.lexical: "):
        tuning(weights={"lexical": weight})


def test_unknown_weights_and_signals_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"^weights\.lexicl: "):
        tuning(weights={"lexicl": 1})
    with pytest.raises(InvalidInput, match=r"^signals\.lexical: "):
        tuning(signals={"lexical": False})


def test_the_best_words_and_the_nearest_meaning_get_the_whole_weight() -> None:
    pool = [
        Candidate(memory("a"), cosine=0.9, lexical=4.0),
        Candidate(memory("b"), cosine=0.5, lexical=1.0),
        Candidate(memory("c"), cosine=None, lexical=0.0),
    ]
    fuse(pool, tuning())
    assert [c.parts["lexical"] for c in pool] == pytest.approx([0.3, 0.075, 0.0])
    assert [c.parts["semantic"] for c in pool] == pytest.approx([0.7, 0.0, 0.0])
    assert [c.parts["context_semantic"] for c in pool] == pytest.approx([0.4, 0.0, 0.0])


def test_a_turn_is_lifted_by_the_best_three_of_its_session() -> None:
    # A memory without a session stands for itself: "alone" is as good as the better session.
    here, there = Source(session="here"), Source(session="there")
    pool = [Candidate(memory(f"h{n}", source=here), lexical=4.0) for n in range(2)]
    pool += [Candidate(memory(f"t{n}", source=there), lexical=1.0) for n in range(4)]
    pool += [Candidate(memory("alone"), lexical=4.0)]
    fuse(pool, tuning())
    lifts = [c.parts["session"] for c in pool]
    assert lifts == pytest.approx([0.4, 0.4, 0, 0, 0, 0, 0.4])


def test_listening_tells_speaker_time_and_statement() -> None:
    ann = memory(
        "a",
        content="yesterday",
        source=Source(actor="Ann"),
        occurred_at=datetime(2023, 5, 3, tzinfo=UTC),
    )
    bob = memory("b", content="tea?", source=Source(actor="Bob"))
    pool = [Candidate(ann), Candidate(bob)]
    listen(pool, QUESTION, tuning())
    assert pool[0].parts == pytest.approx(
        {"statement": 0.15, "speaker": 0.2, "temporal": 0.2, "date": 0.5 * WEIGHTS["date"]}
    )
    assert set(pool[1].parts.values()) == {0.0}


def test_memories_without_a_source_are_no_conversation() -> None:
    pool = [Candidate(memory("a", content="yesterday"))]
    listen(pool, QUESTION, tuning())
    assert pool[0].parts == {}


def test_recency_halves_with_each_half_life_and_spares_what_is_pinned() -> None:
    ages = {"new": 0, "old": 10, "older": 20, "future": -5}
    pool = [Candidate(memory(n, occurred_at=NOON - timedelta(days=d))) for n, d in ages.items()]
    pool.append(Candidate(memory("pin", occurred_at=NOON - timedelta(days=999), pinned=True)))
    weigh(pool, tuning(half_life_days=10))
    recency = [c.parts["recency"] for c in pool]
    assert recency == pytest.approx([0.2, 0.1, 0.05, 0.2, 0.2])


def test_importance_of_one_changes_nothing_and_zero_takes_the_whole_weight() -> None:
    pool = [Candidate(memory(str(i), importance=i)) for i in (0.0, 1.0, 3.0)]
    weigh(pool, tuning())
    assert [c.parts.get("importance") for c in pool] == pytest.approx([-0.1, None, 0.05])


def test_what_nearly_repeats_a_better_hit_moves_behind_the_rest() -> None:
    pool = [
        Candidate(memory(name), parts={"lexical": score})
        for name, score in (("best", 0.9), ("copy", 0.8), ("other", 0.7))
    ]
    likeness = [[1.0, 0.98, 0.1], [0.98, 1.0, 0.1], [0.1, 0.1, 1.0]]
    assert [c.memory.id for c in diversify(pool, likeness, tuning())] == ["best", "other", "copy"]
    assert pool[1].parts["diversity"] == -0.5


def test_the_same_words_at_another_time_are_no_repetition() -> None:
    pool = [
        Candidate(memory("a", occurred_at=NOON), parts={"lexical": 0.9}),
        Candidate(memory("b", occurred_at=NOON + timedelta(days=1)), parts={"lexical": 0.8}),
    ]
    diversify(pool, [[1.0, 1.0], [1.0, 1.0]], tuning())
    assert all("diversity" not in c.parts for c in pool)


def test_what_happens_every_day_leaves_room_for_other_answers() -> None:
    daily = [
        Candidate(
            memory(f"day{day}", occurred_at=NOON + timedelta(days=day)),
            parts={"lexical": 0.9 - day / 100},
        )
        for day in range(5)
    ]
    other = Candidate(memory("other"), parts={"lexical": 0.5})
    pool = [*daily, other]
    likeness = [[1.0] * 5 + [0.0] for _ in range(5)]
    likeness.append([0.0] * 5 + [1.0])

    found = [c.memory.id for c in diversify(pool, likeness, tuning())]

    assert found == ["day0", "day1", "other", "day2", "day3", "day4"]


def test_relevance_grows_with_either_evidence() -> None:
    def of(cosine: float | None, coverage: float) -> float:
        return relevance(Candidate(memory("a"), cosine=cosine, coverage=coverage))

    assert of(0.5, 0.2) < of(0.7, 0.2) < of(0.9, 0.2)
    assert of(0.7, 0.0) < of(0.7, 0.5) < of(0.7, 1.0)
    assert of(None, 0.0) < 0.5 < of(None, 1.0)


@given(
    contents=st.lists(st.text(min_size=1, max_size=60), max_size=12),
    budget=st.integers(1, 60),
    dated=st.booleans(),
)
def test_the_context_block_never_exceeds_its_budget(
    contents: list[str], budget: int, dated: bool
) -> None:
    when = NOON if dated else None
    block = context_block(
        [memory(str(i), content=c, occurred_at=when) for i, c in enumerate(contents)], budget
    )
    assert token_estimate(block) <= budget


def test_the_context_block_keeps_the_order_and_skips_what_does_not_fit() -> None:
    memories = [
        memory("a", content="x" * 10),
        memory("b", content="y" * 400),
        memory("c", content="z"),
    ]
    assert context_block(memories, 10) == f"- {'x' * 10}\n- z"
