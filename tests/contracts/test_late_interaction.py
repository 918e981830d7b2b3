"""Late interaction on states that can be counted: one direction per word."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from adapters.late_interaction import NEIGHBOUR, LateInteraction
from adapters.onnx_embedder import OnnxEmbedder
from adapters.snowball_analyser import SnowballAnalyser
from domain.errors import EmbedderUnavailable, RerankerUnavailable
from domain.ports import Passage

DIMENSION = 64


class Words:
    """Gives each word piece a direction, and notes what it has read."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.away = False
        self.stuck_at: str | None = None

    async def __call__(self, text: str) -> tuple[Sequence[str], NDArray[np.float32]]:
        if self.away:
            raise EmbedderUnavailable("the model is away")
        if text == self.stuck_at:
            await asyncio.Event().wait()
        self.read.append(text)
        pieces = text.lower().split() or ["[CLS]"]
        return pieces, np.stack([_direction(piece) for piece in pieces])


def _direction(piece: str) -> NDArray[np.float32]:
    seed = int.from_bytes(hashlib.sha256(piece.encode()).digest()[:4])
    values = np.random.default_rng(seed).normal(size=DIMENSION)
    return (values / np.linalg.norm(values)).astype(np.float32)


def reranker(states: Words, budget_bytes: int = 1_000_000, seconds: float = 5.0) -> LateInteraction:
    return LateInteraction(
        states, SnowballAnalyser(), budget_bytes=budget_bytes, timeout_seconds=seconds
    )


def passages(*texts: str) -> list[Passage]:
    return [Passage(text) for text in texts]


async def test_a_rare_word_counts_more_than_a_common_one() -> None:
    common, rare, neither = await reranker(Words()).scores(
        "kettle violin", passages("kettle lamp", "violin sofa", "kettle rug")
    )

    assert rare > common == pytest.approx(neither, abs=0.1)


async def test_words_that_say_nothing_do_not_count() -> None:
    judge = reranker(Words())
    given = passages("the lamp is there", "a violin", "some sofa")

    bare = await judge.scores("violin", given)

    assert bare == pytest.approx(await judge.scores("is the violin s there", given), abs=1e-6)


async def test_the_pieces_of_a_stop_word_do_not_count_either() -> None:
    judge = reranker(Words())
    given = passages("them ##selves lamp", "violin sofa", "rug door")

    bare = await judge.scores("violin", given)

    assert bare == pytest.approx(await judge.scores("them ##selves violin", given), abs=1e-6)


async def test_what_is_said_beside_counts_at_a_discount() -> None:
    texts = ("violin", "lamp sofa", "rug door")
    judge = reranker(Words())

    alone = await judge.scores("violin", passages(*texts))
    beside = await judge.scores(
        "violin", [Passage(texts[0]), Passage(texts[1], (0,)), Passage(texts[2])]
    )

    assert beside[0] == alone[0]
    assert beside[1] == pytest.approx(NEIGHBOUR * alone[0], abs=1e-5)
    assert beside[2] == alone[2]


async def test_a_passage_is_read_once_while_there_is_room() -> None:
    states = Words()
    judge = reranker(states)

    for _ in range(2):
        await judge.scores("violin", passages("lamp", "sofa"))

    assert ["lamp", "sofa", "violin", "violin"] == sorted(states.read)


async def test_the_least_recently_used_leave_when_there_is_no_room() -> None:
    states = Words()
    judge = reranker(states, budget_bytes=1600)  # two of these passages

    for texts in (("lamp", "sofa"), ("lamp",), ("rug",), ("lamp",), ("sofa",)):
        await judge.scores("violin", passages(*texts))

    assert ["lamp", "sofa", "rug", "sofa"] == [text for text in states.read if text != "violin"]


async def test_a_budget_too_small_for_anything_gives_the_same_scores() -> None:
    given = passages("violin lamp", "sofa")

    assert await reranker(Words(), budget_bytes=0).scores("violin", given) == (
        await reranker(Words()).scores("violin", given)
    )


async def test_an_unusable_model_is_an_unavailable_reranker() -> None:
    states = Words()
    states.away = True

    with pytest.raises(RerankerUnavailable, match="the model is away"):
        await reranker(states).scores("violin", passages("lamp"))


async def test_what_takes_too_long_is_given_up_and_what_was_read_is_kept() -> None:
    states = Words()
    states.stuck_at = "sofa"
    judge = reranker(states, seconds=0.1)

    with pytest.raises(RerankerUnavailable, match=r"within 0\.1 s"):
        await judge.scores("violin", passages("lamp", "sofa"))
    states.stuck_at = None
    await judge.scores("violin", passages("lamp", "sofa"))

    assert 1 == states.read.count("lamp")


async def test_the_model_gives_a_unit_state_for_each_piece() -> None:
    onnx = OnnxEmbedder()

    pieces, states = await onnx.token_states("Ann plays the zither")
    many, long = await onnx.token_states("word " * 600)
    await onnx.close()

    assert ["ann", "plays", "the", "z", "##ith", "##er"] == pieces
    assert (6, 384) == states.shape
    assert np.allclose(1, np.linalg.norm(states, axis=1), atol=1e-5)
    assert len(many) == len(long) <= 256
    with pytest.raises(EmbedderUnavailable, match="closed"):
        await onnx.token_states("text")
