"""What a reranker changes in an answer, and what it never does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from dependency_injector import providers

from container import Container, build, running
from domain.draft import Draft, Wait
from domain.errors import InvalidInput, RerankerUnavailable
from domain.memory import Source
from domain.namespace import DEFAULT_NAMESPACE, NamespacePolicy, Scope
from domain.ports import Passage
from domain.ranking import WEIGHTS
from domain.recall import RecallAnswer, RecallQuery
from domain.reranking import RERANKED
from tests.contracts.reranking_server import reranking_server, status
from tests.end_to_end.embedded import ACTOR, DIMENSION, installation, settings_for
from tests.end_to_end.http_server import served

TEA = ["tea with milk", "tea with lemon", "tea and biscuits", "green tea at noon"]
QUESTION = "tea with milk"


class Prefers:
    """Judges by one word, and notes what it was asked."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.away = False
        self.asked: list[Sequence[Passage]] = []

    async def scores(self, question: str, passages: Sequence[Passage], /) -> list[float]:
        self.asked.append(passages)
        if self.away:
            raise RerankerUnavailable("the reranker is away")
        return [10.0 * (self.word in passage.text) - 5 for passage in passages]


@pytest.fixture
def reranker() -> Prefers:
    return Prefers("biscuits")


@pytest.fixture
async def soma(tmp_path: Path, reranker: Prefers) -> AsyncIterator[Container]:
    async with installation(tmp_path, reranker="late") as container:
        container.late_reranker.override(providers.Object(reranker))
        await remember(container, *TEA)
        yield container


async def remember(soma: Container, *contents: str, source: Source | None = None) -> None:
    drafts = [Draft(content=content, source=source) for content in contents]
    await soma.remember_batch()(drafts, wait=Wait.INDEXED, actor=ACTOR)


async def recall(soma: Container, text: str | None = QUESTION, **fields: object) -> RecallAnswer:
    query = RecallQuery(text=text, scope=Scope(DEFAULT_NAMESPACE), **fields)  # type: ignore[arg-type]
    return await soma.recall()(query)


async def switch_on(soma: Container) -> None:
    policy = NamespacePolicy(signals={"rerank": True})
    await soma.set_policy()(DEFAULT_NAMESPACE, policy, actor=ACTOR)


def contents(answer: RecallAnswer) -> list[str]:
    return [hit.memory.content for hit in answer.hits]


async def test_its_judgement_is_a_part_of_the_score(soma: Container) -> None:
    answer = await recall(soma, rerank=True, weights={"rerank": 3.0})

    assert "tea and biscuits" == contents(answer)[0]
    assert 3.0 == answer.hits[0].parts["rerank"]
    assert () == answer.degraded
    for hit in answer.hits:
        assert hit.score == pytest.approx(sum(hit.parts.values()), abs=1e-6)
        assert ("rerank" in hit.parts) == (hit.memory.content == "tea and biscuits")


async def test_the_default_weight_is_what_the_best_gets(soma: Container) -> None:
    answer = await recall(soma, rerank=True)

    best = next(hit for hit in answer.hits if "biscuits" in hit.memory.content)
    assert WEIGHTS["rerank"] == best.parts["rerank"]


async def test_nobody_is_asked_unless_it_is_wanted(soma: Container, reranker: Prefers) -> None:
    answer = await recall(soma)
    await recall(soma, rerank=False, signals={"rerank": True})
    await recall(soma, rerank=True, weights={"rerank": 0.0})

    assert [] == reranker.asked
    assert "tea with milk" == contents(answer)[0]


async def test_a_namespace_may_want_it_and_a_question_may_not(
    soma: Container, reranker: Prefers
) -> None:
    await switch_on(soma)

    with_it = await recall(soma)
    without = await recall(soma, rerank=False)
    by_vector = await recall(soma, text=None, vector=[1.0] * DIMENSION)

    assert any("rerank" in hit.parts for hit in with_it.hits)
    assert not any("rerank" in hit.parts for hit in [*without.hits, *by_vector.hits])
    assert () == by_vector.degraded
    assert 1 == len(reranker.asked)


