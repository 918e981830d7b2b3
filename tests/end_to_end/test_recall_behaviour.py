"""What recall returns, and what it never does, over a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from container import Container, build, running
from domain.context_block import token_estimate
from domain.draft import Changes, Draft, NewLink, Remembered, Wait
from domain.errors import (
    DimensionMismatch,
    EmbedderUnavailable,
    IdempotencyConflict,
    InvalidInput,
    MemoryNotFound,
    VersionConflict,
)
from domain.filter import Filter, parse_box, parse_where
from domain.memory import Kind, MemoryId, Source
from domain.namespace import DEFAULT_NAMESPACE, Namespace, NamespacePolicy, Scope, ScopeKind
from domain.recall import RecallAnswer, RecallQuery
from domain.vector import EmbeddingModel, Vector
from tests.end_to_end.embedded import (
    ACTOR,
    DIMENSION,
    BagOfWords,
    Clock,
    computed_in_background,
    installation,
    settings_for,
    settled,
)

DEFAULT = Scope(DEFAULT_NAMESPACE)


class SwitchableEmbedder(BagOfWords):
    """An embedder that can be taken away, or made to hang."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.hanging = False

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        await self._answer()
        return await super().embed_passages(texts)

    async def embed_query(self, text: str, /) -> Vector:
        await self._answer()
        return await super().embed_query(text)

    async def _answer(self) -> None:
        if self.away:
            raise EmbedderUnavailable("the embedder is away")
        if self.hanging:
            await asyncio.Event().wait()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def soma(tmp_path: Path, clock: Clock) -> AsyncIterator[Container]:
    async with installation(tmp_path, clock=clock) as container:
        yield container


async def remember(soma: Container, content: str, **fields: object) -> Remembered:
    return await soma.remember()(Draft(content=content, **fields), actor=ACTOR)  # type: ignore[arg-type]


async def recall(soma: Container, text: str | None, **fields: object) -> RecallAnswer:
    query = {"text": text, "scope": DEFAULT, **fields}
    return await soma.recall()(RecallQuery(**query))  # type: ignore[arg-type]


async def contents(soma: Container, text: str | None, **fields: object) -> list[str]:
    return [hit.memory.content for hit in (await recall(soma, text, **fields)).hits]


# --- Time --------------------------------------------------------------------------------------


async def test_a_corrected_fact_is_replaced_now_and_returned_as_of_then(
    soma: Container, clock: Clock
) -> None:
    start = clock.now
    old = await remember(soma, "Ann works at Acme", valid_from=start)
    clock.pass_by(days=30)
    await soma.revise()(old.memory.id, Changes(valid_to=clock.now), actor=ACTOR)
    await remember(soma, "Ann works at Globex", valid_from=clock.now)

    where = "where does Ann work?"
    assert await contents(soma, where) == ["Ann works at Globex"]
    assert await contents(soma, where, as_of=start) == ["Ann works at Acme"]
    assert await contents(soma, where, as_of=clock.now - timedelta(seconds=1)) == [
        "Ann works at Acme"
    ]
    assert await contents(soma, where, as_of=clock.now) == ["Ann works at Globex"]
    assert await contents(soma, where, as_of=start - timedelta(seconds=1)) == []
    assert len(await contents(soma, where, include_expired=True)) == 2


async def test_an_expired_memory_is_returned_only_on_request_and_lives_again_when_stored(
    soma: Container, clock: Clock
) -> None:
    first = await remember(soma, "the code is 1234", ttl_seconds=60)
    clock.pass_by(seconds=60)
    assert await contents(soma, "code") == []
    assert await contents(soma, "code", include_expired=True) == ["the code is 1234"]
    again = await remember(soma, "the code is 1234")
    assert (again.memory.id, again.deduplicated) == (first.memory.id, True)
    assert await contents(soma, "code") == ["the code is 1234"]


async def test_the_life_a_namespace_gives_is_used_for_what_comes_without_one(
    soma: Container, clock: Clock
) -> None:
    policy = NamespacePolicy(default_ttl_seconds=60)
    await soma.set_policy()(DEFAULT_NAMESPACE, policy, actor=ACTOR)
    await remember(soma, "short tea")
    await remember(soma, "long tea", ttl_seconds=600)
    clock.pass_by(seconds=61)
    assert await contents(soma, "tea") == ["long tea"]


