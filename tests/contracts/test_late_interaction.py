"""Late interaction on states that can be counted: one direction per word."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adapters.late_interaction import (
    NEIGHBOUR,
    PIECES_MAX,
    LateInteraction,
    packed,
    unpacked,
)
from adapters.onnx_embedder import OnnxEmbedder
from adapters.snowball.analyser import SnowballAnalyser
from domain.errors import EmbedderUnavailable, RerankerUnavailable
from domain.ports import Passage
from domain.vector import TokenStates, Vector

DIMENSION = 64


@dataclass(frozen=True)
class Read:
    """What is made of a text."""

    vector: Vector
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    states: NDArray[np.float32]


class Words:
    """Gives each word piece a direction, and notes what it has read."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.away = False
        self.stuck_at: str | None = None

    async def read_passages(self, texts: Sequence[str], /) -> list[Read]:
        return [await self.read_question(text) for text in texts]

    async def read_waiting(self, texts: Sequence[str], /) -> list[Read]:
        return await self.read_passages(texts)

    async def read_question(self, text: str, /) -> Read:
        if self.away:
            raise EmbedderUnavailable("the model is away")
        if text == self.stuck_at:
            await asyncio.Event().wait()
        self.read.append(text)
        pieces = tuple(text.lower().split()) or ("[CLS]",)
        rows = np.stack([_direction(piece) for piece in pieces])
        return Read(Vector(rows[0].tobytes()), tuple(map(_seed, pieces)), pieces, rows)


def _seed(piece: str) -> int:
    return int.from_bytes(hashlib.sha256(piece.encode()).digest()[:2])


def _direction(piece: str) -> NDArray[np.float32]:
    values = np.random.default_rng(_seed(piece)).normal(size=DIMENSION)
    return (values / np.linalg.norm(values)).astype(np.float32)


def reranker(reader: Words, budget_bytes: int = 1_000_000, seconds: float = 5.0) -> LateInteraction:
    return LateInteraction(
        reader, SnowballAnalyser(), budget_bytes=budget_bytes, timeout_seconds=seconds
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
    judge = reranker(states, budget_bytes=700)  # two of these passages

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


async def test_what_came_with_a_passage_is_not_read_again() -> None:
    reader = Words()
    judge = reranker(reader)
    texts = ["violin lamp", "sofa"]
    kept = [states for _, states in await judge.read_passages(texts)]
    bare = await judge.scores("violin", passages(*texts))
    reader.read.clear()

    given = [Passage(text, states=states) for text, states in zip(texts, kept, strict=True)]
    scores = await reranker(reader).scores("violin", given)

    assert bare == scores
    assert ["violin"] == reader.read


async def test_states_that_cannot_be_read_any_more_are_read_anew() -> None:
    reader = Words()
    texts = ["violin lamp", "sofa"]
    old = TokenStates(b"\x00 of an earlier layout")

    scores = await reranker(reader).scores("violin", [Passage(text, states=old) for text in texts])

    assert scores == await reranker(Words()).scores("violin", passages(*texts))
    assert {*texts, "violin"} == set(reader.read)


@given(rows=st.integers(1, 40), seed=st.integers(0, 2**32 - 1), fours=st.sampled_from([8, 64, 384]))
def test_two_bits_keep_the_direction_of_a_state(rows: int, seed: int, fours: int) -> None:
    random = np.random.default_rng(seed)
    states = random.normal(size=(rows, fours)).astype(np.float32)
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    ids = tuple(int(id) for id in random.integers(0, 2**16, rows))
    reading = Read(Vector(b""), ids, ("x",) * rows, states)

    kept = packed(reading, range(rows))
    [found], again = unpacked([kept], fours)

    assert len(kept.data) == 1 + rows * (2 + fours // 4)
    assert list(ids) == found
    cosines = (states * again).sum(axis=1) / np.linalg.norm(again, axis=1)
    assert float(cosines.min()) > 0.75


async def test_only_the_pieces_of_words_that_say_something_are_kept() -> None:
    judge = reranker(Words())

    [(_, some), (_, none), (_, many)] = await judge.read_passages(
        ["the violin is there", "is it", "violin " * 2 * PIECES_MAX]
    )

    row = 2 + DIMENSION // 4
    assert [1, 2, PIECES_MAX] == [len(one.data) // row for one in (some, none, many)]


async def test_the_model_gives_a_unit_state_for_each_piece() -> None:
    onnx = OnnxEmbedder()

    [reading] = await onnx.read_passages(["Ann plays the zither"])
    [waiting] = await onnx.read_waiting(["Ann plays the zither"])
    asked = await onnx.read_question("Ann plays the zither")
    vectors = await onnx.embed_passages(["Ann plays the zither"])
    question = await onnx.embed_query("Ann plays the zither")
    await onnx.close()

    assert ("ann", "plays", "the", "z", "##ith", "##er") == reading.pieces == asked.pieces
    assert (6, 384) == reading.states.shape == asked.states.shape
    assert np.allclose(1, np.linalg.norm(reading.states, axis=1), atol=1e-5)
    assert reading.states.tobytes() == waiting.states.tobytes() != asked.states.tobytes()
    assert ([reading.vector], question) == (vectors, asked.vector)
    with pytest.raises(EmbedderUnavailable, match="closed"):
        await onnx.read_passages(["text"])


async def test_a_question_that_was_just_embedded_is_not_read_again() -> None:
    onnx = OnnxEmbedder()

    await onnx.embed_query("Who plays the zither?")
    first = await onnx.read_question("Who plays the zither?")
    again = await onnx.read_question("Who plays the zither?")
    await onnx.close()

    assert first is again


async def test_of_many_long_questions_only_the_latest_are_kept() -> None:
    onnx = OnnxEmbedder()
    long = [f"{'word ' * 600} {number}" for number in range(20)]

    readings = [await onnx.read_question(text) for text in long]
    latest = await onnx.read_question(long[-1])
    first = await onnx.read_question(long[0])
    await onnx.close()

    assert readings[-1] is latest
    assert readings[0] is not first
