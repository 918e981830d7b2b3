"""The embedder behind HTTP, asked of a server that misbehaves in every way."""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from adapters import openai_embedder
from adapters.openai_embedder import OpenaiEmbedder
from domain.errors import EmbedderUnavailable
from domain.vector import EmbeddingModel, Vector
from tests.contracts.embedding_server import (
    Asked,
    Behaviour,
    Handler,
    changed,
    dripping,
    embedding_server,
    hanging_up,
    limited,
    silent,
    status,
    well,
)
from tests.end_to_end.embedded import DIMENSION, BagOfWords

KEY = "s3cret"
TEXTS = ["red kettle", "blue canoe", "old clock"]


class Waits:
    """Notes how long it was to wait, and does not."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Return at once."""
        self.seconds.append(seconds)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with embedding_server() as asked:
        yield asked


@asynccontextmanager
async def embedder_for(
    server: Asked, waits: Waits | None = None, **settings: object
) -> AsyncIterator[OpenaiEmbedder]:
    given = {"url": server.url, "model": "m", "dimension": DIMENSION, "key": KEY, **settings}
    embedder = OpenaiEmbedder(**given, wait=waits or Waits())  # type: ignore[arg-type]
    yield embedder
    await embedder.close()


def close_to(expected: Vector, found: Vector) -> bool:
    pairs = zip(*(struct.unpack(f"<{DIMENSION}f", v.data) for v in (expected, found)), strict=True)
    return all(math.isclose(a, b, abs_tol=1e-6) for a, b in pairs)


async def expect_good_vectors(embedder: OpenaiEmbedder) -> None:
    found = await embedder.embed_passages(TEXTS)
    expected = [BagOfWords._vector(text) for text in TEXTS]
    assert all(close_to(a, b) for a, b in zip(expected, found, strict=True))


async def test_asks_as_documented(server: Asked) -> None:
    async with embedder_for(server, url=server.url + "/") as embedder:
        await expect_good_vectors(embedder)

    [request] = server.requests
    assert "/v1/embeddings" == request.path
    assert {"model": "m", "input": TEXTS} == request.body
    assert f"Bearer {KEY}" == request.headers["Authorization"]


async def test_without_a_key_none_is_sent(server: Asked) -> None:
    async with embedder_for(server, key=None) as embedder:
        await embedder.embed_query("red")

    assert "Authorization" not in server.requests[0].headers


async def test_questions_and_passages_get_their_prefixes(server: Asked) -> None:
    async with embedder_for(server, query_prefix="query: ", passage_prefix="passage: ") as embedder:
        await embedder.embed_query("red")
        await embedder.embed_passages(["kettle"])

    assert [["query: red"], ["passage: kettle"]] == [request.texts for request in server.requests]


async def test_the_model_is_known_without_asking_and_differs_with_the_prefixes(
    server: Asked,
) -> None:
    async with (
        embedder_for(server) as plain,
        embedder_for(server, query_prefix="q: ") as prefixed,
    ):
        assert EmbeddingModel("openai:m", DIMENSION) == plain.model
        assert plain.model.id != prefixed.model.id
    assert [] == server.requests


async def test_batches_are_limited_in_count_and_in_bytes(server: Asked) -> None:
    many = [f"text {n}" for n in range(2 * openai_embedder.BATCH_TEXTS + 1)]
    large = ["x" * 10_000 for _ in range(60)]
    async with embedder_for(server) as embedder:
        found = await embedder.embed_passages([*many, *large])

    sent = [request.texts for request in server.requests]
    assert [*many, *large] == [text for texts in sent for text in texts]
    assert len(found) == len(many) + len(large)
    assert all(len(texts) <= openai_embedder.BATCH_TEXTS for texts in sent)
    sizes = [sum(len(text) for text in texts) for texts in sent]
    assert max(sizes) <= openai_embedder.BATCH_BYTES
    assert [64, 64] == [len(texts) for texts in sent[:2]]