async def test_without_it_the_order_stays_and_the_answer_says_so(
    soma: Container, reranker: Prefers
) -> None:
    plain = await recall(soma)
    reranker.away = True

    answer = await recall(soma, rerank=True)

    assert ("reranker",) == answer.degraded
    assert plain.hits == answer.hits


async def test_only_the_best_are_judged_and_they_know_their_neighbours(
    soma: Container, reranker: Prefers
) -> None:
    told = [f"tea number {number}" for number in range(2 * RERANKED)]
    await remember(soma, *told, source=Source(session="s"))

    await recall(soma, "tea number 7", rerank=True, k=50)

    [judged] = reranker.asked
    assert RERANKED == len(judged)
    texts = [passage.text for passage in judged]
    seven = judged[texts.index("tea number 7")]
    beside = {f"tea number {number}" for number in (6, 8)} & set(texts)
    assert beside == {texts[position] for position in seven.beside}
    assert all(passage.beside == () for passage in judged if passage.text in TEA)


async def test_one_candidate_needs_no_judgement(soma: Container, reranker: Prefers) -> None:
    answer = await recall(soma, rerank=True, k=1)
    nothing = await soma.recall()(
        RecallQuery(text="tea", scope=Scope(DEFAULT_NAMESPACE), rerank=True, as_of=None)
    )

    assert 1 == len(answer.hits)
    assert len(TEA) == len(nothing.hits)
    assert 2 == len(reranker.asked)


@pytest.mark.parametrize("fields", [{"rerank": True}, {"signals": {"rerank": True}}])
async def test_it_is_refused_where_there_is_none_and_where_there_are_no_words(
    soma: Container, tmp_path: Path, fields: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput) as wordless:
        await recall(soma, text=None, vector=[1.0] * DIMENSION, **fields)
    async with installation(tmp_path / "other") as plain:
        with pytest.raises(InvalidInput, match="no reranker is configured") as absent:
            await recall(plain, **fields)

    assert ("rerank", "rerank") == (wordless.value.field, absent.value.field)


async def test_a_namespace_that_wants_one_where_there_is_none_is_told(tmp_path: Path) -> None:
    async with installation(tmp_path) as soma:
        await remember(soma, *TEA)
        await switch_on(soma)

        answer = await recall(soma)

    assert ("reranker",) == answer.degraded
    assert len(TEA) == len(answer.hits)


async def test_a_server_judges_and_recall_does_without_it_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with reranking_server() as server:
        async with installation(tmp_path, reranker="http", reranker_url=server.url) as soma:
            await remember(soma, *TEA)

            good = await recall(soma, rerank=True)
            server.behaviours = [status(401)]
            bad = await recall(soma, rerank=True)

    assert WEIGHTS["rerank"] == good.hits[0].parts["rerank"]
    assert ((), ("reranker",)) == (good.degraded, bad.degraded)


async def test_late_interaction_needs_no_embedder_beside_it(tmp_path: Path) -> None:
    async with running(build(settings_for(tmp_path, embedder="none", reranker="late"))) as soma:
        drafts = [Draft(content=text) for text in (*TEA, "we discussed tea prices")]
        await soma.remember_batch()(drafts, wait=Wait.STORED, actor=ACTOR)

        answer = await recall(soma, "what goes well with tea when I am hungry", rerank=True)

    # Nobody embeds the question, but its words and their states can be read.
    assert ("embedder",) == answer.degraded
    assert any("rerank" in hit.parts for hit in answer.hits)


def test_over_http_it_is_asked_for_and_refused_by_name(tmp_path: Path) -> None:
    with served(tmp_path, {}) as server, server.client() as http:
        refused = http.post("/v1/recall", json={"query": "tea", "rerank": True})
        plain = http.post("/v1/recall", json={"query": "tea", "rerank": None})

    assert httpx.codes.BAD_REQUEST == refused.status_code
    assert "rerank: no reranker is configured" == refused.json()["detail"]
    assert httpx.codes.OK == plain.status_code
