"""What every reranker must do; the offline one reads with the real model."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

import pytest

from adapters.http_reranker import HttpReranker
from adapters.late_interaction import LateInteraction
from adapters.onnx_embedder import OnnxEmbedder
from adapters.snowball.analyser import SnowballAnalyser
from domain.ports import Passage, Reranker
from tests.contracts.reranking_server import reranking_server

QUESTION = "Which instrument does Ann practise?"
TEXTS = [
    "The parcel arrived on Monday.",
    "Ann practises the violin, her favourite instrument, every evening.",
    "Bob paints.",
]
ODD = ["", " ", "?!", "我喜欢苹果", "word " * 5000, "a\nb", "\u0301"]


@pytest.fixture(params=["late", "tei", "jina"])
async def reranker(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Reranker]:
    """Late interaction, and a server asked in either way."""
    if request.param == "late":
        onnx = OnnxEmbedder()
        yield LateInteraction(onnx, SnowballAnalyser(), budget_bytes=10_000_000)
        await onnx.close()
        return
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with reranking_server() as server:
        model = "m" if request.param == "jina" else None
        remote = HttpReranker(url=server.url, model=model)
        yield remote
        await remote.close()


def passages(*texts: str) -> list[Passage]:
    return [Passage(text) for text in texts]


async def test_the_answer_scores_highest_wherever_it_stands(reranker: Reranker) -> None:
    for order in (TEXTS, TEXTS[::-1], [*TEXTS[1:], TEXTS[0]]):
        scores = await reranker.scores(QUESTION, passages(*order))
        assert TEXTS[1] == order[scores.index(max(scores))]


async def test_every_passage_has_one_finite_score(reranker: Reranker) -> None:
    for texts in ([], ["one"], ["same", "same"], ODD, [*ODD, *TEXTS] * 4):
        scores = await reranker.scores(QUESTION, passages(*texts))
        assert len(texts) == len(scores)
        assert all(map(math.isfinite, scores))


async def test_every_question_has_scores(reranker: Reranker) -> None:
    for question in ("?", "the", "我喜欢苹果", "word " * 3000):
        scores = await reranker.scores(question, passages(*TEXTS))
        assert len(TEXTS) == len(scores)
        assert all(map(math.isfinite, scores))


async def test_the_same_call_gives_the_same_scores(reranker: Reranker) -> None:
    alone = await reranker.scores(QUESTION, passages(*TEXTS))

    beside_others = await asyncio.gather(
        *(reranker.scores(QUESTION, passages(*TEXTS)) for _ in range(3)),
        reranker.scores("Who paints?", passages(*TEXTS[::-1])),
    )

    assert [alone] * 3 == beside_others[:3]