async def test_a_question_as_of_a_time_without_an_offset_is_refused(
    soma: Container, clock: Clock
) -> None:
    with pytest.raises(InvalidInput, match=r"^as_of: "):
        await recall(soma, "tea", as_of=clock.now.replace(tzinfo=None))


# --- Filters and scopes --------------------------------------------------------------------------


async def test_filters_are_applied_before_ranking_not_after(soma: Container) -> None:
    await soma.remember_batch()(
        [Draft(content=f"red kettle number {n}", tags=["common"]) for n in range(300)], actor=ACTOR
    )
    rare = await remember(
        soma,
        "something else entirely",
        tags=["rare", "x"],
        kind=Kind.SEMANTIC,
        payload={"room": {"floor": 3}},
        coordinate=[1, 2],
        source=Source(actor="ann", session="s"),
    )
    filters = [
        Filter(tags=("rare", "x")),
        Filter(tags_any=("rare", "unheard of")),
        Filter(kinds=(Kind.SEMANTIC,)),
        Filter(where=parse_where({"room.floor": {"gte": 3}})),
        Filter(box=parse_box([0, 0], [1, 2])),
        Filter(actor="ann"),
        Filter(session="s"),
    ]
    for filter in filters:
        answer = await recall(soma, "red kettle", filter=filter, k=1)
        assert [hit.memory.id for hit in answer.hits] == [rare.memory.id], filter


async def test_a_subtree_is_searched_as_one_and_its_siblings_are_not(soma: Container) -> None:
    for path in ("acme", "acme/ann", "acme/ann/deep", "acme2", "zoo"):
        await remember(soma, f"tea in {path}", namespace=path)
    acme = Namespace("acme")
    assert await contents(soma, "tea", scope=Scope(acme)) == ["tea in acme"]
    subtree = await contents(soma, "tea", scope=Scope(acme, ScopeKind.SUBTREE))
    assert sorted(subtree) == ["tea in acme", "tea in acme/ann", "tea in acme/ann/deep"]
    await remember(soma, "tea in acme/new", namespace="acme/new")
    assert "tea in acme/new" in await contents(soma, "tea", scope=Scope(acme, ScopeKind.SUBTREE))


async def test_relevance_cuts_what_does_not_answer(soma: Container) -> None:
    await remember(soma, "the boiler is in the cellar")
    await remember(soma, "zebras eat grass")
    answer = await recall(soma, "boiler cellar")
    relevant, other = answer.hits
    assert relevant.relevance > 0.5 > other.relevance
    assert await contents(soma, "boiler cellar", min_relevance=0.5) == [
        "the boiler is in the cellar"
    ]
    assert await contents(soma, "quantum chromodynamics", min_relevance=0.5) == []