async def test_a_long_text_is_cut_between_characters(server: Asked) -> None:
    async with embedder_for(server) as embedder:
        await embedder.embed_passages(["a" + "ü" * 65_536])

    [text] = server.requests[0].texts
    assert len(text.encode()) in range(
        openai_embedder.TEXT_BYTES - 3, openai_embedder.TEXT_BYTES + 1
    )
    assert {"a", "ü"} == set(text)


async def test_a_text_too_long_for_the_model_is_cut_and_holds_up_no_other(server: Asked) -> None:
    texts = ["red kettle", "word " * 1200, "blue canoe", "old clock", "x" * 3000]
    server.behaviours = [limited(2000)] * 50
    async with embedder_for(server) as embedder:
        found = await embedder.embed_passages(texts)
        [alone] = await embedder.embed_passages([texts[1]])

    assert alone == found[1]
    expected = [BagOfWords._vector(text) for text in ("red kettle", "blue canoe", "old clock")]
    kept = [found[0], found[2], found[3]]
    assert all(close_to(a, b) for a, b in zip(expected, kept, strict=True))


async def test_a_server_that_refuses_everything_is_soon_found_out(server: Asked) -> None:
    server.behaviours = [status(400)] * 50
    async with embedder_for(server) as embedder:
        with pytest.raises(EmbedderUnavailable, match="answered 400"):
            await embedder.embed_passages(["x" * 4000] * 64)

    assert len(server.requests) < 15


@pytest.mark.parametrize(
    "behaviours",
    [
        [status(500)],
        [status(503), status(502), status(429)],
        [hanging_up],
        [silent],
        [dripping],
        [changed(lambda data: data[::-1])],
    ],
    ids=["500", "503-502-429", "hanging up", "silent", "dripping", "wrong order"],
)
async def test_what_passes_is_overcome(server: Asked, behaviours: list[Behaviour]) -> None:
    server.behaviours = list(behaviours)
    async with embedder_for(server, timeout_seconds=0.5) as embedder:
        await expect_good_vectors(embedder)


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        (status(404), "answered 404"),
        (status(401), "answered 401"),
        (status(302, Location="http://127.0.0.1:1/"), "answered 302"),
        (status(200, b"<html>busy</html>"), "did not answer with embeddings"),
        (status(200, b""), "did not answer with embeddings"),
        (status(200, b"\xff\xfe"), "did not answer with embeddings"),
        (status(200, b'{"data": {}}'), "did not answer with embeddings"),
        (status(200, b"not zipped", Content_Encoding="gzip"), "cannot be understood"),
        (status(200, b" " * (openai_embedder.ANSWER_BYTES_MAX + 1)), "more than any vectors need"),
        (changed(lambda data: data[:-1]), "other than 3 embeddings"),
        (changed(lambda data: [*data, data[0]]), "other than 3 embeddings"),
        (changed(lambda data: [{**d, "index": 0} for d in data]), "other than 3 embeddings"),
        (
            changed(lambda data: [{**d, "embedding": d["embedding"][:-1]} for d in data]),
            f"answered with {DIMENSION - 1} dimensions, {DIMENSION} are configured",
        ),
        (
            changed(lambda data: [{**d, "embedding": [0.0] * DIMENSION} for d in data]),
            "an unusable vector: .*has no direction",
        ),
        (
            changed(lambda data: [{**d, "embedding": [math.nan] * DIMENSION} for d in data]),
            "did not answer with embeddings",
        ),
        (
            changed(lambda data: [{**d, "embedding": ["1"] * DIMENSION} for d in data]),
            "did not answer with embeddings",
        ),
        (
            changed(lambda data: [{**d, "embedding": [1e308] * DIMENSION} for d in data]),
            "an unusable vector",
        ),
    ],
)
async def test_a_wrong_answer_is_refused_at_once(
    server: Asked, behaviour: Behaviour, sentence: str
) -> None:
    server.behaviours = [behaviour]
    async with embedder_for(server) as embedder:
        with pytest.raises(EmbedderUnavailable, match=sentence) as refusal:
            await embedder.embed_passages(TEXTS)

        assert 1 == len(server.requests)
        assert not any(word in str(refusal.value) for word in (KEY, *TEXTS))
        await expect_good_vectors(embedder)


