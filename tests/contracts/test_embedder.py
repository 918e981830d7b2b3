"""What every embedder must do; the offline model runs for real."""

from __future__ import annotations

import asyncio
import math
import os
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from adapters.cached_embedder import CachedEmbedder
from adapters.given_embedder import GivenEmbedder
from adapters.inprocess.cache import InProcessCache
from adapters.onnx_embedder import OnnxEmbedder
from adapters.openai_embedder import OpenaiEmbedder
from domain.errors import EmbedderUnavailable
from domain.ports import Embedder
from domain.vector import EmbeddingModel, Vector
from tests.contracts.embedding_server import embedding_server
from tests.end_to_end.embedded import DIMENSION

TEXTS = ["Ann moved to Lisbon in May.", "The cat sleeps.", "", "我喜欢苹果", "word " * 2000]


@pytest.fixture(params=["onnx", "cached", "openai"])
async def embedder(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Embedder]:
    """The offline model, bare and behind a cache; a server that embeds over HTTP."""
    if request.param == "openai":
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with embedding_server() as server:
            remote = OpenaiEmbedder(url=server.url, model="m", dimension=DIMENSION)
            yield remote
            await remote.close()
        return
    onnx = OnnxEmbedder()
    bare = request.param == "onnx"
    yield onnx if bare else CachedEmbedder(onnx, InProcessCache(1_000_000))
    await onnx.close()


def cosine(first: Vector, second: Vector) -> float:
    numbers: list[tuple[float, ...]] = [
        struct.unpack(f"<{vector.dimension}f", vector.data) for vector in (first, second)
    ]
    return math.fsum(a * b for a, b in zip(*numbers, strict=True))


async def test_vectors_have_the_dimension_of_the_model_and_length_one(embedder: Embedder) -> None:
    vectors = await embedder.embed_passages(TEXTS)

    assert len(TEXTS) == len(vectors)
    assert {embedder.model.dimension} == {vector.dimension for vector in vectors}
    assert all(cosine(vector, vector) == pytest.approx(1, abs=1e-6) for vector in vectors)


async def test_a_vector_depends_on_its_text_alone(embedder: Embedder) -> None:
    alone = [(await embedder.embed_passages([text]))[0] for text in TEXTS]

    together, reversed_, _ = await asyncio.gather(
        embedder.embed_passages(TEXTS),
        embedder.embed_passages(TEXTS[::-1]),
        embedder.embed_query("What else runs?"),
    )

    assert alone == together
    assert alone == reversed_[::-1]


async def test_a_question_is_nearest_to_its_answer(embedder: Embedder) -> None:
    answer, *others = await embedder.embed_passages(TEXTS[:2])

    for _ in range(2):
        question = await embedder.embed_query("Where does Ann live?")
        assert cosine(question, answer) > 0.1 + max(cosine(question, other) for other in others)


async def test_nothing_to_embed_gives_nothing(embedder: Embedder) -> None:
    assert [] == await embedder.embed_passages([])


async def test_the_model_is_known_without_loading_it(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(tmp_path / "absent")

    assert embedder.model == OnnxEmbedder().model
    assert 384 == embedder.model.dimension
    await embedder.close()


async def test_a_missing_model_is_named(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(tmp_path)

    with pytest.raises(EmbedderUnavailable, match=r"is missing: .*model_quantized\.onnx"):
        await embedder.embed_passages(["text", "another"])
    with pytest.raises(EmbedderUnavailable, match="is missing"):
        await embedder.embed_query("text")
    await embedder.close()


async def test_a_changed_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model_quantized.onnx").write_bytes(b"something else")
    embedder = OnnxEmbedder(tmp_path)

    with pytest.raises(EmbedderUnavailable, match="not the expected one"):
        await embedder.embed_query("text")
    await embedder.close()


def test_the_model_leaves_nothing_behind_in_the_home_of_whoever_runs_it(tmp_path: Path) -> None:
    """onnxruntime reports its use, and keeps an identity and a queue for that in ~/.cache."""
    code = (
        "import asyncio\n"
        "from adapters.onnx_embedder import OnnxEmbedder\n"
        "print(len(asyncio.run(OnnxEmbedder().embed_query('kettle')).data))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[2],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
    assert list(tmp_path.rglob("*")) == []


async def test_a_closed_embedder_says_so() -> None:
    embedder = OnnxEmbedder()
    await embedder.close()

    with pytest.raises(EmbedderUnavailable, match="closed"):
        await embedder.embed_query("text")


async def test_without_a_model_only_given_vectors_are_accepted() -> None:
    embedder = GivenEmbedder(7)

    assert EmbeddingModel("given:7", 7) == embedder.model
    assert [] == await embedder.embed_passages([])
    with pytest.raises(EmbedderUnavailable):
        await embedder.embed_passages(["text"])
    with pytest.raises(EmbedderUnavailable):
        await embedder.embed_query("text")


class CountingEmbedder:
    """Counts the questions it is asked; the answer tells which model gave it."""

    def __init__(self, model: str) -> None:
        self.model = EmbeddingModel(model, 1)
        self.questions: list[str] = []

    async def embed_passages(self, texts: Sequence[str], /) -> list[Vector]:
        return [Vector(bytes(4)) for _ in texts]

    async def embed_query(self, text: str, /) -> Vector:
        self.questions.append(text)
        return Vector(self.model.id[:4].encode())


async def test_a_question_is_embedded_once_per_model() -> None:
    cache = InProcessCache(10_000)
    first, second = CountingEmbedder("first"), CountingEmbedder("second")

    for inner in (first, second, first, second):
        assert Vector(inner.model.id[:4].encode()) == await CachedEmbedder(
            inner, cache
        ).embed_query("question")

    assert ["question"] == first.questions == second.questions