async def test_the_context_keeps_to_its_budget_and_to_the_order_of_the_hits(
    soma: Container,
) -> None:
    for n in range(20):
        await remember(soma, f"tea fact number {n} " + "x" * n)
    for budget in (1, 20, 100):
        answer = await recall(soma, "tea fact", budget_tokens=budget, k=20)
        assert answer.context is not None
        assert token_estimate(answer.context) <= budget
        lines = answer.context.splitlines()
        ranked = [f"- {hit.memory.content}" for hit in answer.hits]
        assert lines == [line for line in ranked if line in lines]
    assert (await recall(soma, "tea")).context is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"text": None}, "query"),
        ({"text": "  "}, "query"),
        ({"text": "a\x00"}, "query"),
        ({"text": "\ud800"}, "query"),
        ({"text": "x" * 20_000}, "query"),
        ({"k": 0}, "k"),
        ({"k": 1001}, "k"),
        ({"expand": 4}, "expand"),
        ({"min_relevance": 1.1}, "min_relevance"),
        ({"min_relevance": float("nan")}, "min_relevance"),
        ({"budget_tokens": 0}, "budget_tokens"),
        ({"rerank": True}, "rerank"),
        ({"weights": {"nonsense": 1.0}}, "weights.nonsense"),
        ({"weights": {"lexical": float("nan")}}, "weights.lexical"),
        ({"signals": {"nonsense": True}}, "signals.nonsense"),
        ({"vector": [1.0]}, "vector"),
        ({"vector": [0.0] * DIMENSION}, "vector"),
    ],
)
async def test_a_bad_question_is_refused_by_the_name_of_its_field(
    soma: Container, fields: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        await recall(soma, **{"text": "tea", **fields})  # type: ignore[arg-type]
    assert refusal.value.field == field


@pytest.mark.parametrize(
    "text",
    [
        '"',
        "a AND OR NOT (",
        "tea*",
        "own:tea",
        "'; DROP TABLE memories; --",
        "NEAR(a b)",
        "^tea",
        "茶",
    ],
)
async def test_a_question_may_hold_any_characters(soma: Container, text: str) -> None:
    await remember(soma, f"tea {text}")
    assert await contents(soma, text) == [f"tea {text}"]


async def test_an_empty_store_has_no_answer(soma: Container) -> None:
    answer = await recall(soma, "anything", scope=Scope(Namespace("never/seen")))
    assert (answer.hits, answer.degraded, answer.exact) == ((), (), True)


async def test_the_same_question_gets_the_same_answer(soma: Container) -> None:
    await soma.remember_batch()(
        [Draft(content="tea", deduplicate=False) for _ in range(30)], actor=ACTOR
    )
    first = await recall(soma, "tea", k=30)
    assert (await recall(soma, "tea", k=30)).hits == first.hits
    ids = [hit.memory.id for hit in first.hits if "diversity" in hit.parts]
    assert ids == sorted(ids)


# --- Conversations -------------------------------------------------------------------------------


async def converse(soma: Container, clock: Clock, *turns: str) -> list[MemoryId]:
    ids = []
    for turn in turns:
        stored = await remember(soma, turn, occurred_at=clock.now, source=Source(session="talk"))
        ids.append(stored.memory.id)
        clock.pass_by(minutes=1)
    return ids


async def test_a_turn_is_found_by_the_words_of_its_neighbour(soma: Container, clock: Clock) -> None:
    _, answer, _ = await converse(soma, clock, "which violin?", "the old one", "good night")
    hits = (await recall(soma, "violin")).hits
    parts = {hit.memory.id: hit.parts for hit in hits}
    assert parts[answer]["context_lexical"] > 0
    assert "lexical" not in parts[answer]
    assert parts[answer]["context_semantic"] > 0


async def test_forgetting_a_turn_takes_its_words_from_its_neighbours(
    soma: Container, clock: Clock
) -> None:
    first, answer, last = await converse(soma, clock, "which violin?", "the old one", "good night")
    for end, forget in ((first, soma.forget()), (last, soma.erase())):
        await forget(end, actor=ACTOR)
    await settled(soma)
    hits = (await recall(soma, "violin")).hits
    assert [hit.memory.id for hit in hits] == [answer]
    assert "context_lexical" not in hits[0].parts
    alone = await soma.index().similarities(BagOfWords._vector("violin"), [answer])
    assert alone[answer][1] is None


async def test_revising_a_turn_renews_the_context_of_its_neighbours(
    soma: Container, clock: Clock
) -> None:
    first, answer = await converse(soma, clock, "which violin?", "the old one")
    stored = await soma.revise()(first, Changes(content="which trumpet?"), actor=ACTOR)
    assert stored.indexed
    for word, found in (("violin", False), ("trumpet", True)):
        parts = {hit.memory.id: hit.parts for hit in (await recall(soma, word)).hits}
        assert ("context_lexical" in parts[answer]) is found


async def test_a_turn_that_comes_late_moves_in_between(soma: Container, clock: Clock) -> None:
    start = clock.now
    first, last = await converse(soma, clock, "which violin?", "the old one")
    middle = await remember(
        soma,
        "the trumpet is newer",
        occurred_at=start + timedelta(seconds=30),
        source=Source(session="talk"),
    )
    assert middle.indexed
    parts = {hit.memory.id: hit.parts for hit in (await recall(soma, "violin")).hits}
    assert "context_lexical" not in parts[last]
    assert parts[middle.memory.id]["context_lexical"] > 0
    assert parts[first]["lexical"] > 0


# --- The embedder --------------------------------------------------------------------------------


async def test_without_the_embedder_words_still_answer_and_meaning_follows_later(
    tmp_path: Path,
) -> None:
    embedder = SwitchableEmbedder()
    async with installation(tmp_path, embedder=embedder, clock=(clock := Clock())) as soma:
        embedder.away = True
        stored = await remember(soma, "the boiler is in the cellar")
        assert not stored.indexed
        answer = await recall(soma, "boiler")
        assert answer.degraded == ("embedder",)
        assert [hit.memory.id for hit in answer.hits] == [stored.memory.id]
        assert "semantic" not in answer.hits[0].parts
        assert await soma.pending()() == 1

        embedder.away = False
        clock.pass_by(minutes=5)
        await settled(soma)
        answer = await recall(soma, "boiler")
        assert answer.degraded == ()
        assert answer.hits[0].parts["semantic"] > 0


async def test_an_embedder_that_hangs_is_not_waited_for_beyond_the_bound(tmp_path: Path) -> None:
    embedder = SwitchableEmbedder()
    async with installation(tmp_path, embedder=embedder, embed_wait_seconds=0.2) as soma:
        embedder.hanging = True
        async with asyncio.timeout(10):
            stored = await remember(soma, "the boiler is in the cellar")
        assert not stored.indexed
        assert (await soma.show()(stored.memory.id)).content == "the boiler is in the cellar"


async def test_what_is_only_stored_is_found_by_words_at_once_and_by_meaning_soon(
    soma: Container,
) -> None:
    stored = await soma.remember()(Draft(content="red kettle"), wait=Wait.STORED, actor=ACTOR)
    assert not stored.indexed
    assert await contents(soma, "kettle") == ["red kettle"]
    await computed_in_background(soma)
    assert (await recall(soma, "kettle")).hits[0].parts["semantic"] > 0


async def test_what_is_indexed_is_found_by_meaning_in_the_next_recall(soma: Container) -> None:
    stored = await remember(soma, "red kettle")
    assert stored.indexed
    answer = await recall(soma, None, vector=[0.1] * DIMENSION)
    assert [hit.memory.id for hit in answer.hits] == [stored.memory.id]


async def test_many_writers_of_one_session_all_get_what_they_wait_for(
    soma: Container, clock: Clock
) -> None:
    async def write(number: int) -> Remembered:
        at = clock.now + timedelta(seconds=number)
        return await remember(soma, f"turn {number}", occurred_at=at, source=Source(session="s"))

    stored = await asyncio.gather(*(write(number) for number in range(20)))
    assert [result.indexed for result in stored] == [True] * 20
    assert await soma.pending()() == 0


async def test_another_model_makes_every_vector_anew(tmp_path: Path) -> None:
    async with installation(tmp_path) as soma:
        await remember(soma, "red kettle")
        assert await soma.pending()() == 0
    async with installation(tmp_path, embedder=BagOfWords("newer")) as soma:
        await settled(soma)
        assert (await recall(soma, "kettle")).hits[0].parts["semantic"] > 0


# --- Given vectors -------------------------------------------------------------------------------


def axis(number: int) -> list[float]:
    return [float(index == number) for index in range(DIMENSION)]


async def test_given_vectors_are_used_as_they_are(soma: Container) -> None:
    await remember(soma, "one", vector=axis(1))
    await remember(soma, "two", vector=[2 * value for value in axis(2)])
    answer = await recall(soma, None, vector=axis(2))
    assert [hit.memory.content for hit in answer.hits] == ["two", "one"]
    assert await contents(soma, None, vector=axis(1), k=1) == ["one"]


async def test_a_vector_can_be_given_later(soma: Container) -> None:
    one = await remember(soma, "one", vector=axis(1))
    await remember(soma, "two", vector=axis(2))
    await soma.revise()(one.memory.id, Changes(vector=axis(3)), actor=ACTOR)
    assert await contents(soma, None, vector=axis(3), k=1) == ["one"]
    again = await remember(soma, "two", vector=axis(4))
    assert again.deduplicated
    assert await contents(soma, None, vector=axis(4), k=1) == ["two"]


async def test_a_given_vector_can_be_taken_back_for_the_one_of_the_text(soma: Container) -> None:
    text = "the violin lesson"
    one = await remember(soma, text, vector=axis(1))
    await recall(soma, None, vector=axis(1))

    cleared = await soma.revise()(one.memory.id, Changes(vector=None), actor=ACTOR)

    assert (cleared.memory.version, cleared.indexed) == (1, True)
    await recall(soma, None, vector=axis(1))
    found = await soma.index().similarities(BagOfWords._vector(text), [one.memory.id])
    assert found[one.memory.id][0] == pytest.approx(1.0, abs=1e-5)


async def test_to_take_back_a_vector_that_was_not_given_changes_nothing(soma: Container) -> None:
    one = await remember(soma, "the violin lesson")
    head = (await soma.show_namespace()(one.memory.namespace)).head

    cleared = await soma.revise()(one.memory.id, Changes(vector=None), actor=ACTOR)

    assert cleared.indexed
    assert head == (await soma.show_namespace()(one.memory.namespace)).head


async def test_a_vector_of_another_dimension_is_refused_and_nothing_stored(soma: Container) -> None:
    with pytest.raises(DimensionMismatch, match=r"^vector: has 3 dimensions, .* has 64$"):
        await remember(soma, "one", vector=[1.0, 2.0, 3.0])
    with pytest.raises(DimensionMismatch) as refusal:
        await soma.remember_batch()(
            [Draft(content="a"), Draft(content="b", vector=[1.0])], actor=ACTOR
        )
    assert refusal.value.field == "memories[1].vector"
    assert await contents(soma, "one a b") == []
    stored = await remember(soma, "one")
    with pytest.raises(DimensionMismatch):
        await soma.revise()(stored.memory.id, Changes(vector=[1.0]), actor=ACTOR)
    with pytest.raises(DimensionMismatch):
        await recall(soma, None, vector=[1.0])


async def test_new_words_replace_a_given_vector(soma: Container) -> None:
    stored = await remember(soma, "one", vector=axis(1))
    await soma.revise()(stored.memory.id, Changes(content="red kettle"), actor=ACTOR)
    (hit,) = (await recall(soma, "red kettle")).hits
    assert hit.relevance > 0.9


# --- Links ---------------------------------------------------------------------------------------


async def test_expansion_brings_along_what_the_hits_are_linked_to(soma: Container) -> None:
    await soma.remember_batch()(
        [Draft(content=f"filler {n}", tags=["filler"], pinned=True) for n in range(120)],
        actor=ACTOR,
    )
    far = await remember(soma, "zanzibar", tags=["wanted"])
    mid = await remember(soma, "quito", links=(NewLink(target=far.memory.id, type="then"),))
    near = await remember(soma, "red kettle", links=(NewLink(target=mid.memory.id, type="then"),))
    found = {hit.memory.id: hit for hit in (await recall(soma, "kettle", expand=2, k=200)).hits}
    assert found[mid.memory.id].parts["graph"] > found[far.memory.id].parts["graph"] > 0
    assert near.memory.id in found
    answer = await recall(soma, "kettle", expand=1, k=200)
    one_hop = {hit.memory.id for hit in answer.hits if "graph" in hit.parts}
    assert mid.memory.id in one_hop
    only = Filter(tags=("wanted",))
    assert await contents(soma, "kettle", expand=2, filter=only) == ["zanzibar"]


async def test_a_hit_that_is_linked_to_a_better_one_gains_by_it(soma: Container) -> None:
    cause = await remember(soma, "the cache was switched off")
    await remember(soma, "checkout is slow", links=(NewLink(target=cause.memory.id, type="by"),))
    await remember(soma, "checkout has a new button")

    plain = {hit.memory.id: hit for hit in (await recall(soma, "checkout slow")).hits}
    expanded = {hit.memory.id: hit for hit in (await recall(soma, "checkout slow", expand=1)).hits}

    assert "graph" not in plain[cause.memory.id].parts
    assert expanded[cause.memory.id].parts["graph"] > 0
    best = max(expanded.values(), key=lambda hit: hit.score)
    assert "graph" not in best.parts


async def test_a_link_to_an_unknown_memory_refuses_the_whole_batch(soma: Container) -> None:
    drafts = [
        Draft(content="one"),
        Draft(content="two", links=(NewLink(target=MemoryId("unknown"), type="t"),)),
    ]
    with pytest.raises(MemoryNotFound):
        await soma.remember_batch()(drafts, actor=ACTOR)
    assert await contents(soma, "one two") == []


# --- One memory, however often it is stored ------------------------------------------------------


async def test_equal_content_is_one_memory_unless_the_caller_wants_two(soma: Container) -> None:
    first = await remember(soma, "red kettle")
    again = await remember(soma, "red kettle")
    assert (again.memory, again.deduplicated) == (first.memory, True)
    tagged = await remember(soma, "red kettle", tags=["home"])
    assert (tagged.memory.id, tagged.memory.version) == (first.memory.id, 2)
    other = await remember(soma, "red kettle", deduplicate=False)
    assert (other.memory.id != first.memory.id, other.deduplicated) == (True, False)
    elsewhere = await remember(soma, "red kettle", namespace="elsewhere")
    assert not elsewhere.deduplicated
    await soma.forget()(first.memory.id, actor=ACTOR)
    await soma.forget()(other.memory.id, actor=ACTOR)
    assert not (await remember(soma, "red kettle")).deduplicated


async def test_one_batch_may_repeat_itself(soma: Container) -> None:
    drafts = [Draft(content="tea"), Draft(content="tea", tags=["a"]), Draft(content="tea")]
    results = await soma.remember_batch()(drafts, actor=ACTOR)
    assert len({result.memory.id for result in results}) == 1
    assert [result.deduplicated for result in results] == [False, True, True]
    assert {(r.memory.version, r.memory.tags) for r in results} == {(1, ("a",))}
    history = await soma.history()(results[0].memory.id)
    assert [entry.version for entry in history.items] == [1]


async def test_a_place_is_one_memory_whatever_is_stored_there(soma: Container) -> None:
    first = await remember(soma, "red kettle", coordinate=[0.0, 1])
    second = await remember(soma, "blue boat", coordinate=[-0.0, 1.0])
    assert (second.memory.id, second.memory.version) == (first.memory.id, 2)
    assert await contents(soma, "kettle boat") == ["blue boat"]
    other = await remember(soma, "blue boat", coordinate=[2.0])
    assert other.memory.id != first.memory.id
    with pytest.raises(InvalidInput, match=r"^coordinate: is occupied"):
        await soma.revise()(other.memory.id, Changes(coordinate=[0, 1]), actor=ACTOR)
    await soma.forget()(first.memory.id, actor=ACTOR)
    await soma.revise()(other.memory.id, Changes(coordinate=[0, 1]), actor=ACTOR)


async def test_an_idempotency_key_stands_for_one_request_of_one_caller(soma: Container) -> None:
    async def store(content: str, *, actor: str = ACTOR, key: str = "k") -> Remembered:
        draft = Draft(content=content, deduplicate=False)
        return await soma.remember()(draft, actor=actor, idempotency_key=key)

    first = await store("tea")
    replayed = await store("tea")
    assert (replayed.memory, replayed.indexed) == (first.memory, True)
    assert (await store("tea", key="k2")).memory.id != first.memory.id
    assert (await store("other", actor="somebody else")).memory.id != first.memory.id
    with pytest.raises(IdempotencyConflict):
        await store("coffee")
    assert "coffee" not in await contents(soma, "coffee tea")
    for key in ("", "x" * 256, "a\x00"):
        with pytest.raises(InvalidInput, match=r"^Idempotency-Key: "):
            await store("tea", key=key)


async def test_a_lost_update_is_refused(soma: Container) -> None:
    stored = await remember(soma, "tea")
    await soma.revise()(stored.memory.id, Changes(tags=["a"]), expected_version=1, actor=ACTOR)
    with pytest.raises(VersionConflict) as conflict:
        await soma.revise()(stored.memory.id, Changes(tags=["b"]), expected_version=1, actor=ACTOR)
    assert (conflict.value.expected, conflict.value.actual) == (1, 2)


async def test_what_soma_knew_then_differs_from_what_it_knows(
    soma: Container, clock: Clock
) -> None:
    stored = await remember(soma, "tea")
    before = clock.now
    clock.pass_by(hours=1)
    await soma.revise()(stored.memory.id, Changes(content="coffee"), actor=ACTOR)
    show, id = soma.show(), stored.memory.id
    assert (await show(id)).content == "coffee"
    assert (await show(id, known_at=before)).content == "tea"
    with pytest.raises(MemoryNotFound):
        await show(id, known_at=before - timedelta(seconds=1))


# --- The real model ------------------------------------------------------------------------------


@pytest.mark.slow
async def test_the_real_model_finds_by_meaning_what_shares_no_word(tmp_path: Path) -> None:
    async with running(build(settings_for(tmp_path))) as soma:
        await soma.remember_batch()(
            [
                Draft(content="My daughter adopted a puppy from the shelter"),
                Draft(content="The quarterly revenue grew by four percent"),
                Draft(content="It rained in Lisbon for a week"),
            ],
            actor=ACTOR,
        )
        answer = await recall(soma, "Which pets does the family have?")
        assert answer.hits[0].memory.content.startswith("My daughter")
        assert (answer.degraded, answer.exact) == ((), True)
        model = soma.embedder().model
        assert model == EmbeddingModel(model.id, 384)


SAID = [
    ("Ann", "I learned to swim yesterday."),
    ("Bob", "Which stroke do you swim?"),
    ("Ann", "I swim the crawl, mostly."),
]
WHEN = "When did Ann learn to swim in May?"
OF_CONVERSATIONS = (
    *("speaker", "statement", "temporal", "date", "session"),
    *("context_semantic", "context_lexical"),
)


async def listen(soma: Container, **fields: object) -> RecallAnswer:
    """Ask for what was said in May."""
    return await soma.recall()(RecallQuery(text=WHEN, scope=DEFAULT, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("signal", OF_CONVERSATIONS)
async def test_every_signal_for_conversations_is_switched_per_question_and_per_namespace(
    soma: Container, clock: Clock, signal: str
) -> None:
    drafts = [
        Draft(
            content=text,
            source=Source(actor=actor, session="s"),
            occurred_at=clock().replace(month=5),
        )
        for actor, text in SAID
    ]
    await soma.remember_batch()(drafts, wait=Wait.INDEXED, actor=ACTOR)

    def shown(answer: RecallAnswer) -> bool:
        return any(signal in hit.parts for hit in answer.hits)

    by_default = await listen(soma)
    off_here = await listen(soma, signals={signal: False})
    policy = NamespacePolicy(signals={signal: False})
    await soma.set_policy()(DEFAULT_NAMESPACE, policy, actor=ACTOR)
    off = await listen(soma)
    on_here = await listen(soma, signals={signal: True})

    assert [True, False, False, True] == [
        shown(answer) for answer in (by_default, off_here, off, on_here)
    ]


async def test_what_another_said_than_the_one_asked_about_is_less_relevant(
    soma: Container,
) -> None:
    text = "I swim the crawl every morning."
    drafts = [
        Draft(content=text, source=Source(actor=actor, session="s"), deduplicate=False)
        for actor in ("Ann", "Bob")
    ]
    await soma.remember_batch()(drafts, wait=Wait.INDEXED, actor=ACTOR)

    named = await recall(soma, "What does Ann swim every morning?")
    nobody = await recall(soma, "What does she swim every morning?")

    by_actor = {hit.memory.source.actor: hit.relevance for hit in named.hits}
    assert by_actor["Ann"] > by_actor["Bob"]
    assert 1 == len({hit.relevance for hit in nobody.hits})