async def test_attempts_are_bounded_and_fewer_where_somebody_waits(server: Asked) -> None:
    server.behaviours = [status(503)] * 6
    waits = Waits()
    async with embedder_for(server, waits) as embedder:
        with pytest.raises(EmbedderUnavailable, match=r"answered 503 \(asked 4 times\)"):
            await embedder.embed_passages(TEXTS)
        assert (4, 3) == (len(server.requests), len(waits.seconds))
        assert all(0.5 <= s <= 0.5 * 2**n for n, s in enumerate(waits.seconds, 1))

        with pytest.raises(EmbedderUnavailable, match=r"answered 503 \(asked 2 times\)"):
            await embedder.embed_query("red")


async def test_waits_as_long_as_the_server_asks(server: Asked) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    server.behaviours = [
        status(429, Retry_After="7"),
        status(503, Retry_After=soon),
        status(503, Retry_After="gibberish"),
    ]
    waits = Waits()
    async with embedder_for(server, waits) as embedder:
        await expect_good_vectors(embedder)

    assert 7 == waits.seconds[0]
    assert 15 < waits.seconds[1] <= 20
    assert 0.5 <= waits.seconds[2] <= 4


async def test_does_not_wait_longer_than_is_sensible(server: Asked) -> None:
    server.behaviours = [status(429, Retry_After="3600")]
    waits = Waits()
    async with embedder_for(server, waits) as embedder:
        with pytest.raises(EmbedderUnavailable, match=r"answered 429 \(asked once\)"):
            await embedder.embed_passages(TEXTS)

    assert [] == waits.seconds


async def test_a_silent_server_is_given_up(server: Asked) -> None:
    server.behaviours = [silent, dripping]
    async with embedder_for(server, timeout_seconds=0.2) as embedder:
        with pytest.raises(EmbedderUnavailable, match=r"did not answer within 0\.2 s"):
            await embedder.embed_query("red")


async def test_a_server_that_is_not_there_is_named_as_such(server: Asked) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    waits = Waits()
    async with embedder_for(server, waits, url=closed) as embedder:
        with pytest.raises(EmbedderUnavailable, match=r"cannot be asked: ConnectError"):
            await embedder.embed_passages(TEXTS)

    assert 3 == len(waits.seconds)


async def test_a_key_that_fits_no_header_is_not_shown(server: Asked) -> None:
    async with embedder_for(server, key="s3c\nret") as embedder:
        with pytest.raises(EmbedderUnavailable) as refusal:
            await embedder.embed_query("red")

    assert "s3c" not in str(refusal.value)


async def test_a_closed_embedder_says_so(server: Asked) -> None:
    async with embedder_for(server) as embedder:
        await embedder.embed_query("red")
    with pytest.raises(EmbedderUnavailable, match="closed"):
        await embedder.embed_query("red")


async def test_embeds_several_questions_in_one_call(server: Asked) -> None:
    async with embedder_for(server, query_prefix="ask: ") as embedder:
        vectors = await embedder.embed_queries(TEXTS)
        alone = [await embedder.embed_query(text) for text in TEXTS]

    assert vectors == alone
    assert server.requests[0].texts == [f"ask: {text}" for text in TEXTS]


async def test_one_question_that_is_refused_fails_alone(server: Asked) -> None:
    def picky(handler: Handler, texts: list[str]) -> None:
        (status(413) if "blue canoe" in texts else well)(handler, texts)

    server.behaviours += [picky] * 5
    async with embedder_for(server) as embedder:
        found = await embedder.embed_queries(TEXTS)

    assert [isinstance(one, EmbedderUnavailable) for one in found] == [False, True, False]
